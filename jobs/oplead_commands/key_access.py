"""Which kind of key this seems to be, and what a narrower one hides. Pure."""

from enum import StrEnum

from connectors.language import N_, _
from connectors.records import CheckFinding, CheckVerdict

SUBJECT = N_("key")
_ADVICE = N_("Put the client admin's key where oplead.token points: it alone shows every lead.")


class KeyAccess(StrEnum):
    """What a key may read."""

    GRANTED = "granted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The question could not be asked, or the answer says nothing of the key."""


def key_finding(leads: KeyAccess, settings: KeyAccess, owners: int | None) -> CheckFinding | None:
    """Return what a key seems to be, judged by what it may read; None if nothing can be said.

    Oplead has one for each supplier, who sends leads and hears of them, one for each user, who sees that user's, and
    the client admin's: https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead

    Args:
        leads: whether it may read leads.
        settings: whether it may read the marketing channels.
        owners: how many users or agencies the latest leads belong to; None if they do not say, or are few.
    """
    match leads, settings, owners:
        case KeyAccess.REFUSED, KeyAccess.GRANTED, _:
            found = _(
                "seems to be a supplier's: it reads the platform's settings and no leads, so no night can run by it"
            )
            return CheckFinding(_(SUBJECT), CheckVerdict.FAILED, found, _(_ADVICE))
        case KeyAccess.GRANTED, _, 1:
            found = _(
                "may be one user's: the latest leads all belong to one user or agency, and a user's key "
                "hides the others', whose conversions would never be sent"
            )
            return CheckFinding(_(SUBJECT), CheckVerdict.DOUBTFUL, found, _(_ADVICE))
        case KeyAccess.GRANTED, _, int():
            found = _(
                "seems to be the client admin's: the latest leads belong to {owners} users or agencies", owners=owners
            )
            return CheckFinding(_(SUBJECT), CheckVerdict.VERIFIED, found)
        case KeyAccess.GRANTED, _, None:
            found = _(
                "reads leads; whether all of them cannot be told from the latest ones: a user's key would "
                "hide the others'"
            )
            return CheckFinding(_(SUBJECT), CheckVerdict.VERIFIED, found, is_notable=True)
    return None
