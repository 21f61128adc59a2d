"""Reports what was forgotten, what platforms were already sent, and what remains elsewhere."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console
from rich.markup import escape

from connectors.language import N_, _, _n, format_day
from connectors.records import AdjustmentKind, LeadId
from jobs.privacy.forget import DataHeldOnLead, DeliveryOnRecord
from jobs.privacy.former_files import FormerFileContents
from jobs.reporting.console import bulleted, console_table, day_and_time, print_section
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.sentences import forgotten_sentence
from jobs.reporting.wording.reasons import STATES
from jobs.rules.model import ConversionRoute


@dataclass(frozen=True, slots=True)
class SummaryRecipients:
    """Who has taken weekly summaries, which may show a lead among others, and name its id."""

    addresses: int
    last: date


@dataclass(frozen=True, slots=True, order=True)
class PlatformErasureOption:
    """What a platform offers for erasing what it was sent by one transport."""

    destination: str
    transport: str
    """Empty if it is not on record."""
    offer: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What forgetting came to, or would."""

    account: str
    is_rehearsed: bool
    leads: tuple[DataHeldOnLead, ...]
    """As they were before."""
    events: int
    """Webhook events about forgotten leads."""
    creations: int
    """Leads on record as created from here."""
    offers: tuple[PlatformErasureOption, ...]
    """What each destination's platform offers for what it was sent, by each way it was sent."""
    readers: SummaryRecipients | None
    """None if no weekly summary was ever taken."""
    former_files: tuple[FormerFileContents, ...] = ()
    """The files that the state was moved from, and what they held on forgotten leads; those unusable are left out."""
    was_in_notice: bool = False
    """Whether a notice that was sent named one of the leads."""
    sharing: tuple[LeadId, ...] = ()
    """Other leads that share a click id or a hash of contact data with them."""
    unfinished: tuple[str, ...] = ()
    """What could not be rewritten; forgetting once more finishes it."""
    is_by_contact: bool = False
    """Whether leads were looked for by hashes, which are held of few."""

    @property
    def was_found(self) -> bool:
        """Whether anything was held, or is known to be forgotten."""
        return any(lead.is_on_record for lead in self.leads) or bool(self.creations)


_ASK = N_("ask the platform to erase it, and cite the key")
_OFFERS = {
    AdjustmentKind.RETRACTION: N_("a retraction takes a conversion out of the counts and erases nothing; {ask}"),
    AdjustmentKind.RESTATEMENT: N_("a value can be set to 0, the count stays, and nothing is erased; {ask}"),
    None: N_("nothing that was sent can be taken back; {ask}"),
}


def platform_erasure_offers(
    deliveries: Iterable[DeliveryOnRecord], routes: Iterable[ConversionRoute]
) -> Iterator[PlatformErasureOption]:
    """Yield what platforms offer for erasing what they were sent: one transport may offer more than another.

    No interface that this program knows erases what a platform has received.
    """
    route_to = {str(route.destination): route for route in routes}
    for destination, transport in sorted({(each.destination, each.transport or "") for each in deliveries}):
        yield PlatformErasureOption(destination, transport, _erasure_offered(route_to.get(destination), transport))


def _erasure_offered(route: ConversionRoute | None, transport: str) -> str:
    if route is None:
        return _("the settings no longer name it, so nothing is known of what can be taken back; {ask}", ask=_(_ASK))
    support = route.limits.corrects.get(transport or route.target.transport)
    kinds = frozenset[AdjustmentKind]() if support is None else support.kinds
    best = next((kind for kind in (AdjustmentKind.RETRACTION, AdjustmentKind.RESTATEMENT) if kind in kinds), None)
    return _(_OFFERS[best], ask=_(_ASK))


def unreachable_data_sentences(report: ForgetReport) -> Iterator[str]:
    """Yield, in sentences, what this program cannot reach."""
    if report.is_by_contact:
        yield _(
            "other leads of this person, whose hashes are erased, cannot be found by an address or a number: look the "
            "person up in Oplead, and forget each lead by `--lead`"
        )
    yield _("Oplead still has the lead: delete it there too")
    if report.readers is not None:
        yield _n(
            "weekly summaries went to {count} address, the last on {day}; their pages may name the lead's id",
            "weekly summaries went to {count} addresses, the last on {day}; their pages may name the lead's id",
            report.readers.addresses,
            day=format_day(report.readers.last),
        )
    if report.was_in_notice:
        yield _("a notice about rejected conversions, which was sent, names the lead's id")
    yield from former_file_sentences(report.former_files)
    yield _("copies of the state, reports and CSV files written elsewhere, and the files that leads came from")


def former_file_sentences(files: Iterable[FormerFileContents]) -> Iterator[str]:
    """Yield what to do about each file that the state was moved from."""
    return (_former_file_sentence(file) for file in files if not file.is_needed)


