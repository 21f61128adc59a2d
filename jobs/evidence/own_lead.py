"""The test lead of a walk: on record before its request leaves, found again after a crash, never created twice."""

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from connectors.crm import LeadToWrite, WriteAccepted, WriteReceipt, WriteRefused
from connectors.ports import LeadSource
from connectors.records import AnswerLost, ClickId, ClickIdKind, Contact, Found, Lead, LeadId, RequestNotSent
from jobs.evidence.folder import LeftBehind
from jobs.evidence.session import Session
from jobs.oplead_commands.context import OpleadWriteAccess
from jobs.rules.extraction import TEST_DOMAIN
from jobs.settings.load import PartialSettings
from jobs.settings.oplead_schema import WrittenFields
from jobs.wiring.evidence import listener_for
from jobs.wiring.oplead import build_oplead_options, oplead_source, oplead_writer

NOBODY = Contact(first_name="Test", last_name="oplead-sync", postcode="75001", city="Paris")
"""Whom a test lead, or a test event, is of."""
_STAMP = "%Y%m%d%H%M%S"
_OWN_ADDRESS = re.compile(rf"test-\d{{14}}@{re.escape(TEST_DOMAIN)}")
_OPLEADS_TIME = timedelta(minutes=30)
"""How long Oplead may still be at work on a lead whose answer was lost, as for any other lead that is created."""
_SOUGHT_AMONG = 100
_MOST_PAGES = 100
"""How many list pages to look through: an old account's whole list may take hours, each time."""
_OUR_WORDS = frozenset({"test", "oplead", "sync", "oplead-sync", "invalid"})


def open_source(session: Session) -> AbstractContextManager[LeadSource]:
    """Open a reader that the session hears."""
    return oplead_source(
        session.known, session.clock, listener=listener_for(session.recorder), newest_within=_MOST_PAGES
    )


def open_writer(session: Session, via: str = "api") -> AbstractContextManager[OpleadWriteAccess]:
    """Open a writer that the session hears; it creates leads by the API, whatever the settings prefer, or the form."""
    look = session.known.settings
    write = look.oplead.write.model_copy(update={"via": via, "fields": _written_fields(session)})
    look = look.model_copy(update={"oplead": look.oplead.model_copy(update={"write": write})})
    known = replace(session.known, settings=look)
    return oplead_writer(known, session.clock, listener=listener_for(session.recorder))


def _written_fields(session: Session) -> WrittenFields:
    """Return where a lead's values are written: where the settings say, else where leads were seen to show them."""
    named = session.known.settings.oplead.write.fields
    shown_at = session.look.dialect.fields if session.look and session.look.dialect else {}
    places = {
        name: path
        for name, path in shown_at.items()
        if name in WrittenFields.model_fields and getattr(named, name) is None and "[" not in path
    }
    return named.model_copy(update=places)


def click_id_place(session: Session) -> str:
    """Return where the click ids of a new lead are written."""
    read_from = build_oplead_options(session.known.settings).fields.click_id
    return _written_fields(session).click_id or read_from[0]


def new_entry(session: Session, origin: str = "test") -> LeftBehind:
    """Return what is noted of a lead to be created, whose address tells when that was."""
    stamp = session.clock.now().astimezone(UTC).strftime(_STAMP)
    return LeftBehind("lead", "", _name(f"{origin}-{stamp}@{TEST_DOMAIN}"))


def _name(address: str) -> str:
    return f"{NOBODY.first_name} {NOBODY.last_name}, {address}"


def address_of(entry: LeftBehind) -> str:
    """Return the address of a lead that was made."""
    return entry.name.rpartition(" ")[2]


def last_entry(session: Session, origin: str = "test") -> LeftBehind | None:
    """Return the lead that was made last, or whose request may have left, if any was."""
    leads = (one for one in reversed(session.evidence.left_behind) if one.kind == "lead")
    return next((one for one in leads if address_of(one).startswith(f"{origin}-")), None)


def has_had_time(session: Session, entry: LeftBehind) -> bool:
    """Whether Oplead has had its time to finish a lead whose answer was lost."""
    return session.clock.now() >= _sent_at(entry) + _OPLEADS_TIME


def is_own_text(text: str) -> bool:
    """Whether a lead's contact data is of ours: a test lead is not a person."""
    return text.casefold() in _OUR_WORDS or text.casefold().endswith(f"@{TEST_DOMAIN}")


def click_id_of(entry: LeftBehind) -> ClickId:
    """Return the invented click id of a lead that was made: as long as real ones are."""
    digest = sha256(address_of(entry).encode()).hexdigest()
    return ClickId(ClickIdKind.GCLID, f"CjTestOpleadSync_{digest}-BwE")


