"""What must fit together across a configuration, and warnings of what may not be meant."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from jobs.rules.model import normalise_label
from jobs.settings.problems import KeyPath, SettingsFinding, did_you_mean, dotted
from jobs.settings.schema import Settings
from jobs.settings.sections import HEADER_NAME
from jobs.settings.yaml_source import Tree, find, items, leaves, text_at, texts, value_at

CREATED = "created"
"""The stage every lead enters by its creation; built in."""
PLATFORMS = ("google_ads", "meta")
REFERENCES = (
    "oplead.token",
    "google_ads.*.credentials",
    "meta.*.access_token",
    "meta.*.app_secret",
    "notify.*",
    "ping",
)
"""Where `${VARIABLE}` is read; anywhere else it would be taken as text."""
Check = Callable[[Tree], Iterator[SettingsFinding]]

_OUR_HEADERS = frozenset(
    {"authorization", "connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_CARRIES_A_KEY = re.compile(r"authori[sz]ation|cookie|token|secret|password|api[-_]?key", re.IGNORECASE)
_NO_KEY = "a key must not stand in this file: it is oplead.token, and oplead.auth says how it is shown"
_QUERY_NAMES = (
    *("pagination.page_param", "pagination.size_param", "pagination.offset_param", "pagination.cursor_param"),
    *("since_filter.param", "since_filter.until_param"),
)


def fitting_findings(tree: Tree) -> Iterator[SettingsFinding]:
    """Everything in the file that does not fit the rest of it."""
    for check in _CHECKS:
        yield from check(tree)


# ── stages and labels ────────────────────────────────────────────────────────────────────────────


def _created_is_built_in(tree: Tree) -> Iterator[SettingsFinding]:
    for path, _ in find(tree, f"stages.{CREATED}"):
        yield SettingsFinding(path, "the stage created is built in; give this one another name")


def _stages_are_known(tree: Tree) -> Iterator[SettingsFinding]:
    stages = value_at(tree, ("stages",))
    known = [CREATED, *(name for name in (stages if isinstance(stages, dict) else ()) if name != CREATED)]
    for pattern in ("stage", "implied_by", "undo_when"):
        for place in find(tree, f"conversions.*.{pattern}"):
            yield from (_unknown(path, "stage", name, known) for path, name in texts(place) if name not in known)
    for path, funnel in find(tree, "meta.*.funnel"):
        names = funnel if isinstance(funnel, dict) else {}
        yield from (_unknown((*path, name), "stage", name, known) for name in names if name not in known)
        if len(names) == 1:
            yield SettingsFinding(path, "name at least two stages: Meta learns from the way between them")
        told: set[Tree] = set()
        for stage, name in names.items():
            if isinstance(name, str) and name in told:
                yield SettingsFinding((*path, stage), "another stage has this name for Meta; each needs its own")
            elif isinstance(name, str):
                told.add(name)
    for path, destination in items((("meta",), value_at(tree, ("meta",)))):
        if isinstance(destination, dict) and "funnel_since" in destination and not destination.get("funnel"):
            yield SettingsFinding(
                (*path, "funnel_since"), "this stands only beside a funnel; add one, or take this out"
            )


def _a_label_has_one_meaning(tree: Tree) -> Iterator[SettingsFinding]:
    stages = value_at(tree, ("stages",))
    meanings: dict[str, KeyPath] = {
        f"the stage {name}": ("stages", name) for name in (stages if isinstance(stages, dict) else ())
    }
    meanings["ignored_statuses"] = ("ignored_statuses",)
    first: dict[str, str] = {}
    for meaning, path in meanings.items():
        for at, label in texts((path, value_at(tree, path))):
            normal = normalise_label(label)
            if not normal:
                yield SettingsFinding(at, "a label needs letters or digits")
            elif normal in first:
                yield SettingsFinding(
                    at, f"this label stands in {first[normal]} already (accents and case do not matter)"
                )
            else:
                first[normal] = meaning


def _undoing_makes_sense(tree: Tree) -> Iterator[SettingsFinding]:
    for path, conversion in find(tree, "conversions.*"):
        undoing = list(texts(((*path, "undo_when"), value_at(conversion, ("undo_when",)))))
        counts = {text_at(conversion, "stage"), *_all_texts(conversion, "implied_by")}
        for at, stage in undoing:
            if stage == CREATED:
                yield SettingsFinding(at, "every lead was created: this takes nothing back; name a stage it may end in")
            elif stage in counts:
                yield SettingsFinding(at, "this stage makes the conversion count; it cannot take it back as well")
        for key in ("undo_after", "undo_via"):
            if not undoing and value_at(conversion, (key,)) is not None:
                yield SettingsFinding((*path, key), "this stands only beside undo_when; add that, or take this out")


# ── conversions and destinations ─────────────────────────────────────────────────────────────────


def _ids_are_unique(tree: Tree) -> Iterator[SettingsFinding]:
    taken: set[str] = set()
    for path, name in _named(tree, "conversions.*.id"):
        if name in taken:
            yield SettingsFinding(path, "another conversion has this id; each needs its own")
        if name == "none":
            yield SettingsFinding(path, 'a conversion cannot be called "none": `was: none` marks a new one')
        taken.add(name)
    former: set[str] = set()
    for path, name in _named(tree, "conversions.*.was"):
        if name in taken:
            yield SettingsFinding(
                path, "a conversion of this id is still here, so this one cannot be it under a new name"
            )
        if name in former:
            yield SettingsFinding(path, "another conversion says it had this id before")
        former |= {name} - {"none"}
    destinations: set[str] = set()
    for path, name in _destinations(tree):
        if name in destinations:
            yield SettingsFinding(path, f"another destination is called {name}; give each an id of its own")
        destinations.add(name)


def _conversions_go_somewhere(tree: Tree) -> Iterator[SettingsFinding]:
    for path, conversion in find(tree, "conversions.*"):
        if not isinstance(conversion, dict):
            continue
        if not any(platform in conversion for platform in PLATFORMS):
            yield SettingsFinding(path, "this conversion goes nowhere: give it google_ads, meta or both")
        for platform in PLATFORMS:
            if platform in conversion and value_at(tree, (platform,)) is None:
                yield SettingsFinding(
                    (*path, platform), f"this file has no {platform} destination; add one, or take this out"
                )
    known = [name for path, name in _destinations(tree) if path[0] == "google_ads"]
    for path, name in _named(tree, "conversions.*.google_ads.destination"):
        if known and name not in known:
            yield _unknown(path, "destination", name, known)


def _actions_are_shared_knowingly(tree: Tree) -> Iterator[SettingsFinding]:
    known = {name for path, name in _destinations(tree) if path[0] == "google_ads"}
    users: defaultdict[tuple[str, str], list[tuple[KeyPath, bool]]] = defaultdict(list)
    for path, conversion in find(tree, "conversions.*"):
        shared = (text_at(conversion, "shared_action") or "").casefold() == "true"
        chosen = text_at(conversion, "google_ads.destination")
        action = text_at(conversion, "google_ads.conversion_action")
        action = action or text_at(conversion, "google_ads.conversion_action.id")
        for destination in [chosen] if chosen else known:
            if action:
                users[destination, action.replace("-", "")].append((path, shared))
    alone = {path for sharers in users.values() if len(sharers) > 1 for path, shared in sharers if not shared}
    for path in sorted(alone, key=dotted):
        yield SettingsFinding(
            (*path, "google_ads", "conversion_action"),
            "several conversions use this action: give each its own, or all of them shared_action: true",
        )


def _events_are_shared_knowingly(tree: Tree) -> Iterator[SettingsFinding]:
    users: defaultdict[str, list[tuple[KeyPath, bool]]] = defaultdict(list)
    stages = {name for _, funnel in find(tree, "meta.*.funnel") if isinstance(funnel, dict) for name in funnel.values()}
    for path, conversion in find(tree, "conversions.*"):
        event = text_at(conversion, "meta.event")
        if event in stages:
            yield SettingsFinding(
                (*path, "meta", "event"), "a stage of the funnel has this name; give the event another"
            )
        if event:
            shared = (text_at(conversion, "shared_action") or "").casefold() == "true"
            users[event].append(((*path, "meta", "event"), shared))
    for sharers in users.values():
        for path, shared in sharers:
            if len(sharers) > 1 and not shared:
                yield SettingsFinding(path, "several conversions use this event; all of them need shared_action: true")


def _a_purchase_has_a_value(tree: Tree) -> Iterator[SettingsFinding]:
    # https://developers.facebook.com/docs/marketing-api/conversions-api/parameters: required for purchase events
    for path, conversion in find(tree, "conversions.*"):
        if text_at(conversion, "meta.event") == "Purchase" and value_at(tree, (*path, "value")) is None:
            yield SettingsFinding(path, "Meta takes a Purchase only with a value: add value, or name another event")


def _what_counts_once_can_be_told(tree: Tree) -> Iterator[SettingsFinding]:
    for path, conversion in find(tree, "conversions.*"):
        per = text_at(conversion, "count_once_per") or "lead"
        if per == "lead" and value_at(conversion, ("within",)) is not None:
            yield SettingsFinding(
                (*path, "within"), "this stands only beside count_once_per: click or person; take it out"
            )
        if per != "person":
            continue
        chosen = text_at(conversion, "google_ads.destination")
        for place, name in _destinations(tree):
            platform = place[0]
            if not isinstance(conversion, dict) or platform not in conversion:
                continue
            if platform == "google_ads" and chosen not in (None, name):
                continue
            destination = value_at(tree, place[:-1] if place[-1] == "id" else place)
            if text_at(destination, "contact_data") != "attach" and text_at(destination, "audience") != "all":
                yield SettingsFinding(
                    (*path, "count_once_per"),
                    "a person is told by e-mail or phone, whose hashes are kept only for a destination with "
                    f"contact_data: attach or audience: all; write one of them under {name}, or write click here",
                )


# ── keys that need one another ───────────────────────────────────────────────────────────────────


def _consent_is_clear(tree: Tree) -> Iterator[SettingsFinding]:
    because = next((path for path, value in find(tree, "consent.because") if value is not None), None)
    assumed = text_at(tree, "consent.missing") == "assume_granted"
    if assumed and because is None:
        yield SettingsFinding(
            ("consent", "missing"), "write why consent may be assumed, as because: …; reports will show it"
        )
    if because and not assumed:
        yield SettingsFinding(because, "because stands only beside missing: assume_granted; take it out")
    for signal in ("ad_user_data", "ad_personalization"):
        granted = {normalise_label(text) for text in _all_texts(tree, f"consent.{signal}.granted")}
        for place in find(tree, f"consent.{signal}.refused"):
            for path, text in texts(place):
                if normalise_label(text) in granted:
                    yield SettingsFinding(path, "this value means both granted and refused; leave it in one list")


def _test_leads_are_told_by_something(tree: Tree) -> Iterator[SettingsFinding]:
    for path, exclude in find(tree, "exclude"):
        if isinstance(exclude, dict) and not any(leaves(exclude)):
            yield SettingsFinding(
                path, "say what marks a test lead: email_domains, phones, names or fields; or take it out"
            )
    for key in ("names", "fields"):
        for path, marks in find(tree, f"exclude.{key}"):
            for at, text in leaves(marks, path):
                if not normalise_label(text):
                    yield SettingsFinding(at, "a mark of test leads needs letters or digits")


def _oplead_is_complete(tree: Tree) -> Iterator[SettingsFinding]:
    style = text_at(tree, "oplead.auth.style")
    if style in {"header", "query"} and text_at(tree, "oplead.auth.name") is None:
        what = "header" if style == "header" else "query parameter"
        yield SettingsFinding(("oplead", "auth", "style"), f"write the {what}'s name too, as name: …")
    name = text_at(tree, "oplead.auth.name")
    if style == "header" and name is not None and not re.fullmatch(HEADER_NAME, name):
        yield SettingsFinding(
            ("oplead", "auth", "name"), "a header's name has letters, digits and hyphens, as X-API-KEY"
        )
    if text_at(tree, "oplead.pull") == "since" and value_at(tree, ("oplead", "since_filter")) is None:
        yield SettingsFinding(
            ("oplead", "pull"),
            "since needs the filter Oplead offers: add since_filter: { param: … }, or write list",
        )


def _details_are_read(tree: Tree) -> Iterator[SettingsFinding]:
    if text_at(tree, "oplead.pull") == "details" and text_at(tree, "oplead.detail") in {"auto", "never"}:
        yield SettingsFinding(("oplead", "detail"), "pull: details reads every lead's own page; take this out")


def _extras_hold_no_key_and_repeat_nothing(tree: Tree) -> Iterator[SettingsFinding]:
    auth = text_at(tree, "oplead.auth.name") or ""
    for path, name in _keys(tree, "oplead.extra_headers"):
        if name.casefold() in {auth.casefold(), *_OUR_HEADERS}:
            yield SettingsFinding(
                path, "this header is written by us; take it out (how the token is shown says oplead.auth)"
            )
        elif _CARRIES_A_KEY.search(name):
            yield SettingsFinding(path, _NO_KEY)
    written = {value for pattern in _QUERY_NAMES for _, value in _named(tree, f"oplead.{pattern}")}
    written |= {style for style in ("page", "offset", "cursor") if text_at(tree, "oplead.pagination.style") == style}
    for path, name in _keys(tree, "oplead.extra_query"):
        if name in written:
            yield SettingsFinding(path, "another setting writes this parameter already; leave it to that one")
        elif name == auth or _CARRIES_A_KEY.search(name):
            yield SettingsFinding(path, _NO_KEY)


def _a_schedule_is_daily_or_cron(tree: Tree) -> Iterator[SettingsFinding]:
    schedule = value_at(tree, ("schedule",))
    if isinstance(schedule, dict) and ("daily" in schedule) == ("cron" in schedule):
        yield SettingsFinding(("schedule",), "write either daily or cron")


def _references_stand_where_they_are_read(tree: Tree) -> Iterator[SettingsFinding]:
    read = {path for pattern in REFERENCES for path, _ in find(tree, pattern)}
    for path, text in leaves(tree):
        # Below a key that is none, nothing is read: that key is the mistake.
        if "${" in text and path not in read and path[0] in Settings.model_fields:
            yield SettingsFinding(
                path, "a ${VARIABLE} stands only for a secret or the credentials; write the value itself"
            )


# ── reading names ────────────────────────────────────────────────────────────────────────────────


def _destinations(tree: Tree) -> Iterator[tuple[KeyPath, str]]:
    """Every destination's name and where it stands; without an `id` it is called as its kind."""
    for platform in PLATFORMS:
        for path, destination in items(((platform,), value_at(tree, (platform,)))):
            name = text_at(destination, "id")
            yield ((*path, "id"), name) if name else (path, platform)


