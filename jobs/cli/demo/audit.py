"""Compare what the platforms counted with the ledger, delivery by delivery."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from connectors.language import N_, Plural, _, _n
from jobs.account.files import presentation_of_account
from jobs.account.state import StateView, open_view
from jobs.cli.demo.sandbox import RunningSandbox, command_name, next_command
from jobs.cli.lead.explain import explain
from jobs.ledger.outbox import outbox
from jobs.ledger.report import queries
from jobs.ledger.schema import Delivery, LeadRow
from jobs.reporting.console import print_title, say
from jobs.reporting.lead_report import print_explanation
from jobs.reporting.sentences import explain_state
from jobs.reporting.status_report import print_states
from jobs.rules.adjustment import AdjustmentCause
from jobs.rules.delivery_state import DeliveryKind, DeliveryState
from jobs.rules.reasons import PlatformCode, Reason
from jobs.settings import Settings

Line = Mapping[str, object]
"""One counted conversion in a sandbox platform's book."""
_GOOGLE_KEYS = ("transaction_id", "customer", "action")
_META_KEYS = ("event_id", "dataset", "event_name")


@dataclass(frozen=True, slots=True)
class AuditedConversion:
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


class AuditFinding(StrEnum):
    """What the comparison of one delivery found."""

    ALIKE = "alike"
    CORRECTED = "corrected"
    AT_ZERO = "at_zero"
    UNDECIDED = "undecided"
    """Also if only the last correction is `unconfirmed` and explains the whole difference."""
    FLAGGED = "flagged"
    DIFFERS = "differs"
    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    TWICE = "twice"


_IN_WORDS: Mapping[AuditFinding, Plural] = {
    AuditFinding.ALIKE: N_(
        "{count} counted by both, alike in key, target, time, value, currency, click id and the SHA-256 of the event",
        "{count} counted by both, alike in key, target, time, value, currency, click id and the SHA-256 of the event",
    ),
    AuditFinding.CORRECTED: N_(
        "{count} of them corrected since: retracted, or given another value",
        "{count} of them corrected since: retracted, or given another value",
    ),
    AuditFinding.AT_ZERO: N_(
        "{count} set to zero and to a value again here; there it stays at zero, as Google's help says",
        "{count} set to zero and to a value again here; there they stay at zero, as Google's help says",
    ),
    AuditFinding.UNDECIDED: N_(
        "{count} counted there and `unconfirmed` here, where the ledger does not know: {why}",
        "{count} counted there and `unconfirmed` here, where the ledger does not know: {why}",
    ),
    AuditFinding.FLAGGED: N_(
        "{count} counted twice by Meta, and the ledger says that it may be: an answer was lost and it was sent again "
        "(`in_doubt: resend`)",
        "{count} counted twice by Meta, and the ledger says of each that it may be: an answer was lost and it was sent "
        "again (`in_doubt: resend`)",
    ),
    AuditFinding.DIFFERS: N_("{count} differs", "{count} differ"),
    AuditFinding.MISSING_THERE: N_(
        "{count} is accepted here and unknown there", "{count} are accepted here and unknown there"
    ),
    AuditFinding.MISSING_HERE: N_(
        "{count} was counted there and is not accepted here", "{count} were counted there and are not accepted here"
    ),
    AuditFinding.TWICE: N_(
        "{count} was counted twice, which the ledger does not know",
        "{count} were counted twice, which the ledger does not know",
    ),
}
_WRONG = (AuditFinding.DIFFERS, AuditFinding.MISSING_THERE, AuditFinding.MISSING_HERE, AuditFinding.TWICE)
Comparison = Counter[tuple[AuditFinding, str]]
"""How many deliveries there are of each finding and reason; the reason is empty unless `UNDECIDED`."""


def has_no_differences(comparison: Comparison) -> bool:
    """Whether there are no unexplained differences."""
    return not any(comparison[finding, ""] for finding in _WRONG)


