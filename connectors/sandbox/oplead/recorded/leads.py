"""The sandbox's leads in the words of an account that was seen, and what is written to them in those words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

from connectors.sandbox.oplead.leads.rendering import CODES, Fields
from connectors.sandbox.oplead.recorded.dialect import (
    OTHER,
    PAIRS,
    VALUE_WORDS,
    ConsentAnswers,
    Path,
    RecordedDialect,
    Tree,
    at,
    find,
    kinds_of,
    loosely,
    names_in,
    with_pairs,
)
from connectors.sandbox.oplead.recorded.forms import (
    OMITTED,
    absent,
    enveloped,
    invented,
    is_php_date,
    plain_consent,
    written_amount,
    written_consent,
    written_date,
    written_id,
    written_status,
    written_text,
)

Role = Literal["id", "date", "status", "history", "amount", "consent", "text"]
_OWN: Final[Mapping[str, tuple[Role, Path]]] = {
    "id": ("id", ("id",)),
    "created_at": ("date", ("createdAt",)),
    "updated_at": ("date", ("updatedAt",)),
    "status": ("status", ("status",)),
    "status_at": ("date", ("statusDate",)),
    "history": ("history", ("statusHistory",)),
    "click_id": ("text", ("leadData", "externalID")),
    "utm_source": ("text", ("leadData", "utm_source")),
    "utm_medium": ("text", ("leadData", "utm_medium")),
    "utm_campaign": ("text", ("leadData", "utm_campaign")),
    "email": ("text", ("contact", "email")),
    "first_name": ("text", ("contact", "firstname")),
    "last_name": ("text", ("contact", "lastname")),
    "postcode": ("text", ("address", "postcode")),
    "city": ("text", ("address", "city")),
    "country": ("text", ("address", "country")),
    "appointment_at": ("date", ("appointment", "date")),
}
"""What each field holds, and where an untranslated lead has it."""
_PHONES: Final = (("contact", "phone"), ("contact", "mobile"))
_CONSENT, _PERSONAL, _AMOUNT = ("leadData", "consent"), ("leadData", "adPersonalization"), ("amount",)
_PERSONAL_WORD: Final = "person"
_LABELS: Final = ("label", "libelle", "intitule", "name", "nom", "value", "valeur", "title", "titre")
_CODES: Final = ("code", "id", "identifier", "identifiant", "key", "cle", "numero")
"""What the words of a status are called in an object, and its code."""
_HOLDERS: Final = ("value", "valeur", "email", "number", "numero", "phone", "telephone", *_LABELS, *_CODES)
"""What may hold a value that is an object where most have a text."""
_PROVIDER: Final = "provider"
"""What is written of a lead's supplier, whom no lead shows, by the names of the settings' defaults."""
_BEFORE: Final = ("from", "old", "ancien", "oldStatus", "ancienStatut", "fromStatus", "previousStatus")
_KINDS: Final = ("type", "kind", "event", "action", "field")
"""What an entry of a history calls the status before, and its own kind."""
_OF_STATUS: Final = "status_changed"


@dataclass(frozen=True, slots=True)
class _Place:
    """What one path holds: a value of the lead, and where an untranslated one has it."""

    role: Role
    own: Path
    answers: ConsentAnswers | None = None
    otherwise: Path = ()
    """Where else an untranslated lead may have it."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A tree and what is where in it."""

    tree: Tree
    places: Mapping[Path, _Place]
    entry: "_Form | None" = None
    """An entry of the history."""


