"""What a write to Oplead says of the assumptions: each after a yes, and only on what the walk made itself."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.crm import (
    DocumentToAttach,
    LeadToWrite,
    WriteAccepted,
    WriteReceipt,
    WriteRefused,
)
from connectors.language import N_, _
from connectors.records import AnswerLost, Contact, Found, Lead, LeadId, RequestNotSent, Utm
from jobs.claims import ClaimId
from jobs.evidence import own_lead
from jobs.evidence.folder import LeftBehind
from jobs.evidence.oplead_subscriptions import judge_subscriptions, subscription_settings
from jobs.evidence.session import Session
from jobs.evidence.taken import not_agreed, otherwise_written, refusal, writes_as_assumed
from jobs.evidence.verdicts import Finding, Verdict, confirmed, refuted, unclear
from jobs.rules.labels import normalise_label

_A_WRONG_FIELD = "oplead_sync_no_such_field"
_A_MOMENT, _LOOK_EVERY = timedelta(minutes=1), timedelta(seconds=10)
"""How long a platform may take to show what was written."""
_SPECIFIED = ("create", "update", "status")
_CREATE_AND_CHANGE, _STATUS = ClaimId("oplead.create_and_change"), ClaimId("oplead.status")
_TRIED = (_CREATE_AND_CHANGE, _STATUS, ClaimId("oplead.subscriptions"))
_CLICK_ID_PLACE = "leadData.externalID"
_UTM = Utm("oplead-sync")
_CHANGES: Mapping[str, Sequence[Contact]] = {
    "first_name": (Contact(first_name="Essai"), Contact(first_name="Test")),
    "last_name": (Contact(last_name="oplead-sync 2"), Contact(last_name="oplead-sync")),
    "city": (Contact(city="Lyon"), Contact(city="Paris")),
}
"""What is changed on the test lead: the first of these that it shows, to what it does not show.

