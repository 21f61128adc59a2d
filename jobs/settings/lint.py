"""Cross-field checks of a configuration, and warnings about likely slips."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta

from pydantic import ValidationError

from connectors.language import N_, _
from connectors.stage_words import contradicts, stage_in_words, stages_named
from jobs.rules.labels import APPOINTMENT_SET, normalise_label, normalise_listed_label
from jobs.settings.document import (
    TO_BE_FILLED_IN,
    KeyPath,
    SettingsFinding,
    Tree,
    did_you_mean,
    dotted,
    find,
    items_or_single_value,
    text_at,
    texts_at,
    texts_with_paths,
    value_at,
)
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.oplead_schema import HEADER_NAME, OpleadSettings
from jobs.settings.references import ADDRESS, SecretReferenceResolver, is_local, token_address
from jobs.settings.schema import EXPECTED, Settings
from jobs.settings.types import SQLITE, Span, Strict, parse_age, parse_as_type

CREATED = "created"
"""The built-in stage that every lead enters on creation."""
PLATFORMS = ("google_ads", "meta")
REFERENCES = (
    *("oplead.token", "google_ads.*.credentials", "meta.*.access_token", "meta.*.app_secret"),
    *("oplead.write.form.token", "webhooks.secret", "webhooks.signature.secret"),
    *("webhooks.provider_secret", "webhooks.accept_former.*.secret"),
    *("notify.*", "ping", "state"),
)
"""Where `${VARIABLE}` is resolved; anywhere else it would be taken literally."""
Found = Iterator[tuple[KeyPath, str]]
"""Pairs of a path and either the problem or the text found there."""

_CONSENT = ("consent.ad_user_data", "consent.ad_personalization")
_RESERVED_HEADERS = frozenset(
    {"authorization", "connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_CARRIES_A_KEY = re.compile(r"authori[sz]ation|cookie|token|secret|password|api[-_]?key", re.IGNORECASE)
_NO_KEY = N_("a key must not stand in this file: it is oplead.token, and oplead.auth says how it is passed")
_QUERY_NAMES = (
    *("pagination.page_param", "pagination.size_param", "pagination.offset_param", "pagination.cursor_param"),
    *("since_filter.param", "since_filter.until_param"),
)


def settings_inconsistency_findings(tree: Tree, references: SecretReferenceResolver) -> Iterator[SettingsFinding]:
    """Yield a finding for everything that is inconsistent with the rest of the file."""
    for check in _CHECKS:
        yield from (SettingsFinding(*found) for found in check(tree))
    yield from (SettingsFinding(*found) for found in _a_clock_is_for_local_servers(tree, references))


# ── stages and labels ────────────────────────────────────────────────────────────────────────────


def _stages_are_known(tree: Tree) -> Found:
    if value_at(tree, ("stages", CREATED)) is not None:
        yield ("stages", CREATED), _("the stage created is built in; give this one another name")
    known = [CREATED, *(name for name in _mapping(value_at(tree, ("stages",))) if name != CREATED)]
    named = texts_at(tree, *(f"conversions.*.{key}" for key in ("stage", "implied_by", "undo_when")))
    for path, name in (*named, *_keys(tree, "meta.*.funnel")):
        if name not in known:
            yield path, _unknown(_("there is no stage of this name"), name, known)


def _funnels_have_stages(tree: Tree) -> Found:
    for path, funnel in find(tree, "meta.*.funnel"):
        names = _mapping(funnel)
        if len(names) == 1:
            yield path, _("name at least two stages: Meta learns from the way between them")
        for at, _name in _repeated(((*path, stage), name) for stage, name in names.items() if isinstance(name, str)):
            yield at, _("another stage has this name for Meta; each needs its own")


def _labels_have_one_meaning(tree: Tree) -> Found:
    meanings = {f"stages.{name}": _("the stage {name}", name=name) for name in _mapping(value_at(tree, ("stages",)))}
    first: dict[str, str] = {}
    for pattern, meaning in {**meanings, "ignored_statuses": "ignored_statuses"}.items():
        for path, label in texts_at(tree, pattern):
            normal = normalise_listed_label(label)
            if not normal:
                yield path, _("a label needs letters or digits")
            elif normal in first:
                yield (
                    path,
                    _("this label stands in {place} already (accents and case do not matter)", place=first[normal]),
                )
            else:
                first[normal] = meaning


def _appointments_are_reported(tree: Tree) -> Found:
    known = value_at(tree, ("oplead", "fields", "appointment_at")), value_at(tree, ("webhooks", "trust"))
    stages = _mapping(value_at(tree, ("stages",)))
    for path, label in texts_at(tree, *(f"stages.{name}" for name in stages)):
        if normalise_listed_label(label) == APPOINTMENT_SET and not any(known):
            yield (
                path,
                _(
                    "no reading of a lead shows appointments: name oplead.fields.appointment_at, or write webhooks: "
                    "{ trust: [appointment], because: … } to count what webhooks alone report"
                ),
            )


def _undo_stages_make_sense(tree: Tree) -> Found:
    for path, conversion in find(tree, "conversions.*"):
        counting = {stage for _, stage in texts_at(conversion, "stage", "implied_by")}
        for at, stage in texts_at(conversion, "undo_when"):
            if stage == CREATED:
                yield (*path, *at), _("every lead was created, so this undoes nothing; name a stage it may end in")
            elif stage in counting:
                yield (*path, *at), _("this stage makes the conversion count; it cannot undo it as well")


# ── conversions and destinations ─────────────────────────────────────────────────────────────────


def _ids_are_unique(tree: Tree) -> Found:
    ids, former = list(texts_at(tree, "conversions.*.id")), list(texts_at(tree, "conversions.*.was"))
    taken = {name for _, name in ids}
    for path, _name in _repeated(ids):
        yield path, _("another conversion has this id; each needs its own")
    for path, name in ids:
        if name == "none":
            yield path, _('a conversion cannot be called "none": `was: none` marks a new one')
    for path, name in former:
        if name in taken:
            yield path, _("a conversion of this id is still here, so this one cannot be it under a new name")
    for path, _name in _repeated((path, name) for path, name in former if name != "none"):
        yield path, _("another conversion says it had this id before")
    for path, name in _repeated(_destinations(tree)):
        yield path, _("another destination is called {name}; give each an id of its own", name=name)


def _conversions_go_somewhere(tree: Tree) -> Found:
    for path, conversion in find(tree, "conversions.*"):
        if isinstance(conversion, dict) and not any(platform in conversion for platform in PLATFORMS):
            yield path, _("this conversion goes nowhere: give it google_ads, meta or both")
        for platform in PLATFORMS:
            if platform in _mapping(conversion) and value_at(tree, (platform,)) is None:
                yield (
                    (*path, platform),
                    _("this file has no {platform} destination; add one, or take this out", platform=platform),
                )
    known = [name for path, name in _destinations(tree) if path[0] == "google_ads"]
    for path, name in texts_at(tree, "conversions.*.google_ads.destination"):
        if known and name not in known:
            yield path, _unknown(_("there is no destination of this name"), name, known)


_SHARED = {
    "action": N_("several conversions use this action: give each its own, or all of them shared_action: true"),
    "event": N_("several conversions use this event: give each its own, or all of them shared_action: true"),
}


def _targets_are_shared_knowingly(tree: Tree) -> Found:
    known = {name for path, name in _destinations(tree) if path[0] == "google_ads"}
    users: defaultdict[tuple[str, str, str], list[tuple[KeyPath, bool]]] = defaultdict(list)
    for path, conversion in find(tree, "conversions.*"):
        shared = (text_at(conversion, "shared_action") or "").casefold() == "true"
        action = text_at(conversion, "google_ads.conversion_action")
        action = action or text_at(conversion, "google_ads.conversion_action.id")
        chosen = text_at(conversion, "google_ads.destination")
        for destination in [chosen] if chosen else known:
            if action:
                at = (*path, "google_ads", "conversion_action")
                users["action", destination, action.replace("-", "")].append((at, shared))
        if event := text_at(conversion, "meta.event"):
            users["event", "", event].append(((*path, "meta", "event"), shared))
    for (kind, *_target), sharers in users.items():
        for path, shared in sharers:
            if len(sharers) > 1 and not shared:
                yield path, _(_SHARED[kind])


def _events_suit_meta(tree: Tree) -> Found:
    funnel_names = {name for _, funnel in find(tree, "meta.*.funnel") for name in _mapping(funnel).values()}
    for path, conversion in find(tree, "conversions.*"):
        event = text_at(conversion, "meta.event")
        if event in funnel_names:
            yield (*path, "meta", "event"), _("a stage of the funnel has this name; give the event another")
        # Required for purchase events: https://developers.facebook.com/docs/marketing-api/conversions-api/parameters
        if event == "Purchase" and value_at(conversion, ("value",)) is None:
            yield path, _("Meta takes a Purchase only with a value: add value, or name another event")


def _the_sale_has_a_value_of_its_own(tree: Tree) -> Found:
    conversions = list(find(tree, "conversions.*"))
    expected = [path for path, each in conversions if _is_expected(each)]
    if not expected:
        return
    priced = [path for path, each in conversions if value_at(each, ("value", "field")) is not None]
    named = [
        path
        for path, each in conversions
        if text_at(each, "id") in {name for _at, name in texts_at(tree, "report.sale")}
    ]
    path = named[0] if named else priced[0] if len(priced) == 1 else conversions[-1][0]
    if path in expected:
        estimated = _("expected values are estimated from the sales' own: write { field, tax }, or a number")
        yield (*path, "value"), estimated
    elif value_at(tree, (*path, "value")) is None:
        yield path, _("expected values are estimated from this conversion's: give it a value, as { field, tax }")


def _is_expected(conversion: Tree) -> bool:
    value = value_at(conversion, ("value",))
    return value == EXPECTED or (isinstance(value, dict) and EXPECTED in value)


def _persons_can_be_recognised(tree: Tree) -> Found:
    for path, conversion in find(tree, "conversions.*"):
        if text_at(conversion, "count_once_per") != "person":
            continue
        chosen = text_at(conversion, "google_ads.destination")
        for place, name in _destinations(tree):
            platform = str(place[0])
            if platform not in _mapping(conversion) or (platform == "google_ads" and chosen not in (None, name)):
                continue
            destination = value_at(tree, place[:-1] if place[-1] == "id" else place)
            if text_at(destination, "contact_data") != "attach" and text_at(destination, "audience") != "all":
                yield (
                    (*path, "count_once_per"),
                    _(
                        "a person is recognised by e-mail or phone, whose hashes are kept only for a destination with "
                        "contact_data: attach or audience: all; write one of them under {name}, or write click here",
                        name=name,
                    ),
                )


# ── keys that need one another ───────────────────────────────────────────────────────────────────


_NEEDS = (
    ("meta.*", "funnel_since", "funnel"),
    ("conversions.*", "undo_after", "undo_when"),
    ("conversions.*", "undo_via", "undo_when"),
)
"""Section, key, and the key of the same section without which it has no effect."""


def _the_sale_is_a_conversion(tree: Tree) -> Found:
    known = [name for _at, name in texts_at(tree, "conversions.*.id")]
    for path, name in texts_at(tree, "report.sale"):
        if name not in known:
            yield path, _unknown(_("there is no conversion of this name"), name, known)


def _settings_have_required_companions(tree: Tree) -> Found:
    for pattern, key, needed in _NEEDS:
        for path, section in find(tree, pattern):
            if key in _mapping(section) and not value_at(section, (needed,)):
                yield (*path, key), _("this has no effect without {needed}; add that, or take this out", needed=needed)
    for path, conversion in find(tree, "conversions.*"):
        if "within" in _mapping(conversion) and text_at(conversion, "count_once_per") in (None, "lead"):
            yield (*path, "within"), _("this has no effect without count_once_per: click or person; take it out")


def _consent_is_clear(tree: Tree) -> Found:
    because = text_at(tree, "consent.because")
    assumed = text_at(tree, "consent.missing") == "assume_granted"
    if assumed and because is None:
        yield ("consent", "missing"), _("write why consent may be assumed, as because: …; reports will show it")
    if because is not None and not assumed:
        yield ("consent", "because"), _("this has no effect without missing: assume_granted; take it out")
    for signal in _CONSENT:
        granted = {normalise_label(text) for _, text in texts_at(tree, f"{signal}.granted")}
        for path, text in texts_at(tree, f"{signal}.refused"):
            if normalise_label(text) in granted:
                yield path, _("this value means both granted and refused; leave it in one list")
        for path, text in texts_at(tree, f"{signal}.field", f"{signal}.granted"):
            if text.startswith(TO_BE_FILLED_IN):
                yield path, _("`init` left this open: write the field or the answers, as Oplead shows them")


def _test_leads_have_marks(tree: Tree) -> Found:
    exclude = value_at(tree, ("exclude",))
    if isinstance(exclude, dict) and not any(texts_with_paths(exclude)):
        yield ("exclude",), _("say what marks a test lead: email_domains, phones, names or fields; or take it out")
    for key in ("names", "fields"):
        for path, text in texts_with_paths(value_at(exclude, (key,)), ("exclude", key)):
            if not normalise_label(text):
                yield path, _("a mark of test leads needs letters or digits")


def _leads_come_from_somewhere(tree: Tree) -> Found:
    source, oplead = value_at(tree, ("source",)), value_at(tree, ("oplead",))
    if isinstance(oplead, dict) and "token" in oplead and oplead["token"] is None:
        yield ("oplead", "token"), _("this key has no value: write one, or take the key out")
    if source is None and oplead is None:
        yield ("oplead",), _missing(Settings, "oplead")
    elif source is None and isinstance(oplead, dict) and "token" not in oplead:
        yield ("oplead", "token"), _missing(OpleadSettings, "token")


def _missing(section: type[Strict], key: str) -> str:
    return _("this key is missing: {what}", what=_(str(meaning_of_setting(section, key))))


def _check_source_section(tree: Tree) -> Found:
    source = value_at(tree, ("source",))
    if not isinstance(source, dict):
        return
    if ("csv" in source) == ("xlsx" in source):
        yield ("source",), _("write either csv or xlsx, with the files' names as exports/*.csv")
    for key, kind in (("sheet", "xlsx"), ("encoding", "csv"), ("delimiter", "csv")):
        if key in source and kind not in source:
            yield ("source", key), _("this has no effect without {kind}; take it out", kind=kind)
    places = [(("source", "columns", title), str(place)) for title, place in _mapping(source.get("columns")).items()]
    for path, place in places:
        if above := next((other for _, other in places if place.startswith(f"{other}.")), None):
            yield (
                path,
                _("another column's values are {above}, so nothing can be inside it; write another place", above=above),
            )
    if value_at(tree, ("webhooks",)) is not None:
        yield ("webhooks",), _("webhooks tell of changes that the next file may not have yet; take this or source out")


def _oplead_is_complete(tree: Tree) -> Found:
    style, name = text_at(tree, "oplead.auth.style"), text_at(tree, "oplead.auth.name")
    if style in {"header", "query"} and name is None:
        header, parameter = (
            _("write the header's name too, as name: …"),
            _("write the query parameter's name too, as name: …"),
        )
        yield ("oplead", "auth", "style"), header if style == "header" else parameter
    if style == "header" and name is not None and not re.fullmatch(HEADER_NAME, name):
        yield ("oplead", "auth", "name"), _("a header's name has letters, digits and hyphens, as X-API-KEY")
    pull = text_at(tree, "oplead.pull")
    if pull == "since" and value_at(tree, ("oplead", "since_filter")) is None:
        yield (
            ("oplead", "pull"),
            _("since needs the filter Oplead offers: add since_filter: { param: … }, or write list"),
        )
    if pull == "details" and text_at(tree, "oplead.detail") in {"auto", "never"}:
        yield ("oplead", "detail"), _("pull: details reads every lead's own page; take this out")


def _check_extra_parameters(tree: Tree) -> Found:
    auth = text_at(tree, "oplead.auth.name") or ""
    for path, name in _keys(tree, "oplead.extra_headers"):
        if name.casefold() in {auth.casefold(), *_RESERVED_HEADERS}:
            yield path, _("oplead-sync sets this header; take it out (oplead.auth says how the token is passed)")
        elif _CARRIES_A_KEY.search(name):
            yield path, _(_NO_KEY)
    written = {value for _, value in texts_at(tree, *(f"oplead.{pattern}" for pattern in _QUERY_NAMES))}
    written |= {style for style in ("page", "offset", "cursor") if text_at(tree, "oplead.pagination.style") == style}
    for path, name in _keys(tree, "oplead.extra_query"):
        if name in written:
            yield path, _("another setting writes this parameter already; leave it to that one")
        elif name == auth or _CARRIES_A_KEY.search(name):
            yield path, _(_NO_KEY)


def _a_schedule_is_daily_or_cron(tree: Tree) -> Found:
    schedule = value_at(tree, ("schedule",))
    if isinstance(schedule, dict) and ("daily" in schedule) == ("cron" in schedule):
        yield ("schedule",), _("write either daily or cron")
    if "also_every" in _mapping(schedule) and value_at(tree, ("webhooks",)) is None:
        yield (
            ("schedule", "also_every"),
            _("between nights, only webhooks report what to read: add webhooks, or take this out"),
        )


def _a_weekly_summary_goes_somewhere(tree: Tree) -> Found:
    if value_at(tree, ("notify_weekly",)) is not None and not value_at(tree, ("notify",)):
        yield ("notify_weekly",), _("nobody would get the summary: add an address to notify, or take this out")


LONGEST_WINDOWS = {"google_ads": timedelta(days=90), "meta": timedelta(days=365)}
"""How long after its click, or its lead's creation, each platform may still take a conversion."""
MEASURED = timedelta(days=180)
"""What alerts and the report compare with: no less is kept of anything."""


