"""Probe an Oplead platform with as few requests as possible and suggest settings for it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.errors import Misconfigured
from connectors.http import is_loopback
from connectors.language import _, _n
from connectors.oplead.answers import OpleadAnswer, OpleadRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions
from connectors.oplead.pagination import ListedPage
from connectors.oplead.parsing.field_tree import common_lead_field_paths
from connectors.oplead.probe.access import auth_and_path_notes, find_working_access_options
from connectors.oplead.probe.asking import ProbedLeadList, ProbeRequestSender
from connectors.oplead.probe.basis import compare_suggested_settings
from connectors.oplead.probe.change_filter import FilterSearch, LeadDates
from connectors.oplead.probe.envelope import locate_lead_array
from connectors.oplead.probe.findings import Notes, ProbeFindings
from connectors.oplead.probe.guided import (
    AHEAD,
    ContradictedError,
    SpecificationGuidedProbe,
    apply_specification_to_options,
)
from connectors.oplead.probe.pagination import PaginationSearch, with_lead_total
from connectors.oplead.probe.sampling import take_sample
from connectors.oplead.probe.specification.documentation import SpecificationSearchResult
from connectors.oplead.probe.specification.loading import NotASpecificationError
from connectors.oplead.probe.specification.reading import Specification, read_specifications, status_list_paths
from connectors.oplead.probe.specification.written import (
    lead_creation_path_settings,
    specified_subscription_settings,
    specified_write_settings,
)
from connectors.oplead.probe.status_names import with_names_of_codes
from connectors.oplead.probe.suggestion import Pull, reading_minutes, suggested_settings
from connectors.oplead.probe.verification import verify_found_options
from connectors.oplead.survey.places import locate_configured_fields
from connectors.oplead.survey.summary import ENOUGH_TO_SAY_EMPTY, ReadLeads, summarise_leads
from connectors.oplead.survey.values import (
    Fold,
    Readable,
    add_specified_consent_answers,
    with_labels_from_specification,
)
from connectors.survey import Survey

MAX_REQUESTS = 100
"""The request limit for finding access, pagination and filters; sampling and verification are extra."""
SAMPLE = 300
"""How many leads to look at where nobody says."""
_NOBODY_LOOKED = SpecificationSearchResult(None, "")
_CHANGED_WITHIN = timedelta(days=4)
"""One night plus the usual overlap."""
_SENT_WITHIN = timedelta(days=90)
_MOST_UNREADABLE = 0.5
_MOST_EMPTY_NAMED = 12


@dataclass(eq=False, repr=False, kw_only=True)
class OpleadProbe:
    """Finds out how one Oplead platform responds, with GET requests to the configured host only."""

    client: OpleadClient = field(kw_only=False)
    """Has the configured options, which are tried first, and the rate limiter for every request."""
    per_minute: int
    """The allowed request rate, used to estimate how long a night takes."""
    readable: Readable
    fold: Fold
    documentation: SpecificationSearchResult | None = None
    """What came of looking for the platform's specification; None if nobody looked."""
    named: frozenset[str] = frozenset()
    """Paths named in the settings, whose filled leads are counted."""
    found: OpleadOptions | None = field(default=None, init=False)
    """The options with which the leads of the latest survey were read."""
    ran_out: bool = field(default=False, init=False)
    """Whether the latest survey used up its requests: what it did not find may be there."""
    _clients: list[OpleadClient] = field(default_factory=list, init=False)

    def survey(self, *, leads: int | None = None) -> Survey:
        """Find out how the platform responds and where fields are.

        What the specification says is tried first. With it, and without a number of leads to look at, five requests
        are enough; otherwise about `leads` leads are looked at, or 300.

        Raises:
            Misconfigured: the token is refused however it is sent, no list of leads is found, or the platform is a
                sandbox whose clock stands still.
            Transient: it kept failing after bounded retries.
        """
        notes = Notes()
        specifications = self._specifications(notes)
        wanted = specifications if leads is None else ()
        tried = (self._survey_as_specified(one, notes, is_last=one is wanted[-1]) for one in wanted)
        survey = next(filter(None, tried), None)
        if survey is None:
            survey = self._survey_by_trials(next(iter(specifications), None), leads or SAMPLE, notes)
        return replace(
            survey,
            requests=sum(client.requests for client in self._clients) + (self.documentation or _NOBODY_LOOKED).requests,
            how=tuple(notes.how),
            suspicions=tuple(notes.suspicions),
            undecided=tuple(notes.undecided),
        )

    def _specifications(self, notes: Notes) -> tuple[Specification, ...]:
        """Return what the specification says, as of each of its servers; note where it was read, or why not."""
        found = self.documentation
        if found is None:
            return ()
        if found.specification is None:
            notes.how.append(found.sentence)
            return ()
        try:
            specifications = read_specifications(found.specification, self.client.options.base_url)
        except NotASpecificationError as reason:
            notes.how.append(_("Specification: found, and not used, for {reason}.", reason=reason))
            return ()
        notes.how.append(found.sentence)
        if (host := specifications[0].api.host) and host != self.client.host:
            notes.how.append(
                _("The specification is of {host}; its paths are used on {used}.", host=host, used=self.client.host)
            )
        return specifications

    def _survey_as_specified(self, specification: Specification, notes: Notes, *, is_last: bool) -> Survey | None:
        """Survey as specified; None if the platform answers otherwise, or has no lead."""
        client = self._open(apply_specification_to_options(self.client.options, specification))
        with closing(client):
            try:
                found = SpecificationGuidedProbe(specification, client).find()
            except ContradictedError as contradiction:
                prefix = specification.paths.path_prefix
                notes.how.append(
                    _(
                        "The specification does not hold under {prefix}, so another of its servers is tried: "
                        "{contradiction}.",
                        prefix=prefix or "/",
                        contradiction=contradiction,
                    )
                    if not is_last
                    else _(
                        "The specification does not hold, so the rest was found by trying: {contradiction}.",
                        contradiction=contradiction,
                    )
                )
                return None
            if found is None:
                return None
            notes.how.extend(auth_and_path_notes(found.options, self.client.options, specification.auth))
            notes.how.extend(_few_leads_note(len(found.sample.most_complete_leads), found.paging.total))
            return self._report(found, notes, specification)

    def _survey_by_trials(self, specification: Specification | None, leads: int, notes: Notes) -> Survey:
        configured = self.client.options
        options = apply_specification_to_options(configured, specification) if specification else configured
        auth = specification.auth if specification else None
        asker, answer = find_working_access_options(options, self._open, MAX_REQUESTS, auth)
        notes.how.extend(auth_and_path_notes(asker.client.options, configured, auth))
        with closing(asker.client):
            survey = self._survey(asker, answer, leads, notes, specification)
        self.ran_out = asker.left <= 0
        return survey

    def _open(self, options: OpleadOptions) -> OpleadClient:
        self._clients.append(replace(self.client, options=options))
        return self._clients[-1]

    def _survey(
        self,
        asker: ProbeRequestSender,
        answer: OpleadAnswer,
        leads: int,
        notes: Notes,
        specification: Specification | None,
    ) -> Survey:
        """Survey the leads; if none is found, return only the suggestion."""
        options = asker.client.options
        require_running_server_clock(asker, answer)
        try:
            path, items = locate_lead_array(answer.body, options.pagination.items)
        except Misconfigured as error:
            notes.undecided.append(_("oplead.pagination.items: {error}", error=error))
            return Survey(suggestion=suggested_settings(options))
        options = replace(options, pagination=replace(options.pagination, items=path))
        if not items:
            notes.undecided.append(
                _(
                    "oplead.token: the list holds no lead, so nothing can be found out; a key that is not the "
                    "client admin's may see none"
                )
            )
            return Survey(suggestion=suggested_settings(options))
        listed = ProbedLeadList(asker, path, locate_configured_fields(items, options).fields.id)
        return self._report(
            _explore_platform(
                options, listed, listed.read(answer), leads, is_specified=self._rests_on_specification(options)
            ),
            notes,
            specification,
        )

    def _rests_on_specification(self, options: OpleadOptions) -> bool:
        """Whether a specification says what is tried first, in place of a default."""
        configured = self.client.options
        pairs = (
            (options.pagination.style, configured.pagination.style),
            (options.since_filter, configured.since_filter),
        )
        return any(one != other for one, other in pairs)

    def _report(self, found: ProbeFindings, notes: Notes, specification: Specification | None) -> Survey:
        places, sample = found.places, found.sample
        read = ReadLeads.parse_surveyed_leads(list(sample.most_complete_leads.values()), found.options)
        notes.how.extend(found.paging.how)
        sought = places.undecided.items()
        lacking = (
            _("oplead.fields.{name}: no field was found that holds {what}", name=name, what=what)
            for name, what in sought
        )
        notes.undecided.extend((*found.paging.undecided, *lacking))
        if read.problem:
            is_most = len(read.unreadable) > _MOST_UNREADABLE * len(read.leads)
            (notes.undecided if is_most else notes.suspicions).append(read.problem)
        options, pull = verify_found_options(found, notes, self._open)
        self.found = options
        notes.suspicions.extend(read.suspicions(places, self.client.options.fields))
        empty = [
            path
            for path, node in common_lead_field_paths(read.leads).items()
            if not node.filled_count and not node.is_listed
        ]
        if empty and len(read.leads) >= ENOUGH_TO_SAY_EMPTY:
            notes.suspicions.append(_("Empty on every lead: {paths}.", paths=", ".join(empty[:_MOST_EMPTY_NAMED])))
        judgement = compare_suggested_settings(self.client.options, options, places.matches, specification)
        notes.how.extend(judgement.contradictions)
        enums = specification.enums if specification else {}
        specified = specified_write_settings(specification, options) if specification else {}
        minutes_first, minutes_nightly = self._minutes(options, pull, found) or (None, None)
        listed = ReadLeads.parse_surveyed_leads(list(sample.all_read_leads.values()), found.options)
        summary = summarise_leads(
            read, listed, places, zone=options.zone, named=self.named, readable=self.readable, fold=self.fold
        )
        labels = with_labels_from_specification(summary.labels, enums, options.fields.status, self.fold)
        with closing(self._open(options)) as client:
            labels = with_names_of_codes(labels, client, status_list_paths(specification) if specification else ())
        return replace(
            summary,
            total=found.paging.total,
            labels=labels,
            unexplained_past=tuple(read.unexplained_past(options)),
            few_values=add_specified_consent_answers(summary.few_values, enums),
            minutes_first=minutes_first,
            minutes_nightly=minutes_nightly,
            suggestion=suggested_settings(options, pull),
            rests_on=judgement.rests_on,
            write=specified,
            shown_at={} if "create" in specified else dict(lead_creation_path_settings(places.matches, options)),
            subscriptions=specified_subscription_settings(specification) if specification else {},
        )

    def _minutes(self, options: OpleadOptions, pull: Pull, found: ProbeFindings) -> tuple[float, float] | None:
        if found.paging.total is None:
            return None
        return reading_minutes(
            found.paging.total,
            page_size=found.paging.page_size,
            changed=_share_after(found.now - _CHANGED_WITHIN, [one.updated or one.created for one in found.dates]),
            recent=_share_after(found.now - _SENT_WITHIN, [one.created for one in found.dates]),
            detail_pages=options.detail == "always" or (options.detail == "auto" and found.lacks_click_ids),
            pull=pull,
            per_minute=self.per_minute,
        )


