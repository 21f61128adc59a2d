"""Nights of one account: read, plan, send, settle; each step in CPU seconds."""

from math import ceil

from tests.bench.account import Account, copy_state
from tests.bench.figures import PLANNED

NO_LEADS = 10
"""Leads of the night whose memory counts as that of the imports."""
DAY = 24
"""Hours."""
READ, PLAN, SEND, SETTLE = "reading leads", "deciding", "sending", "asking for outcomes"
"""The log's names of a night's steps."""


def night(program, account, *options, hours=0, lapse=0):
    """Run an account's night."""
    arguments = ("run", "--config", account.settings, "--json", *options)
    return program.run(*arguments, environ=account.environ, hours=hours, lapse=lapse)


def forget(account):
    """Remove an account's ledger, if there is one."""
    for path in account.folder.glob(f"{account.state.name}*"):
        path.unlink()


def must_be(expected, found, what):
    """Refuse to count what was not done."""
    if expected != found:
        raise SystemExit(f"{what}: {expected} expected, {found} found")


class Reading:
    """A first night that reads and plans many leads with three conversions each, and one that finds them unchanged."""

    keys = ("first pull", "same again", "plan", "night", "memory")

    def __init__(self, program, platforms, folder, size):
        self.program, self.leads = program, size.leads
        self.account = Account(folder, platforms)
        few = self._nights(NO_LEADS)
        self.imports = max(one.peak for one in few)

    def _nights(self, leads):
        forget(self.account)
        conversions = ("appointment", "quote", "sale")
        self.account.write(f"leads-{leads}", meta=True, conversions=conversions, contact_data="attach")
        nights = night(self.program, self.account, "--first-run"), night(self.program, self.account, hours=DAY)
        for each in nights:
            must_be(leads, each.result["pulled"]["seen"], "leads read")
        return nights

    def measure(self):
        """Yield figures by their keys."""
        first, second = self._nights(self.leads)
        must_be(self.leads, first.result["planned"]["leads"], "leads planned")
        yield "first pull", self.leads / first.steps[READ]
        yield "same again", self.leads / second.steps[READ]
        yield "plan", first.steps[PLAN] * PLANNED / self.leads
        yield "night", second.wall
        yield "memory", max(first.peak, second.peak) - self.imports


class Sending:
    """Conversions that wait in the ledger, one of each lead, sent by each interface and settled."""

    keys = ("google_ads_api", "data_manager", "meta", "requests", "memory")
    ways = {  # noqa: RUF012
        "google_ads_api": ({"google": "google_ads_api"}, 2_000),
        "data_manager": ({"google": "data_manager"}, 2_000),
        "meta": ({"google": None, "meta": True, "contact_data": "attach"}, 1_000),
    }
    """What to write for each interface, and how many conversions one of its requests takes."""

    def __init__(self, program, platforms, folder, size):
        self.program, self.platforms, self.leads, self.folder = program, platforms, size.sent, folder
        self.imports = {}
        self.accounts = {}
        for way in self.ways:
            self.imports[way] = self._send(self._waiting(way, NO_LEADS)).peak
            self.accounts[way] = self._waiting(way, self.leads)

    def _waiting(self, way, leads):
        """An account whose conversions wait for a human, because there are so many, or for a night."""
        (folder := self.folder / f"{way}-{leads}").mkdir()  # a state beside another could be taken for it
        account = Account(folder, self.platforms)
        account.write(f"leads-{leads}", max_per_run=1, **self.ways[way][0])
        night(self.program, account, "--first-run")
        copy_state(account.state, self._copy(account))
        return account

    def _copy(self, account):
        return account.folder / f"{account.name}.waiting"

    def _send(self, account):
        """Send everything that waits, from the state in which it does, and learn what became of it."""
        forget(account)
        copy_state(self._copy(account), account.state)
        self.platforms.get("/uploads")
        return night(self.program, account, "--accept-volume", "--wait", "45m", hours=DAY)

    def measure(self):
        """Yield figures by their keys."""
        most = 0.0
        for way, (_, batch) in self.ways.items():
            ran = self._send(self.accounts[way])
            uploads = self.platforms.get("/uploads")
            must_be(self.leads, uploads.get(f"{way} rows"), f"conversions sent by {way}")
            states = {one["state"]: one["count"] for one in ran.result["standing"]}
            must_be({"accepted": self.leads}, states, f"conversions by {way}")
            yield way, self.leads / (ran.steps[SEND] + ran.steps[SETTLE])
            most = max(most, uploads[f"{way} requests"] / ceil(self.leads / batch))
            yield "memory", ran.peak - self.imports[way]
        yield "requests", most
