"""What reads the whole ledger at once: `report` and `values suggest`, whole commands."""

from tests.bench.account import SINCE, Account
from tests.bench.nights import must_be, night


class Reports:
    """A ledger with 400 nights behind it, of whose leads three in ten have a delivery."""

    keys = ("report", "report memory", "values", "values memory")

    def __init__(self, program, platforms, folder, size):
        self.program, self.leads, self.pages = program, size.reported, folder / "pages"
        self.account = Account(folder, platforms).write("leads-0", pull=SINCE)
        program.script("large.py", self.account.state, size.reported, REPORTED)
        night(program, self.account)  # takes in the settings

    def _run(self, *command):
        return self.program.run(*command, "--config", self.account.settings, environ=self.account.environ)

    def measure(self):
        """Yield figures by their keys; memory is that of the whole process."""
        ran = self._run("report", "--out", self.pages)
        must_be(1, len(list(self.pages.glob("*.html"))), "pages written")
        yield "report", ran.cpu
        yield "report memory", ran.peak
        ran = self._run("values", "suggest", "--json")
        must_be("sale", ran.result["sale"], "what is sold")
        yield "values", ran.cpu
        yield "values memory", ran.peak


REPORTED = 0.3
"""The share of the leads that have a delivery."""