def _few_leads_note(looked_at: int, total: int | None) -> Iterator[str]:
    """Yield that fewer leads were looked at than without a specification, if there are more."""
    if looked_at < SAMPLE and looked_at != total:
        yield _n(
            "Only {count} lead was looked at, as the specification says the rest: statuses, consent answers and "
            "histories that it lacks are not shown. `oplead-sync probe --leads {sample}` looks at more.",
            "Only {count} leads were looked at, as the specification says the rest: statuses, consent answers and "
            "histories that they lack are not shown. `oplead-sync probe --leads {sample}` looks at more.",
            looked_at,
            sample=SAMPLE,
        )


def _explore_platform(
    options: OpleadOptions, listed: ProbedLeadList, first: ListedPage, leads: int, *, is_specified: bool
) -> ProbeFindings:
    """Find out the pagination, sample the leads, locate their fields, and find the change filter."""
    now = listed.asker.client.clock.now()
    now = max(now, first.answer.served_at or now)
    search = PaginationSearch(listed, first, is_specified=is_specified)
    paging = search.find()
    sample = take_sample(listed, first, paging, leads)
    places = locate_configured_fields(list(sample.most_complete_leads.values()), options)
    options = replace(options, fields=places.fields)
    dates = {mark: LeadDates.read_lead_dates(lead, options) for mark, lead in sample.all_read_leads.items()}
    filtering = FilterSearch(search.trials, dates, options, now + AHEAD, is_specified=is_specified).find()
    paging = with_lead_total(listed, paging, sample.counted)
    return ProbeFindings(options, now, paging, sample, places, filtering, tuple(dates.values()))


