"""Checks against Google Ads, for either transport.

Reading Google Ads needs access that sending through the Data Manager API doesn't; without it, findings are "not
readable" and block nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.errors import Misconfigured, Transient
from connectors.google_ads import findings
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, ConnectionFailedError
from connectors.google_ads.ads_api.outcomes import codes_of
from connectors.google_ads.ads_api.sink import AdsApiSink
from connectors.google_ads.auth import (
    ADS_API_SCOPE,
    DATA_MANAGER_SCOPE,
    ServiceAccount,
    TokenRefusedError,
)
from connectors.google_ads.data_manager.sink import DataManagerSink
from connectors.google_ads.options import GoogleOptions
from connectors.language import N_, _
from connectors.records import (
    AnswerLost,
    CheckFinding,
    CheckVerdict,
    ClickId,
    ClickIdKind,
    Consent,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    Receipt,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    Target,
    TargetAssumptions,
)

_SCOPES = {"data_manager": DATA_MANAGER_SCOPE, "google_ads_api": ADS_API_SCOPE}
_NAMES = {"data_manager": "Data Manager API", "google_ads_api": "Google Ads API"}
_ENDPOINTS = {"data_manager": "google_ads.endpoint", "google_ads_api": "google_ads.ads_api_endpoint"}
"""Setting that holds each transport's address."""