def _nothing_is_erased_too_soon(tree: Tree) -> Found:
    for path, text in texts_at(tree, "retention.leads", "retention.runs", "retention.history"):
        age, needed = parse_age(text), _needed_age(tree) if path[-1] == "leads" else MEASURED
        if age is not None and age < needed:
            if needed == MEASURED:
                message = _("write {days} d or more: the report and the alerts look back as far", days=needed.days)
            else:
                message = _(
                    "write {days} d or more: until then a lead's conversion may still be sent, or another is compared "
                    "with it",
                    days=needed.days,
                )
            yield path, message


def _needed_age(tree: Tree) -> timedelta:
    """Return how long after its last conversion a lead may still matter to what is sent."""
    windows = [window for platform, window in LONGEST_WINDOWS.items() if value_at(tree, (platform,)) is not None]
    once = [
        _within(conversion)
        for _path, conversion in find(tree, "conversions.*")
        if text_at(conversion, "count_once_per") in ("click", "person")
    ]
    return max(MEASURED, max(windows, default=timedelta()) + max(once, default=timedelta()))


def _within(conversion: Tree) -> timedelta:
    try:
        return parse_as_type(Span, text_at(conversion, "within") or "30 d")
    except ValueError:
        return timedelta()


def _an_inbox_lies_with_its_state(tree: Tree) -> Found:
    is_file = (text_at(tree, "state") or SQLITE).startswith(SQLITE)
    for path, _file in texts_at(tree, "webhooks.inbox"):
        if not is_file:
            yield path, _("the state is in a database, and so is the inbox: take this key out")


