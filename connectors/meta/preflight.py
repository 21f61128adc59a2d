"""Read-only checks of a Meta dataset, its access token and its event counts.

https://developers.facebook.com/docs/marketing-api/reference/ads-pixel
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from connectors.language import N_, _
from connectors.meta.outcomes import (
    INSTALL_A_NEWER,
    NEAR_ITS_END,
    NO_DATASET,
    NO_PERMISSION,
    TOKEN,
    WRONG_SECRET,
    GraphError,
    read_error,
    read_object,
    warns_of_version_sunset,
)
from connectors.meta.sink import GraphApi, MetaOptions
from connectors.one_call import is_host_unreachable
from connectors.records import CheckFinding, CheckVerdict, TargetAssumptions

_TOKEN = N_("Meta access token")
_HOW_TO_RENEW = N_(
    "Make a new one in Events Manager (Settings, Generate access token) and put it where access_token points."
)

# Errors that missing read permission can't explain, so sending would fail too.
_FAILURES: Mapping[int, str] = {
    TOKEN: _HOW_TO_RENEW,
    102: _HOW_TO_RENEW,
    368: N_("Open Account Quality in Business Manager to see what is blocked and ask for a review."),
    2635: N_("Write a newer version as meta.api_version, or update oplead-sync: Meta has ended this one."),
}
# https://developers.facebook.com/docs/graph-api/reference/debug_token
_SCOPE = re.compile(r"[a-z_]{1,50}")
EVENT_NAME = re.compile(r"[\w .:-]{1,50}")
_MOST_NAMES = 10
_LONGEST_NAME = 80
_YEARS = range(1, 2**32)
"""Plausible seconds since 1970; 0 is Meta's "never"."""

_Found = tuple[CheckVerdict, str, str]
"""Verdict, message and advice."""
_Reader = Callable[[Mapping[str, object]], _Found]


class MetaInspector:
    """`PlatformInspector` for one Meta dataset; each check is one call."""

    def __init__(self, options: MetaOptions) -> None:
        """Check the options without making a call; raise Misconfigured if one is malformed."""
        self._options = options
        self._graph = GraphApi(options)
        self._is_over = False
        """Whether an answer showed that every further call would fail the same way."""
        self._version_ends = False
        """Whether an answer warned that this API version is near its end."""

    def preflight(self, expected: Sequence[TargetAssumptions]) -> Sequence[CheckFinding]:  # noqa: ARG002 - the port's name
        """Check that the token is valid and sees the dataset; the settings hold what Meta asks of conversions.

        A token made in Events Manager may be allowed to send but not to read, which is not a failure.
        """
        dataset = self._options.dataset_id
        fields = "id,name,is_unavailable,last_fired_time,owner_business"
        found = [
            *self._run_graph_check(
                _("Meta dataset {dataset}", dataset=dataset), self._read_dataset, dataset, fields=fields
            ),
            *self._run_graph_check(_(_TOKEN), _read_token, "debug_token", input_token=self._options.access_token),
        ]
        if self._version_ends:
            version = _("Meta's API {version}", version=self._options.version)
            found.append(CheckFinding(version, CheckVerdict.DOUBTFUL, _(NEAR_ITS_END), _(INSTALL_A_NEWER)))
        return found

    def check_recent_uploads(self) -> Sequence[CheckFinding]:
        """Return what Meta counted recently: events by name, and whether they carried contact data.

        https://developers.facebook.com/documentation/ads-commerce/marketing-api/reference/ads-pixel/stats
        """
        dataset = self._options.dataset_id
        return [
            *self._run_graph_check(
                _("events of Meta dataset {dataset}", dataset=dataset),
                _read_counts,
                dataset,
                "stats",
                aggregation="event_total_counts",
            ),
            *self._run_graph_check(
                _("contact data of Meta dataset {dataset}", dataset=dataset),
                _read_contact,
                dataset,
                "stats",
                aggregation="had_pii",
            ),
        ]

    def _run_graph_check(self, subject: str, reader: _Reader, *path: str, **params: str) -> Iterator[CheckFinding]:
        """Make one call and yield its finding; yield nothing if an earlier call showed that all would fail."""
        if self._is_over:
            return
        verdict, message, advice = self._ask(reader, *path, **params)
        self._is_over = verdict in (CheckVerdict.FAILED, CheckVerdict.DOUBTFUL)
        yield CheckFinding(_(_TOKEN) if advice is _HOW_TO_RENEW else subject, verdict, message, _(advice))

    def _ask(self, reader: _Reader, *path: str, **params: str) -> _Found:
        try:
            response = self._graph.get(*path, **params)
        except OSError as failure:  # from requests, or no CA bundle at the path the environment sets
            if is_host_unreachable(failure):
                message = _("nobody answers at {graph_url}, Meta's address", graph_url=self._options.graph_url)
                return CheckVerdict.FAILED, message, _("See meta.graph_url, and that this machine may reach it.")
            return CheckVerdict.UNREADABLE, _("Meta could not be reached ({name})", name=type(failure).__name__), ""
        self._version_ends |= warns_of_version_sunset(response)
        if error := read_error(response):
            return _finding_of_refusal(error)
        answer = read_object(response)
        if answer is None or not response.ok:
            return (
                CheckVerdict.UNREADABLE,
                _("Meta's answer cannot be read (HTTP {status})", status=response.status_code),
                "",
            )
        return reader(answer)

    def _read_dataset(self, answer: Mapping[str, object]) -> _Found:
        if answer.get("id") != self._options.dataset_id:
            return CheckVerdict.UNREADABLE, _("Meta answered about something else"), ""
        owner = answer.get("owner_business")
        owned = _name(owner.get("name")) if isinstance(owner, dict) else None
        named, last = _name(answer.get("name")), _name(answer.get("last_fired_time"))
        called = _("called “{name}”", name=named) if named else _("the access token sees it")
        if answer.get("is_unavailable") is True:
            advice = _("Open it in Events Manager: it was deleted, blocked or is no longer shared.")
            return CheckVerdict.FAILED, _("Meta says that it is not available ({called})", called=called), advice
        received = _("last event received {last}", last=last) if last else _("no event received yet")
        return (
            CheckVerdict.VERIFIED,
            ", ".join(filter(None, (called, owned and _("of “{name}”", name=owned), received))),
            "",
        )


