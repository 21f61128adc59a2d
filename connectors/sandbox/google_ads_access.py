"""Who may call the Google Ads API, and which customers they get at."""

import re
from collections.abc import Callable, Mapping

from connectors.sandbox import google_ads_rules as rules
from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_ads_errors import Refusal
from connectors.sandbox.oauth import ADWORDS

Scopes = Callable[[str], frozenset[str] | None]
"""The scopes behind an Authorization header; None where its token is unknown, expired or revoked."""
_NUMBER = re.compile(r"\d{10}", re.ASCII)


def unidentified(metadata: Mapping[str, str], scopes: Scopes) -> Refusal | None:
    """The refusal of a call whose token does not hold for this API."""
    authorization = metadata.get("authorization", "")
    if not authorization.startswith("Bearer "):
        return Refusal.of(rules.TOKEN_SENT)
    granted = scopes(authorization)
    if granted is None:
        return Refusal.of(rules.TOKEN_LIVES)
    return None if ADWORDS in granted else Refusal.of(rules.SCOPE)


def barred(metadata: Mapping[str, str], customer: str, accounts: Mapping[str, Account]) -> Refusal | None:
    """The refusal of a caller who does not get at this customer.

    https://developers.google.com/google-ads/api/docs/concepts/call-structure
    """
    login = metadata.get("login-customer-id", "")
    managers = {each for account in accounts.values() for each in account.managers}
    account = accounts.get(customer)
    if login and not _NUMBER.fullmatch(login):
        return Refusal.of(rules.LOGIN_NUMBER)
    if not _NUMBER.fullmatch(customer):
        return Refusal.of(rules.CUSTOMER_NUMBER, "customer_id")
    if account is None and customer not in managers:
        return Refusal.of(rules.CUSTOMER_KNOWN)
    if login in accounts and login != customer:
        return Refusal.of(rules.LOGIN_IS_MANAGER)
    if (account is None and login not in ("", customer)) or (account and login not in account.managers):
        return Refusal.of(rules.ACCESS)
    return Refusal.of(rules.CUSTOMER_ENABLED) if account and not account.enabled else None
