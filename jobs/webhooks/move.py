"""Moves an account's inbox from its file to a database, with the ids and the identity by which readers go on."""

from contextlib import closing

from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.postgresql_inbox import WebhookInboxTable


def move_inbox_to_database(source: WebhookInboxFile, target: WebhookInboxTable) -> int:
    """Copy every event, set the file aside, and return how many events there were; 0 if there is no file.

    A receiver that still writes to the file refuses what comes from then on, so that its senders repeat it. Killed
    anywhere and repeated, it ends the same, and what receivers stored meanwhile, in either place, is there once.

    Raises:
        CommandError: somebody keeps reading the file; or the database has events of this account already, or cannot be
            used.
        sqlite3.Error, OSError: the file cannot be used.
    """
    if not source.exists():
        return 0
    with closing(source.open_inbox_for_writing()) as old, closing(target.open_inbox_for_writing()) as new:
        with old.set_aside() as events:
            new.import_inbox_contents(old.identity(), events)
        return len(events.rows)
