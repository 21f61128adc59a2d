"""Compares what the platforms have counted with what the ledger says, delivery by delivery."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from connectors.records import AdjustmentKind
from connectors.text import number
from jobs.cli.accounts import heading_of
from jobs.cli.demo.sandbox import Stage, next_command, typed
from jobs.cli.inspect import explain
from jobs.cli.session import StateView, looking
from jobs.ledger import queries
from jobs.ledger.schema import Adjustment, Delivery, LeadRow
from jobs.reporting.delivery_table import print_states
from jobs.reporting.lead_report import print_explanation
from jobs.rules.adjustment import AdjustmentCause
from jobs.rules.delivery_state import DeliveryState
from jobs.settings import Settings

Line = Mapping[str, object]
"""One counted conversion as a sandbox's book tells it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One counted conversion, as both sides write it down."""

    owner: str
    action: str
    at: datetime
    """To the second, as platforms keep it."""
    value: Decimal | None
    """After all corrections."""
    currency: str
    click_id_kind: str
    digest: str
    """Of the last event that carried it whole."""
    is_taken_back: bool


@dataclass(frozen=True, slots=True)
class PlatformCount:
    """What a platform has under one key."""

    key: str
    entry: AuditEntry
    times: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where two books differ; keys of deliveries."""

    alike: int
    corrected: int
    """How many of those were corrected since."""
    differing: tuple[str, ...]
    missing_there: tuple[str, ...]
    """Accepted by the ledger, unknown to the platform."""
    missing_here: tuple[str, ...]
    """Counted by the platform, and the ledger claims they were not."""
    undecided: Mapping[str, int]
    """Counted by the platform; the ledger says why it was never told so (`unconfirmed`), and how often.

    The same of a correction: the platform may have it or not.
    """
    at_zero: int
    """Made worth nothing and then worth something again, which Google's help says changes nothing any more."""
    flagged: int
    """Counted more than once, as the ledger says they may be."""
    twice: int
    """Counted more than once, and the ledger knows nothing of it."""

    @property
    def agree(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.missing_there or self.missing_here or self.twice)


def google_book(lines: Iterable[Line]) -> Iterator[PlatformCount]:
    """What Google has counted, by either of its APIs."""
    for line in lines:
        entry = _entry(line, owner="customer", action="action", click=str(line["click_kind"]))
        yield PlatformCount(str(line["transaction_id"]), entry, int(str(line["accepted"])))


def meta_book(lines: Iterable[Line]) -> Iterator[PlatformCount]:
    """What Meta has counted."""
    for line in lines:
        entry = _entry(line, owner="dataset", action="event_name", click=str(line["click_kind"]))
        yield PlatformCount(str(line["event_id"]), entry, int(str(line["accepted"])))


def compare(book: Iterable[PlatformCount], sent: Iterable[Delivery], corrections: Iterable[Adjustment]) -> Comparison:
    """Compare what platforms have counted with the deliveries that were sent and settled, and their corrections."""
    lines = list(book)
    there = {line.key: line.entry for line in lines}
    rows = {row.key: row for row in sent}
    made: dict[str | None, list[Adjustment]] = {}
    for each in sorted(corrections, key=lambda one: one.number):
        made.setdefault(each.key, []).append(each)
    accepted = {key: _row(row, made.get(key, ())) for key, row in rows.items() if row.state == DeliveryState.ACCEPTED}
    both = accepted.keys() & there.keys()
    alike = {key for key in both if accepted[key] == there[key]}
    # Whoever gives up must say why: without a reason nothing excuses what the platform has counted.
    unconfirmed = {key: row.code for key, row in rows.items() if row.state == DeliveryState.UNCONFIRMED and row.code}
    undecided = {key: unconfirmed[key] for key in there.keys() & unconfirmed.keys()}
    undecided |= {key: why for key in both - alike if (why := _given_up(rows[key], made.get(key, ()), there[key]))}
    at_zero = {key for key in both - alike if _stays_at_zero(accepted[key], made.get(key, ()), there[key])}
    flagged = {key for key, row in rows.items() if row.may_count_twice}
    repeated = [line.key for line in lines if line.times > 1]
    return Comparison(
        alike=len(alike),
        corrected=sum(any(_is_accepted(each) for each in made.get(key, ())) for key in alike),
        differing=tuple(sorted(both - alike - undecided.keys() - at_zero)),
        missing_there=tuple(sorted(accepted.keys() - there.keys())),
        missing_here=tuple(sorted(there.keys() - accepted.keys() - unconfirmed.keys())),
        undecided=Counter(undecided[key] for key in sorted(undecided)),
        at_zero=len(at_zero),
        flagged=sum(key in flagged for key in repeated),
        twice=sum(key not in flagged for key in repeated) + len(lines) - len(there),
    )


def _given_up(row: Delivery, made: Sequence[Adjustment], there: AuditEntry) -> str | None:
    """Why nobody knows whether the last correction was taken, where that is all the difference there is."""
    last = made[-1] if made else None
    if (
        last is None
        or last.state != DeliveryState.UNCONFIRMED
        or there not in (_row(row, made), _row(row, made, also=last))
    ):
        return None
    return last.code


def _stays_at_zero(here: AuditEntry, made: Sequence[Adjustment], there: AuditEntry) -> bool:
    taken = [each for each in made if _is_accepted(each)]
    came_back = bool(taken) and taken[-1].cause == AdjustmentCause.WON_AGAIN
    return came_back and there.value == 0 and replace(there, value=here.value, digest=here.digest) == here