def _references_stand_where_they_are_read(tree: Tree) -> Found:
    read = {path for pattern in REFERENCES for path, _ in find(tree, pattern)}
    for path, text in texts_with_paths(tree):
        # Nothing is read below an unknown key, which is reported by itself.
        if "${" in text and path not in read and path[0] in Settings.model_fields:
            yield path, _("a ${VARIABLE} stands only for a secret or the credentials; write the value itself")


_CHECKS: tuple[Callable[[Tree], Found], ...] = (
    _stages_are_known,
    _funnels_have_stages,
    _labels_have_one_meaning,
    _appointments_are_reported,
    _undo_stages_make_sense,
    _ids_are_unique,
    _conversions_go_somewhere,
    _targets_are_shared_knowingly,
    _events_suit_meta,
    _the_sale_has_a_value_of_its_own,
    _persons_can_be_recognised,
    _the_sale_is_a_conversion,
    _settings_have_required_companions,
    _consent_is_clear,
    _test_leads_have_marks,
    _leads_come_from_somewhere,
    _check_source_section,
    _oplead_is_complete,
    _check_extra_parameters,
    _a_schedule_is_daily_or_cron,
    _a_weekly_summary_goes_somewhere,
    _nothing_is_erased_too_soon,
    _an_inbox_lies_with_its_state,
    _references_stand_where_they_are_read,
)


