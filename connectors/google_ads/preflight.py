"""What can be looked up with Google before and beside sending, whichever transport sends.

Reading Google Ads needs an access that sending by the Data Manager API does not: where it is missing, findings are
"not readable" and block nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from connectors.errors import Misconfigured
from connectors.google_ads import account_checks, action_checks
from connectors.google_ads.account_checks import ACCESS, GaqlReader, NotReadableError, try_transport
from connectors.google_ads.ads_api.sink import AdsApiSink
from connectors.google_ads.auth import ADS_API, DATA_MANAGER, ServiceAccount, TokenRefusedError, TokenUnavailableError
from connectors.google_ads.data_manager.sink import DataManagerSink
from connectors.google_ads.options import GoogleOptions
from connectors.ports import ConversionSink
from connectors.records import CheckFinding, CheckVerdict, Expectation

_SCOPES = {"data_manager": DATA_MANAGER, "google_ads_api": ADS_API}


class GoogleInspector:
    """The `Inspects` of a Google Ads customer; it changes nothing there."""

    def __init__(self, options: GoogleOptions) -> None:
        """Keep how to ask; nothing is read yet, so that what cannot be used becomes a finding."""
        self._options = options
        self._has_access = True
        """False once Google said that the account is none, or not to be used by this service account."""

    def preflight(self, expected: Sequence[Expectation]) -> Sequence[CheckFinding]:
        """Whether key, account, conversion actions and transports are as the settings take them to be.

        Args:
            expected: what the settings take for granted, conversion by conversion.
        """
        try:
            findings = [self._key()]
            if findings[0].verdict is CheckVerdict.FAILED:
                return findings
            reader = self._reader()
            transports = list(self._transports(expected))
            is_told = any(each.advice == ACCESS for each in transports)
            findings += [
                replace(each, advice="") if is_told and each.advice == ACCESS else each
                for each in self._account(reader, expected)
            ]
            if self._has_access:
                findings += self._actions(reader, expected)
            findings += transports
        except Misconfigured as error:
            return [
                CheckFinding(
                    "Google access", CheckVerdict.FAILED, str(error), "mend it in the settings or the key file"
                )
            ]
        return findings

    def diagnose(self) -> Sequence[CheckFinding]:
        """What Google Ads reports of recent uploads, by kind of client and by conversion action."""
        try:
            reader = self._reader()
        except Misconfigured as error:
            return [CheckFinding("uploads", CheckVerdict.UNREADABLE, str(error))]
        if not self._has_access:
            return []
        findings = [*_uploads(reader, action_checks.CLIENT), *_uploads(reader, action_checks.ACTION)]
        if self._options.transport == "data_manager":
            said = "conversions sent by the Data Manager API may not be among them"
            findings.append(
                CheckFinding("upload summaries", CheckVerdict.UNREADABLE, said, "see the diagnostics in Google Ads")
            )
        return findings

    def _reader(self) -> GaqlReader:
        told = self._options
        return GaqlReader(
            told.customer_id,
            told.login_customer_id,
            told.key_file,
            endpoint=told.ads_api_endpoint,
            timeout=told.timeout,
        )

    def _key(self) -> CheckFinding:
        subject = "service account key"
        scope = _SCOPES[self._options.transport]
        try:
            ServiceAccount(self._options.key_file, scope, timeout=self._options.timeout).token()
        except TokenRefusedError as error:
            advice = "create a new key for the service account in the Google Cloud console"
            return CheckFinding(subject, CheckVerdict.FAILED, f"Google refuses the key: {error}", advice)
        except TokenUnavailableError as error:
            return CheckFinding(subject, CheckVerdict.UNREADABLE, str(error))
        return CheckFinding(subject, CheckVerdict.VERIFIED, "Google takes the key")

    def _account(self, reader: GaqlReader, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
        customer_id = self._options.customer_id
        subject = f"Google Ads account {customer_id}"
        try:
            rows = reader.rows(account_checks.QUERY)
        except NotReadableError as error:
            self._has_access = not error.concerns_access
            yield _unreadable(subject, error)
            return
        if not rows:
            yield CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads shows nothing of it")
            return
        yield CheckFinding(subject, CheckVerdict.VERIFIED, "the service account has access to it")
        yield from account_checks.account_findings(rows[0].customer, customer_id, expected)

    def _actions(self, reader: GaqlReader, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
        by_action: dict[str, list[Expectation]] = {}
        for each in expected:
            by_action.setdefault(each.target.action, []).append(each)
        numbers = [action for action in by_action if action.isascii() and action.isdigit()]
        for action in by_action.keys() - set(numbers):
            advice = "write its number, which stands in its address in Google Ads (ctId)"
            yield CheckFinding(f"conversion action {action}", CheckVerdict.FAILED, "this is no number", advice)
        if not numbers:
            return
        try:
            found = {str(row.conversion_action.id): row.conversion_action for row in reader.rows(action_checks.QUERY)}
        except NotReadableError as error:
            yield _unreadable("conversion actions", error)
            return
        goals = _goals(reader)
        for action in numbers:
            expects = by_action[action]
            yield from action_checks.action_findings(found.get(action), action, self._options.customer_id, expects)
            if action in found:
                yield action_checks.standing(found[action], [each.conversion for each in expects], goals)
        yield from action_checks.bidding_findings(found.values(), by_action, goals)

    def _transports(self, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
        """Try both with the first conversion's action; without any there is nothing to name."""
        for target in [each.target for each in expected[:1]]:
            for transport, sink in self._sinks().items():
                to = replace(target, transport=transport)
                yield from try_transport(sink, to, in_use=transport == self._options.transport)

    def _sinks(self) -> dict[str, ConversionSink]:
        options = replace(self._options, validate_only=True)
        return {"data_manager": DataManagerSink(options), "google_ads_api": AdsApiSink(options)}


def _goals(reader: GaqlReader) -> action_checks.Goals | None:
    """The account's goals; None where this access cannot read them."""
    try:
        return action_checks.goals_of(row.customer_conversion_goal for row in reader.rows(action_checks.GOALS_QUERY))
    except NotReadableError:
        return None


def _uploads(reader: GaqlReader, summary: action_checks.UploadSummary) -> Iterator[CheckFinding]:
    try:
        rows = reader.rows(summary.query)
    except NotReadableError as error:
        yield _unreadable(summary.subject, error)
        return
    if not rows:
        yield CheckFinding(summary.subject, CheckVerdict.VERIFIED, "none yet")
    yield from (summary.finding(row) for row in rows)


def _unreadable(subject: str, error: NotReadableError) -> CheckFinding:
    return CheckFinding(subject, CheckVerdict.UNREADABLE, error.said, error.advice)
