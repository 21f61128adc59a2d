"""Locate the id, status, dates, click ids and contact data in leads. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain

from connectors.language import N_, _
from connectors.oplead.options import CANDIDATES, FieldPaths, OpleadOptions, Paths, UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import is_click_id_label, read_click_ids
from connectors.oplead.parsing.field_tree import (
    CONTACT,
    NAMES,
    NEEDED,
    common_lead_field_paths,
    describe_value_kind,
    is_readable_time,
    last_path_part,
    normalise,
    normalise_field_path,
)
from connectors.oplead.parsing.fields import (
    first_value_at_paths,
    names_of_status,
    raw_values_at_path,
    text_of,
    values_at_path,
)
from connectors.oplead.parsing.lead_parser import LeadParser, UnreadableLeadError
from connectors.oplead.parsing.synonyms import with_french
from connectors.survey import FieldMatch

_SEVERAL = frozenset({"phone", "email"})
"""Fields of which a person may have more than one."""
_MOBILE, _FIXED = ("mobile", "portable", "cell"), ("fixe", "landline", "home")
"""Substrings of the names of mobile and landline fields."""
_TIMES = frozenset({"created_at", "updated_at", "status_at", "click_id_at", "appointment_at"})
_OTHER_PEOPLE = frozenset(
    {"commercial", "vendeur", "user", "owner", "agent", "assignee", "assignedto", "proprietaire", "responsable"}
    | {"provider", "fournisseur", "agency", "agence", "apporteur", "company", "societe", "createdby", "updatedby"}
    | {"channel", "canal", "campaign", "campagne", "product", "produit", "status", "statut"}
)
"""Parents whose fields do not belong to the lead itself."""
_ENTRY_KEYS = frozenset({"history_status", "history_at"})
"""Fields that lie in the entries of another."""
_IN_STATUS = frozenset({"status", "status_at"})
"""Fields that may lie in an object named like a status."""
_CODE_NAMES = frozenset(NAMES["status"])
_SEVERAL_STATUSES = 2
_FEW_OF = 0.34
"""The most different statuses among so many leads."""
_MOST = 0.5
_NEARLY_ALL = 0.9
_SELDOM = 0.1
"""A path filled on a smaller share of the leads cannot be the id, creation time or status."""
_ADDED = 3
"""Leads with click ids at a further path from which it counts; fewer may be strays."""
_SOUGHT = {
    "id": N_("a lead's id"),
    "created_at": N_("the time when a lead was created"),
    "status": N_("the status"),
    "click_id": N_("click ids"),
}


@dataclass(frozen=True, slots=True)
class FieldLocations:
    """Where fields are, with the details for the report."""

    fields: FieldPaths
    matches: tuple[FieldMatch, ...]
    undecided: Mapping[str, str]
    """What was sought in vain, in words, by the field that is needed."""
    guessed_history: str | None = None
    """The list that is taken for the history by what it holds alone: times and statuses."""


def locate_configured_fields(leads: Sequence[object], options: OpleadOptions) -> FieldLocations:
    """Locate each of `oplead.fields`, keeping a configured path that works."""
    return _PlaceSearch(leads, options).find()


class _PlaceSearch:
    def __init__(self, leads: Sequence[object], options: OpleadOptions) -> None:
        self._leads = leads
        self._tree = common_lead_field_paths(leads)
        self._options = options

    def find(self) -> FieldLocations:
        names = [one.name for one in fields(FieldPaths) if one.name not in _ENTRY_KEYS]
        found = {name: self._locate_field(name) for name in names if name != "click_id"}
        paths = replace(self._options.fields, **{name: written for name, (written, _) in found.items()})
        found["click_id"] = self._click_id_place(paths)
        guessed = None if found["history"][1] else self._list_of_statuses(paths.status)
        if guessed is not None:
            found["history"] = (guessed[0],), guessed[0]
            paths = replace(paths, history=(guessed[0],), **guessed[1])
        filled = {name: self._filled(path) for name, (_, path) in found.items()}
        seldom = _SELDOM * len(self._leads)
        lacking = [name for name in NEEDED if found[name][1] is None or (name != "click_id" and filled[name] < seldom)]
        matches = (FieldMatch(name, self._commonest_path_spelling(found[name][1]), filled[name]) for name in names)
        undecided = {name: self._describe_sought_field(name) for name in lacking} if self._leads else {}
        return FieldLocations(
            replace(paths, click_id=found["click_id"][0]), tuple(matches), undecided, guessed and guessed[0]
        )

    def _locate_field(self, field: str) -> tuple[Paths, str | None]:
        """Return the paths to use and the one that holds the field on most leads."""
        configured: Paths = getattr(self._options.fields, field)
        is_default = configured == getattr(CANDIDATES, field)
        filled = {path: self._filled(path) for path in configured}
        fitting = [path for path in configured if filled[path] and self._values_fit_field(field, path)]
        best = max(fitting, key=lambda path: filled[path], default=None)
        if field == "status" and is_default and best and (label := self._label_next_to(best)):
            return (label,), label
        if best is not None:
            every = self._with_sibling_paths(field, configured) if field in _SEVERAL and is_default else ()
            return every or configured, best
        named = self._paths_named_like_field(field)
        if field in _IN_STATUS and (not named or (field == "status" and self._are_numbers(named[0]))):
            inside = (field == "status" and named and self._label_next_to(named[0])) or self._part_of_status(field)
            if inside:
                return (inside,), inside
        if not named:
            return configured, None
        siblings = [path for path in named if _parent(path) == _parent(named[0])]
        return tuple(_mobile_first(siblings)) if field in _SEVERAL else (named[0],), named[0]

    def _filled(self, path: str | None) -> int:
        return 0 if path is None else sum(bool(values_at_path(lead, path)) for lead in self._leads)

    def _commonest_path_spelling(self, path: str | None) -> str | None:
        """Return a path as most leads spell it."""
        if path is None:
            return None
        alike = [one for one in self._tree if normalise_field_path(one) == normalise_field_path(path)]
        return max(alike, key=lambda one: self._tree[one].filled_count, default=path)

    def _with_sibling_paths(self, field: str, candidates: Sequence[str]) -> tuple[str, ...]:
        """Return the filled candidates and their siblings of the same meaning; empty if there are no such siblings.

        Only siblings count: elsewhere the field may belong to another person.
        """
        found = [self._commonest_path_spelling(path) or path for path in candidates if self._filled(path)]
        parents = set(map(_parent, found))
        more = [path for path in self._paths_named_like_field(field) if path not in found and _parent(path) in parents]
        return tuple(_mobile_first([*found, *more])) if more else ()

    def _values_fit_field(self, field: str, path: str) -> bool:
        values = [found[0] for lead in self._leads if (found := values_at_path(lead, path))]
        match field:
            case _ if field in _TIMES:
                return sum(is_readable_time(value, self._options.zone) for value in values) >= _MOST * len(values)
            case "id":
                texts = _texts(values)
                leads = sum(isinstance(lead, Mapping) for lead in self._leads)
                return len(texts) >= _NEARLY_ALL * leads and len({*texts}) >= _NEARLY_ALL * len(texts)
            case "status":
                return bool(_texts(values))
            case "email":
                return any("@" in text for text in _texts(values, "value", "email", "address"))
            case "phone":
                texts = _texts(values, "value", "number", "phone")
                return sum(any(map(str.isdigit, text)) for text in texts) >= _MOST * len(values)
            case "history":
                return any(self._has_history(lead, path) for lead in self._leads)
            case _:
                return True

    def _has_history(self, lead: object, path: str, among: Collection[str] = ()) -> bool:
        """Whether a history is read there, of these statuses alone if there are any."""
        configured = self._options.fields
        keys = FieldPaths(history=(path,), history_status=configured.history_status, history_at=configured.history_at)
        parser = LeadParser(replace(self._options, fields=keys))
        try:
            changes = parser.status_changes(lead) if isinstance(lead, Mapping) else []
        except UnreadableLeadError:
            return False
        return bool(changes) and (not among or any(one.label in among for one in changes))

    def _list_of_statuses(self, status: Paths) -> tuple[str, Mapping[str, Paths]] | None:
        """Return a list whose entries hold times and leads' statuses, and the keys of both if they need be named.

        An entry may also tell the status before: the key is that among whose values most leads' present status is.
        """
        present = [names_of_status(first_value_at_paths(lead, status)) for lead in self._leads]
        every = set(chain.from_iterable(present))
        best, most = None, (0, 0)
        for path, node in self._tree.items() if len(every) >= _SEVERAL_STATUSES else ():
            place = self._list_around(path) if node.is_listed else None
            at = self._time_in_entries(place) if place else None
            if place is None or at is None or not _are_mostly_among(every, list(node.all_lead_values())):
                continue
            # A status's label counts before its code, which no stage may name.
            shown, by_label = (
                sum(_are_any_among(present[number][:names], values) for number, values in node.values.items())
                for names in (None, 1)
            )
            if shown > _MOST * self._filled(place) and (shown, by_label) > most:
                best, most = (place, path.removeprefix(f"{place}."), at.removeprefix(f"{place}.")), (shown, by_label)
        best = best or self._list_of_codes()
        if best is None:
            return None
        place, label, at = best
        is_read = sum(self._has_history(lead, place, every) for lead in self._leads) >= _MOST * self._filled(place)
        return place, {} if is_read else {"history_status": (label,), "history_at": (at,)}

    def _list_of_codes(self) -> tuple[str, str, str] | None:
        """Return a list named like a history, and the keys of a time and of a code that no present status shows."""
        for path, node in self._tree.items():
            place = self._list_around(path) if node.is_listed and last_path_part(path) in _CODE_NAMES else None
            if place is None or not _is_history_name(last_path_part(place)):
                continue
            values = _texts(list(node.all_lead_values()))
            at = self._time_in_entries(place)
            if at and _SEVERAL_STATUSES <= len(set(values)) <= _FEW_OF * len(values):
                return place, path.removeprefix(f"{place}."), at.removeprefix(f"{place}.")
        return None

    def _list_around(self, path: str) -> str | None:
        """Return the path of the list in whose entries a path lies."""
        parts = path.split(".")
        parents = (".".join(parts[:count]) for count in range(1, len(parts)))
        lists = (one for one in parents if any(isinstance(value, list) for value in self._tree[one].all_lead_values()))
        return next(lists, None)

    def _time_in_entries(self, place: str) -> str | None:
        """Return the path of the time that most entries of a list have; the present status has not ended."""
        inside = {
            path: list(node.all_lead_values()) for path, node in self._tree.items() if path.startswith(f"{place}.")
        }
        times = (path for path, values in inside.items() if self._are_times(values))
        return max(times, key=lambda path: len(inside[path]), default=None)

    def _are_times(self, values: Sequence[object]) -> bool:
        kinds = [describe_value_kind(value, self._options.zone) for value in values]
        return bool(kinds) and sum(kind.startswith("date") for kind in kinds) >= _NEARLY_ALL * len(kinds)

    def _paths_named_like_field(self, field: str) -> list[str]:
        """Return the paths whose last name means the field, likeliest first."""
        ranked = []
        for path, node in self._tree.items():
            if (
                last_path_part(path) not in NAMES[field]
                or not node.filled_count
                or node.is_listed
                or not self._values_fit_field(field, path)
            ):
                continue
            parents = path.split(".")[:-1]
            if not _OTHER_PEOPLE.isdisjoint(map(normalise, parents)):
                continue
            depth = len(parents) if field in CONTACT or field in NEEDED else 0
            ranked.append((depth, NAMES[field].index(last_path_part(path)), -node.filled_count, path))
        return [path for *_, path in sorted(ranked)]

    def _label_next_to(self, status: str) -> str | None:
        """Return the path of the status label if the status itself is only a number, else None."""
        if not self._are_numbers(status):
            return None
        endings = (*with_french("label"), "libellestatut")
        named = (path for path in self._paths_named_like_field("status") if normalise(path).endswith(endings))
        return next(named, None) or self._part_of_status("status")

    def _are_numbers(self, status: str) -> bool:
        texts = _texts([first_value_at_paths(lead, (status,)) for lead in self._leads])
        return all(text.isdecimal() for text in texts)

    def _part_of_status(self, field: str) -> str | None:
        """Return what holds the label, or its time, in an object named like a status whose own names say nothing."""
        places = {path for path in self._tree if last_path_part(path) in NAMES["status"]}
        nodes = [(path, node) for path, node in self._tree.items() if _parent(path) in places and not node.is_listed]
        fits = self._are_few_texts if field == "status" else self._are_own_times
        fitting = [(path, node) for path, node in nodes if fits([values[0] for values in node.values.values()])]
        return max(fitting, key=lambda one: one[1].filled_count, default=(None,))[0]

    def _are_few_texts(self, values: Sequence[object]) -> bool:
        are_texts = all(describe_value_kind(value, self._options.zone) == "text" for value in values)
        return are_texts and 0 < len(set(map(str, values))) <= max(1, _FEW_OF * len(values))

    def _are_own_times(self, values: Sequence[object]) -> bool:
        """Whether these are times of leads; a time that many share is that of the status itself, such as its making."""
        return self._are_times(values) and len(set(map(str, values))) >= _MOST * len(values)

    def _click_id_place(self, known: FieldPaths) -> tuple[Paths, str | None]:
        """Do what `_locate_field` does, judging paths by the click ids that can be read there."""
        sources = [text_of(first_value_at_paths(lead, known.utm_source)) for lead in self._leads]

        def click_id_path_leads(
            paths: Sequence[str], rules: UnlabelledClickIdRules = self._options.click_ids
        ) -> dict[str, set[int]]:
            return {path: self._leads_with_click_ids(path, sources, rules) for path in paths}

        configured = known.click_id
        at_configured = click_id_path_leads(configured)
        best = max(configured, key=lambda path: (len(at_configured[path]), self._filled(path)))
        others = click_id_path_leads(self._click_id_paths(configured))
        ranked = sorted((path for path in others if others[path]), key=lambda path: -len(others[path]))
        if at_configured[best]:
            covered = set().union(*at_configured.values())
            more = [path for path in ranked if len(others[path] - covered) >= _ADDED]
            return (*configured, *more), best
        if ranked:
            return tuple(ranked), ranked[0]
        nodes = [(path, node) for path, node in self._tree.items() if not node.is_listed]
        texts = [path for path, node in nodes if any(isinstance(value, str) for value in node.all_lead_values())]
        labelled = click_id_path_leads(texts, UnlabelledClickIdRules(bare="reject"))
        found = max(labelled, key=lambda path: len(labelled[path]), default=None)
        if found is not None and labelled[found]:
            return (found,), found
        return configured, best if any(raw_values_at_path(lead, best) for lead in self._leads) else None

    def _click_id_paths(self, configured: Sequence[str]) -> list[str]:
        """Return further paths whose last name is that of a click id."""
        taken = set(map(normalise, configured))
        return [
            path
            for path, node in self._tree.items()
            if not node.is_listed and normalise(path) not in taken
            if last_path_part(path) in NAMES["click_id"] or is_click_id_label(path.rpartition(".")[2])
        ]

    def _leads_with_click_ids(
        self, path: str, sources: Sequence[str | None], rules: UnlabelledClickIdRules
    ) -> set[int]:
        """Return the indexes of the leads in which a path yields click ids."""
        read = partial(read_click_ids, rules=rules, zone=self._options.zone, label=path.rpartition(".")[2])
        values = (
            (number, value) for number, lead in enumerate(self._leads) for value in raw_values_at_path(lead, path)
        )
        return {number for number, value in values if read(value, utm_source=sources[number])[0]}

    def _describe_sought_field(self, field: str) -> str:
        if field == "created_at":
            nodes = ((path, node) for path, node in self._tree.items() if node.filled_count and not node.is_listed)
            times = [
                path
                for path, node in nodes
                if all(is_readable_time(value, self._options.zone) for value in node.all_lead_values())
            ]
            if times:
                paths = ", ".join(times[:6])
                return _("the time when a lead was created (there are times at {paths})", paths=paths)
        return _(_SOUGHT[field])


def _is_history_name(name: str) -> bool:
    """Whether a list of this name tells of statuses; a quote or an appointment has a status and times, too."""
    return name in NAMES["history"] or name.startswith(("status", "statut", "etape", "stage"))


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _texts(values: Sequence[object], *keys: str) -> list[str]:
    """Return the values as texts, reading objects by the given keys or the usual ones."""
    read = (text_of(value, keys) if keys else text_of(value) for value in values)
    return [text for text in read if text is not None]


def _are_any_among(statuses: Collection[str], values: Sequence[object]) -> bool:
    return any(not set(statuses).isdisjoint(names_of_status(value)) for value in values)


def _are_mostly_among(statuses: Collection[str], values: Sequence[object]) -> bool:
    return sum(_are_any_among(statuses, [value]) for value in values) >= max(1, _MOST * len(values))


def _mobile_first(paths: Sequence[str]) -> list[str]:
    """Sort mobile numbers first, since platforms match them best, and landlines last."""

    def rank(path: str) -> tuple[bool, bool]:
        is_mobile = any(part in last_path_part(path) for part in _MOBILE)
        return not is_mobile, any(part in last_path_part(path) for part in _FIXED)

    return sorted(paths, key=rank)
