"""`oplead leads get`, `list` and `export`: read leads, contact data only where it is asked for."""

import csv
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from heapq import nlargest
from operator import attrgetter
from pathlib import Path
from tempfile import mkstemp
from typing import TextIO

from connectors.language import N_, _, _n
from connectors.ports import LeadSource
from connectors.records import Lead, SubstituteLead, UnreadableLead, Utm
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext, parse_lead_id_argument
from jobs.reporting.console import day_and_time, facts_grid, print_rows, results_console, say
from jobs.reporting.presentation import print_json
from jobs.rules.extraction import utm_to_show
from jobs.wiring.texts import oplead_click_id_text

_NOTHING = "-"
_CONTACT = ("email", "phone", "first_name", "last_name", "postcode", "city", "country")
_OTHERS = ("other_emails", "other_phones")
_CONTACT_NAMES = {
    "email": N_("e-mail"),
    "phone": N_("phone"),
    "first_name": N_("first name"),
    "last_name": N_("last name"),
    "postcode": N_("postcode"),
    "city": N_("city"),
    "country": N_("country"),
    "other_emails": N_("other e-mails"),
    "other_phones": N_("other phones"),
}
_UTM = ("utm_source", "utm_medium", "utm_campaign")
COLUMNS = ("id", "created_at", "status", *_CONTACT, *_OTHERS, *_UTM, "click_id", "provider_name", "provider_url")
"""An export's columns, before those of custom fields."""

# ── get and list ─────────────────────────────────────────────────────────────────────────────────


def show_lead(context: OpleadContext, lead_id: str, *, contact: bool) -> int:
    """Print one lead."""
    named = parse_lead_id_argument(lead_id)
    with context.source() as source:
        _id, found = next(iter(source.fetch_each([named])))
    match found:
        case Lead():
            if context.approval.json_wanted:
                print_json(lead_for_json(found, contact=contact))
            else:
                results_console().print(facts_grid(tuple(_rows(context, found, contact=contact))))
            return Exit.DONE
        case SubstituteLead(id=other):
            problem = _("Oplead answers with another lead, {lead}: this one was probably merged into it.", lead=other)
        case UnreadableLead(reason=reason):
            problem = _("This lead cannot be read: {reason}.", reason=reason)
        case None:
            problem = _("Oplead has no lead {lead}, or this key may not see it.", lead=named)
    if context.approval.json_wanted:
        print_json({"lead": named, "problem": problem})
    else:
        say(problem)
    return Exit.ATTENTION


def show(context: OpleadContext, *, since: date | None, limit: int, contact: bool) -> int:
    """List the newest leads, or the newest of those created on a day or later."""
    every = LeadListReading()
    unreadable = every.unreadable
    with context.source() as source:
        if since is None:
            found = source.fetch_latest(limit)
            unreadable += [one for one in found if isinstance(one, UnreadableLead)]
            leads = [one for one in found if isinstance(one, Lead)][:limit]
        else:
            start = _start_of(since, context)
            leads = nlargest(
                limit,
                (one for one in every.read(source, start) if one.created_at >= start),
                key=attrgetter("created_at"),
            )
    if context.approval.json_wanted:
        for lead in leads:
            print_json(lead_for_json(lead, contact=contact))
    else:
        _print_list(context, leads, contact=contact)
        if len(leads) == limit:
            more = _n(
                "{count} lead, the limit: write --limit {more} to see more",
                "{count} leads, the limit: write --limit {more} to see more",
                limit,
                more=10 * limit,
            )
            say(more)
        else:
            say(_n("{count} lead", "{count} leads", len(leads)))
    code = report_unreadable_leads(unreadable)
    return code if every.gap is None else _report_incomplete_list(every.gap)


@dataclass(slots=True)
class LeadListReading:
    """One reading of the list, and what it lacks."""

    unreadable: list[UnreadableLead] = field(default_factory=list)
    gap: str | None = None
    """Why leads may be missing, and what to do; None if the list was read whole."""

    def read(self, source: LeadSource, since: datetime | None) -> Generator[Lead, None, None]:
        """Yield every lead that may have changed since a time, a page in memory at once."""
        has_moved, missing, resume = False, 0, None
        with closing(source.fetch_changes(since, resume=None, find_known=lambda _listed: ())) as pages:
            for page in pages:
                self.unreadable += page.unreadable
                has_moved, missing, resume = has_moved or page.moved, missing + page.missing, page.resume
                yield from page.leads
        if resume is not None:
            self.gap = _(
                "oplead.max_requests was reached before the end of the list: raise it, or read fewer by --since"
            )
        elif has_moved:
            self.gap = _("the list changed while it was read, so leads may have been skipped: start again")
        elif missing:
            self.gap = _n(
                "Oplead counts {count} more lead than it lists: start again, or ask Oplead why",
                "Oplead counts {count} more leads than it lists: start again, or ask Oplead why",
                missing,
            )


