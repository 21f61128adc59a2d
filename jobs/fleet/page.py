"""How the fleet fares, as one HTML page that stands alone, with the style of an account's report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.language import NO_NUMBER, _, _n, format_integer, format_rough_duration, format_time, translated
from jobs.fleet.problems import FleetCause
from jobs.fleet.status import AccountState, AccountStatus, FleetStatus, account_state_name
from jobs.reporting.page.facts import Level
from jobs.reporting.page.render import render_page
from jobs.reporting.page.sections.grids import CellWithNote, Column, Grid, Tile, capital, grid_of

_MINUTE = timedelta(minutes=1)
_FEW = 10
"""So many accounts of a cause are shown at once; more are folded."""
_MOST_CHARACTERS = 80
"""Of a reason in the table: the cause above has all of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of the whole."""

    level: Level
    words: str


@dataclass(frozen=True, slots=True)
class LateAccounts:
    """The accounts whose nights are late, the latest first."""

    count: int
    longest: str
    grid: Grid


def render_fleet(status: FleetStatus, causes: Sequence[FleetCause]) -> str:
    """Return the page in the current language."""
    return render_page(
        "fleet.html.j2",
        made=_moment(status.now),
        count=len(status.accounts),
        verdict=_verdict(status, causes),
        tiles=_tiles(status),
        causes=causes,
        few=_FEW,
        moment=_moment,
        late=_late(status),
        accounts=_accounts(status),
    )


def _verdict(status: FleetStatus, causes: Sequence[FleetCause]) -> Verdict:
    states = {each.state for each in status.accounts}
    if AccountState.LATE in states or any(each.level is Level.RED for each in causes):
        level = Level.RED
    elif causes or AccountState.NEEDS_A_HUMAN in states:
        level = Level.AMBER
    else:
        level = Level.GREEN
    said = []
    if causes:
        said.append(_n("{count} thing to do", "{count} things to do", len(causes)))
    if nights := sum(each.nights_late for each in status.accounts):
        said.append(_n("{count} night late", "{count} nights late", nights))
    if not status.workers:
        level = Level.RED
        said.append(_("no worker is alive"))
    return Verdict(level, " · ".join(said) or _("Nothing needs doing."))


def _tiles(status: FleetStatus) -> list[Tile]:
    states = Counter(each.state for each in status.accounts)
    tiles = [Tile(capital(account_state_name(each)), format_integer(states[each])) for each in AccountState]
    nights = sum(each.nights_late for each in status.accounts)
    wait = format_rough_duration(status.queue_age) if status.queue_age >= _MINUTE else NO_NUMBER
    return [
        *tiles,
        Tile(_("Nights late"), format_integer(nights)),
        Tile(_("Longest wait for a worker"), wait),
        Tile(_("Workers alive"), format_integer(status.workers)),
    ]


def _late(status: FleetStatus) -> LateAccounts | None:
    late = [(each, each.late_since) for each in status.accounts if each.late_since is not None]
    if not late:
        return None
    late.sort(key=lambda pair: (pair[1], pair[0].account))
    columns = (Column(_("account")), Column(_("late by"), number=True), Column(_("nights"), number=True))
    grid = grid_of(
        _("Accounts with late nights"),
        columns,
        late,
        lambda pair: (
            pair[0].account,
            format_rough_duration(status.now - pair[1]),
            format_integer(pair[0].nights_late),
        ),
        most=len(late),
    )
    return LateAccounts(len(late), format_rough_duration(status.now - late[0][1]), grid)


def _accounts(status: FleetStatus) -> Grid:
    columns = (Column(_("account")), Column(_("state")), Column(_("last night")), Column(_("next")))
    bad = {AccountState.NEEDS_A_HUMAN, AccountState.LATE}
    return grid_of(
        _("All accounts, the worst first"),
        columns,
        status.accounts,
        _account_cells,
        flag=lambda each: each.state in bad,
        most=len(status.accounts),
    )


def _account_cells(each: AccountStatus) -> tuple[str | CellWithNote, ...]:
    name = capital(account_state_name(each.state))
    state = CellWithNote(name, _short(translated(each.why))) if each.why and each.state is not AccountState.OK else name
    last = NO_NUMBER if each.last_run_at is None else _moment(each.last_run_at)
    following = NO_NUMBER if each.state is AccountState.PAUSED else _moment(each.due_at)
    return each.account, state, last, following


def _short(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS].rstrip()}…"


def _moment(at: datetime) -> str:
    return format_time(at.astimezone(UTC))
