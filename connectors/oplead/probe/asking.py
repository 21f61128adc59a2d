"""Asks one platform a bounded number of questions; a refused one is an answer too."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from connectors.errors import Transient, UnknownHost
from connectors.oplead.client import Answer, OpleadClient, Refused
from connectors.oplead.envelope import find_items
from connectors.oplead.fields import first, text_of
from connectors.oplead.options import OpleadOptions
from connectors.oplead.pages import nameless
from connectors.retrying import ATTEMPTS

Open = Callable[[OpleadOptions], OpleadClient]
"""Makes a client; all of them share one pace."""

_FAILURES_IN_A_ROW = 2


class NoMoreQuestions(Exception):
    """The bound on questions is reached: what is not known by now stays undecided."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A question the platform did not take."""

    status: int | None
    """None where it failed each time it was asked (5xx, no JSON)."""
    said: bytes = field(default=b"", repr=False)
    """What it answered; only ever compared."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the list."""

    answer: Answer
    items: tuple[object, ...] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    """What tells the entries apart, one each: their ids, or else `nameless`."""


@dataclass(slots=True)
class Bound:
    """How many questions may still be asked, by everything that asks."""

    left: int
    failures: int = 0
    """How many in a row failed rather than being declined."""

    def take(self) -> None:
        """Take one, or raise `NoMoreQuestions`."""
        if self.left <= 0:
            raise NoMoreQuestions
        self.left -= 1

    def failed(self) -> None:
        """A question was asked as often as may help, and failed each time."""
        self.left -= ATTEMPTS - 1
        self.failures += 1


class Asker:
    """Asks a platform the way its options say."""

    def __init__(self, options: OpleadOptions, open_client: Open, bound: Bound) -> None:
        """Ask nothing yet."""
        self.options = options
        self._client = open_client(options)
        self._bound = bound

    def __enter__(self) -> Self:
        """Use it in a `with`, so that its connections end with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port, which no request leaves."""
        return self._client.origin

    @property
    def host(self) -> str:
        """The host alone."""
        return self._client.host

    @property
    def list_path(self) -> str:
        """The list's whole path."""
        return self._client.list_path

    def list(self, query: Mapping[str, str]) -> Answer | Declined:
        """The list, asked for with `query`."""
        return self.ask(self.list_path + (f"?{urlencode(query)}" if query else ""))

    def lead(self, lead_id: str, lead_path: str) -> Answer | Declined:
        """A lead's own page."""
        return self.ask(self._client.root + lead_path.replace("{id}", quote(lead_id, safe="")))

    def ask(self, target: str) -> Answer | Declined:
        """What stands at a path and query of this platform.

        Raises:
            NoMoreQuestions: the bound is reached.
            Misconfigured: the token is refused.
            Transient: the platform is not well: two questions in a row failed, and so does the bare list.
        """
        self._bound.take()
        try:
            answer = self._client.get(target)
        except Refused as refusal:
            self._bound.failures = 0
            return Declined(refusal.status, refusal.said)
        except UnknownHost:
            raise
        except Transient:
            self._bound.failed()
            if self._bound.failures % _FAILURES_IN_A_ROW == 0:
                # Some platforms break (500) on what they do not know: only one that fails at its bare list is ill.
                with suppress(Refused):
                    self._client.get(self.list_path)
            return Declined(None)
        self._bound.failures = 0
        return answer


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads pages of a list whose array and ids are known."""

    items: str | None
    """`oplead.pagination.items`."""
    ids: tuple[str, ...]
    """Where an entry's id stands."""

    def listed(self, answer: Answer) -> Listed:
        """The answer as a page of the list.

        Raises:
            Misconfigured: it holds no list.
        """
        items = tuple(find_items(answer.body, self.items))
        return Listed(answer, items, tuple(self._mark(item) for item in items))

    def _mark(self, item: object) -> str:
        found = text_of(first(item, self.ids))
        return found or nameless(item)