# ── a sandbox's clock ────────────────────────────────────────────────────────────────────────────

_ADDRESSES = (
    ("oplead", "base_url"),
    ("oplead.write.form", "url"),
    ("google_ads.*", "endpoint"),
    ("google_ads.*", "ads_api_endpoint"),
    ("meta.*", "graph_url"),
)
"""Sections and keys; by default, each is a real platform's address."""


def _a_clock_is_for_local_servers(tree: Tree, references: SecretReferenceResolver) -> Found:
    """Report a sandbox clock beside remote addresses: simulated time must never reach a real platform."""
    if value_at(tree, ("clock",)) is None:
        return
    away = [dotted(path) for path, address in texts_at(tree, "clock") if _is_remote_address(address)]
    for pattern, key in _ADDRESSES:
        for path, section in find(tree, pattern):
            address = text_at(section, key)
            if not address or _is_remote_address(address):
                away.append(dotted((*path, key)))
    for path, credentials in texts_at(tree, "google_ads.*.credentials"):
        with suppress(ValueError):
            if _is_remote_address(str(token_address(references.path(credentials)))):
                away.append(_("token_uri in the key file of {path}", path=dotted(path)))
    if away:
        names = ", ".join(away)
        yield (
            ("clock",),
            _("a sandbox's clock is for local servers only, and these are not on this machine: {names}", names=names),
        )


