"""What became of a write, in a sentence, as JSON and as an exit code."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, assert_never

from connectors.crm import WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import N_, _
from connectors.records import AnswerLost, RequestNotSent
from jobs.exit_codes import Exit

ADMIN = N_("the client admin's key, or a user's")
ANY_KEY = N_("the client admin's key, a user's or a supplier's")


def exit_code_of_write(receipt: WriteReceipt) -> Exit:
    """Return the exit code of a single write."""
    match receipt:
        case WriteAccepted():
            return Exit.DONE
        case WriteRefused(fault=WriteRefusalReason.ACCESS | WriteRefusalReason.PATH):
            return Exit.CONFIGURATION
        case WriteRefused(fault=WriteRefusalReason.PACE) | RequestNotSent():
            return Exit.STOPPED
        case WriteRefused() | AnswerLost():
            return Exit.ATTENTION
    assert_never(receipt)


_NONE_SUCH = {
    "lead": N_("Oplead has no such lead, or this key may not see it{status}."),
    "subscription": N_("Oplead has no such subscription, or this key may not see it{status}."),
}
About = Literal["lead", "subscription"]


def write_outcome_sentence(receipt: WriteReceipt, done: str, *, key: str, look: str, about: About = "lead") -> str:
    """Return what became of a write and what to do.

    Args:
        receipt: what became of it.
        done: what is true if Oplead took it, as `lead created`.
        key: which keys may do it, a message.
        look: what to do before it is sent again, if nobody knows whether it was done.
        about: what the request named.
    """
    match receipt:
        case WriteAccepted(id=None):
            return f"{done}."
        case WriteAccepted(id=new):
            return _("{done}: {id}.", done=done, id=new)
        case WriteRefused():
            return _refusal(receipt, key, about)
        case RequestNotSent(reason=reason):
            return _("Nothing was written: {reason}. Try again later.", reason=reason)
        case AnswerLost(reason=reason):
            return _("Nobody knows whether it was written: {reason}. {look}", reason=reason, look=look)
    assert_never(receipt)


def _refusal(refused: WriteRefused, key: str, about: About) -> str:
    status = f" ({refused.status})" if refused.status else ""
    said = _("{status}: {reason}", status=status, reason=refused.reason) if refused.reason else status
    match refused.fault:
        case WriteRefusalReason.ACCESS if refused.status == HTTPStatus.UNAUTHORIZED:
            return _(
                "Oplead does not know this key{status}: see oplead.token and oplead.auth, or oplead.write.form.",
                status=status,
            )
        case WriteRefusalReason.ACCESS:
            return _("This key may not do it{said}. It takes {key}: see oplead.token.", said=said, key=_(key))
        case WriteRefusalReason.PATH:
            return _("Oplead has no such path or verb{said}: see oplead.write, and oplead.path_prefix.", said=said)
        case WriteRefusalReason.MISSING:
            return _(_NONE_SUCH[about], status=status)
        case WriteRefusalReason.PACE:
            return _("Too many requests{status}: nothing was written. Try again in some minutes.", status=status)
        case WriteRefusalReason.DATA:
            if refused.reason:
                return _("Refused{said}. Nothing was written.", said=said)
            return _("Refused{status}, without a reason that can be shown. Nothing was written.", status=status)
    assert_never(refused.fault)


def write_outcome_for_json(receipt: WriteReceipt) -> Mapping[str, object]:
    """Return what became of a write, for JSON."""
    match receipt:
        case WriteAccepted():
            return {"outcome": "written", "id": receipt.id}
        case WriteRefused():
            refusal = {"http_status": receipt.status, "fault": receipt.fault, "reason": receipt.reason}
            return {"outcome": "refused", **refusal}
        case RequestNotSent():
            return {"outcome": "not_sent", "reason": receipt.reason}
        case AnswerLost():
            return {"outcome": "lost", "reason": receipt.reason}
    assert_never(receipt)