_FAR_AWAY = timedelta(minutes=10)
"""No real clock is off by this much by accident."""
_PAUSE = timedelta(seconds=2)
"""Long enough for a running clock to change a Date header, which has whole seconds."""
_LOOKS = 2


def require_running_server_clock(asker: ProbeRequestSender, answer: OpleadAnswer) -> None:
    """Check over several responses that a loopback server's clock runs, if it is far from ours.

    Raises:
        Misconfigured: the clock stands still.
    """
    first, clock = answer.served_at, asker.client.clock
    if first is None or not is_loopback(asker.client.host) or abs(first - clock.now()) <= _FAR_AWAY:
        return
    for _look in range(_LOOKS):
        clock.sleep_until(clock.now() + _PAUSE)
        try:
            if asker.request_lead_list({}).served_at != first:
                return
        except OpleadRefused:
            return
    raise Misconfigured(
        _(
            "this sandbox's clock stands still at {first:%Y-%m-%d %H:%M:%S} UTC, so a minute's pause "
            "would never end there: give its clock's address, as --clock URL on the command line or as "
            "clock: URL in the settings file",
            first=first,
        )
    )


def _share_after(since: datetime, moments: Sequence[datetime | None]) -> float:
    return sum(moment is not None and moment > since for moment in moments) / max(1, len(moments))