def _is_remote_address(address: str) -> bool:
    """Whether an address is on another machine; an invalid one is reported elsewhere and counts as local."""
    try:
        return not is_local(ADDRESS.validate_python(address))
    except ValidationError:
        return False


# ── reading names ────────────────────────────────────────────────────────────────────────────────


def _mapping(tree: Tree) -> dict[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _destinations(tree: Tree) -> Found:
    """Yield the path and id of every destination; without an `id`, the platform is the id."""
    for platform in PLATFORMS:
        for path, destination in items_or_single_value(((platform,), value_at(tree, (platform,)))):
            name = text_at(destination, "id")
            yield ((*path, "id"), name) if name else (path, platform)


def _keys(tree: Tree, pattern: str) -> Found:
    """Return the path and name of each key of the mappings that match a pattern."""
    return (((*path, key), key) for path, below in find(tree, pattern) for key in _mapping(below))


def _repeated(named: Iterable[tuple[KeyPath, str]]) -> Found:
    """Yield each pair whose text occurred earlier."""
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            yield path, name
        seen.add(name)


def _unknown(message: str, name: str, known: list[str]) -> str:
    """Return the message with what may have been meant, or else with all that is known."""
    return message + (did_you_mean(name, known) or _("; there are {known}", known=", ".join(known)))


# ── warnings ─────────────────────────────────────────────────────────────────────────────────────

_STANDARD_EVENTS = (
    *("AddPaymentInfo", "AddToCart", "AddToWishlist", "CompleteRegistration", "Contact", "CustomizeProduct"),
    *("Donate", "FindLocation", "InitiateCheckout", "Lead", "Purchase", "Schedule", "Search", "StartTrial"),
    *("SubmitApplication", "Subscribe", "ViewContent"),
)
"""https://developers.facebook.com/docs/meta-pixel/reference#standard-events"""
_EVENTS_OF_STAGES = {"appointment": "Schedule", "quote": "SubmitApplication", "won": "Purchase"}
_ANSWERS = tuple(f"{signal}.{answer}" for signal in _CONSENT for answer in ("granted", "refused"))
_LISTS = ("ignored_statuses", *_ANSWERS)
"""Lists for which a single text may stand, beside the stages'."""
_SIMILAR = 0.8
"""The similarity, from 0 to 1, from which a name counts as a mistyped standard event."""
_WAITS_FOR_AN_ESTIMATE = N_(
    "without otherwise, these conversions are held back while leads and sales are too few for an estimate; "
    "`oplead-sync values suggest` tells how many are missing"
)
_TICKS = frozenset({"yes", "no", "on", "off"})
"""Words that YAML 1.1 parsers read as booleans."""


def _event_for_stage(event: str) -> str:
    named = next(iter(stages_named(event)), "")
    return _('; did you mean "{name}"?', name=_EVENTS_OF_STAGES[named]) if named in _EVENTS_OF_STAGES else ""


def _unlikely_lists_and_labels(tree: Tree) -> Iterator[SettingsFinding]:
    stages = [(("stages", stage), labels) for stage, labels in _mapping(value_at(tree, ("stages",))).items()]
    for path, text in (*stages, *(place for pattern in _LISTS for place in find(tree, pattern))):
        if isinstance(text, str) and re.search(r"[,;]", text):
            yield SettingsFinding(
                path,
                _(
                    "this is one text with a comma in it, and only a lead with this very text fits; for several, write "
                    "them in brackets: [{items}]",
                    items=", ".join(re.split(r"\s*[,;]\s*", text.strip())),
                ),
            )
    labels = ((path[1], *place) for path, labels in stages for place in items_or_single_value((path, labels)))
    for stage, path, label in labels:
        if isinstance(label, str) and contradicts(stage, label):
            message = _("“{label}” reads as another stage than “{stage}”", label=label, stage=stage_in_words(stage))
            yield SettingsFinding(path, message)


def lint_warnings(tree: Tree) -> Iterator[SettingsFinding]:
    """Yield a warning for each likely slip."""
    for path, conversion in find(tree, "conversions.*"):
        if _is_expected(conversion) and value_at(conversion, ("value", "otherwise")) is None:
            yield SettingsFinding((*path, "value"), _(_WAITS_FOR_AN_ESTIMATE))
    for path, event in texts_at(tree, "conversions.*.meta.event"):
        if event not in _STANDARD_EVENTS:
            hint = did_you_mean(event, _STANDARD_EVENTS, cutoff=_SIMILAR) or _event_for_stage(event)
            yield SettingsFinding(
                path, _("this is none of Meta's standard events, so it counts as a custom one{hint}", hint=hint)
            )
    yield from _unlikely_lists_and_labels(tree)
    for path, text in texts_at(tree, *_ANSWERS):
        if text.casefold() in _TICKS:
            yield SettingsFinding(
                path, _("this is the word {text}, as a lead may hold it; for true or false write those", text=text)
            )
