"""`run`: one night for each account, one after the other."""

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from jobs.cli.accounts import load_account, secrets_of, state_of
from jobs.cli.exits import failure_of, stop_by_signal, worst
from jobs.cli.logs import start_logging
from jobs.ledger.ledger import finish, held
from jobs.nightly import Summary, run_night
from jobs.settings import Invalid, Settings
from jobs.wiring import connect, open_clock

_log = structlog.stdlib.get_logger()


def run_accounts(files: Sequence[Path], *, as_json: bool, dry_run: bool, wait: timedelta) -> int:
    stop_by_signal()
    redaction = start_logging(as_json=not sys.stderr.isatty())
    codes = []
    for file in files:
        loaded = load_account(file)
        if isinstance(loaded, Invalid):
            for problem in loaded.problems:
                print(problem, file=sys.stderr)
            codes.append(2)
            continue
        redaction.learn(secrets_of(loaded.settings))
        try:
            summary = night(loaded.settings)
            print(summary)
            codes.append(summary.exit_code)
        except BaseException as error:
            failure = failure_of(error)
            print(failure.message, *failure.trace, sep="\n", file=sys.stderr)
            codes.append(failure.exit_code)
    return worst(codes)


def night(settings: Settings) -> Summary:
    with open_clock(settings) as clock, connect(settings, clock) as (book, deps):
        with held(state_of(settings), settings.account, "run", pid=os.getpid(), now=clock.now()) as ledger:
            summary = run_night(ledger, book, deps)
            finish(ledger, summary.exit_code, now=clock.now())
            return summary