def _is_accepted(made: Adjustment) -> bool:
    return made.state == DeliveryState.ACCEPTED


def _entry(line: Line, *, owner: str, action: str, click: str) -> AuditEntry:
    value = line["value"]
    return AuditEntry(
        owner=str(line[owner]),
        action=str(line[action]),
        at=_to_the_second(datetime.fromisoformat(str(line["event_time"]))),
        value=None if value is None else Decimal(str(value)).quantize(Decimal("0.01")),
        currency=str(line["currency"] or ""),
        click_id_kind=click,
        digest=str(line["digest"]),
        is_taken_back=bool(line.get("retracted")),
    )


def _row(row: Delivery, made: Sequence[Adjustment], *, also: Adjustment | None = None) -> AuditEntry:
    """A delivery as its platform has it after the corrections it took, and one more where that may be."""
    if row.at is None:
        raise ValueError("an accepted delivery has its time")
    taken = [each for each in made if _is_accepted(each) or each is also]
    is_taken_back = any(each.kind == AdjustmentKind.RETRACTION for each in taken)
    value, currency = (taken[-1].value, taken[-1].currency or row.currency) if taken else (row.value, row.currency)
    if is_taken_back:
        value = "0.00"
    anew = [each.event_sha256 for each in taken if each.transport == "data_manager"]
    kind = row.click_id_kind or "contact"
    return AuditEntry(
        owner=row.owner or "",
        action=row.action or "",
        at=_to_the_second(row.at),
        value=None if value is None else Decimal(value),
        currency=currency or "",
        click_id_kind="fbc" if kind == "fbclid" else kind,  # it travels as an fbc
        digest=[row.event_sha256, *anew][-1] or "",
        is_taken_back=is_taken_back,
    )


def _to_the_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def prove(console: Console, stage: Stage, settings: Settings, *, kept: bool) -> bool:
    """Print where everything stands, the comparison, one lead's story and what to type next; whether books agree."""
    account = heading_of(settings)
    with looking(settings) as look:
        console.print("\n[bold]Where every delivery stands[/bold]")
        print_states(console, account, queries.tallies(look.session, settings.account, now=look.now))
        counted = [*google_book(stage.sandbox.data_manager.book()), *meta_book(stage.sandbox.meta.book())]
        corrections = list(queries.corrections(look.session, settings.account))
        comparison = compare(counted, queries.sent(look.session, settings.account), corrections)
        _print_comparison(console, comparison)
        lead = _interesting(look, settings)
        if lead is not None:
            console.print("\n[bold]One lead's story[/bold], as `oplead-sync explain` tells it")
            print_explanation(console, account, explain(settings, look, lead))
    _print_next(console, stage, kept=kept, lead=lead.id if lead else "LEAD")
    return comparison.agree


def _print_comparison(console: Console, found: Comparison) -> None:
    console.print("\n[bold]The platforms' books against the ledger[/bold], delivery by delivery")
    console.print(
        f"  {number(found.alike)} counted by both, alike in key, target, time, value, currency, "
        "click id and the SHA-256 of the event"
    )
    if found.corrected:
        console.print(f"  {number(found.corrected)} of them corrected since: taken back, or told another value")
    if found.at_zero:
        console.print(
            f"  {number(found.at_zero)} made worth nothing and worth something again here; there they stay at nothing, "
            "as Google's help says"
        )
    for why, count in found.undecided.items():
        said = f"{number(count)} counted there and `unconfirmed` here, where the ledger does not claim to know: {why}"
        console.print(f"  {said}", markup=False)
    if found.flagged:
        console.print(
            f"  {number(found.flagged)} counted twice by Meta, and the ledger says of each that it may be: an answer "
            "was lost and it was sent again (`in_doubt: resend`)"
        )
    for count, what in (
        (len(found.differing), "differ"),
        (len(found.missing_there), "are accepted here and unknown there"),
        (len(found.missing_here), "were counted there and are not accepted here"),
        (found.twice, "were counted twice without a word of it here"),
    ):
        console.print(f"  {number(count)} {what}", style="bold red" if count else None)
    verdict = "[bold green]The books agree.[/bold green]" if found.agree else "[bold red]The books differ.[/bold red]"
    console.print(verdict)


def _interesting(look: StateView, settings: Settings) -> LeadRow | None:
    """A lead with something accepted, whose deliveries went the longest way."""
    ways: Counter[str] = Counter()
    accepted = set()
    for row in queries.sent(look.session, settings.account):
        ways[row.lead] += len(queries.history(look.session, row))
        if row.state == DeliveryState.ACCEPTED:
            accepted.add(row.lead)
    longest = max(sorted(accepted), key=lambda lead: ways[lead], default=None)
    return None if longest is None else queries.lead(look.session, settings.account, longest)


def _print_next(console: Console, stage: Stage, *, kept: bool, lead: str) -> None:
    console.print("\n[bold]What to type next[/bold]")
    if not kept:
        console.print(f"  {typed()} demo --keep demo        the same again, and it stays in ./demo", soft_wrap=True)
        return
    folder = stage.sandbox.directory
    console.print(f"  {typed()} sandbox --out {folder}", soft_wrap=True, markup=False)
    console.print("and, while that is open, in another terminal:")
    for command in ("run", "status", f"explain {lead}"):
        console.print(f"  {next_command(stage.settings, command)}", soft_wrap=True, markup=False)
