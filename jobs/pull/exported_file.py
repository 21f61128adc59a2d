"""Opens the newest file of exported leads, where leads come from files, and remembers it."""

from connectors.ports import ReadsExports
from jobs.ledger import exports
from jobs.pull.clock import check_clock_plausible
from jobs.run_context import RunContext


def open_newest_export(run: RunContext) -> None:
    """Have a source that reads files choose and check the newest one; other sources need nothing.

    No answer of Oplead's shows whether our clock is right, so the last reading and the file's own times must.

    Raises:
        Misconfigured: there is no file, or it must not be read; nothing was changed.
        WrongClock: this machine's clock cannot be right.
    """
    source, ledger = run.deps.source, run.ledger
    if not isinstance(source, ReadsExports):
        return
    with ledger.read_transaction() as session:
        last = exports.last_export(session, ledger.account)
        until = exports.leads_last_read_at(session, ledger.account)
    export = source.open_newest_export(last, read_until=until, accept=run.deps.accept_file)
    check_clock_plausible(ledger, run.now(), newest=export.newest)
    with ledger.write_transaction() as session:
        exports.record_export_being_read(session, ledger.account, export)
