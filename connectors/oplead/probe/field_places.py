"""Where in a lead its id, status, dates, click ids, consent and contact data are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from zoneinfo import ZoneInfo

from connectors.oplead.click_ids import is_click_id_label, read_click_ids
from connectors.oplead.field_tree import CONTACT, FIXED, MOBILE, NAMES, NEEDED, SEVERAL, Node, Tree, is_date, plain
from connectors.oplead.fields import find, first, raw, text_of
from connectors.oplead.lead_parser import CANDIDATES, UnreadableLeadError, parse_lead, with_candidates
from connectors.oplead.options import ClickIdRules, FieldPaths
from connectors.records import LeadId
from connectors.survey import FieldMatch

_TIMES = frozenset({"created_at", "updated_at", "status_at", "click_id_at"})
_OTHER_PEOPLE = frozenset(
    {"commercial", "vendeur", "user", "owner", "agent", "assignee", "assignedto", "proprietaire", "responsable"}
    | {"provider", "fournisseur", "agency", "agence", "apporteur", "company", "societe", "createdby", "updatedby"}
    | {"channel", "canal", "campaign", "campagne", "product", "produit", "status", "statut"}
)
"""Whatever stands below these is not the lead's own."""
_ANY_TIME = "\0"
_MOST = 0.5
_NEARLY_ALL = 0.9
_SELDOM = 0.1
"""What hardly any lead has is not where every lead's status stands."""
_ADDED = 3
"""Click ids at another place too count from so many leads on: fewer may be a stray."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand, and what to write down about it."""

    fields: FieldPaths
    """None where the known candidates find it."""
    matches: tuple[FieldMatch, ...]
    undecided: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Leads:
    """The leads looked at."""

    leads: Sequence[object]
    tree: Tree
    zone: ZoneInfo
    rules: ClickIdRules


def find_places(
    leads: Sequence[object], tree: Tree, configured: FieldPaths, *, zone: ZoneInfo, rules: ClickIdRules
) -> Places:
    """Where each of `oplead.fields` stands, as configured where that finds it."""
    seen = _Leads(leads, tree, zone, rules)
    chosen: dict[str, tuple[str, ...] | None] = {}
    matches = []
    for field in (one.name for one in fields(FieldPaths) if one.name != "click_id"):
        written, path = _place(seen, field, getattr(configured, field))
        chosen[field] = written
        matches.append(FieldMatch(field, path, _filled(seen, path)))
    known = replace(configured, **chosen)
    written, path = _click_id_place(seen, known)
    matches.append(FieldMatch("click_id", path, _filled(seen, path)))
    enough = {field: 0.0 if field == "click_id" else _SELDOM * len(leads) for field in NEEDED}
    found = {match.field for match in matches if match.path and match.filled >= enough.get(match.field, 0.0)}
    lacking = tuple(_lacking(field, seen) for field in NEEDED if field not in found)
    order = [one.name for one in fields(FieldPaths)]
    matches.sort(key=lambda match: order.index(match.field))
    matches = [replace(match, path=_as_it_stands(tree, match.path)) for match in matches]
    return Places(replace(known, click_id=written), tuple(matches), lacking if leads else ())


def _as_it_stands(tree: Tree, path: str | None) -> str | None:
    """A path in the spelling that leads have, the commonest where they have several."""
    if path is None:
        return None
    wanted = [plain(name) for name in path.split(".")]
    alike = [one for one in tree if [plain(name) for name in one.split(".")] == wanted]
    return max(alike, key=lambda one: tree[one].filled, default=path)


def find_id_paths(items: Sequence[object], tree: Tree, configured: FieldPaths) -> tuple[str, ...]:
    """Where the leads' ids stand."""
    seen = _Leads(items, tree, ZoneInfo("UTC"), ClickIdRules())
    written, _ = _place(seen, "id", configured.id)
    return written or configured.id or CANDIDATES.id or ()


