"""Brings the ledger in line with the settings before a run: renamed ids, starts, and what to read or plan again."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, select

from connectors.language import _
from jobs.exit_codes import CommandError
from jobs.ledger.leads import leads, starts, status_labels
from jobs.ledger.outbox import outbox
from jobs.ledger.schema import ConfigDigest
from jobs.settings.compile import Rulebook

_LEAD_ID = "lead_id"


class RenamedIdError(CommandError):
    """An id vanished while a new one goes to the same place, or an old id is reused; the message has the fix."""


def apply_settings_to_ledger(session: Session, book: Rulebook, *, now: datetime, takes_other_ids: bool = False) -> None:
    """Apply the settings to the ledger: renamed conversions, starts, and which leads to read or plan again.

    `takes_other_ids` is whether a person said what becomes of leads whose ids are read from another field.

    Raises:
        RenamedIdError: an id vanished and a new one takes its place undeclared, or a new id was used before.
    """
    _refuse_other_lead_ids(session, book, takes_other_ids=takes_other_ids)
    on_record = starts.recorded_conversion_ids(session, book.account)
    unknown = {route.conversion for route in book.routes} - on_record
    for new, old in book.was.items():
        if old is not None and old in on_record and new not in on_record:
            starts.rename_conversion(session, book.account, old=old, new=new)
    _refuse_renamed(session, book, unknown)
    overruled = status_labels.void_overruled_renames(session, book.account, book.meanings)
    starts.record_counting_starts(session, book.account, book.routes, now=now)
    _adopt_digests(session, book, anew=overruled)


def _refuse_renamed(session: Session, book: Rulebook, unknown: Collection[str]) -> None:
    """Refuse ids that would resend everything under a new name, or send something else under a name already used.

    Only `unknown` conversion ids are looked up in sent keys: the others were checked when they first appeared.
    """
    for new, now_called in outbox.former_conversion_ids(session, book.account, unknown):
        raise RenamedIdError(
            _(
                "conversion id {new!r} was the id of what is now {now_called!r}, and the platforms know it "
                "as that: choose another id.",
                new=new,
                now_called=now_called,
            )
        )
    known = starts.known_places(session, book.account)
    for old, new in starts.possible_id_renames(known, book.routes, "conversion"):
        if new not in book.was or book.was[new] is not None:
            raise RenamedIdError(
                _(
                    "conversion {old!r} is gone from the settings and {new!r} goes to the same place: renamed? "
                    "Then write `was: {old}` under it. If it is a new one, write `was: none`.",
                    old=old,
                    new=new,
                )
            )
    for old, new in starts.possible_id_renames(known, book.routes, "destination"):
        raise RenamedIdError(
            _(
                "destination {old!r} is gone from the settings and {new!r} goes to the same place: write "
                "`id: {old}` under it again, for it is by this name that the ledger knows what was sent.",
                old=old,
                new=new,
            )
        )


def _refuse_other_lead_ids(session: Session, book: Rulebook, *, takes_other_ids: bool) -> None:
    """Refuse another field for the leads' ids, under which all would be new and everything sent again."""
    row = session.get(ConfigDigest, (book.account, _LEAD_ID))
    if row is not None and row.digest != book.lead_id_paths and not takes_other_ids:
        raise RenamedIdError(
            _(
                "`oplead.fields.id` was {old} and is {new}: a lead's id is permanent, for it is by this id that the "
                "ledger knows what was sent. Write the old one again. If these are the same leads under other ids, run "
                "`oplead-sync run --same-leads` once; if they are others, `oplead-sync run --other-leads`.",
                old=row.digest or _("not set"),
                new=book.lead_id_paths or _("not set"),
            )
        )
    session.merge(ConfigDigest(account=book.account, kind=_LEAD_ID, digest=book.lead_id_paths))


def _adopt_digests(session: Session, book: Rulebook, *, anew: bool) -> None:
    changed = set()
    known = {row.kind: row for row in session.exec(select(ConfigDigest).where(ConfigDigest.account == book.account))}
    for kind, digest in (("extraction", book.extraction_digest), ("rules", book.rules_digest)):
        row = known.get(kind) or ConfigDigest(account=book.account, kind=kind, digest=digest)
        if row.digest != digest:
            changed.add(kind)
            row.digest = digest
        session.add(row)
    rules_changed = anew or "rules" in changed
    # Contact hashes are kept only for what may still be sent, so a rule change that may need them forces a fresh read.
    if "extraction" in changed or (rules_changed and any(route.uses_contact for route in book.routes)):
        leads.force_full_read(session, book.account)
    if rules_changed:
        leads.flag_all_for_planning(session, book.account)