def _former_file_sentence(file: FormerFileContents) -> str:
    if file.is_there:
        return _(
            "{path}, from which the state was moved, is no longer used: delete it, since it still holds other people",
            path=file.path,
        )
    return _(
        "{path}, from which the state was moved, is not here: if it was not deleted but lies elsewhere, "
        "or on another machine, delete it there",
        path=file.path,
    )


def print_forget_report(console: Console, account: AccountPresentation, report: ForgetReport) -> None:
    """Print what was forgotten lead by lead, what platforms have, and what remains."""
    if report.is_rehearsed:
        console.print(_("[bold]Rehearsal: nothing was changed[/bold]"))
        for sentence in sharing_sentences(report.sharing):
            console.print(sentence, markup=False, soft_wrap=True)
    for lead in report.leads:
        console.print(escape(_lead_sentence(lead, is_rehearsed=report.is_rehearsed)), soft_wrap=True)
        _print_deliveries(console, account, _("Already sent"), lead.sent)
        _print_deliveries(console, account, _("Never sent, and cancelled for good"), lead.cancelled)
    for count, text in (
        (report.events, _n("{count} webhook event", "{count} webhook events", report.events)),
        (report.creations, _n("{count} lead created from here", "{count} leads created from here", report.creations)),
        *map(_counted_in_file, report.former_files),
    ):
        if count:
            console.print(
                _("Would be erased: {what}", what=text) if report.is_rehearsed else _("Erased: {what}", what=text)
            )
    if report.creations:
        console.print(_("Importing the same file again would create the lead in Oplead again."), soft_wrap=True)
    print_section(console, _("What the platforms offer for what they were sent"), _offer_rows(report.offers))
    print_section(console, _("What remains elsewhere"), bulleted(unreachable_data_sentences(report)))
    print_not_erased(console, report)


def sharing_sentences(leads: Sequence[LeadId]) -> Iterator[str]:
    """Yield, if there are any, which other leads may be the same person's."""
    if leads:
        yield _n(
            "Lead {leads} shares the click or a contact hash with it, so it may be the same person's: look, and forget "
            "it too if it is.",
            "Leads {leads} share the click or a contact hash with it, so they may be the same person's: look, and "
            "forget them too if they are.",
            len(leads),
            leads=", ".join(leads),
        )


def print_not_erased(console: Console, report: ForgetReport) -> None:
    """Print what could not be erased, if anything."""
    print_section(console, _("Not finished: forget once more"), bulleted(report.unfinished))


def _counted_in_file(file: FormerFileContents) -> tuple[int, str]:
    """Return how much a former file held, and that in words."""
    if file.events:
        return file.events, _n(
            "{count} webhook event in {path}", "{count} webhook events in {path}", file.events, path=file.path
        )
    return file.leads, _n("{count} lead in {path}", "{count} leads in {path}", file.leads, path=file.path)


def _offer_rows(offers: Collection[PlatformErasureOption]) -> list[tuple[str, str]]:
    """Return a row for each offer, with its transport where a destination has several."""
    ways = Counter(each.destination for each in offers)
    return [
        (
            each.destination if ways[each.destination] == 1 else f"{each.destination} ({each.transport or '?'})",
            each.offer,
        )
        for each in offers
    ]


def _lead_sentence(lead: DataHeldOnLead, *, is_rehearsed: bool) -> str:
    if lead.forgotten_on is not None:
        return forgotten_sentence(lead.lead, lead.forgotten_on)
    if not lead.is_known:
        if is_rehearsed:
            return _("Lead {lead}: nothing is held on it. It would not be read in.", lead=lead.lead)
        return _("Lead {lead}: nothing was held on it. From now on it is not read in.", lead=lead.lead)
    if is_rehearsed:
        return _("Lead {lead} would be forgotten.", lead=lead.lead)
    return _("Lead {lead} is forgotten, and is not read in again.", lead=lead.lead)


def _print_deliveries(
    console: Console, account: AccountPresentation, title: str, deliveries: Sequence[DeliveryOnRecord]
) -> None:
    if not deliveries:
        return
    console.print()
    console.print(title)
    rows = [
        (
            escape(each.destination),
            escape(account.conversion(each.conversion)),
            "" if each.sent_at is None else day_and_time(each.sent_at, account.zone),
            STATES[each.state].short,
            each.key,
        )
        for each in deliveries
    ]
    columns = (_("Destination"), _("Conversion"), _("Last sent"), _("State"), _("Key"))
    console.print(console_table(*columns, rows=rows))


def nothing_found_sentence() -> str:
    """Return that nothing held can be matched with what was given, which is not repeated."""
    return _(
        "Nothing is held that could be matched with it: hashes are kept only while a delivery may use them. Look the "
        "person up in Oplead, and forget each lead by its id: --lead ID"
    )
