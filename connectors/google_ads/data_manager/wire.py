"""A session with a token in hand, for one call to Google."""

from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession

from connectors.one_call import restrain


class UnauthorizedError(Exception):
    """The API answered 401 to the token it was shown."""


class Bearer(Credentials):
    """A token in hand that fetches no other, so that a 401 ends the call instead of starting a second one."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = token

    def refresh(self, request: object) -> None:  # noqa: ARG002 - the name is the base class's
        """Google's session asks for this after a 401."""
        raise UnauthorizedError


def open_session(url: str, token: str) -> AuthorizedSession:
    """A session for one call to `url` with this token.

    One a call: a connection kept from an earlier call may be dead, and would make a request look sent.
    """
    session = AuthorizedSession(Bearer(token))  # type: ignore[no-untyped-call]
    restrain(session, url)
    return session
