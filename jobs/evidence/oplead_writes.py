"""What a write to Oplead says of the assumptions: each after a yes, and only on what the walk made itself."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.crm import (
    CrmEventKind,
    DocumentToAttach,
    LeadToWrite,
    WriteAccepted,
    WriteReceipt,
    WriteRefusalReason,
    WriteRefused,
)
from connectors.language import _
from connectors.records import AnswerLost, Contact, Found, Lead, LeadId, RequestNotSent, Utm
from jobs.claims import ClaimId
from jobs.evidence import own_lead
from jobs.evidence.folder import LeftBehind
from jobs.evidence.session import Session
from jobs.evidence.verdicts import Finding, Verdict, confirmed, refuted, unclear
from jobs.oplead_commands.context import OpleadWriteAccess
from jobs.rules.extraction import TEST_DOMAIN
from jobs.rules.labels import normalise_label
from jobs.settings.oplead_schema import SubscriptionSettings, WriteSettings

_NO_SUCH_REQUEST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED})
_A_WRONG_FIELD = "oplead_sync_no_such_field"
_AS_THE_SANDBOX = HTTPStatus.BAD_REQUEST
"""With which the sandbox refuses a body that has a field too many."""
_A_MOMENT = timedelta(seconds=10)
"""What a platform may take to show what was written."""
_SPECIFIED = ("create", "update", "status", "status_field", "document", "document_field")
_TRIED = tuple(map(ClaimId, ("oplead.create_and_change", "oplead.status", "oplead.subscriptions")))
_REFUTED_ONLY_BY_REQUEST = tuple(map(ClaimId, ("oplead.status", "oplead.document")))
_CITIES = ("Lyon", "Paris")
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n\
trailer<</Root 1 0 R>>\n%%EOF\n"


# ── create and change ────────────────────────────────────────────────────────────────────────────


def _create_and_change(session: Session) -> Finding:
    entry = own_lead.last_entry(session)
    if entry and not entry.id:
        entry = own_lead.find(session, entry)
        if not entry.id and not own_lead.has_had_time(session, entry):
            return unclear(lambda: _("the answer to its creation was lost: it is looked for by the next walk"))
    if entry is None or not entry.id:
        made = _create(session, seek=entry)
        if isinstance(made, Finding):
            return made
        entry = made
    before = own_lead.read(session, entry)
    if not isinstance(before, Lead):
        return unclear(lambda: _("the test lead was created, and its page cannot be read"))
    if not before.contact.emails:
        return _address_not_shown(session, entry)
    if not _has_our_address(before, entry):
        return _no_test_lead()
    city = next(one for one in _CITIES if one != before.contact.city)
    if not session.agrees(_("Change the city of the test lead {lead} in Oplead?", lead=entry.id)):
        return _not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.update(LeadId(entry.id), LeadToWrite(Contact(city=city)))
    if not isinstance(receipt, WriteAccepted):
        return _refusal(receipt, is_usual=_is_usual(session, "update"))
    after = _once_shown(session, entry, lambda one: one.contact.city == city)
    return _judge_change(before, after, city, is_usual=_is_usual(session, "create", "update"))


def _create(session: Session, *, seek: LeftBehind | None) -> LeftBehind | Finding:
    """Create the test lead, after a yes; `seek` is one whose answer was lost, and that was not found."""
    entry = own_lead.new_entry(session)
    # A night that sees no address would not know it, and could send its click.
    lead = own_lead.lead_to_write(entry, with_click=own_lead.shows_addresses(session))
    question = _(
        "Create a test lead in Oplead ({name})? It has no telephone number, no night sends it, and it stays until you "
        "delete it.",
        name=entry.name,
    )
    if seek:
        question = _(
            "The answer to the creation of {name} was lost, and it is not in the list. Look for it in Oplead. Is it "
            "not there, and may another test lead be created?",
            name=seek.name,
        )
    if not session.agrees(question):
        return _not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = own_lead.create_once(session, writer, entry, lead)
    if isinstance(receipt, WriteAccepted) and receipt.id:
        return replace(entry, id=receipt.id)
    if isinstance(receipt, WriteAccepted | AnswerLost) and (found := own_lead.find(session, entry)).id:
        return found
    return _refusal(receipt, is_usual=_is_usual(session, "create"))


def _judge_change(before: Lead, after: Found, city: str, *, is_usual: bool) -> Finding:
    if not isinstance(after, Lead):
        return unclear(lambda: _("the test lead was changed, and its page cannot be read"))
    if not before.contact.city:
        return unclear(lambda: _("both were taken, but Oplead does not show the lead's city, which was changed"))
    if after.contact.city != city:
        return refuted(lambda: _("the change was taken, and the lead does not show it"))
    if replace(after.contact, city=before.contact.city) != before.contact or after.click_ids != before.click_ids:
        return refuted(lambda: _("the change took away values that it did not name"))
    if not is_usual:
        return unclear(lambda: _("both were done, but by other requests, as your settings say"))
    return confirmed(lambda: _("the lead shows what was written, and what the change did not name has stayed"))


def _address_not_shown(session: Session, entry: LeftBehind) -> Finding:
    """Say what to paste, as a night does not know this lead by its address; its status is left alone."""
    line = f"exclude: {{ fields: {{ {own_lead.id_path(session, entry)}: ['{entry.id}'] }} }}"
    sentence = lambda: _(  # noqa: E731 - said in two verdicts
        "the test lead was created and does not show its address: add `{line}` to your settings before the next night",
        line=line,
    )
    return refuted(sentence) if own_lead.shows_addresses(session) else unclear(sentence)


# ── on the lead that was made ────────────────────────────────────────────────────────────────────


def _click_ids_return(session: Session) -> Finding:
    own = _shown(session)
    if own is None:
        return _no_test_lead()
    entry, lead = own
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
        return _not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.set_status(LeadId(entry.id), label)
    is_usual = _is_usual(session, "status", "status_field")
    if not isinstance(receipt, WriteAccepted):
        return _refusal(receipt, is_usual=is_usual)
    wanted = normalise_label(label)
    if wanted in _labels(lead):
        return unclear(lambda: _("it was taken, but the lead had that status before: name one in ignored_statuses"))
    after = _once_shown(session, entry, lambda one: wanted in _labels(one))
    if not isinstance(after, Lead):
        return unclear(lambda: _("it was taken, and the lead's page cannot be read"))
    if wanted not in _labels(after):
        return refuted(lambda: _("it was taken, and the lead's status has not changed"))
    if not is_usual:
        return unclear(lambda: _("it was set, but by another request, as your settings say"))
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
        if not session.agrees(_("Add a small PDF of ours to the test lead {lead} in Oplead?", lead=entry.id)):
            return _not_agreed()
        receipt = _attach(session, sent)
        if isinstance(receipt, WriteRefused | RequestNotSent):
            own_lead.change_note(session, sent, None)
            return _refusal(receipt, is_usual=False)  # the guide has a second address, and the claim names none
    question = _("Open the test lead {lead} in Oplead: is its document {name} there?", lead=entry.id, name=sent.name)
    if not session.agrees(question):
        return unclear(lambda: _("it was sent, and nobody has seen it in Oplead"))
    if not _is_usual(session, "document", "document_field"):
        return unclear(lambda: _("it was added, but by another request, as your settings say"))
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
    if not session.agrees(_("Write a field that does not exist to the test lead {lead}?", lead=entry.id)):
        return _not_agreed()
    with own_lead.open_writer(session) as writer:
        receipt = writer.update(LeadId(entry.id), LeadToWrite(fields={_A_WRONG_FIELD: "oplead-sync"}))
    match receipt:
        case WriteAccepted():
            return refuted(lambda: _("a field that does not exist is not refused"))
        case WriteRefused(status, WriteRefusalReason.DATA) if status != _AS_THE_SANDBOX:
            return refuted(lambda: _("a field that does not exist is refused with HTTP {status}", status=status))
        case WriteRefused(fault=WriteRefusalReason.DATA):
            return unclear(lambda: _("a wrong field is refused as was assumed; a supplier's key was not at hand"))
    return _refusal(receipt, is_usual=False)


def _specification(session: Session) -> Finding:
    """Compare what a specification says of writing with what was written so, and what became of it."""
    if session.look is None or not session.look.is_specified:
        return unclear(lambda: _("there is no specification, or none that could be read"))
    survey, write = session.look.survey, session.known.settings.oplead.write
    hooks = _subscription_settings(session)
    said = {name: (survey.write.get(name), getattr(write, name)) for name in _SPECIFIED}
    said |= {name: (value, getattr(hooks, name)) for name, value in survey.subscriptions.items()}
    if any(specified not in (None, written) for specified, written in said.values()):
        return unclear(lambda: _("the settings write otherwise than the specification says: `init` proposes its way"))
    found = {claim: one.verdict for claim, one in session.evidence.verdicts.items()}
    if Verdict.REFUTED in (found.get(claim) for claim in _REFUTED_ONLY_BY_REQUEST):
        return refuted(lambda: _("a status or a document was written as specified, and did not work so"))
    if all(found.get(claim) is Verdict.CONFIRMED for claim in _TRIED):
        return confirmed(lambda: _("a lead, a status and subscriptions were written as specified, and worked"))
    return unclear(lambda: _("not all that it describes was written in this walk"))


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
        for one in [one for one in session.evidence.left_behind if one.id == entry.id]:
            own_lead.change_note(session, one, None)
        return confirmed(lambda: _("its page answered with 404 or 410 once you had deleted it"))
    return unclear(lambda: _("you have deleted it, and its page still answers otherwise than with 404 or 410"))


# ── the form, and subscriptions ──────────────────────────────────────────────────────────────────


def _form(session: Session) -> Finding:
    if session.known.settings.oplead.write.form is None:
        return unclear(lambda: _("the settings have no form"))
    entry = own_lead.last_entry(session, "form") or own_lead.new_entry(session, "form")
    if entry not in session.evidence.left_behind:
        if not session.agrees(_("Send one test lead ({name}) by the form import?", name=entry.name)):
            return _not_agreed()
        lead = replace(own_lead.lead_to_write(entry, with_click=False), utm=Utm("oplead-sync"))
        contact = replace(lead.contact, phones=("0639980000",), country="FR")  # a number for fiction, by the ARCEP
        with own_lead.open_writer(session, "form") as writer:
            receipt = own_lead.create_once(session, writer, entry, replace(lead, contact=contact))
        if not isinstance(receipt, WriteAccepted | AnswerLost):
            return _refusal(receipt, is_usual=False)
        entry = own_lead.last_entry(session, "form") or entry
    entry = own_lead.find(session, replace(entry, id="")) if not entry.id else entry
    found = own_lead.read(session, entry) if entry.id else None
    if not isinstance(found, Lead):
        return unclear(lambda: _("the form was sent, and its lead is not in Oplead yet: walk again later"))
    own = _shown(session)
    return _judge_form(_values(found), _values(own[1]) if own else {})


def _values(lead: Lead) -> Mapping[str, object]:
    """Return what a lead shows of the values whose names in the form are assumed."""
    contact = lead.contact
    return {
        "first_name": contact.first_name,
        "city": contact.city,
        "phone": contact.phones,
        "utm_source": lead.utm.source,
    }


def _judge_form(by_form: Mapping[str, object], by_api: Mapping[str, object]) -> Finding:
    if all(by_form.values()):
        return confirmed(lambda: _("first name, telephone, city and utm_source came back"))
    if any(by_api.get(name) and not value for name, value in by_form.items()):
        return refuted(lambda: _("a value that the other test lead shows did not come through the form"))
    return unclear(lambda: _("not all that was sent is shown: it may be that Oplead does not show it"))


def _subscriptions(session: Session) -> Finding:
    url = f"https://{TEST_DOMAIN}/evidence"
    if not session.agrees(
        _("Subscribe {url}, an address that cannot exist, to Oplead's events, and end that?", url=url)
    ):
        return _not_agreed()
    usual = _subscription_settings(session) == SubscriptionSettings()
    with own_lead.open_writer(session) as writer:
        _remove_own(session, writer, url)
        own_lead.note(session, LeftBehind("subscription", "", url))
        receipts = [writer.subscribe(kind, url) for kind in CrmEventKind]
        listed = [one for one in writer.subscriptions().entries if one.url == url]
        made = [one.id for one in receipts if isinstance(one, WriteAccepted) and one.id]
        ended = [writer.unsubscribe(one) for one in dict.fromkeys([*made, *(one.id for one in listed)])]
        left = _remove_own(session, writer, url)
    return _judge_subscriptions(receipts, [one.event for one in listed], ended, left=left, is_usual=usual)


def _subscription_settings(session: Session) -> SubscriptionSettings:
    webhooks = session.known.settings.webhooks
    return webhooks.subscriptions if webhooks else SubscriptionSettings()


def _remove_own(session: Session, writer: OpleadWriteAccess, url: str) -> int:
    """End the subscriptions of our address, also those of a walk that was cut off; return how many are left."""
    for one in writer.subscriptions().entries:
        if one.url == url:
            writer.unsubscribe(one.id)
    left = sum(one.url == url for one in writer.subscriptions().entries)
    if not left:
        own_lead.change_note(session, LeftBehind("subscription", "", url), None)
    return left


def _judge_subscriptions(
    receipts: list[WriteReceipt], listed: list[str], ended: list[WriteReceipt], *, left: int, is_usual: bool
) -> Finding:
    refusals = [one for one in receipts if not isinstance(one, WriteAccepted)]
    if len(refusals) == len(receipts):
        return _refusal(refusals[0], is_usual=is_usual)
    if refusals:
        if is_usual and all(isinstance(one, WriteRefused) and one.fault is WriteRefusalReason.DATA for one in refusals):
            return refuted(lambda: _("some events are not called as assumed: Oplead refuses them, and takes others"))
        return _refusal(refusals[0], is_usual=False)
    if not listed:
        return unclear(lambda: _("subscriptions were taken, and the list does not show them"))
    if any(not isinstance(one, WriteAccepted) for one in ended):
        return _refusal(next(one for one in ended if not isinstance(one, WriteAccepted)), is_usual=is_usual)
    if left:
        return refuted(lambda: _("the end of a subscription was taken, and it is still listed"))
    if not is_usual:
        return unclear(lambda: _("they were made and ended, but by other requests, as your settings say"))
    if len(listed) < len(receipts):
        return unclear(lambda: _("not all that were made are listed"))
    return confirmed(lambda: _("all three were made, listed and ended"))


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
    """Return the lead as it is, after a moment if it does not show yet what was written."""
    found = own_lead.read(session, entry)
    if isinstance(found, Lead) and not is_there(found):
        session.clock.sleep_until(session.clock.now() + _A_MOMENT)
        found = own_lead.read(session, entry)
    return found


def _is_usual(session: Session, *names: str) -> bool:
    """Whether the settings write as is assumed."""
    write, usual = session.known.settings.oplead.write, WriteSettings()
    return all(getattr(write, name) == getattr(usual, name) for name in names)


def _refusal(receipt: WriteReceipt, *, is_usual: bool) -> Finding:
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


def _not_agreed() -> Finding:
    return unclear(lambda: _("nothing was written, as nobody agreed"))


def _no_test_lead() -> Finding:
    return unclear(lambda: _("there is no test lead that a night would know by its address"))


CHECKS: Mapping[ClaimId, Callable[[Session], Finding]] = {
    ClaimId("oplead.create_and_change"): _create_and_change,
    ClaimId("oplead.click_ids_return"): _click_ids_return,
    ClaimId("oplead.status"): _status,
    ClaimId("oplead.document"): _document,
    ClaimId("oplead.form"): _form,
    ClaimId("oplead.subscriptions"): _subscriptions,
    ClaimId("oplead.refusals"): _refusals,
    ClaimId("oplead.specification"): _specification,
    ClaimId("oplead.deleted"): _deleted,
}
"""In the order in which they are tried: the lead is deleted last."""
