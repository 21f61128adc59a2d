"""Compare what the platforms counted with the ledger, delivery by delivery."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from connectors.records import AdjustmentKind
from connectors.text import number
from jobs.cli.accounts import heading_of
from jobs.cli.demo.sandbox import Stage, next_command, typed
from jobs.cli.inspect import explain
from jobs.cli.output import say
from jobs.cli.session import StateView, looking
from jobs.ledger import outbox, queries
from jobs.ledger.schema import Adjustment, Delivery, LeadRow
from jobs.reporting.lead_report import print_explanation
from jobs.reporting.status_report import print_states
from jobs.rules.adjustment import AdjustmentCause
from jobs.rules.delivery_state import DeliveryState
from jobs.settings import Settings

Line = Mapping[str, object]
"""One counted conversion in a sandbox platform's book."""
_GOOGLE_KEYS = ("transaction_id", "customer", "action")
_META_KEYS = ("event_id", "dataset", "event_name")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One counted conversion, in a form common to platform and ledger."""

    key: str
    owner: str
    action: str
    at: datetime
    """Truncated to the second, as platforms store it."""
    value: Decimal | None
    """The value after all corrections."""
    currency: str
    click_id_kind: str
    digest: str
    """SHA-256 of the last event that contained the whole conversion."""
    retracted: bool
    times: int = field(default=1, compare=False)
    """How many times the platform counted it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between the platforms' books and the ledger; tuples hold delivery keys."""

    alike: int
    corrected: int
    """How many of `alike` have an accepted correction."""
    differing: tuple[str, ...]
    missing_there: tuple[str, ...]
    """Accepted in the ledger, missing from the platform."""
    missing_here: tuple[str, ...]
    """Counted by the platform, not accepted in the ledger."""
    undecided: Mapping[str, int]
    """Counts by reason of deliveries that are counted by the platform and `unconfirmed` in the ledger.

    Includes those whose last correction is `unconfirmed` and explains the whole difference.
    """
    at_zero: int
    """Set to zero, then to a value again, which Google ignores according to its help."""
    flagged: int
    """Counted more than once, and flagged in the ledger as possible duplicates."""
    twice: int
    """Counted more than once, and not flagged in the ledger."""

    @property
    def agree(self) -> bool:
        """Whether there are no unexplained differences."""
        return not (self.differing or self.missing_there or self.missing_here or self.twice)


def counted_by_platform(lines: Iterable[Line]) -> Iterator[AuditEntry]:
    """Convert lines of a platform's book; Google's lines have the same keys for both of its APIs."""
    for line in lines:
        key, owner, action = _GOOGLE_KEYS if "customer" in line else _META_KEYS
        value = line["value"]
        yield AuditEntry(
            key=str(line[key]),
            owner=str(line[owner]),
            action=str(line[action]),
            at=_to_the_second(datetime.fromisoformat(str(line["event_time"]))),
            value=None if value is None else Decimal(str(value)).quantize(Decimal("0.01")),
            currency=str(line["currency"] or ""),
            click_id_kind=str(line["click_kind"]),
            digest=str(line["digest"]),
            retracted=bool(line.get("retracted")),
            times=int(str(line["accepted"])),
        )


def compare(book: Iterable[AuditEntry], sent: Iterable[Delivery], corrections: Iterable[Adjustment]) -> Comparison:
    """Compare the platforms' counted conversions with the deliveries that were sent and their corrections."""
    lines = list(book)
    there = {line.key: line for line in lines}
    rows = {row.key: row for row in sent}
    made: defaultdict[str | None, list[Adjustment]] = defaultdict(list)
    for each in sorted(corrections, key=lambda one: one.number):
        made[each.key].append(each)
    accepted = {key: _entry(row, made[key]) for key, row in rows.items() if row.state == DeliveryState.ACCEPTED}
    both = accepted.keys() & there.keys()
    alike = {key for key in both if accepted[key] == there[key]}
    # `unconfirmed` without a reason doesn't explain a conversion that the platform counted.
    unconfirmed: dict[str, str] = {
        key: outbox.why(row) for key, row in rows.items() if row.state == DeliveryState.UNCONFIRMED and outbox.why(row)
    }
    undecided: dict[str, str] = {key: unconfirmed[key] for key in there.keys() & unconfirmed.keys()}
    undecided |= {key: why for key in both - alike if (why := _given_up(rows[key], made[key], there[key]))}
    at_zero = {key for key in both - alike if _stays_at_zero(accepted[key], made[key], there[key])}
    flagged = {key for key, row in rows.items() if row.may_count_twice}
    repeated = [line.key for line in lines if line.times > 1]
    return Comparison(
        alike=len(alike),
        corrected=sum(any(_is_accepted(each) for each in made[key]) for key in alike),
        differing=tuple(sorted(both - alike - undecided.keys() - at_zero)),
        missing_there=tuple(sorted(accepted.keys() - there.keys())),
        missing_here=tuple(sorted(there.keys() - accepted.keys() - unconfirmed.keys())),
        undecided=Counter(undecided[key] for key in sorted(undecided)),
        at_zero=len(at_zero),
        flagged=sum(key in flagged for key in repeated),
        twice=sum(key not in flagged for key in repeated) + len(lines) - len(there),
    )


