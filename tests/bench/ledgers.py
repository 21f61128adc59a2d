"""Commands on ledgers of several sizes, whole, in CPU seconds: an idle night, `status` and `explain`."""

from tests.bench.account import SINCE, Account
from tests.bench.nights import NO_LEADS

LEAD = "accepted-0000003"


class Ledgers:
    """Ledgers with 400 nights behind them, on which nothing has changed since."""

    keys = ("idle", "status", "explain", "memory")

    def __init__(self, program, platforms, folder, size):
        self.program, self.sizes = program, size.ledgers
        self.accounts = {}
        for leads in (NO_LEADS, *size.ledgers):
            (folder / str(leads)).mkdir()
            account = self.accounts[leads] = Account(folder / str(leads), platforms).write("leads-0", pull=SINCE)
            program.script("large.py", account.state, leads)
            self._night(account)  # the first one also takes in the settings
        self.imports = {name: ran.peak for name, ran in self._commands(self.accounts[NO_LEADS]).items()}

    def _night(self, account):
        return self.program.run("run", "--config", account.settings, "--json", environ=account.environ)

    def _commands(self, account):
        config = ("--config", account.settings, "--json")
        return {
            "idle": self._night(account),
            "status": self.program.run("status", *config, environ=account.environ),
            "explain": self.program.run("explain", LEAD, *config, environ=account.environ),
        }

    def measure(self):
        """Yield figures by their keys: with the size of the ledger, and without it for the largest."""
        for leads in self.sizes:
            for name, ran in self._commands(self.accounts[leads]).items():
                above = ran.peak - self.imports[name]
                yield (name, leads), ran.cpu
                yield (f"{name} memory", leads), above
                yield "memory", above
                if leads == max(self.sizes):
                    yield name, ran.cpu