def _keys(tree: Tree, pattern: str) -> Iterator[tuple[KeyPath, str]]:
    """The keys below a place, each with its own."""
    for path, below in find(tree, pattern):
        yield from (((*path, key), key) for key in (below if isinstance(below, dict) else ()) if isinstance(key, str))


def _named(tree: Tree, pattern: str) -> Iterator[tuple[KeyPath, str]]:
    yield from ((path, value) for path, value in find(tree, pattern) if isinstance(value, str))


def _all_texts(tree: Tree, pattern: str) -> Iterator[str]:
    yield from (text for place in find(tree, pattern) for _, text in texts(place))


def _unknown(path: KeyPath, what: str, name: str, known: list[str]) -> SettingsFinding:
    hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
    return SettingsFinding(path, f"there is no {what} of this name{hint}")


_CHECKS: tuple[Check, ...] = (
    _created_is_built_in,
    _stages_are_known,
    _a_label_has_one_meaning,
    _undoing_makes_sense,
    _ids_are_unique,
    _conversions_go_somewhere,
    _actions_are_shared_knowingly,
    _events_are_shared_knowingly,
    _a_purchase_has_a_value,
    _what_counts_once_can_be_told,
    _consent_is_clear,
    _test_leads_are_told_by_something,
    _oplead_is_complete,
    _details_are_read,
    _extras_hold_no_key_and_repeat_nothing,
    _a_schedule_is_daily_or_cron,
    _references_stand_where_they_are_read,
)


