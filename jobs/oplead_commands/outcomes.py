"""What became of a write, in a sentence, as JSON and as an exit code."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import assert_never

from connectors.crm import WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.records import Lost, NotSent
from jobs.exit_codes import Exit

ADMIN = "the client admin's key, or a user's"
ANY_KEY = "the client admin's key, a user's or a supplier's"


def exit_of(receipt: WriteReceipt) -> Exit:
    """Return the exit code of a single write."""
    match receipt:
        case WriteAccepted():
            return Exit.DONE
        case WriteRefused(fault=WriteRefusalReason.ACCESS | WriteRefusalReason.PATH):
            return Exit.CONFIGURATION
        case WriteRefused(fault=WriteRefusalReason.PACE) | NotSent():
            return Exit.STOPPED
        case WriteRefused() | Lost():
            return Exit.ATTENTION
    assert_never(receipt)


def write_outcome_sentence(receipt: WriteReceipt, done: str, *, key: str, look: str, about: str = "lead") -> str:
    """Return what became of a write and what to do.

    Args:
        receipt: what became of it.
        done: what is true if Oplead took it, as `lead created`.
        key: which keys may do it.
        look: what to do before it is sent again, if nobody knows whether it was done.
        about: what the request named.
    """
    match receipt:
        case WriteAccepted(id=None):
            return f"{done}."
        case WriteAccepted(id=new):
            return f"{done}: {new}."
        case WriteRefused():
            return _refusal(receipt, key, about)
        case NotSent(reason=reason):
            return f"Nothing was written: {reason}. Try again later."
        case Lost(reason=reason):
            return f"Nobody knows whether it was written: {reason}. {look}"
    assert_never(receipt)


def _refusal(refused: WriteRefused, key: str, about: str) -> str:
    status = f" ({refused.status})" if refused.status else ""
    said = f": {refused.reason}" if refused.reason else ""
    match refused.fault:
        case WriteRefusalReason.ACCESS if refused.status == HTTPStatus.UNAUTHORIZED:
            return f"Oplead does not know this key{status}: see oplead.token and oplead.auth, or oplead.write.form."
        case WriteRefusalReason.ACCESS:
            return f"This key may not do it{status}{said}. It takes {key}: see oplead.token."
        case WriteRefusalReason.PATH:
            return f"Oplead has no such path or verb{status}{said}: see oplead.write, and oplead.path_prefix."
        case WriteRefusalReason.MISSING:
            return f"Oplead has no such {about}, or this key may not see it{status}."
        case WriteRefusalReason.PACE:
            return f"Too many requests{status}: nothing was written. Try again in some minutes."
        case WriteRefusalReason.DATA:
            return f"Refused{status}{said or ', without a reason that can be shown'}. Nothing was written."
    assert_never(refused.fault)


def write_outcome_for_json(receipt: WriteReceipt) -> Mapping[str, object]:
    """Return what became of a write, for JSON."""
    match receipt:
        case WriteAccepted():
            return {"outcome": "written", "id": receipt.id}
        case WriteRefused():
            refusal = {"http_status": receipt.status, "fault": receipt.fault, "reason": receipt.reason}
            return {"outcome": "refused", **refusal}
        case NotSent():
            return {"outcome": "not_sent", "reason": receipt.reason}
        case Lost():
            return {"outcome": "lost", "reason": receipt.reason}
    assert_never(receipt)