def _report_incomplete_list(gap: str) -> int:
    sys.stderr.write(_("not every lead was read: {gap}", gap=gap) + "\n")
    return Exit.ATTENTION


def report_unreadable_leads(unreadable: Sequence[UnreadableLead]) -> int:
    """Say on stderr which leads could not be read, and return the exit code."""
    for one in unreadable[:_SHOWN]:
        about = {"lead": one.id, "reason": one.reason}
        said = (
            N_("lead {lead} cannot be read: {reason}") if one.id else N_("lead without an id cannot be read: {reason}")
        )
        sys.stderr.write(_(said, **about) + "\n")
    if len(unreadable) > _SHOWN:
        sys.stderr.write(_n("and {count} more", "and {count} more", len(unreadable) - _SHOWN) + "\n")
    return Exit.ATTENTION if unreadable else Exit.DONE


_SHOWN = 10


def _start_of(day: date, context: OpleadContext) -> datetime:
    return datetime.combine(day, time_of_day(), context.known.settings.zone).astimezone(UTC)


def lead_for_json(lead: Lead, *, contact: bool) -> Mapping[str, object]:
    """Return a lead for JSON: without click ids' values, and without contact data unless asked for."""
    document: dict[str, object] = {
        "lead": lead.id,
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
        "status": lead.label,
        "history": [{"status": one.label, "at": one.at.at} for one in lead.history],
        "utm": _utm(lead, contact=contact),
        "click_ids": click_id_kinds_of_lead(lead),
        "click_id_problem": lead.click_id_problem,
    }
    return document | ({"contact": lead.contact} if contact else {})


def click_id_kinds_of_lead(lead: Lead) -> list[str]:
    """Return the kinds of a lead's click ids."""
    return list(dict.fromkeys(one.kind.value for one in lead.click_ids))


def _utm(lead: Lead, *, contact: bool) -> Utm:
    """Return the UTM fields; contact data that a website wrote there only by its shape, unless it is asked for."""
    return lead.utm if contact else utm_to_show(lead)


def _rows(context: OpleadContext, lead: Lead, *, contact: bool) -> Iterator[tuple[str, str]]:
    zone = context.known.settings.zone
    yield _("lead"), lead.id
    yield _("created"), day_and_time(lead.created_at, zone)
    if lead.updated_at:
        yield _("updated"), day_and_time(lead.updated_at, zone)
    yield _("status"), lead.label or _NOTHING
    for entry in lead.history:
        at = entry.at.at
        yield "", f"{entry.label}, {day_and_time(at, zone) if isinstance(at, datetime) else at.isoformat()}"
    utm = _utm(lead, contact=contact)
    yield _("UTM"), " / ".join(one or _NOTHING for one in (utm.source, utm.medium, utm.campaign))
    yield _("kinds of click ids"), ", ".join(click_id_kinds_of_lead(lead)) or lead.click_id_problem or _NOTHING
    if contact:
        for name, value in _contact_values(lead).items():
            if value:
                yield _(_CONTACT_NAMES[name]), value


def _print_list(context: OpleadContext, leads: Sequence[Lead], *, contact: bool) -> None:
    zone = context.known.settings.zone
    columns = [_("Lead"), _("Created"), _("Status"), _("Source"), _("Click ids")]
    if contact:
        columns += [_("Name"), _("E-mail"), _("Phone")]
    rows = []
    for lead in leads:
        who = _contact_values(lead)
        name = " ".join(filter(None, (who["first_name"], who["last_name"])))
        cells = [
            lead.id,
            day_and_time(lead.created_at, zone),
            lead.label,
            _utm(lead, contact=contact).source,
            ", ".join(click_id_kinds_of_lead(lead)),
        ]
        rows.append([cell or _NOTHING for cell in (*cells, *([name, who["email"], who["phone"]] * contact))])
    print_rows(columns, rows)


