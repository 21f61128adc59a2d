"""Kills the process that runs the command with SIGKILL at one chosen point.

Everything before that point is the command's own code, on the same path. SIGKILL leaves no time for cleanup: no
`finally`, no rollback, no closing of files. Points of a single platform have its name as a prefix; each loads that
platform's library only when the point is used.
"""

import os
import signal
from functools import partial
from importlib import import_module
from itertools import count

from requests.adapters import HTTPAdapter
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from jobs.deliver import corrections, resolve, sender, transactions
from jobs.ledger import runs
from jobs.ledger.leads import leads
from jobs.ledger.outbox import backfill_and_retry
from jobs.plan import planner
from jobs.pull.list_reading import ListReading


def countdown(nth):
    """A function that kills the process on its nth call."""
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
    """Die when a function has returned, before its caller gets the result."""
    original = getattr(owner, name)

    def patched(*args, **kwargs):
        result = original(*args, **kwargs)
        die()
        return result

    setattr(owner, name, patched)


def committing(owner, name, die):
    """Die in a function's transaction, with every statement executed but not the COMMIT."""
    before(owner, name, lambda: event.listen(Engine, "commit", die, once=True))


def committed(owner, name, die):
    """Die as soon as a transaction that a function began or takes part in is committed."""
    before(owner, name, lambda: event.listen(Session, "after_commit", die, once=True))


def upload_answered(path, die):
    """Die when a platform has answered an upload over HTTP, before the answer is read."""
    original = HTTPAdapter.send

    def patched(self, request, **kwargs):
        answer = original(self, request, **kwargs)
        if path in request.url:
            die()
        return answer

    HTTPAdapter.send = patched


def of_sink(module, name, when, method, die):
    """Die around a method of a sink."""
    when(getattr(import_module(module), name), method, die)


DATA_MANAGER = ("connectors.google_ads.data_manager.sink", "DataManagerSink")
ADS_API = ("connectors.google_ads.ads_api.sink", "AdsApiSink")
ADS_API_WIRE = ("connectors.google_ads.ads_api.client", "AdsClient")
GOOGLE = ("connectors.google_ads.sink", "GoogleSink")
META = ("connectors.meta.sink", "MetaSink")


def table_made(die):
    """Die while the state is being migrated, after some of its tables were created."""

    @event.listens_for(Engine, "after_cursor_execute")
    def _(_connection, _cursor, statement, *_):
        if statement.lstrip().startswith("CREATE TABLE"):
            die()


POINTS = {
    "a table of the state made": table_made,
    "state up to date, not committed": lambda die: event.listen(Engine, "commit", die),
    "in a page's commit": partial(committing, ListReading, "_store_page"),
    "page committed": partial(committed, ListReading, "_store_page"),
    "backfill: in a page's commit": partial(committing, ListReading, "_store_page"),
    "backfill: page committed": partial(committed, ListReading, "_store_page"),
    "backfill: in the picks' commit": partial(committing, backfill_and_retry, "approve_for_backfill"),
    "backfill: picks committed": partial(committed, backfill_and_retry, "approve_for_backfill"),
    "a lead judged": partial(after, planner, "decide_route"),
    "leads planned": partial(committed, planner._Planner, "plan_some"),
    "in the intent's commit": partial(committing, sender.Sender, "_prepare"),
    "intent committed": partial(of_sink, *DATA_MANAGER, before, "submit"),
    "accepted, answer unread": partial(upload_answered, "/v1/events:ingest"),
    "answer read": partial(of_sink, *DATA_MANAGER, after, "submit"),
    "google_ads_api: intent committed": partial(of_sink, *ADS_API, before, "submit"),
    "google_ads_api: accepted, answer unread": partial(of_sink, *ADS_API_WIRE, after, "upload"),
    "google_ads_api: answer read": partial(of_sink, *ADS_API, after, "submit"),
    "meta: intent committed": partial(of_sink, *META, before, "submit"),
    "meta: accepted, answer unread": partial(upload_answered, "/events"),
    "meta: answer read": partial(of_sink, *META, after, "submit"),
    "in the receipt's commit": partial(committing, transactions.ReceiptRecorder, "record_receipt"),
    "receipt committed": partial(committed, transactions.ReceiptRecorder, "record_receipt"),
    "lease taken": partial(after, runs, "_begin"),
    "in the lease's commit": partial(committing, runs, "_begin"),
    "corrections looked for": partial(committing, leads, "mark_corrections_checked"),
    "correction: in the intent's commit": partial(committing, corrections.CorrectionPreparer, "prepare"),
    "correction: intent committed": partial(of_sink, *GOOGLE, before, "adjust"),
    "correction: accepted, answer unread": partial(of_sink, *ADS_API_WIRE, after, "upload"),
    "correction: answer read": partial(of_sink, *GOOGLE, after, "adjust"),
    "outcome read": partial(of_sink, *DATA_MANAGER, after, "fetch_request_outcomes"),
    "in the outcome's commit": partial(committing, resolve._Settling, "settle_request"),
}