def _given_up(row: Delivery, made: Sequence[Adjustment], there: AuditEntry) -> str | None:
    """Return why the last correction is unconfirmed, if it explains the whole difference; else None."""
    last = made[-1] if made else None
    if last is None or last.state != DeliveryState.UNCONFIRMED:
        return None
    return outbox.why(last) or None if there in (_entry(row, made), _entry(row, made, also=last)) else None


def _stays_at_zero(here: AuditEntry, made: Sequence[Adjustment], there: AuditEntry) -> bool:
    taken = [each for each in made if _is_accepted(each)]
    came_back = bool(taken) and taken[-1].cause == AdjustmentCause.WON_AGAIN
    return came_back and there.value == 0 and replace(there, value=here.value, digest=here.digest) == here


def _is_accepted(made: Adjustment) -> bool:
    return made.state == DeliveryState.ACCEPTED


def _entry(row: Delivery, made: Sequence[Adjustment], *, also: Adjustment | None = None) -> AuditEntry:
    """Build the entry of a delivery after its accepted corrections, and after `also` if given."""
    if row.at is None:
        raise ValueError("an accepted delivery has its time")
    taken = [each for each in made if _is_accepted(each) or each is also]
    retracted = any(each.kind == AdjustmentKind.RETRACTION for each in taken)
    value, currency = (taken[-1].value, taken[-1].currency or row.currency) if taken else (row.value, row.currency)
    if retracted:
        value = "0.00"
    anew = [each.event_sha256 for each in taken if each.transport == "data_manager"]
    kind = row.click_id_kind or "contact"
    return AuditEntry(
        key=row.key,
        owner=row.owner or "",
        action=row.action or "",
        at=_to_the_second(row.at),
        value=None if value is None else Decimal(value),
        currency=currency or "",
        click_id_kind="fbc" if kind == "fbclid" else kind,  # an fbclid is sent as an fbc
        digest=[row.event_sha256, *anew][-1] or "",
        retracted=retracted,
    )


def _to_the_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def prove(console: Console, stage: Stage, settings: Settings, *, kept: bool) -> bool:
    """Print delivery states, the comparison, one lead's history and the next commands; return whether books agree."""
    account = heading_of(settings)
    with looking(settings) as look:
        console.print("\n[bold]Where every delivery stands[/bold]")
        print_states(console, account, queries.tallies(look.session, settings.account, now=look.now))
        lines = [*stage.sandbox.data_manager.book(), *stage.sandbox.meta.book()]
        sent = list(queries.sent(look.session, settings.account))
        corrections = queries.corrections(look.session, settings.account)
        comparison = compare(counted_by_platform(lines), sent, corrections)
        _print_comparison(console, comparison)
        lead = _interesting(look, settings, sent)
        if lead is not None:
            console.print("\n[bold]One lead's story[/bold], as `oplead-sync explain` shows it")
            print_explanation(console, account, explain(settings, look, lead))
    console.print("\n[bold]What to type next[/bold]")
    if kept:
        say(f"  {typed()} sandbox --out {stage.sandbox.directory}", "and, while that is open, in another terminal:")
        commands = ("run", "status", f"explain {lead.id if lead else 'LEAD'}")
        say(*(f"  {next_command(stage.settings, command)}" for command in commands))
    else:
        say(f"  {typed()} demo --keep demo        the same again, and it stays in ./demo")
    return comparison.agree


def _print_comparison(console: Console, found: Comparison) -> None:
    console.print("\n[bold]The platforms' books against the ledger[/bold], delivery by delivery")
    say(
        f"  {number(found.alike)} counted by both, alike in key, target, time, value, currency, click id and the "
        "SHA-256 of the event"
    )
    if found.corrected:
        say(f"  {number(found.corrected)} of them corrected since: retracted, or given another value")
    if found.at_zero:
        say(
            f"  {number(found.at_zero)} set to zero and to a value again here; there they stay at zero, as Google's "
            "help says"
        )
    for why, count in found.undecided.items():
        say(f"  {number(count)} counted there and `unconfirmed` here, where the ledger does not know: {why}")
    if found.flagged:
        say(
            f"  {number(found.flagged)} counted twice by Meta, and the ledger says of each that it may be: an answer "
            "was lost and it was sent again (`in_doubt: resend`)"
        )
    for count, what in (
        (len(found.differing), "differ"),
        (len(found.missing_there), "are accepted here and unknown there"),
        (len(found.missing_here), "were counted there and are not accepted here"),
        (found.twice, "were counted twice, which the ledger does not know"),
    ):
        console.print(f"  {number(count)} {what}", style="bold red" if count else None)
    verdict, color = ("agree", "green") if found.agree else ("differ", "red")
    console.print(f"[bold {color}]The books {verdict}.[/bold {color}]")


def _interesting(look: StateView, settings: Settings, sent: Iterable[Delivery]) -> LeadRow | None:
    """Return the lead with the longest delivery history among those with an accepted delivery."""
    lengths: Counter[str] = Counter()
    accepted = set()
    for row in sent:
        lengths[row.lead] += len(queries.history(look.session, row))
        if row.state == DeliveryState.ACCEPTED:
            accepted.add(row.lead)
    longest = max(sorted(accepted), key=lambda lead: lengths[lead], default=None)
    return None if longest is None else look.session.get(LeadRow, (settings.account, longest))