def _place(seen: _Leads, field: str, told: tuple[str, ...] | None) -> tuple[tuple[str, ...] | None, str | None]:
    """What to write, and the path that holds the field on most leads; None, where none does."""
    candidates = told or getattr(CANDIDATES, field)
    best = _best(seen, field, candidates)
    label = _label_beside(seen, best) if field == "status" and told is None else None
    if label is not None:
        return (label,), label
    if best is not None:
        every = _every_field(seen, field, candidates) if field in SEVERAL and told is None else ()
        return every or told, best
    named = list(_named(seen, field))
    if not named:
        return told, None
    beside = named[0].rpartition(".")[0]
    several = [path for path in named if path.rpartition(".")[0] == beside]
    return tuple(_mobile_first(several)) if field in SEVERAL else (named[0],), named[0]


def _every_field(seen: _Leads, field: str, candidates: Sequence[str]) -> tuple[str, ...]:
    """The filled candidates and the fields beside them that mean the same; nothing where the candidates are all.

    Only beside them: elsewhere it may be somebody else's.
    """
    found = [_as_it_stands(seen.tree, path) or path for path in candidates if _filled(seen, path)]
    parents = {path.rpartition(".")[0] for path in found}
    more = [path for path in _named(seen, field) if path not in found and path.rpartition(".")[0] in parents]
    return tuple(_mobile_first([*found, *more])) if more else ()


def _mobile_first(paths: Sequence[str]) -> list[str]:
    """Mobile numbers are whose they are, and the platforms know most people by them; fixed ones come last."""

    def rank(path: str) -> int:
        name = plain(path.rpartition(".")[2])
        return 0 if any(part in name for part in MOBILE) else 2 if any(part in name for part in FIXED) else 1

    return sorted(paths, key=rank)


def _best(seen: _Leads, field: str, paths: Sequence[str]) -> str | None:
    filled = {path: _filled(seen, path) for path in paths}
    fitting = [path for path in paths if filled[path] and _fits(seen, field, path)]
    return max(fitting, key=lambda path: filled[path], default=None)


def _filled(seen: _Leads, path: str | None) -> int:
    return 0 if path is None else sum(bool(find(lead, path)) for lead in seen.leads)


def _fits(seen: _Leads, field: str, path: str) -> bool:
    """Whether what stands at a path can be what is looked for."""
    values = [found[0] for lead in seen.leads if (found := find(lead, path))]
    if field in _TIMES:
        return sum(is_date(value, seen.zone) for value in values) >= _MOST * len(values)
    if field == "id":
        texts = [text for value in values if (text := text_of(value)) is not None]
        return len(texts) >= _NEARLY_ALL * _objects(seen) and len({*texts}) >= _NEARLY_ALL * len(texts)
    if field == "status":
        return any(text_of(value) is not None for value in values)
    if field == "email":
        return any("@" in text for value in values if (text := text_of(value, ("value", "email", "address"))))
    if field == "phone":
        texts = [text for value in values if (text := text_of(value, ("value", "number", "phone"))) is not None]
        return sum(any(letter.isdigit() for letter in text) for text in texts) >= _MOST * len(values)
    if field == "history":
        return any(_has_history(lead, path, seen) for lead in seen.leads)
    return True


def _objects(seen: _Leads) -> int:
    return sum(isinstance(lead, Mapping) for lead in seen.leads)


def _has_history(lead: object, path: str, seen: _Leads) -> bool:
    if not isinstance(lead, Mapping):
        return False
    try:
        read = parse_lead(
            {**lead, _ANY_TIME: "2026-01-01"},
            id=LeadId(""),
            digest="",
            paths=replace(
                CANDIDATES, history=(path,), status_at=(), click_id=(), created_at=(_ANY_TIME,), updated_at=()
            ),
            click_ids=seen.rules,
            zone=seen.zone,
            wanted=frozenset(),
        )
    except UnreadableLeadError:
        return False
    return bool(read.history)


