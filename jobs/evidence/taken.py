"""What it says of an assumption that a write was taken, or was not. Pure but for the settings it looks at."""

from http import HTTPStatus

from connectors.crm import WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import _
from connectors.records import AnswerLost
from jobs.evidence.session import Session
from jobs.evidence.verdicts import Finding, refuted, unclear
from jobs.settings.oplead_schema import WriteSettings

_NO_SUCH_REQUEST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED})


def writes_as_assumed(session: Session, *names: str) -> bool:
    """Whether the settings under `oplead.write` with these names are the ones that are assumed."""
    write, usual = session.known.settings.oplead.write, WriteSettings()
    return all(getattr(write, name) == getattr(usual, name) for name in names)


def refusal(receipt: WriteReceipt, *, is_usual: bool) -> Finding:
    """Judge what was not taken; `is_usual` says whether the request is the one that is assumed."""
    match receipt:
        case WriteRefused(status) if status in _NO_SUCH_REQUEST and is_usual:
            return refuted(lambda: _("Oplead knows no such request (HTTP {status})", status=status))
        case WriteRefused(status, WriteRefusalReason.ACCESS):
            return unclear(lambda: _("this key may not do it (HTTP {status})", status=status))
        case WriteRefused(status) if status:
            return unclear(lambda: _("Oplead refused it, for whatever reason (HTTP {status})", status=status))
        case AnswerLost() | WriteAccepted():
            return unclear(lambda: _("the answer was lost: nobody knows what became of it"))
    return unclear(lambda: _("nothing could be sent"))


def otherwise_written() -> Finding:
    """Judge what was taken by another request than the one that is assumed."""
    return unclear(lambda: _("it was taken, but by another request than the assumed one, as your settings say"))


def not_agreed() -> Finding:
    """Judge what nobody has agreed to."""
    return unclear(lambda: _("nothing was written, as nobody agreed"))