def audited_conversions_from_book(lines: Iterable[Line]) -> Iterator[AuditedConversion]:
    """Convert lines of a platform's book; Google's lines have the same keys for both of its APIs."""
    for line in lines:
        key, owner, action = _GOOGLE_KEYS if "customer" in line else _META_KEYS
        value = line["value"]
        yield AuditedConversion(
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


def compare(book: Iterable[AuditedConversion], sent: Iterable[Delivery], corrections: Iterable[Delivery]) -> Comparison:
    """Compare the platforms' counted conversions with the deliveries that were sent and their corrections."""
    rows = {row.key: row for row in sent}
    made: defaultdict[str | None, list[Delivery]] = defaultdict(list)
    for each in sorted(corrections, key=lambda one: one.number):
        made[each.key].append(each)
    found: Comparison = Counter({(finding, ""): 0 for finding in (AuditFinding.ALIKE, *_WRONG)})
    there: dict[str, AuditedConversion] = {}
    for line in book:
        if line.times > 1:
            is_flagged = line.key in rows and rows[line.key].may_count_twice
            found[AuditFinding.FLAGGED if is_flagged else AuditFinding.TWICE, ""] += 1
        found[AuditFinding.TWICE, ""] += line.key in there
        there[line.key] = line
    for key in sorted(rows.keys() | there.keys()):
        found.update(_findings(rows.get(key), made[key], there.get(key)))
    return found


def _findings(
    row: Delivery | None, made: Sequence[Delivery], there: AuditedConversion | None
) -> Iterator[tuple[AuditFinding, str]]:
    if row is not None and row.state == DeliveryState.ACCEPTED:
        if there is None:
            yield AuditFinding.MISSING_THERE, ""
        elif (here := _build_audited_conversion(row, made)) == there:
            yield AuditFinding.ALIKE, ""
            if any(map(_is_accepted, made)):
                yield AuditFinding.CORRECTED, ""
        elif why := _unconfirmed_correction_reason(row, made, there):
            yield AuditFinding.UNDECIDED, why
        else:
            yield AuditFinding.AT_ZERO if _stays_at_zero(here, made, there) else AuditFinding.DIFFERS, ""
    elif there is not None:
        # `unconfirmed` without a reason doesn't explain a conversion that the platform counted.
        why = outbox.delivery_cause(row) if row is not None and row.state == DeliveryState.UNCONFIRMED else None
        yield (AuditFinding.UNDECIDED, why) if why else (AuditFinding.MISSING_HERE, "")


def _unconfirmed_correction_reason(row: Delivery, made: Sequence[Delivery], there: AuditedConversion) -> str | None:
    """Return why the last correction is unconfirmed, if it explains the whole difference; else None."""
    last = made[-1] if made else None
    if last is None or last.state != DeliveryState.UNCONFIRMED:
        return None
    return (
        outbox.delivery_cause(last) or None
        if there in (_build_audited_conversion(row, made), _build_audited_conversion(row, made, also=last))
        else None
    )


def _stays_at_zero(here: AuditedConversion, made: Sequence[Delivery], there: AuditedConversion) -> bool:
    taken = [each for each in made if _is_accepted(each)]
    came_back = bool(taken) and taken[-1].cause == AdjustmentCause.WON_AGAIN
    return came_back and there.value == 0 and replace(there, value=here.value, digest=here.digest) == here


def _is_accepted(made: Delivery) -> bool:
    return made.state == DeliveryState.ACCEPTED


def _build_audited_conversion(
    row: Delivery, made: Sequence[Delivery], *, also: Delivery | None = None
) -> AuditedConversion:
    """Build the entry of a delivery after its accepted corrections, and after `also` if given."""
    taken = [each for each in made if _is_accepted(each) or each is also]
    retracted = any(each.kind == DeliveryKind.RETRACTION for each in taken)
    value, currency = (taken[-1].value, taken[-1].currency or row.currency) if taken else (row.value, row.currency)
    if retracted:
        value = "0.00"
    anew = [each.event_sha256 for each in taken if each.transport == "data_manager"]
    kind = row.click_id_kind or "contact"
    return AuditedConversion(
        key=row.key,
        owner=row.owner or "",
        action=row.action or "",
        at=_to_the_second(row.required_time),
        value=None if value is None else Decimal(value),
        currency=currency or "",
        click_id_kind="fbc" if kind == "fbclid" else kind,  # an fbclid is sent as an fbc
        digest=[row.event_sha256, *anew][-1] or "",
        retracted=retracted,
    )


def _to_the_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def print_demo_audit(console: Console, stage: RunningSandbox, settings: Settings, *, kept: bool) -> bool:
    """Print delivery states, the comparison, one lead's history and the next commands; return whether books agree."""
    account = presentation_of_account(settings, stage.settings)
    with open_view(settings) as view:
        print_title(_("Where every delivery stands"))
        print_states(
            console,
            account,
            queries.count_by_state_and_reason(view.session, settings.account, now=view.now),
            on_record=False,
        )
        lines = [*stage.sandbox.data_manager.conversions_json(), *stage.sandbox.meta.conversions_json()]
        sent = list(queries.settled_conversions(view.session, settings.account))
        corrections = queries.corrections(view.session, settings.account)
        comparison = compare(audited_conversions_from_book(lines), sent, corrections)
        _print_comparison(console, comparison)
        lead = _lead_with_longest_history(view, settings, sent)
        if lead is not None:
            print_title(_("One lead's story, as `oplead-sync explain` shows it"))
            print_explanation(console, account, explain(settings, view, lead))
    print_title(_("What to type next"))
    if kept:
        say(
            f"  {command_name()} sandbox --out {shlex.quote(str(stage.sandbox.directory))}",
            _("and, while that is open, in another terminal:"),
        )
        commands = ("run", "status", f"explain {lead.id if lead else 'LEAD'}")
        say(*(f"  {next_command(stage.settings, command)}" for command in commands))
    else:
        say(_("To keep it, in ./demo:"), f"  {command_name()} demo --keep demo")
    return has_no_differences(comparison)


def _print_comparison(console: Console, comparison: Comparison) -> None:
    print_title(_("The platforms' books against the ledger, delivery by delivery"))
    order = list(AuditFinding)
    for (finding, why), count in sorted(comparison.items(), key=lambda item: order.index(item[0][0])):
        style = "bold red" if count and finding in _WRONG else None
        cause = why if isinstance(why, Reason) else PlatformCode(why)
        said = _n(*_IN_WORDS[finding], count, why=explain_state(DeliveryState.UNCONFIRMED, cause).short)
        console.print(Padding(escape(said), (0, 0, 0, 2)), style=style)
    if has_no_differences(comparison):
        console.print(_("The books agree."), style="bold green")
    else:
        console.print(_("The books differ."), style="bold red")


def _lead_with_longest_history(view: StateView, settings: Settings, sent: Iterable[Delivery]) -> LeadRow | None:
    """Return the lead with the longest delivery history among those with an accepted delivery."""
    lengths: Counter[str] = Counter()
    accepted = set()
    for row in sent:
        lengths[row.lead] += len(queries.state_history(view.session, row))
        if row.state == DeliveryState.ACCEPTED:
            accepted.add(row.lead)
    longest = max(sorted(accepted), key=lambda lead: lengths[lead], default=None)
    return None if longest is None else view.session.get(LeadRow, (settings.account, longest))
