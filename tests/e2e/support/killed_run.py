"""Runs the command and dies by SIGKILL at one point of it: `killed_run.py POINT NTH ARGUMENTS…`.

Everything before that point is the command's own code, on the same path. SIGKILL leaves no time to tidy up: no
`finally`, no rollback, no closing of files.
"""

import os
import signal
import sys
from functools import partial
from itertools import count

from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from connectors.google_ads.data_manager.sink import DataManagerSink
from jobs import deliver, plan, pull, resolve
from jobs.cli import main


def countdown(nth):
    """A function that kills the process when it is called for the nth time."""
    calls = count(1)

    def die(*_):
        if next(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def before(owner, name, die):
    """Die on entering a function."""
    original = getattr(owner, name)

    def patched(*args, **kwargs):
        die()
        return original(*args, **kwargs)

    setattr(owner, name, patched)


def after(owner, name, die):
    """Die when a function is done, before its caller gets the result."""
    original = getattr(owner, name)

    def patched(*args, **kwargs):
        result = original(*args, **kwargs)
        die()
        return result

    setattr(owner, name, patched)


def committing(owner, name, die):
    """Die in the transaction of a function: every statement of it executed, its COMMIT not."""
    before(owner, name, lambda: event.listen(Engine, "commit", die, once=True))


def committed(owner, name, die):
    """Die as soon as a transaction that a function began or is part of is committed."""
    before(owner, name, lambda: event.listen(Session, "after_commit", die, once=True))


def upload_answered(die):
    """Die when the platform has answered an upload and none of the answer has been looked at."""
    original = HTTPAdapter.send

    def patched(self, request, **kwargs):
        answer = original(self, request, **kwargs)
        if "/v1/events:ingest" in request.url:
            die()
        return answer

    HTTPAdapter.send = patched


def table_made(die):
    """Die while the state is brought up to date, after some of its tables were made."""

    @event.listens_for(Engine, "after_cursor_execute")
    def _(_connection, _cursor, statement, *_):
        if statement.lstrip().startswith("CREATE TABLE"):
            die()


POINTS = {
    "a table of the state made": table_made,
    "state up to date, not committed": lambda die: event.listen(Engine, "commit", die),
    "in a page's commit": partial(committing, pull, "_keep"),
    "page committed": partial(committed, pull, "_keep"),
    "a lead judged": partial(after, plan, "judge"),
    "leads planned": partial(committed, plan._Planner, "plan_some"),
    "in the intent's commit": partial(committing, deliver._Lane, "_intend"),
    "intent committed": partial(before, DataManagerSink, "submit"),
    "accepted, answer unread": upload_answered,
    "answer read": partial(after, DataManagerSink, "submit"),
    "in the receipt's commit": partial(committing, deliver._Lane, "_receive"),
    "receipt committed": partial(committed, deliver._Lane, "_receive"),
    "outcome read": partial(after, DataManagerSink, "resolve"),
    "in the outcome's commit": partial(committing, resolve._Settling, "settle"),
}

if __name__ == "__main__":
    POINTS[sys.argv[1]](countdown(int(sys.argv[2])))
    sys.argv[1:3] = []
    main()