def newest(session: Session, count: int = 20) -> Sequence[Lead]:
    """Return the newest leads, as a night reads them, without those that cannot be read.

    Misconfigured if they are not among the list's first 100 pages: nothing is judged by others.
    """
    with open_source(session) as source:
        return [one for one in source.fetch_latest(count) if isinstance(one, Lead)]


def shown_by(leads: Iterable[Lead]) -> frozenset[str]:
    """Return which of a contact's fields any of these leads shows."""
    contacts = [one.contact for one in leads]
    return frozenset(field.name for field in fields(Contact) if any(getattr(one, field.name) for one in contacts))


def named_by(known: PartialSettings) -> frozenset[str]:
    """Return those whose place the settings name: they may be written even if no lead shows them yet."""
    named = known.settings.oplead.write.fields
    return frozenset(field.name for field in fields(Contact) if getattr(named, field.name, None))


def adopt(session: Session, leads: Iterable[Lead]) -> LeftBehind | None:
    """Note a test lead that an earlier walk made and kept in another folder, if one of these is that."""
    addresses = ((one, address) for one in leads for address in one.contact.emails)
    for lead, address in addresses:
        if _OWN_ADDRESS.fullmatch(address):
            entry = LeftBehind("lead", lead.id, _name(address))
            note(session, entry)
            return entry
    return None


def lead_to_write(entry: LeftBehind, shown: Collection[str]) -> LeadToWrite:
    """Return the test lead, in these fields alone: an Oplead may refuse those that it does not know."""
    values = {name: value for name in shown if (value := getattr(NOBODY, name))}
    return LeadToWrite(replace(Contact(**values), emails=(address_of(entry),)))


def create_once(session: Session, writer: OpleadWriteAccess, entry: LeftBehind, lead: LeadToWrite) -> WriteReceipt:
    """Create a lead, noted right before its request leaves; what was surely not made leaves the notes at once."""
    receipt = writer.create(lead, leaving=lambda: note(session, entry))
    match receipt:
        case WriteAccepted(id=str(lead_id)):
            change_note(session, entry, replace(entry, id=lead_id))
        case WriteRefused() | RequestNotSent():
            change_note(session, entry, None)
        case WriteAccepted() | AnswerLost():
            pass
    return receipt


def note(session: Session, entry: LeftBehind) -> None:
    """Keep that something is made, so that no crash loses it."""
    session.evidence.left_behind.append(entry)
    session.save()


def change_note(session: Session, entry: LeftBehind, instead: LeftBehind | None) -> None:
    """Keep more of what was made, or that it is no longer there."""
    session.evidence.left_behind[:] = [
        kept for one in session.evidence.left_behind if (kept := instead if one == entry else one) is not None
    ]
    session.save()


def find(session: Session, entry: LeftBehind) -> LeftBehind:
    """Look for a lead whose answer was lost, and return what is known of it then; its id stays empty if unseen.

    Only among the newest: an old account's whole list would take hours.
    """
    leads = newest(session, _SOUGHT_AMONG)
    seen = next((one.id for one in leads if address_of(entry) in one.contact.emails), None)
    if seen is None:
        return entry
    found = replace(entry, id=seen)
    change_note(session, entry, found)
    return found


def read(session: Session, entry: LeftBehind) -> Found:
    """Return what Oplead shows of a lead that was made; one that somebody has deleted leaves the notes."""
    with open_source(session) as source:
        found = next((found for _id, found in source.fetch_each([LeadId(entry.id)])), None)
    if found is None and has_had_time(session, entry):
        forget(session, entry)
    return found


def forget(session: Session, entry: LeftBehind) -> None:
    """Drop a lead that is gone from the notes, and its documents with it."""
    for one in [one for one in session.evidence.left_behind if one.id == entry.id]:
        change_note(session, one, None)


def id_path(session: Session, entry: LeftBehind) -> str:
    """Return the path at which this Oplead shows a lead's id."""
    paths = build_oplead_options(session.known.settings).fields.id
    with oplead_source(session.known, session.clock, wanted_fields=frozenset(paths)) as source:
        found = next((found for _id, found in source.fetch_each([LeadId(entry.id)])), None)
    shown = found.fields if isinstance(found, Lead) else {}
    return next((path for path in paths if str(shown.get(path)) == entry.id), paths[0])


def _sent_at(entry: LeftBehind) -> datetime:
    stamp = address_of(entry).partition("@")[0].rpartition("-")[2]
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
