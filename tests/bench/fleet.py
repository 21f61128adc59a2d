"""The next night of many accounts in one command."""

from tests.bench.account import Account
from tests.bench.figures import ACCOUNTS
from tests.bench.nights import DAY, must_be, night


class Fleet:
    """Accounts that all have had their first night, of which nothing has changed since."""

    keys = ("accounts", "cores")

    def __init__(self, program, platforms, folder, size):
        self.program, self.leads = program, size.leads_each
        first, *others = (Account(folder, platforms, f"agence-{number}") for number in range(size.accounts))
        self.accounts = [first, *others]
        for account in self.accounts:
            account.write(f"leads-{size.leads_each}", meta=True)
        night(program, first, "--first-run", "--accept-volume", "--wait", "45m")
        for account in others:
            account.copy_of(first)
        self.nights = 0

    def measure(self):
        """Yield figures by their keys."""
        self.nights += 1
        configs = [part for account in self.accounts for part in ("--config", account.settings)]
        environ = {name: value for account in self.accounts for name, value in account.environ.items()}
        ran = self.program.run("run", *configs, "--json", environ=environ, hours=self.nights * DAY)
        must_be([self.leads] * len(self.accounts), [one["pulled"]["seen"] for one in ran.printed], "leads read")
        yield "accounts", ran.cpu * ACCOUNTS / len(self.accounts)
        yield "cores", ran.cpu / ran.wall
