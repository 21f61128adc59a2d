"""A session with a token in hand, for one call to Google."""

from google.auth.transport.requests import AuthorizedSession

from connectors.google_ads.credentials import Bearer
from connectors.one_call import restrain


def open_session(url: str, token: str) -> AuthorizedSession:
    """A session for one call to `url` with this token.

    One a call: a connection kept from an earlier call may be dead, and would make a request look sent.
    """
    session = AuthorizedSession(Bearer(token))  # type: ignore[no-untyped-call]
    restrain(session, url)
    return session
