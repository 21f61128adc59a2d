"""What the Data Manager API says about the requests it received: records taken, and warnings.

https://developers.google.com/data-manager/api/devguides/diagnostics
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from http import HTTPStatus

import requests

from connectors.errors import Misconfigured, Transient
from connectors.google_ads.auth import (
    DATA_MANAGER_SCOPE,
    ServiceAccount,
    TokenRefusedError,
    open_session,
)
from connectors.google_ads.data_manager.outcomes import RequestRecordCounts, parse_request_counts, read_error
from connectors.google_ads.options import GoogleOptions, endpoint
from connectors.google_ads.quota import QuotaFullError, quota_turn
from connectors.language import N_
from connectors.one_call import run_call
from connectors.records import CountedRowsFilter, PlatformStatement, SentRequest, StatementSubject
from connectors.statement_messages import NO_ANSWER, NOT_STATED, NOTHING_YET, QUOTA_FULL, REFUSED, UNREADABLE

_NO_SUMMARY = N_("not available by the Data Manager API, which only tells about single requests")
_MAY_NOT = N_("the service account may not read this; it needs access to the account of the conversion actions")
_MOST_REQUESTS = 20
_SECONDS_IN_ALL = 10.0

Asked = list[tuple[SentRequest, RequestRecordCounts]]
"""Requests with what the API says of them, the last one first."""


def read_request_statuses(options: GoogleOptions, sent: Sequence[SentRequest]) -> list[PlatformStatement]:
    """Return the counts and warnings of the latest requests of `sent`, which is in the order of sending."""
    tickets = [each for each in sent if each.target.transport == "data_manager" and each.ticket]
    # From the last one back, so that those asked are all there are since the first of them.
    asked, why_not = _ask_each(options, tickets[::-1][:_MOST_REQUESTS])
    said = [PlatformStatement(StatementSubject.UPLOAD_SUMMARY, "", _NO_SUMMARY, None)]
    if not asked:
        return [*said, PlatformStatement(StatementSubject.EVENT_COUNT, "", why_not, None)]
    return [*said, *_counts(asked), *_warnings(asked)]


def _ask_each(options: GoogleOptions, latest: Sequence[SentRequest]) -> tuple[Asked, str]:
    """Return what the API says until it fails or has taken too long, and the message for where that is nothing."""
    asked: Asked = []
    until = time.monotonic() + _SECONDS_IN_ALL
    try:
        address, account = endpoint(options, "data_manager"), ServiceAccount(options, DATA_MANAGER_SCOPE)
        for request in latest:
            if time.monotonic() > until:
                break
            with (
                quota_turn(options.read_quota, longest=timedelta()),  # what is said can wait for another night
                closing(open_session(address, account.token())) as session,
            ):
                ask = partial(
                    session.get,
                    f"{address}/v1/requestStatus:retrieve",
                    params={"requestId": request.ticket or ""},
                    timeout=options.timeout,
                )
                response = run_call(session, ask, options.timeout, cancel_token=options.cancel_token)
            counts = _read(response, request.rows)
            if isinstance(counts, str):
                return asked, counts
            asked.append((request, counts))
    except (TokenRefusedError, Misconfigured):
        return asked, REFUSED
    except QuotaFullError:
        return asked, QUOTA_FULL
    except (OSError, Transient):
        return asked, NO_ANSWER
    return asked, NOTHING_YET


def _read(response: requests.Response, rows: int) -> RequestRecordCounts | str:
    """Return a request's counts, or the message for why there are none."""
    if response.status_code == HTTPStatus.OK:
        try:
            return parse_request_counts(response.json(), rows)
        except (ValueError, RecursionError):
            return UNREADABLE
    if read_error(response) is None:
        return UNREADABLE
    match response.status_code:
        case HTTPStatus.NOT_FOUND:
            return RequestRecordCounts(0, rows, {})  # it is no longer known, and what became of it neither
        case HTTPStatus.UNAUTHORIZED:
            return REFUSED
        case HTTPStatus.FORBIDDEN:
            return _MAY_NOT
        case _:
            return NOT_STATED


def _counts(asked: Asked) -> Iterator[PlatformStatement]:
    """Yield the records taken for each conversion action; `asked` begins with the last request."""
    by_target: defaultdict[tuple[str, str], list[tuple[SentRequest, RequestRecordCounts]]] = defaultdict(list)
    for request, counts in asked:
        by_target[request.target.owner, request.target.action].append((request, counts))
    for (owner, action), group in sorted(by_target.items()):
        span = CountedRowsFilter(
            "data_manager",
            owner,
            action,
            since=group[-1][0].sent_at,
            until=group[0][0].sent_at + timedelta(microseconds=1),
            undecided=sum(counts.undecided for _, counts in group),
            corrections=True,
        )
        accepted = sum(counts.accepted for _, counts in group)
        yield PlatformStatement(StatementSubject.EVENT_COUNT, action, accepted, None, span)


def _warnings(asked: Asked) -> Iterator[PlatformStatement]:
    warned: Counter[str] = Counter()
    for _, counts in asked:
        warned.update(counts.warnings)
    for reason, count in sorted(warned.items()):
        yield PlatformStatement(StatementSubject.REQUEST_WARNINGS, reason, str(count), None)
    if not warned:
        yield PlatformStatement(StatementSubject.REQUEST_WARNINGS, "", NOTHING_YET, None)
