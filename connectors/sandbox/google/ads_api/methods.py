"""The Google Ads API's methods. Loading this module loads the vendor's messages, which takes a second."""

from collections import Counter, defaultdict
from datetime import datetime

from connectors.sandbox.google.ads_api import adjustment_rules, rules
from connectors.sandbox.google.ads_api.adjustments import AdjustmentContext, request_fault
from connectors.sandbox.google.ads_api.adjustments import judge as adjusted
from connectors.sandbox.google.ads_api.memory import Job, Memory, barred
from connectors.sandbox.google.ads_api.queries import QueryRefusedError, View, answer_question, read_question
from connectors.sandbox.google.ads_api.refusals import CallRefusal
from connectors.sandbox.google.ads_api.server import GrpcCall
from connectors.sandbox.google.ads_api.uploads import UploadContext, UploadVerdict, action_id, judge, upload_fault
from connectors.sandbox.google.ads_api.wire import (
    UnreadableCallError,
    Upload,
    adjustments_answer,
    read_adjustments,
    read_upload,
    unreadable_answer,
    upload_answer,
)

_FIRST_GIVEN_JOB = 2**31
_SERVICES = "/google.ads.googleads.v26.services"
_UPLOAD = f"{_SERVICES}.ConversionUploadService/UploadClickConversions"
_ADJUST = f"{_SERVICES}.ConversionAdjustmentUploadService/UploadConversionAdjustments"
_SEARCH = f"{_SERVICES}.GoogleAdsService/Search"
_STREAM = f"{_SERVICES}.GoogleAdsService/SearchStream"


def answered(call: GrpcCall, memory: Memory, now: datetime) -> bytes | CallRefusal:
    """The response to a call whose token holds, or its refusal."""
    methods = {_UPLOAD: _upload, _ADJUST: _adjust, _SEARCH: _search, _STREAM: _search}
    method = methods.get(call.path)
    try:
        return method(call, memory, now) if method else CallRefusal.of(rules.METHOD)
    except UnreadableCallError:
        return CallRefusal.of(rules.READABLE)


def _upload(call: GrpcCall, memory: Memory, now: datetime) -> bytes | CallRefusal:
    memory.counts["upload"] += 1
    upload = read_upload(call.message)
    if refusal := barred(call.metadata, upload.customer, memory.google.accounts):
        return refusal
    if not memory.switches["ads_api_allowlisted"]:
        return CallRefusal.of(rules.ALLOWLISTED)
    if fault := upload_fault(upload):
        return CallRefusal.of(*fault)
    memory.counts["rows"] += len(upload.conversions)
    arrival = UploadContext(
        customer=upload.customer,
        at=now,
        request=call.id,
        enhanced=memory.setting("ads_api_enhanced"),
        click_dedup=memory.setting("ads_api_click_dedup"),
    )
    verdict = judge(upload, arrival, memory.google, memory.rulings, memory.setting("ads_api_duplicates"))
    job = upload.job_id or _FIRST_GIVEN_JOB + memory.counts["upload"]
    if upload.validate_only:
        memory.counts["validated"] += 1
    else:
        _record(upload, verdict, arrival, job, memory)
    return upload_answer(upload, verdict.problems, job, call.id, echo=bool(memory.switches["ads_api_echo"]))


def _record(upload: Upload, verdict: UploadVerdict, arrival: UploadContext, job: int, memory: Memory) -> None:
    """Count what was accepted, and remember what was not."""
    memory.counts["taken"] += 1
    for event in verdict.accepted:
        memory.google.book.accept(event, across=memory.google.across_apis)
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for index, row in enumerate(upload.conversions):
        action, problems = action_id(row.action), verdict.problems.get(index, ())
        rows[action][f"{problems[0].family}.{problems[0].code}" if problems else ""] += 1
        where = {"transaction_id": row.order_id, "customer": upload.customer, "action": action}
        memory.note(problems, arrival.at, request=arrival.request, **where)
    memory.jobs += [Job(job, arrival.at, upload.customer, action, dict(counts)) for action, counts in rows.items()]


def _adjust(call: GrpcCall, memory: Memory, now: datetime) -> bytes | CallRefusal:
    memory.counts["adjust"] += 1
    request = read_adjustments(call.message)
    if refusal := barred(call.metadata, request.customer, memory.google.accounts):
        return refusal
    if not memory.switches["adjustments_allowlisted"]:
        return CallRefusal.of(adjustment_rules.ALLOWLISTED)
    if fault := request_fault(request):
        return CallRefusal.of(*fault)
    memory.counts["adjustments"] += len(request.rows)
    circumstances = AdjustmentContext(
        customer=request.customer,
        at=now,
        google=memory.google,
        across=bool(memory.switches["cross_api_adjustments"]),
        duplicates=memory.setting("ads_api_duplicates"),
    )
    verdict = adjusted(request.rows, circumstances, memory.rulings)
    job = request.job_id or _FIRST_GIVEN_JOB + memory.counts["adjust"]
    if request.validate_only:
        memory.counts["validated"] += 1
        return adjustments_answer(request, verdict.problems, job, call.id)
    for line in verdict.lines:
        memory.google.book.put(line)
    for index, row in enumerate(request.rows):
        where = {"transaction_id": row.order_id, "customer": request.customer, "action": action_id(row.action)}
        memory.note(verdict.problems.get(index, ()), now, request=call.id, **where)
    match memory.setting("adjustments_unknown"):
        case "unreadable":
            return unreadable_answer(job)
        case "internal":
            return CallRefusal("INTERNAL", "Internal error encountered.")
        case _:
            return adjustments_answer(request, verdict.problems, job, call.id)


def _search(call: GrpcCall, memory: Memory, now: datetime) -> bytes | CallRefusal:
    memory.counts["search"] += 1
    question = read_question(call.message, stream=call.path == _STREAM)
    if refusal := barred(call.metadata, question.customer, memory.google.accounts):
        return refusal
    account = memory.google.accounts.get(question.customer)
    jobs = [job for job in memory.jobs if job.customer == question.customer]
    view = View(question.customer, account, memory.setting("ads_api_enhanced"), jobs, now) if account else None
    try:
        return answer_question(question, view, call.id)
    except QueryRefusedError as refused:
        return CallRefusal.of(refused.rule, "query")
