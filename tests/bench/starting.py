"""What commands cost that do next to nothing."""

from tests.bench.account import Account


class Starting:
    """`check` and `--help`."""

    keys = ("check", "help")

    def __init__(self, program, platforms, folder, _size):
        self.program = program
        self.account = Account(folder, platforms).write("leads-0", meta=True)

    def measure(self):
        """Yield figures by their keys."""
        yield "check", self.program.run("check", "--config", self.account.settings, environ=self.account.environ).cpu
        yield "help", self.program.run("--help").cpu