@dataclass(eq=False, repr=False)
class RecordedLeads:
    """Leads as one account shows and takes them."""

    dialect: RecordedDialect
    fields: Mapping[str, Sequence[str]]
    """Where each field is read."""
    listed: _Form = field(init=False)
    own_page: _Form = field(init=False)
    ids: Literal["prefixed", "int", "uuid"] = field(init=False)
    """The form of ids, as the axis of shapes has it."""
    writable: Mapping[Path, _Place] = field(init=False)
    """What may be written, by loosely spelt path."""

    wrapper: tuple[str, Tree] | None = field(init=False)
    """What wraps the lead on its own page: its name there, and the page."""

    def __post_init__(self) -> None:
        page = self.dialect.detail or self.dialect.lead
        wrapped = [] if self._place(page, "id") else [each for each in page if self._place(page[each], "id")]
        name = max(wrapped, key=lambda each: len(page[each]), default=None)
        self.wrapper = (name, page) if name else None
        self.listed, self.own_page = self._form(self.dialect.lead), self._form(page[name] if name else page)
        self.ids = self._id_form()
        self.writable = {
            path: place
            for path, place in self._writable()
            if place.role in ("text", "amount", "consent") or place.own[0] == "appointment"
        }

    # ── showing ─────────────────────────────────────────────────────────────────────────────────

    def as_listed(self, lead: object) -> object:
        """Return a lead as the list shows it; one that is no object stays unchanged."""
        return self._rendered(lead, self.listed)

    def as_page(self, lead: object) -> object:
        """Return a lead as its own page shows it, without what wraps it there."""
        return self._rendered(lead, self.own_page)

    def page_of(self, lead: object) -> object:
        """Return a lead's own page."""
        shown = self.as_page(lead)
        if self.wrapper is None:
            return shown
        name, page = self.wrapper
        return {each: shown if each == name else enveloped(inner) for each, inner in names_in(page).items()}

    def shown_status(self, label: str) -> str:
        """Return what settings call a status."""
        path = self.place_of("status")
        leaf = at(self.listed.tree, path) if path else at(self.own_page.tree, self.own_path("status"))
        return str(written_status(label, leaf, is_code=self._is_code)) if isinstance(leaf, str) else label

    def place_of(self, name: str) -> Path | None:
        """Return where the list shows a field."""
        return self._place(self.listed.tree, name)

    def _place(self, tree: Tree, name: str) -> Path | None:
        return next((path for each in self._paths(name) if (path := find(tree, each))), None)

    def _paths(self, name: str) -> Sequence[str]:
        """Return where a field may be, the place at which it was found first."""
        found = self.dialect.fields.get(name)
        return (*([found] if found else ()), *self.fields[name])

    def own_path(self, name: str) -> Path:
        """Return where a lead's own page shows a field; nowhere, if it does not."""
        return self._place(self.own_page.tree, name) or ()

    @property
    def _is_code(self) -> bool:
        return self.dialect.status.form == "code"

    def _rendered(self, lead: object, form: _Form) -> object:
        return self._shown(form.tree, (), lead, form) if isinstance(lead, Mapping) else lead

    def _shown(self, tree: Tree, path: Path, lead: Fields, form: _Form) -> object:
        """Return what is at a path of a lead: what that lead has there, or something invented."""
        place = form.places.get(path)
        if place is not None:
            return self._placed(place, tree, path, lead, form)
        match tree:
            case str():
                return invented(tree, str(lead.get("createdAt")))
            case list():
                return [self._shown(inner, path, lead, form) for inner in tree]
        if is_php_date(tree):
            return written_date(lead.get("createdAt"), tree)
        return self._object(tree, path, lead, form)

    def _object(self, tree: Tree, path: Path, lead: Fields, form: _Form) -> object:
        shown = {name: self._shown(inner, (*path, name), lead, form) for name, inner in names_in(tree).items()}
        kept = {name: value for name, value in shown.items() if value is not OMITTED}
        if PAIRS not in tree:
            return kept
        called, holds = sorted(tree[PAIRS], key=lambda key: loosely(key) in VALUE_WORDS)
        return [{called: name, holds: value} for name, value in kept.items()]

    def _placed(self, place: _Place, tree: Tree, path: Path, lead: Fields, form: _Form) -> object:
        value = _own_value(lead, place.own) or _own_value(lead, place.otherwise)
        if place.role == "history":
            return self._history(value, tree, form)
        if value is None or value == "":
            return absent(tree)
        if place.role == "status" and isinstance(tree, dict):
            return self._status_object(str(value), tree, path, lead, form)
        if isinstance(tree, dict) and not is_php_date(tree):
            holder = _first(tree, _HOLDERS) or next(iter(names_in(tree)), "")
            return self._object(tree, path, lead, _Form(tree, {(*path, holder): place}))
        if isinstance(tree, list):
            return [self._placed(place, inner, path, lead, form) for inner in tree]
        return self._written(place, value, tree)

    def _written(self, place: _Place, value: object, leaf: Tree) -> object:
        match place.role:
            case "id":
                return written_id(value, leaf)
            case "date":
                return written_date(value, leaf)
            case "status":
                return written_status(value, leaf, is_code=self._is_code)
            case "amount":
                return written_amount(value, leaf)
            case "consent" if place.answers is not None:
                return written_consent(value, leaf, place.answers)
            case "text" | "consent" | "history":
                return written_text(value, leaf)
        assert_never(place.role)

    def _status_object(self, label: str, tree: Tree, path: Path, lead: Fields, form: _Form) -> object:
        """Return a status as an object: its words, its code, and what else is in it."""
        texts = [name for name, inner in tree.items() if isinstance(inner, str) and "text" in kinds_of(inner)]
        words = next((name for known in _LABELS for name in texts if loosely(name) == known), next(iter(texts), ""))
        codes = [name for name in tree if loosely(name) in _CODES and name != words]
        shown = self._object(tree, path, lead, form)
        said = {name: written_status(label, tree[name], is_code=True) for name in codes if isinstance(tree[name], str)}
        return {**shown, **said, **({words: label} if words else {})} if isinstance(shown, dict) else shown

    def _history(self, history: object, tree: Tree, form: _Form) -> object:
        if form.entry is None:
            return absent(tree)
        entries = [each for each in history if isinstance(each, Mapping)] if isinstance(history, list) else []
        before = [None, *(entry.get("status") for entry in entries)]
        told = (
            {**entry, "createdAt": entry.get("date"), "before": old, "kind": _OF_STATUS}
            for entry, old in zip(entries, before, strict=False)
        )
        return [self._rendered(entry, form.entry) for entry in told]

    # ── what is where ───────────────────────────────────────────────────────────────────────────

    def _form(self, bare: Tree) -> _Form:
        known = (*(each.path for each in self.dialect.consent), *self.dialect.amounts, *self.dialect.fields.values())
        tree = with_pairs(bare, known)
        places: dict[Path, _Place] = {}
        for name, (role, own) in _OWN.items():
            if path := self._place(tree, name):
                places.setdefault(path, _Place(role, own))
        phones = [*dict.fromkeys(path for each in self._paths("phone") if (path := find(tree, each)))]
        alone = _PHONES[1] if len(phones) == 1 else ()
        places |= {path: _Place("text", own, otherwise=alone) for path, own in zip(phones, _PHONES, strict=False)}
        for answers in self.dialect.consent:
            if path := find(tree, answers.path):
                places[path] = _Place("consent", _PERSONAL if is_about_personalization(answers) else _CONSENT, answers)
        places |= {path: _Place("amount", _AMOUNT) for each in self.dialect.amounts if (path := find(tree, each))}
        history = next((path for path, place in places.items() if place.role == "history"), None)
        return _Form(tree, places, None if history is None else self._entry_form(at(tree, history)))

    def _entry_form(self, tree: Tree) -> _Form | None:
        """Return what is where in an entry of the history; None if nobody saw one."""
        entry = tree[0] if isinstance(tree, list) and tree else {}
        if not isinstance(entry, dict):
            return None
        keys = ("history_status", "history_at")
        # What is read there is there, even where its name was not shown.
        hidden = {name: entry[OTHER] for key in keys if OTHER in entry and (name := self.dialect.fields.get(key))}
        entry = {**hidden, **entry}
        status, time = (self._place(entry, name) for name in keys)
        places: dict[Path, _Place] = {status: _Place("status", ("status",))} if status else {}
        places |= {time: _Place("date", ("date",))} if time else {}
        for words, own in ((_BEFORE, _Place("status", ("before",))), (_KINDS, _Place("text", ("kind",)))):
            if called := _first(entry, words):
                places.setdefault((called,), own)
        return _Form(entry, places)

    def _id_form(self) -> Literal["prefixed", "int", "uuid"]:
        path = self.place_of("id")
        kinds = kinds_of(at(self.listed.tree, path)) if path else ()
        if {"integer", "number in text"} & {*kinds}:
            return "int"
        return "uuid" if "UUID" in kinds else "prefixed"

    # ── taking ──────────────────────────────────────────────────────────────────────────────────

    def _writable(self) -> Iterator[tuple[Path, _Place]]:
        """Yield every path at which a field may be written, those where leads show it last."""
        for name, (role, own) in _OWN.items():
            yield from ((_loose(each.split(".")), _Place(role, own)) for each in self.fields[name])
        yield from ((_loose(each.split(".")), _Place("text", _PHONES[0])) for each in self.fields["phone"])
        for form in (self.listed, self.own_page):
            yield from ((_loose(path), place) for path, place in form.places.items())

    def parts(self, body: Fields) -> Fields:
        """Return a body in the account's words as the sandbox's own Oplead takes it; unknown names are kept."""
        parts: dict[str, object] = {}
        for path, value in _values(body):
            place = self.writable.get(_loose(path))
            own = place.own if place else path if path[0] == _PROVIDER else (".".join(path),)
            target = parts
            for name in own[:-1]:
                target = target.setdefault(name, {})  # type: ignore[assignment]  # folders are dicts by construction
            target[own[-1]] = plain_consent(value, place.answers) if place and place.answers else value
        return parts

    def asked_status(self, body: Fields) -> Fields:
        """Return the body that sets a status in the sandbox's own words."""
        path = self.own_path("status") or ("status",)
        names = {loosely(path[0]), loosely(path[-1]), "status"}
        return {
            "status" if loosely(name) in names else name: _label(value) if loosely(name) in names else value
            for name, value in body.items()
        }