_STANDARD_EVENTS = (
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Donate",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "Subscribe",
    "ViewContent",
)
"""https://developers.facebook.com/docs/meta-pixel/reference#standard-events"""
_NEAR = 0.8
"""How like a standard event a name must be to be taken for one that was mistyped."""
_TICKS = frozenset({"yes", "no", "on", "off"})
"""Words that other readers of YAML take for true and false."""


def doubtful_notes(tree: Tree) -> Iterator[SettingsFinding]:
    """Everything that may be a slip."""
    yield from _near_events(tree)
    yield from _ticks(tree)


def _near_events(tree: Tree) -> Iterator[SettingsFinding]:
    known = {name.casefold(): name for name in _STANDARD_EVENTS}
    for path, event in find(tree, "conversions.*.meta.event"):
        if not isinstance(event, str) or event in _STANDARD_EVENTS:
            continue
        close = get_close_matches(event.casefold()[:100], known, n=1, cutoff=_NEAR)
        if close:
            said = "this is none of Meta's standard events, so it counts as a custom one"
            yield SettingsFinding(path, f'{said}; did you mean "{known[close[0]]}"?')


def _ticks(tree: Tree) -> Iterator[SettingsFinding]:
    for signal in ("ad_user_data", "ad_personalization"):
        for answers in ("granted", "refused"):
            for place in find(tree, f"consent.{signal}.{answers}"):
                for path, text in texts(place):
                    if text.casefold() in _TICKS:
                        yield SettingsFinding(
                            path, f"this is the word {text}, as a lead may hold it; for true or false write those"
                        )