A city comes last, as an Oplead may take it from the postcode.
"""
_CHANGED_NAMES = {"first_name": N_("first name"), "last_name": N_("last name"), "city": N_("city")}
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n\
trailer<</Root 1 0 R>>\n%%EOF\n"


# ── create and change ────────────────────────────────────────────────────────────────────────────


def _create_and_change(session: Session) -> Finding:
    others = own_lead.newest(session)
    shown = own_lead.shown_by(others) | own_lead.named_by(session.known)
    entry = own_lead.last_entry(session) or own_lead.adopt(session, others)
    if entry and not entry.id:
        entry = own_lead.find(session, entry)
        if not entry.id and not own_lead.has_had_time(session, entry):
            return unclear(lambda: _("the answer to its creation was lost: the next walk looks for it"))
    before = _once_written(session, entry, shown) if entry and entry.id else None
    # One that is gone has left the notes by now; one that is still listed is not gone.
    entry = own_lead.last_entry(session) or own_lead.adopt(session, others)
    if entry is None or not entry.id:
        made = _create(session, shown, seek=entry)
        if isinstance(made, Finding):
            return made
        entry, before = made, _once_written(session, made, shown)
    if not isinstance(before, Lead):
        return unclear(lambda: _("the test lead was created, and its page cannot be read"))
    if not _has_our_address(before, entry):
        return _address_not_shown(session, entry)
    if missing := _not_shown(before, shown):
        return unclear(lambda: _("the test lead does not show all that was written ({fields})", fields=missing))
    return _change(session, entry, before)


def _create(session: Session, shown: Collection[str], *, seek: LeftBehind | None) -> LeftBehind | Finding:
    """Create the test lead, after a yes; `seek` is one whose answer was lost, and that was not found."""
    if "emails" not in shown:
        return _no_addresses()
    entry = own_lead.new_entry(session)
    lead = replace(own_lead.lead_to_write(entry, shown), click_ids=(own_lead.click_id_of(entry),))
    question = _(
        "Create a test lead in Oplead ({name})? It has no telephone number, no night sends it, and it stays until you "
        "delete it.",
        name=entry.name,
    )
    if seek:
        question = _(
            "The answer to the creation of {name} was lost, and it was not found. Look for it in Oplead: is it "
            "missing there, and may another test lead be created?",
            name=seek.name,
        )
    if not session.agrees(question):
        return not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = own_lead.create_once(session, writer, entry, lead)
    if isinstance(receipt, WriteAccepted) and receipt.id:
        return replace(entry, id=receipt.id)
    if isinstance(receipt, WriteAccepted | AnswerLost) and (found := own_lead.find(session, entry)).id:
        return found
    return refusal(receipt, is_usual=writes_as_assumed(session, "create"))


def _change(session: Session, entry: LeftBehind, before: Lead) -> Finding:
    name = next((name for name in _CHANGES if getattr(before.contact, name)), None)
    if name is None:
        return unclear(lambda: _("the test lead shows nothing that could be changed"))
    change = next(one for one in _CHANGES[name] if not _is_like(before, one, name))
    if not session.agrees(
        _("Change the test lead {lead} in Oplead ({field})?", lead=entry.id, field=_(_CHANGED_NAMES[name]))
    ):
        return not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.update(LeadId(entry.id), LeadToWrite(change))
    if not isinstance(receipt, WriteAccepted):
        return refusal(receipt, is_usual=writes_as_assumed(session, "update"))
    if not writes_as_assumed(session, "create", "update"):
        return otherwise_written()
    after = _once_shown(session, entry, lambda one: _is_like(one, change, name))
    if not isinstance(after, Lead):
        return unclear(lambda: _("the test lead was changed, and its page cannot be read"))
    if not _is_like(after, change, name):
        return refuted(lambda: _("the change was taken, and the lead did not show it a minute later"))
    if _has_lost(before, after):
        return refuted(lambda: _("the change took away values that it did not name"))
    return confirmed(lambda: _("the lead shows what was written, and what the change did not name has stayed"))


def _once_written(session: Session, entry: LeftBehind, shown: Collection[str]) -> Found:
    """Return the test lead, once it shows what was written."""
    return _once_shown(session, entry, lambda one: not _not_shown(one, shown))


def _not_shown(lead: Lead, shown: Collection[str]) -> str:
    """Return what was written and is not shown by this lead."""
    written = {name for name in shown if getattr(own_lead.NOBODY, name)}
    return ", ".join(sorted(written - own_lead.shown_by([lead])))


def _is_like(lead: Lead, written: Contact, name: str) -> bool:
    return str(getattr(lead.contact, name)).casefold() == str(getattr(written, name)).casefold()


def _has_lost(before: Lead, after: Lead) -> bool:
    """Whether a value is gone; an Oplead may add some, or write one otherwise."""
    gone = own_lead.shown_by([before]) - own_lead.shown_by([after])
    return bool(gone or (before.click_ids and not after.click_ids))


def _address_not_shown(session: Session, entry: LeftBehind) -> Finding:
    """Say what to paste, as a night does not know this lead by its address; its status is left alone."""
    line = f"exclude: {{ fields: {{ {own_lead.id_path(session, entry)}: ['{entry.id}'] }} }}"
    return unclear(
        lambda: _(
            "lead {lead} does not show our address: open it in Oplead and, if it is the test lead, add `{line}` to "
            "your settings before the next night",
            lead=entry.id,
            line=line,
        )
    )


# ── on the lead that was made ────────────────────────────────────────────────────────────────────


def _click_ids_return(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, lead = own
    place = own_lead.click_id_place(session)
    if place != _CLICK_ID_PLACE:
        return unclear(lambda: _("here, click ids are written to {place}", place=place))
    if lead.click_ids == (own_lead.click_id_of(entry),):
        return confirmed(lambda: _("a click id of {count} characters came back as it was sent", count=_length(entry)))
    if lead.click_ids or lead.click_id_problem:
        return refuted(lambda: _("a click id of {count} characters came back otherwise", count=_length(entry)))
    return unclear(lambda: _("the test lead shows no click id: it may have been written elsewhere than it is read"))


def _length(entry: LeftBehind) -> int:
    return len(own_lead.click_id_of(entry).value)


def _status(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, lead = own
    ignored = session.known.settings.ignored_statuses
    label = next((one for one in ignored if normalise_label(one) not in _labels(lead)), lead.label)
    if label is None:
        return unclear(lambda: _("the test lead shows no status, and the settings name none to ignore"))
    if not session.agrees(_("Set the status of the test lead {lead} to “{label}”?", lead=entry.id, label=label)):
        return not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.set_status(LeadId(entry.id), label)
    is_usual = writes_as_assumed(session, "status", "status_field")
    if not isinstance(receipt, WriteAccepted):
        return refusal(receipt, is_usual=is_usual)
    if not is_usual:
        return otherwise_written()
    wanted = normalise_label(label)
    if wanted in _labels(lead):
        return unclear(lambda: _("it was taken, but the lead had that status before: name one in ignored_statuses"))
    after = _once_shown(session, entry, lambda one: wanted in _labels(one))
    if not isinstance(after, Lead):
        return unclear(lambda: _("it was taken, and the lead's page cannot be read"))
    if wanted not in _labels(after):
        return refuted(lambda: _("it was taken, and the lead's status had not changed a minute later"))
    return confirmed(lambda: _("the lead shows the status that was set"))


def _labels(lead: Lead) -> set[str]:
    return {normalise_label(one) for one in (lead.label or "", *lead.also_called)}


def _document(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, _lead = own
    sent = LeftBehind("document", entry.id, "oplead-sync.pdf")
    # One whose answer was lost may be there: it is not sent again.
    if sent not in session.evidence.left_behind:
        if not session.agrees(_("Add a small test PDF to the test lead {lead} in Oplead?", lead=entry.id)):
            return not_agreed()
        receipt = _attach(session, sent)
        if isinstance(receipt, WriteRefused | RequestNotSent):
            own_lead.change_note(session, sent, None)
            return refusal(receipt, is_usual=False)  # the guide has a second address, and the claim names none
    question = _("Open the test lead {lead} in Oplead: is its document {name} there?", lead=entry.id, name=sent.name)
    if not session.agrees(question):
        return unclear(lambda: _("it was sent, and nobody has seen it in Oplead"))
    return unclear(lambda: _("it was taken, and you have seen it in Oplead; how large one may be was not tried"))


def _attach(session: Session, sent: LeftBehind) -> WriteReceipt:
    with TemporaryDirectory() as folder, own_lead.open_writer(session) as writer:
        file = Path(folder, sent.name)
        file.write_bytes(_PDF)
        own_lead.note(session, sent)
        return writer.attach_document(LeadId(sent.id), DocumentToAttach(file, sent.name, "application/pdf", len(_PDF)))


def _refusals(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, _lead = own
    if not _was_confirmed(session, _CREATE_AND_CHANGE):
        return unclear(lambda: _("without a change that worked, a refusal need not be about the field"))
    if not session.agrees(_("Write a field that does not exist to the test lead {lead}?", lead=entry.id)):
        return not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.update(LeadId(entry.id), LeadToWrite(fields={_A_WRONG_FIELD: "oplead-sync"}))
    match receipt:
        case WriteAccepted():
            return refuted(lambda: _("a field that does not exist is not refused"))
        case WriteRefused(HTTPStatus.UNPROCESSABLE_ENTITY as status):
            return refuted(lambda: _("a field that does not exist is refused with HTTP {status}", status=status))
        case WriteRefused(HTTPStatus.BAD_REQUEST):  # as the sandbox refuses it
            return unclear(lambda: _("a wrong field is refused as was assumed; a supplier's key was not at hand"))
    return refusal(receipt, is_usual=False)


def _specification(session: Session) -> Finding:
    """Compare what a specification says of writing with what was written so, and what became of it."""
    if session.look is None or not session.look.is_specified:
        return unclear(lambda: _("there is no specification, or none that could be read"))
    survey, write = session.look.survey, session.known.settings.oplead.write
    hooks = subscription_settings(session)
    said = {name: (value, getattr(write, name)) for name in _SPECIFIED if (value := survey.write.get(name))}
    said |= {name: (value, getattr(hooks, name)) for name, value in survey.subscriptions.items()}
    if any(specified != written for specified, written in said.values()):
        return unclear(lambda: _("the settings write otherwise than the specification says: `init` proposes its way"))
    status = session.evidence.verdicts.get(_STATUS)
    if status and status.verdict is Verdict.REFUTED and "status" in said:
        return refuted(lambda: _("a status was written as specified, and did not work so"))
    if not said.keys() >= {*_SPECIFIED, "path"}:
        return unclear(lambda: _("it does not say how leads, statuses and subscriptions are written"))
    if all(_was_confirmed(session, claim) for claim in _TRIED):
        return confirmed(lambda: _("a lead, a status and subscriptions were written as specified, and worked"))
    return unclear(lambda: _("not all that it describes was written in this walk"))


def _was_confirmed(session: Session, claim: ClaimId) -> bool:
    found = session.evidence.verdicts.get(claim)
    return found is not None and found.verdict is Verdict.CONFIRMED


def _deleted(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, _lead = own
    question = _(
        "Delete the test lead {lead} ({name}) in Oplead yourself. Is it deleted?", lead=entry.id, name=entry.name
    )
    if not session.agrees(question):
        return unclear(lambda: _("the test lead was not deleted"))
    found = _once_shown(session, entry, lambda _one: False)
    if found is None:
        own_lead.forget(session, entry)
        return confirmed(lambda: _("its page answered with 404 or 410 once you had deleted it"))
    return unclear(lambda: _("you have deleted it, and its page still answers otherwise than with 404 or 410"))


# ── the form ─────────────────────────────────────────────────────────────────────────────────────


def _form(session: Session) -> Finding:
    if session.known.settings.oplead.write.form is None:
        return unclear(lambda: _("the settings have no form"))
    own = _shown(session)
    entry = own_lead.last_entry(session, "form") or own_lead.new_entry(session, "form")
    if entry not in session.evidence.left_behind:
        if own is None and "emails" not in own_lead.shown_by(own_lead.newest(session)):
            return _no_addresses()
        if not session.agrees(_("Send one test lead ({name}) by the form import?", name=entry.name)):
            return not_agreed()
        # The number is one for fiction, by the ARCEP.
        contact = replace(own_lead.NOBODY, emails=(own_lead.address_of(entry),), phones=("0639980000",), country="FR")
        with own_lead.open_writer(session, "form") as writer:
            receipt = own_lead.create_once(session, writer, entry, LeadToWrite(contact, utm=_UTM))
        if not isinstance(receipt, WriteAccepted | AnswerLost):
            return refusal(receipt, is_usual=False)
        entry = own_lead.last_entry(session, "form") or entry
    entry = entry if entry.id else own_lead.find(session, entry)
    found = _once_shown(session, entry, lambda one: all(_values(one).values())) if entry.id else None
    if not isinstance(found, Lead):
        return unclear(lambda: _("the form was sent, and its lead is not in Oplead yet: walk again later"))
    return _judge_form(_values(found), _values(own[1]) if own else {})


def _values(lead: Lead) -> Mapping[str, object]:
    """Return what a lead shows of the values whose names in the form are assumed."""
    contact = lead.contact
    return {
        "first_name": contact.first_name,
        "city": contact.city,
        "phone": contact.phones,
        "utm_source": lead.utm.source == _UTM.source,  # an Oplead may have one of its own
    }


def _judge_form(by_form: Mapping[str, object], by_api: Mapping[str, object]) -> Finding:
    if all(by_form.values()):
        return confirmed(lambda: _("first name, telephone, city and utm_source came back"))
    if any(by_api.get(name) and not value for name, value in by_form.items()):
        return refuted(lambda: _("a value that the other test lead shows did not come through the form"))
    return unclear(lambda: _("not all that was sent is shown: it may be that Oplead does not show it"))


# ── what they share ──────────────────────────────────────────────────────────────────────────────


def _shown(session: Session) -> tuple[LeftBehind, Lead] | None:
    """Return what is noted of the test lead, and the lead as Oplead shows it, if that has our address.

    A night knows it by nothing else, and a noted id may be another lead's at another Oplead.
    """
    entry = own_lead.last_entry(session)
    if entry is None or not entry.id:
        return None
    lead = own_lead.read(session, entry)
    return (entry, lead) if isinstance(lead, Lead) and _has_our_address(lead, entry) else None


def _has_our_address(lead: Lead, entry: LeftBehind) -> bool:
    return own_lead.address_of(entry) in lead.contact.emails


def _once_shown(session: Session, entry: LeftBehind, is_there: Callable[[Lead], bool]) -> Found:
    """Return the lead as it is, after a minute at most if it does not show yet what was written."""
    until = session.clock.now() + _A_MOMENT
    while True:
        found = own_lead.read(session, entry)
        if not isinstance(found, Lead) or is_there(found) or session.clock.now() >= until:
            return found
        session.clock.sleep_until(session.clock.now() + _LOOK_EVERY)


def _no_addresses() -> Finding:
    return unclear(
        lambda: _(
            "no test lead was created, as none of the newest leads shows an e-mail address, and a night would know it "
            "by nothing else"
        )
    )


def _no_test_lead() -> Finding:
    return unclear(lambda: _("there is no test lead that a night would know by its address"))


CHECKS: Mapping[ClaimId, Callable[[Session], Finding]] = {
    ClaimId("oplead.create_and_change"): _create_and_change,
    ClaimId("oplead.click_ids_return"): _click_ids_return,
    ClaimId("oplead.status"): _status,
    ClaimId("oplead.document"): _document,
    ClaimId("oplead.form"): _form,
    ClaimId("oplead.subscriptions"): judge_subscriptions,
    ClaimId("oplead.refusals"): _refusals,
    ClaimId("oplead.specification"): _specification,
    ClaimId("oplead.deleted"): _deleted,
}
"""In the order in which they are tried: the lead is deleted last."""
