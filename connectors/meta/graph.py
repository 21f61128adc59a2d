"""Calls to Meta's Graph API by its SDK, each account on its own, the token kept out of logs and addresses."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import requests
from facebook_business.adobjects.adspixel import AdsPixel  # type: ignore[import-untyped]
from facebook_business.api import FacebookAdsApi  # type: ignore[import-untyped]
from facebook_business.session import FacebookSession  # type: ignore[import-untyped]

from connectors.errors import Misconfigured
from connectors.http import CancelToken
from connectors.one_call import UPLOAD_GRACE, checked_address, exchange, restrain


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """How one dataset is reached."""

    dataset_id: str
    """Digits, as Events Manager shows them."""
    access_token: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)
    """The secret of the token's app, where that app demands proof of it."""
    graph_url: str = "https://graph.facebook.com"
    version: str = "v26.0"
    """The Graph API's version; for the Conversions API Meta ends it after about a year, as the Marketing API's.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    validate_only: bool = False
    """Check events on this machine and send none."""
    timeout: tuple[float, float] = (10.0, 60.0)
    """Seconds to wait for a connection, and for each part of an answer."""


_DATASET = re.compile(r"[0-9]{1,20}")
_VERSION = re.compile(r"v[0-9]+\.[0-9]+")
_SECRET = re.compile(r"[!-~]+")


class Graph:
    """The Graph API as one account's token sees it.

    Each call has a session and a connection of its own: nothing is shared between accounts, and none is kept that
    may be dead and make a request look sent.
    """

    def __init__(self, options: MetaOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Check how the dataset is to be reached; nothing is called. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where that cannot work.
        """
        _keep_addresses_out_of_logs()
        self._url = checked_address(options.graph_url, "Meta's Graph address")
        for what, value, form in (
            ("Meta's dataset_id must be digits, as Events Manager shows them", options.dataset_id, _DATASET),
            ("the Graph API's version must look like v26.0", options.version, _VERSION),
            ("Meta's access token is empty, or has spaces or line breaks", options.access_token, _SECRET),
            ("Meta's app secret has spaces or line breaks", options.app_secret or "-", _SECRET),
        ):
            if not form.fullmatch(value):
                raise Misconfigured(what)
        self._options = options
        self._cancel_token = cancel_token

    def post_events(self, dataset_id: str, events: Sequence[str]) -> requests.Response:
        """Send events, each as its JSON text, which the library then leaves as it is.

        The token travels in the body. Raises requests.RequestException where no whole answer came.
        https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/events
        """
        with self._session() as session:
            token = {"access_token": session.access_token, **_proof(session)}
            pixel = AdsPixel(dataset_id, api=self._api(session))
            params = {"data": list(events), **token}
            return self._exchange(session, lambda: pixel.create_event(params=params), grace=UPLOAD_GRACE)

    def get(self, *path: str, **params: str) -> requests.Response:
        """Read something; the token travels in a header.

        Raises requests.RequestException where no whole answer came.
        """
        with self._session() as session:
            session.requests.headers["Authorization"] = f"Bearer {session.access_token}"
            asked = {**params, **_proof(session)}
            return self._exchange(session, lambda: self._api(session).call("GET", path, params=asked))

    def _exchange(self, session: FacebookSession, call: Callable[[], object], *, grace: float = 0) -> requests.Response:
        def answer() -> requests.Response:
            try:
                call()
            except _AnsweredError as answered:
                return answered.response
            raise AssertionError("the library came back without an answer")

        timeout = self._options.timeout
        return exchange(session.requests, answer, timeout, cancel_token=self._cancel_token, grace=grace)

    @contextmanager
    def _session(self) -> Iterator[FacebookSession]:
        session = FacebookSession(
            app_secret=self._options.app_secret,
            access_token=self._options.access_token,
            timeout=self._options.timeout,
        )
        session.GRAPH = self._url
        with closing(session.requests):
            session.requests.params.clear()  # the library's place for the token: every address
            restrain(session.requests, self._url)
            session.requests.hooks["response"].append(_hand_over)
            yield session

    def _api(self, session: FacebookSession) -> FacebookAdsApi:
        """Never by `FacebookAdsApi.init()`, which changes the whole process: its one token, its crash handler."""
        return FacebookAdsApi(session, api_version=self._options.version)


class _AnsweredError(Exception):
    """Takes an answer past the library's reading of it."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__("answered")
        self.response = response


def _hand_over(response: requests.Response, **_sent: object) -> None:
    """Read the whole answer, so that a cut one is no answer, and end the library's work there."""
    _ = response.content
    raise _AnsweredError(response)


def _proof(session: FacebookSession) -> dict[str, str]:
    """That the caller knows the secret of the token's app.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return {"appsecret_proof": session.appsecret_proof} if session.app_secret else {}


def _keep_addresses_out_of_logs() -> None:
    """urllib3 logs addresses, and that of one call, the one that asks about the token, has the token in it."""
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