def _named(seen: _Leads, field: str) -> Iterator[str]:
    """The paths whose last name means the field, likeliest first."""
    names = NAMES[field]
    ranked = []
    for path, node in seen.tree.items():
        *parents, name = path.split(".")
        if plain(name) not in names or not node.filled or node.is_listed or not _fits(seen, field, path):
            continue
        if {plain(parent) for parent in parents} & _OTHER_PEOPLE:
            continue
        depth = len(parents) if field in CONTACT or field in NEEDED else 0
        ranked.append((depth, names.index(plain(name)), -node.filled, path))
    yield from (path for *_, path in sorted(ranked))


def _label_beside(seen: _Leads, best: str | None) -> str | None:
    """The path of the status labels, where the status itself is only a number and its label stands beside it."""
    if best is None:
        return None
    texts = [text for lead in seen.leads if (text := text_of(first(lead, (best,)))) is not None]
    if not all(text.isdecimal() for text in texts):
        return None
    labels = (path for path in _named(seen, "status") if plain(path).endswith(("label", "libelle", "libellestatut")))
    return next(labels, None)


# ── click ids ────────────────────────────────────────────────────────────────────────────────────


def _click_id_place(seen: _Leads, known: FieldPaths) -> tuple[tuple[str, ...] | None, str | None]:
    utm = with_candidates(known).utm_source or ()
    sources = [text_of(first(lead, utm)) for lead in seen.leads]
    told = known.click_id or CANDIDATES.click_id or ()
    known_ids = {path: _with_ids(seen, path, sources, seen.rules) for path in told}
    best = max(told, key=lambda path: (len(known_ids[path]), _filled(seen, path)))
    there = any(raw(lead, best) for lead in seen.leads)
    others = {path: _with_ids(seen, path, sources, seen.rules) for path in _click_id_paths(seen, told)}
    ranked = sorted((path for path in others if others[path]), key=lambda path: -len(others[path]))
    if known_ids[best]:
        covered = set().union(*known_ids.values())
        more = tuple(path for path in ranked if len(others[path] - covered) >= _ADDED)
        return ((*told, *more) if more else known.click_id), best
    if ranked:
        return tuple(ranked), ranked[0]
    reject = ClickIdRules(bare="reject")
    texts = [path for path, node in seen.tree.items() if _is_text(node)]
    labelled = {path: len(_with_ids(seen, path, sources, reject)) for path in texts}
    found = max((path for path in labelled if labelled[path]), key=lambda path: labelled[path], default=None)
    if found is not None:
        return (found,), found
    return known.click_id, best if there else None


def _click_id_paths(seen: _Leads, told: Sequence[str]) -> Iterator[str]:
    """Paths whose last name is one of a click id's, beside those told already."""
    taken = {plain(path) for path in told}
    for path, node in seen.tree.items():
        name = path.rpartition(".")[2]
        if node.is_listed or plain(path) in taken:
            continue
        if plain(name) in NAMES["click_id"] or is_click_id_label(name):
            yield path


def _is_text(node: Node) -> bool:
    return not node.is_listed and any(isinstance(value, str) for value in node.every())


def _with_ids(seen: _Leads, path: str, sources: Sequence[str | None], rules: ClickIdRules) -> set[int]:
    """The leads in which a path gives click ids."""
    name = path.rpartition(".")[2]
    label = name if is_click_id_label(name) else None
    return {
        number
        for number, lead in enumerate(seen.leads)
        for value in raw(lead, path)
        if read_click_ids(
            value,
            utm_source=sources[number],
            bare=rules.bare,
            bare_digits=rules.bare_digits,
            zone=seen.zone,
            label=label,
        )[0]
    }


def _lacking(field: str, seen: _Leads) -> str:
    what = {
        "id": "a lead's id",
        "created_at": "when a lead was created",
        "status": "the status",
        "click_id": "click ids",
    }
    hint = ""
    if field == "created_at":
        times = [path for path, node in seen.tree.items() if not node.is_listed and _all_dates(node, seen.zone)]
        hint = f" (times stand at {', '.join(times[:6])})" if times else ""
    return f"oplead.fields.{field}: where {what[field]} may stand could not be told{hint}"


def _all_dates(node: Node, zone: ZoneInfo) -> bool:
    return bool(node.filled) and all(is_date(value, zone) for value in node.every())