def is_about_personalization(answers: ConsentAnswers) -> bool:
    """Whether a field says if a lead's data may be used to personalise advertising."""
    return _PERSONAL_WORD in loosely(answers.path)


def _own_value(lead: Fields, own: Path) -> object:
    value: object = lead if own else None
    for name in own:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _first(tree: Mapping[str, Tree], names: Sequence[str]) -> str | None:
    """Return the first of these names that an object has, as it spells it."""
    spelt = {loosely(name): name for name in names_in(tree)}
    return next((spelt[loosely(name)] for name in names if loosely(name) in spelt), None)


def _loose(path: Sequence[str]) -> Path:
    return tuple(map(loosely, path))


def _values(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield each value of a body with its path; a list of names and values is an object."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _values(inner, (*path, name))
        case list() if path and value and all(map(_is_pair, value)):
            for name, inner in (each.values() for each in value):
                yield (*path, str(name)), inner
        case _:
            yield path, value


def _is_pair(entry: object) -> bool:
    return isinstance(entry, Mapping) and len(entry) == len(("name", "value"))


def _label(shown: object) -> object:
    """Return the label of a status that a request names by its label, its code or an object of both."""
    for value in shown.values() if isinstance(shown, Mapping) else (shown,):
        for label, (code, number) in CODES.items():
            if str(value) in (label, code, str(number)):
                return label
    return shown