def _finding_of_refusal(error: GraphError) -> _Found:
    code = _("Meta's code {codes}", codes=error.codes)
    message = f"{_(error.meaning.words)} ({code})"
    if error.is_inconclusive:
        return (
            CheckVerdict.UNREADABLE,
            _("Meta has a trouble of its own (HTTP {http}, {code})", http=error.http, code=code),
            "",
        )
    if error.meaning is WRONG_SECRET:
        return CheckVerdict.FAILED, message, _("Take app_secret from the app the token was made for.")
    if error.code in _FAILURES:
        return CheckVerdict.FAILED, message, _FAILURES[error.code]
    if error.meaning is NO_DATASET:
        # Meta gives the same answer for a missing dataset and for a token that may send but not read.
        advice = _(
            "Compare meta.dataset_id with Events Manager, and make the access token there, for this dataset; one that "
            "may only send shows the same."
        )
        return CheckVerdict.DOUBTFUL, message, advice
    if error.meaning is NO_PERMISSION:
        return (
            CheckVerdict.UNREADABLE,
            _("this access token may send without being allowed to look at it ({code})", code=code),
            "",
        )
    return CheckVerdict.UNREADABLE, message, ""


def _read_token(answer: Mapping[str, object]) -> _Found:
    token = answer.get("data")
    if not isinstance(token, dict) or not isinstance(token.get("is_valid"), bool):
        return CheckVerdict.UNREADABLE, _("Meta says nothing about it"), ""
    if not token["is_valid"]:
        return CheckVerdict.FAILED, _("Meta says that it is no longer valid"), _HOW_TO_RENEW
    ends = [day for key in ("expires_at", "data_access_expires_at") if (day := _day(token.get(key)))]
    listed = token.get("scopes")
    texts = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    scopes = [each for each in texts if _SCOPE.fullmatch(each)][:_MOST_NAMES]
    message = _("valid until {ends}", ends=min(ends)) if ends else _("valid, with no end")
    message += _("; may use {scopes}", scopes=", ".join(scopes)) if scopes else ""
    return CheckVerdict.VERIFIED, message, _("Replace it before that day.") if ends else ""


def _read_counts(answer: Mapping[str, object]) -> _Found:
    counts = sum_event_counts(answer)
    if counts is None:
        return CheckVerdict.UNREADABLE, _("Meta's answer holds no counts"), ""
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common(_MOST_NAMES))
    none = _("Meta has counted none lately; what went out shows in Events Manager after about 20 minutes")
    return CheckVerdict.VERIFIED, _("counted by Meta lately: {listed}", listed=listed) if counts else none, ""


def _read_contact(answer: Mapping[str, object]) -> _Found:
    counts = sum_event_counts(answer)
    if counts is None:
        return CheckVerdict.UNREADABLE, _("Meta's answer holds no counts"), ""
    listed = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())[:_MOST_NAMES])
    by_contact = _("Meta has counted by whether events carried any: {listed}", listed=listed)
    return CheckVerdict.VERIFIED, by_contact if counts else _("Meta has counted none with any lately"), ""


def sum_event_counts(answer: Mapping[str, object]) -> Counter[str] | None:
    """Sum events by value over every hour of the answer; None if it holds no counts."""
    if not isinstance(answer.get("data"), list):
        return None
    counts: Counter[str] = Counter()
    for span in objects(answer["data"]):
        for each in (span, *objects(span.get("data"))):
            value, count = each.get("value"), each.get("count")
            if isinstance(value, str) and EVENT_NAME.fullmatch(value) and isinstance(count, int):
                counts[value] += count
    return counts


def objects(listed: object) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a JSON array; nothing of anything else."""
    return (each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else iter(())


def _name(value: object) -> str | None:
    """Return a user-given name, truncated; None if it isn't printable text."""
    return value[:_LONGEST_NAME] if isinstance(value, str) and value.isprintable() and value else None


def _day(value: object) -> str | None:
    if not isinstance(value, int) or value not in _YEARS:
        return None
    return datetime.fromtimestamp(value, UTC).date().isoformat()