def _contact_values(lead: Lead) -> dict[str, str]:
    contact = lead.contact
    return {
        "email": next(iter(contact.emails), ""),
        "phone": next(iter(contact.phones), ""),
        **{name: getattr(contact, name) or "" for name in _CONTACT[2:]},
        "other_emails": " | ".join(contact.emails[1:]),
        "other_phones": " | ".join(contact.phones[1:]),
    }


# ── export ───────────────────────────────────────────────────────────────────────────────────────

Write = Callable[[Mapping[str, str]], object]


def export_leads_to_file(
    context: OpleadContext, file: Path, *, since: date | None, fields: Sequence[str], form: str | None
) -> int:
    """Write every lead to a CSV or JSON lines file, a page at a time; `-` is stdout.

    The file appears under its name only once it is whole, and only its owner may read it.
    """
    writing = _json_lines if _format_of(file, form) == "jsonl" else _csv
    written = context.known.settings.oplead.write.fields
    provider = {"provider_name": written.provider_name, "provider_url": written.provider_url}
    wanted = frozenset({*provider.values(), *fields})
    start = _start_of(since, context) if since else None
    every = LeadListReading()
    count = 0
    with (
        context.source(wanted) as source,
        _open_part_file(file, lambda: every.gap is None) as out,
        closing(every.read(source, start)) as leads,
    ):
        write = writing(out, (*COLUMNS, *fields))
        for lead in leads:
            if start is None or lead.created_at >= start:
                write(_exported(lead, provider, fields))
                count += 1
    code = report_unreadable_leads(every.unreadable)
    if every.gap is not None:
        if str(file) != "-":
            say(_("{file}: not written.", file=file))
        return _report_incomplete_list(every.gap)
    if str(file) != "-":
        say(
            _n(
                "{file}: {count} lead, with contact data: only you may read it.",
                "{file}: {count} leads, with contact data: only you may read it.",
                count,
                file=file,
            )
        )
    return code


def _format_of(file: Path, form: str | None) -> str:
    name = form or file.suffix.removeprefix(".").casefold()
    if name not in {"csv", "jsonl"}:
        raise UsageError(
            _("{file}: name it .csv or .jsonl; for stdout write --format csv or --format jsonl", file=file)
        )
    return name


@contextmanager
def _open_part_file(file: Path, is_whole: Callable[[], bool]) -> Iterator[TextIO]:
    """Open the file for writing under another name until the block has ended well; it is kept if it is whole then.

    Raises:
        UsageError: it exists already, perhaps since another command wrote it meanwhile.
    """
    if str(file) == "-":
        yield sys.stdout
        return
    exists = UsageError(_("{file}: it exists already; name another file, or remove it", file=file))
    if file.exists():
        raise exists
    if not file.parent.is_dir():
        raise UsageError(_("{file}: its folder does not exist", file=file))
    handle, name = mkstemp(dir=file.parent, prefix=f".{file.name[:50]}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            yield out
        if is_whole():
            _publish_without_overwriting(part, file)
    except FileExistsError:
        raise exists from None
    finally:
        part.unlink(missing_ok=True)


def _publish_without_overwriting(part: Path, file: Path) -> None:
    """Give a file its name; unlike a rename alone, this never replaces another one."""
    try:
        file.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # this disk has no links
        file.touch(mode=0o600, exist_ok=False)
        part.replace(file)


def _csv(out: TextIO, columns: Sequence[str]) -> Write:
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    return writer.writerow


def _json_lines(out: TextIO, _columns: Sequence[str]) -> Write:
    def write(row: Mapping[str, str]) -> None:
        out.write(json.dumps({name: value for name, value in row.items() if value}, ensure_ascii=False) + "\n")

    return write


def _exported(lead: Lead, provider: Mapping[str, str], fields: Sequence[str]) -> Mapping[str, str]:
    return {
        "id": lead.id,
        "created_at": lead.created_at.isoformat(),
        "status": lead.label or "",
        **_contact_values(lead),
        "utm_source": lead.utm.source or "",
        "utm_medium": lead.utm.medium or "",
        "utm_campaign": lead.utm.campaign or "",
        "click_id": oplead_click_id_text(lead.click_ids),
        **{name: str(lead.fields.get(path, "")) for name, path in provider.items()},
        **{path: str(lead.fields.get(path, "")) for path in fields},
    }
