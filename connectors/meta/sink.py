"""`ConversionSink` for Meta's Conversions API, and the Graph API calls it makes through Meta's SDK.

The SDK is isolated per account, and the token kept out of logs and URLs.
"""

import logging
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests

from connectors.errors import Misconfigured
from connectors.http import CancelToken, checked_address
from connectors.language import N_, _, _n
from connectors.meta import encode as encoder
from connectors.meta.outcomes import receipt
from connectors.one_call import (
    UPLOAD_GRACE,
    before_any_byte,
    receipt_of,
    restrict_http_session,
    run_call,
    silence_vendor_logging,
)
from connectors.records import (
    UNREADABLE_EVENT,
    Contact,
    EncodedEvent,
    ForgottenRequest,
    Identifier,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Resolution,
    RowOutcomes,
    Target,
)

if TYPE_CHECKING:
    from facebook_business.api import FacebookAdsApi  # type: ignore[import-untyped]
    from facebook_business.session import FacebookSession  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """Connection options for one dataset."""

    dataset_id: str
    """Digits, as Events Manager shows them."""
    access_token: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)
    """Secret of the token's app, if the app requires `appsecret_proof`."""
    graph_url: str = "https://graph.facebook.com"
    version: str = encoder.VERSION
    """Graph API version; for the Conversions API it ends after about a year, like the Marketing API's.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    validate_only: bool = False
    """Check events locally and send none."""
    timeout: tuple[float, float] = (10.0, 60.0)
    """Connect timeout, and timeout for each read, in seconds."""
    cancel_token: CancelToken | None = field(default=None, repr=False, compare=False)
    """Calls end soon after it raises."""


_CHECKED = N_("Meta has no validation mode; checked on this machine only")


class MetaSink:
    """`ConversionSink` for one Meta dataset; every call opens its own connection."""

    limits = encoder.META
    encode = staticmethod(encoder.encode)

    def __init__(self, options: MetaOptions) -> None:
        """Check the options without making a call.

        Raises Misconfigured if the address, the token or the app secret is malformed.
        """
        self.limits = replace(self.limits, version=encoder.GRAPH_API_VERSIONS.get(options.version))
        self._is_validating = options.validate_only
        self._graph = GraphApi(options)

    @staticmethod
    def hash_contact(contact: Contact) -> tuple[Identifier, ...]:
        """Return the contact's identifiers, or none if they would not identify a person."""
        from connectors.meta.identity import hash_contact  # noqa: PLC0415 - the numbering plans of the world are slow to load

        return hash_contact(contact)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events of one name to one dataset in one request, which Meta accepts or refuses as a whole.

        A batch that Meta is known to refuse is refused locally. A validate-only sink checks locally and sends nothing,
        since Meta counts test events.
        """
        if not 0 < len(batch) <= encoder.META.batch:
            size = Outcome(
                OutcomeClass.BUG,
                "LOCAL_BATCH",
                _n("{count} event in one request", "{count} events in one request", len(batch)),
            )
            return Refused(size, unasked=True)
        with before_any_byte():
            try:
                texts = [event.body.decode() for event in batch]
                events = [encoder.parse_frozen_event(text) for text in texts]
            except ValueError:
                return UNREADABLE_EVENT
            if refused := encoder.find_refusal_before_sending(events):
                return refused
        if self._is_validating:
            return RowOutcomes((Outcome(OutcomeClass.DONE, "CHECKED_LOCALLY", _(_CHECKED)),) * len(batch))
        try:
            response = self._graph.post_events(target.owner, texts)
        except OSError as error:
            return receipt_of(error, "meta.graph_url")
        return receipt(response, len(batch))

    def fetch_request_outcomes(self, ticket: str, *, rows: int) -> Resolution:  # noqa: ARG002 - the port's names
        """Always return Forgotten: Meta answers synchronously and issues no tickets."""
        return ForgottenRequest("META_GIVES_NO_TICKETS")


_SECRET = re.compile(r"[!-~]+")


class GraphApi:
    """The Graph API with one account's token.

    Each call opens its own session and connection: accounts share nothing, and no kept-alive connection can be dead and
    make a request look sent.
    """

    def __init__(self, options: MetaOptions) -> None:
        """Check the options without making a call.

        Raises Misconfigured if the address, the token or the app secret is malformed.
        """
        # They log URLs, and that of `debug_token` contains the token.
        silence_vendor_logging("urllib3.connection", "urllib3.connectionpool", below=logging.ERROR)
        self._url = checked_address(options.graph_url, _("Meta's Graph address"))
        for problem, secret in (
            (_("Meta's access token is empty, or has spaces or line breaks"), options.access_token),
            (_("Meta's app secret has spaces or line breaks"), options.app_secret or "-"),
        ):
            if not _SECRET.fullmatch(secret):
                raise Misconfigured(problem)
        self._options = options

    def post_events(self, dataset_id: str, events: Sequence[str]) -> requests.Response:
        """Send events, each as JSON text, which the library passes on unchanged.

        The token travels in the body. Raises requests.RequestException if no complete answer arrived.
        https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/events
        """
        from facebook_business.adobjects.adspixel import AdsPixel  # type: ignore[import-untyped]  # noqa: PLC0415

        with self._session() as (session, api):
            token = {"access_token": session.access_token, **_proof(session)}
            pixel = AdsPixel(dataset_id, api=api)
            params = {"data": list(events), **token}
            return self._exchange(session, lambda: pixel.create_event(params=params), grace=UPLOAD_GRACE)

    def get(self, *path: str, **params: str) -> requests.Response:
        """GET a path with the token in a header; raise requests.RequestException if no complete answer arrived."""
        with self._session() as (session, api):
            session.requests.headers["Authorization"] = f"Bearer {session.access_token}"
            asked = {**params, **_proof(session)}
            return self._exchange(session, lambda: api.call("GET", path, params=asked))

    def _exchange(
        self, session: "FacebookSession", call: Callable[[], object], *, grace: float = 0
    ) -> requests.Response:
        timeout = self._options.timeout
        try:
            with before_any_byte(session.requests):
                run_call(session.requests, call, timeout, cancel_token=self._options.cancel_token, grace=grace)
        except _AnsweredError as answered:
            return answered.response
        raise AssertionError("the library came back without an answer")

    @contextmanager
    def _session(self) -> "Iterator[tuple[FacebookSession, FacebookAdsApi]]":
        # Meta's library is loaded for the first call: a night without one does without.
        from facebook_business.api import FacebookAdsApi  # noqa: PLC0415
        from facebook_business.session import FacebookSession  # noqa: PLC0415

        session = FacebookSession(
            app_secret=self._options.app_secret,
            access_token=self._options.access_token,
            timeout=self._options.timeout,
        )
        session.GRAPH = self._url
        with closing(session.requests):
            session.requests.params.clear()  # the library puts the token here, in every URL
            restrict_http_session(session.requests, self._url)
            session.requests.hooks["response"].append(_bypass_library_parsing)
            session.requests.request = partial(_send_form, session.requests.request)
            # Not by `FacebookAdsApi.init()`, which sets a process-wide token and crash handler.
            yield session, FacebookAdsApi(session, api_version=self._options.version)


def _send_form(
    request: Callable[..., requests.Response],
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: Mapping[str, str] | None = None,
    **options: object,
) -> requests.Response:
    """Make a library's request, whose form is encoded here: `requests` does that character by character."""
    if data is None:
        return request(method, url, headers=headers, **options)
    form = "&".join(f"{name}={_percent_encoded(value)}" for name, value in data.items())
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return request(method, url, headers={**headers, **kind}, data=form, **options)


_PLAIN = frozenset(string.ascii_letters + string.digits + "_.-~")


def _percent_encoded(text: str) -> str:
    """Return what `urllib.parse.quote` with nothing safe returns of a long text of few different characters."""
    text = text.replace("%", "%25")
    for each in set(text) - _PLAIN - {"%"}:
        text = text.replace(each, quote(each, safe=""))
    return text


class _AnsweredError(Exception):
    """Carries an answer past the library's own parsing."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__("answered")
        self.response = response


def _bypass_library_parsing(response: requests.Response, **_sent: object) -> None:
    """Read the whole answer, so that a truncated one raises, and bypass the library's parsing."""
    _ = response.content
    raise _AnsweredError(response)


def _proof(session: "FacebookSession") -> dict[str, str]:
    """Return the proof that the caller knows the app secret, if one is set.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return {"appsecret_proof": session.appsecret_proof} if session.app_secret else {}