_ACCESS_CODES = frozenset({"PERMISSION_DENIED", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_FOUND"})
"""Codes for an account that doesn't exist or that this service account may not use."""
_ACCESS_ADVICE = N_(
    "see that google_ads.customer_id is the account that owns the conversion actions, that login_customer_id beside it "
    "is the manager by which the service account has access (left out where it has access itself), and that the "
    "service account's e-mail is a user there"
)
_CLOSED_CODES = {"CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "NOT_ALLOWLISTED"}
_REQUEST_CLASSES = {OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG, OutcomeClass.BUG, OutcomeClass.UNKNOWN}
"""Outcomes that are about the request; any other judges the made-up conversion, so the API would accept real ones."""


class GoogleInspector:
    """`PlatformInspector` for one Google Ads customer; read-only."""

    def __init__(self, options: GoogleOptions) -> None:
        """Keep the options; nothing is read yet, so that unusable ones become findings."""
        self._options = options
        self._has_access = True
        """False once Google answers that the account doesn't exist or is closed to this service account."""

    def preflight(self, expected: Sequence[TargetAssumptions]) -> Sequence[CheckFinding]:
        """Check that key, account, conversion actions and transports match what the settings assume."""
        try:
            return list(self._findings(expected))
        except Misconfigured as error:
            advice = _("fix it in the settings or the key file")
            return [CheckFinding(_("Google access"), CheckVerdict.FAILED, str(error), advice)]

    def check_recent_uploads(self) -> Sequence[CheckFinding]:
        """Return what Google Ads reports about recent uploads, by client type and by conversion action."""
        if not self._has_access:
            return []
        try:
            uploads = [each for subject in findings.UPLOADS for each in self._uploads(subject)]
        except Misconfigured as error:
            return [CheckFinding(_("uploads"), CheckVerdict.UNREADABLE, str(error))]
        if self._options.transport == "data_manager":
            message = _("conversions sent by the Data Manager API may not be among them")
            advice = _("see the diagnostics in Google Ads")
            uploads.append(CheckFinding(_("upload summaries"), CheckVerdict.UNREADABLE, message, advice))
        return uploads

    def click_windows(self) -> Mapping[str, int] | None:
        """Return the click window of each conversion action in days, by its number; None if they cannot be read.

        Raises:
            Misconfigured: the key file or the endpoint is unusable.
        """
        rows = self._rows(findings.ACTIONS_QUERY, "")
        if isinstance(rows, CheckFinding):
            return None
        actions = [row.conversion_action for row in rows]
        return {str(action.id): int(action.click_through_lookback_window_days) for action in actions}

    def _findings(self, expected: Sequence[TargetAssumptions]) -> Iterator[CheckFinding]:
        key = self._key()
        yield key
        if key.verdict is CheckVerdict.FAILED:
            return
        transports = list(self._transports(expected))
        has_advice = any(each.advice == _(_ACCESS_ADVICE) for each in transports)  # give it only once
        for each in self._account(expected):
            yield replace(each, advice="") if has_advice and each.advice == _(_ACCESS_ADVICE) else each
        if self._has_access:
            yield from self._actions(expected)
        yield from transports

    def _key(self) -> CheckFinding:
        subject = _("service account key")
        scope = _SCOPES[self._options.transport]
        try:
            ServiceAccount(self._options, scope).token()
        except TokenRefusedError as error:
            advice = _("create a new key for the service account in the Google Cloud console")
            return CheckFinding(subject, CheckVerdict.FAILED, _("Google refuses the key: {error}", error=error), advice)
        except Transient as error:
            return CheckFinding(subject, CheckVerdict.UNREADABLE, str(error))
        return CheckFinding(subject, CheckVerdict.VERIFIED, _("Google takes the key"))

    def _account(self, expected: Sequence[TargetAssumptions]) -> Iterator[CheckFinding]:
        customer_id = self._options.customer_id
        subject = _("Google Ads account {customer_id}", customer_id=customer_id)
        rows = self._rows(findings.ACCOUNT_QUERY, subject)
        if isinstance(rows, CheckFinding):
            self._has_access = rows.advice != _(_ACCESS_ADVICE)
            yield rows
        elif rows:
            yield CheckFinding(subject, CheckVerdict.VERIFIED, _("the service account has access to it"))
            yield from findings.customer_account_findings(rows[0].customer, customer_id, expected)
        else:
            yield CheckFinding(subject, CheckVerdict.UNREADABLE, _("Google Ads shows nothing about it"))

    def _actions(self, expected: Sequence[TargetAssumptions]) -> Iterator[CheckFinding]:
        by_action: dict[str, list[TargetAssumptions]] = {}
        for each in expected:
            by_action.setdefault(each.target.action, []).append(each)
        if not by_action:
            return
        rows = self._rows(findings.ACTIONS_QUERY, _("conversion actions"))
        if isinstance(rows, CheckFinding):
            yield rows
            return
        actions = [row.conversion_action for row in rows]
        found = {str(action.id): action for action in actions}
        goals = self._goals()
        for number, expects in by_action.items():
            yield from findings.action_findings(found.get(number), number, self._options.customer_id, expects)
            if number in found:
                yield findings.describe_conversion_action(found[number], [each.conversion for each in expects], goals)
        yield from findings.bidding_findings(actions, by_action, goals)

    def _goals(self) -> findings.Goals | None:
        """Return the account's goals; None if this access can't read them."""
        rows = self._rows(findings.GOALS_QUERY, _("goals"))
        if isinstance(rows, CheckFinding):
            return None
        goals = [row.customer_conversion_goal for row in rows]
        return {(goal.category, goal.origin): goal.biddable for goal in goals}

    def _uploads(self, subject: str) -> Sequence[CheckFinding]:
        summary, fields = findings.UPLOADS[subject]
        subject = _(subject)
        rows = self._rows(findings.gaql_query(summary, *fields), subject)
        if isinstance(rows, CheckFinding):
            return [rows]
        found = [findings.upload_finding(getattr(row, summary)) for row in rows]
        return found or [CheckFinding(subject, CheckVerdict.VERIFIED, _("none yet"))]

    def _transports(self, expected: Sequence[TargetAssumptions]) -> Iterator[CheckFinding]:
        """Try both transports with the first conversion's action; without one there is no target to use."""
        options = replace(self._options, validate_only=True)
        for target in [each.target for each in expected[:1]]:
            sinks: dict[str, DataManagerSink | AdsApiSink] = {
                "data_manager": DataManagerSink(options),
                "google_ads_api": AdsApiSink(options),
            }
            for transport, sink in sinks.items():
                receipt = _validate_one(sink, replace(target, transport=transport, source="WEB"))
                yield transport_finding(receipt, transport, in_use=transport == self._options.transport)

    @cached_property
    def _reader(self) -> tuple[AdsClient, ServiceAccount]:
        """Client and service account for reading; raises Misconfigured if the key file or endpoint is unusable."""
        return AdsClient(self._options), ServiceAccount(self._options, ADS_API_SCOPE)

    def _rows(self, query: str, subject: str) -> list[GoogleAdsRow] | CheckFinding:
        """Return the account's rows for a query, or a "not readable" finding, which never blocks sending."""
        client, account = self._reader
        advice = ""
        try:
            return client.search(self._options.customer_id, query, account.token().get_secret_value())
        except CallFailedError as error:
            message = _("Google Ads answers {error}", error=error)
            advice = next((each.outcome.message for each in error.errors if each.outcome.message), "")
            if not _ACCESS_CODES.isdisjoint(codes_of(error.errors)):
                advice = _(_ACCESS_ADVICE)
        except TokenRefusedError as error:
            message = _("Google gives no token for the Google Ads API: {error}", error=error)
        except (ConnectionFailedError, Transient) as error:
            message = str(error)
        return CheckFinding(subject, CheckVerdict.UNREADABLE, message, advice)


def _validate_one(sink: DataManagerSink | AdsApiSink, target: Target) -> Receipt:
    """Submit one made-up conversion through a validate-only sink."""
    # The target must be a real action of the account; nothing else in the conversion exists.
    event = ConversionEvent(
        key=DeliveryKey("oplead-sync-check"),
        target=target,
        at=datetime.now(UTC) - timedelta(days=1),
        click_id=ClickId(ClickIdKind.GCLID, "oplead-sync-check"),
        identifiers=(),
        value=None,
        consent=Consent(None, None),
    )
    return sink.submit(target, [EncodedEvent(event.key, sink.encode(event))])


def transport_finding(receipt: Receipt, transport: str, *, in_use: bool) -> CheckFinding:
    """Judge a transport by its answer to one made-up conversion; never FAILED for one that is not `in_use`."""
    subject, name = _("transport {name}", name=transport), _NAMES[transport]
    match receipt:
        case RequestNotSent(unreachable=address) if address and in_use:
            message = _("no connection to {address}, the address of the {name}", address=address, name=name)
            advice = _("see {setting}, and that this machine may reach it", setting=_ENDPOINTS[transport])
            return CheckFinding(subject, CheckVerdict.FAILED, message, advice)
        case RequestNotSent(reason) | AnswerLost(reason):
            return CheckFinding(
                subject, CheckVerdict.UNREADABLE, _("the {name} gives no answer: {reason}", name=name, reason=reason)
            )
        case RowOutcomes((outcome,)) | Refused(outcome):
            pass
        case ReceivedForProcessing():
            outcome = Outcome(OutcomeClass.DONE, "")
        case RowOutcomes():
            message = _("the answer is not about the one conversion that was sent")
            return CheckFinding(subject, CheckVerdict.UNREADABLE, message)
    answer = f"{outcome.code} ({outcome.message})" if outcome.message else outcome.code
    if outcome.code in _CLOSED_CODES:
        message = _("closed: this Cloud project may not send by the {name}", name=name)
        if not in_use:
            unused = _("closed: this Cloud project may not send by the {name}, and does not", name=name)
            return CheckFinding(subject, CheckVerdict.VERIFIED, unused)
        other = next(each for each in _NAMES if each != transport)
        setting = f"transport: {other}"
        return CheckFinding(subject, CheckVerdict.FAILED, message, _("write {setting}", setting=setting))
    if outcome.kind not in _REQUEST_CLASSES or outcome.of_target:
        return CheckFinding(
            subject, CheckVerdict.VERIFIED, _("open: this Cloud project may send by the {name}", name=name)
        )
    if outcome.kind is OutcomeClass.FIX_CONFIG and in_use:
        advice = _(_ACCESS_ADVICE) if outcome.code in _ACCESS_CODES else _("fix what it names, then check again")
        return CheckFinding(
            subject,
            CheckVerdict.FAILED,
            _("the {name} would refuse every conversion: {answer}", name=name, answer=answer),
            advice,
        )
    return CheckFinding(subject, CheckVerdict.UNREADABLE, _("the {name} answers {answer}", name=name, answer=answer))
