"""What a specification says of writing leads and of subscribing to webhooks, as settings. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from connectors.oplead.options import LIST, OpleadOptions, Paths
from connectors.oplead.parsing.field_tree import (
    NAMES,
    common_lead_field_paths,
    last_path_part,
    normalise,
    normalise_field_path,
)
from connectors.oplead.parsing.synonyms import with_french
from connectors.oplead.probe.specification.creations import is_created_without_id
from connectors.oplead.probe.specification.examples import example_of
from connectors.oplead.probe.specification.openapi import ApiDescription, ApiOperation, mapping_or_empty, text_or_empty
from connectors.oplead.probe.specification.reading import Specification, is_single_lead_path, path_segments
from connectors.oplead.survey.places import locate_configured_fields
from connectors.survey import FieldMatch

_PLAIN = re.compile(r"[!-~]{1,100}")
_WRITE_VERBS = ("PATCH", "PUT", "POST")
"""PATCH first: what a PUT leaves out may be emptied."""
_STATUS = ("status", "statut", "statuts", "state")
_DOCUMENTS = (("document", "add"), ("attachments",), ("documents",), ("document",), ("attachment",), ("files",))
_SUBSCRIPTIONS = ("subscriptions", "subscription", "webhooks", "webhook")
_CHANNELS = ("marketing-channels", "channels", "canaux", "marketingchannels")
_CUSTOM_FIELDS = ("custom-fields", "customfields", "custom_fields", "champs-personnalises")
_EVENTS = frozenset({"event", "eventtype", "type", "topic", "action", "evenement", "eventname", "events"})
_URLS = frozenset(
    {"url", "callback", "callbackurl", "target", "targeturl", "endpoint", "webhookurl", "hook", "address"}
)
_KINDS: Mapping[str, tuple[str, ...]] = {
    "appointment": ("appointment", "rdv", "rendezvous", "meeting"),
    "status_change": ("status", "statut"),
    "new_lead": ("created", "new", "nouveau", "creation", "assigned", "attribue"),
}
_WRITTEN_FIELDS = frozenset(
    {"click_id", "utm_source", "utm_medium", "utm_campaign", "email", "phone"}
    | {"first_name", "last_name", "postcode", "city", "country"}
)


def specified_write_settings(specification: Specification, options: OpleadOptions) -> dict[str, str | bool]:
    """Return what is said of `oplead.write`, by dotted name; `options` say where things are read."""
    api, paths = specification.api, specification.paths
    said: dict[str, str | bool] = {}

    def note(name: str, operation: ApiOperation | None) -> None:
        if operation is not None and (place := paths.path_after_prefix(operation.path)) is not None:
            said[name] = f"{operation.verb} {place}"

    prefix = paths.path_prefix
    create = _best_matching_operation(
        api, ("POST",), lambda path: path_segments(path) == path_segments(prefix + paths.leads_path)
    )
    status = _status_operation(specification)
    document = next(filter(None, (_document(api, prefix, rest) for rest in _DOCUMENTS)), None)
    note("create", create)
    note("update", _best_matching_operation(api, _WRITE_VERBS, lambda path: is_single_lead_path(path, prefix, [])))
    note("status", status)
    note("document", document)
    if status is not None and (field := _status_field(api, status)):
        said["status_field"] = field
    if document is not None and (field := _document_field(api, document)):
        said["document_field"] = field
    for name, endings in (("channels", _CHANNELS), ("custom_fields", _CUSTOM_FIELDS)):
        found = _best_matching_operation(api, ("GET",), _ends_in(endings))
        if found is not None and (place := paths.path_after_prefix(found.path)) is not None and "{" not in place:
            said[name] = place
    # One setting says it of all that can be made.
    made = filter(None, (create, document, _subscription(api)))
    if create is not None and all(is_created_without_id(api, one) for one in made):
        said["created_without_id"] = True
    return {**said, **dict(_written_fields(api, create, options))}


def settable_statuses(specification: Specification) -> tuple[str, ...]:
    """Return the statuses that are listed for the request that sets one, as they are spelled there."""
    api, operation = specification.api, _status_operation(specification)
    field = _status_field(api, operation) if operation else None
    if operation is None or operation.body is None or field is None:
        return ()
    return example_of(api, operation.body.schema).enums.get(field.removesuffix(LIST), ())


def specified_subscription_settings(specification: Specification) -> dict[str, str]:
    """Return what is said of `webhooks.subscriptions`."""
    api, paths = specification.api, specification.paths
    operation = _subscription(api)
    if operation is None or (place := paths.path_after_prefix(operation.path)) is None or "{" in place:
        return {}
    said = {"path": place}
    example = example_of(api, operation.body.schema if operation.body else {})
    for path in _leaves(example.value):
        if last_path_part(path) in _URLS:
            said.setdefault("url_field", path)
        elif last_path_part(path) in _EVENTS and "event_field" not in said:
            said["event_field"] = path
            said |= _events(example.enums.get(path.removesuffix(LIST), ()))
    return said


def _status_operation(specification: Specification) -> ApiOperation | None:
    prefix = specification.paths.path_prefix
    return _best_matching_operation(
        specification.api,
        _WRITE_VERBS,
        lambda path: any(is_single_lead_path(path, prefix, [name]) for name in _STATUS),
    )


def _subscription(api: ApiDescription) -> ApiOperation | None:
    return _best_matching_operation(api, ("POST",), lambda path: path_segments(path)[-1] in _SUBSCRIPTIONS)


def _events(names: Sequence[str]) -> dict[str, str]:
    """Return which event is which, by its name; one that nothing tells is left out."""
    found: dict[str, str] = {}
    for name in filter(_PLAIN.fullmatch, names):
        kind = next((kind for kind, words in _KINDS.items() if any(word in normalise(name) for word in words)), None)
        if kind is not None:
            found.setdefault(kind, name)
    return found


def _best_matching_operation(
    api: ApiDescription, verbs: Sequence[str], is_wanted: Callable[[str], bool]
) -> ApiOperation | None:
    found = [one for one in api.operations if one.verb in verbs and is_wanted(one.path)]
    return min(found, key=lambda one: (verbs.index(one.verb), len(one.path)), default=None)


def _ends_in(endings: Sequence[str]) -> Callable[[str], bool]:
    return lambda path: path_segments(path)[-1] in endings


def _document(api: ApiDescription, prefix: str, rest: Sequence[str]) -> ApiOperation | None:
    return _best_matching_operation(api, ("POST", "PUT"), lambda path: is_single_lead_path(path, prefix, rest))


def _status_field(api: ApiDescription, operation: ApiOperation) -> str | None:
    """Return where the label goes in the request that sets a status: where its name says so, or the only place."""
    example = example_of(api, operation.body.schema if operation.body else {})
    leaves = list(_leaves(example.value))
    named = [path for path in leaves if last_path_part(path) in (*NAMES["status"], *with_french("label"))]
    return next(iter(named), leaves[0] if len(leaves) == 1 else None)


def _document_field(api: ApiDescription, operation: ApiOperation) -> str | None:
    """Return the name of the part of a form that takes the file."""
    body = operation.body
    if body is None or body.media != "multipart/form-data":
        return None
    for name, written_as in mapping_or_empty(api.resolve_schema(body.schema).get("properties")).items():
        part = api.resolve_schema(written_as)
        if (
            text_or_empty(part.get("type")) == "file"
            or text_or_empty(part.get("format")) == "binary"
            or "contentMediaType" in part
        ):
            return str(name)
    return None


def _written_fields(
    api: ApiDescription, create: ApiOperation | None, options: OpleadOptions
) -> Iterator[tuple[str, str]]:
    """Yield the places in a new lead that differ from where they are first read, and those of the supplier."""
    example = example_of(api, create.body.schema if create and create.body else {})
    if not isinstance(example.value, Mapping):
        return
    yield from lead_creation_path_settings(
        locate_configured_fields([example.value], OpleadOptions(token="", zone=options.zone)).matches, options
    )
    for path in _leaves(example.value):
        parent = last_path_part(path.rpartition(".")[0])
        if parent in ("provider", "fournisseur", "supplier") and last_path_part(path) in ("name", "nom", "url"):
            yield f"fields.provider_{'url' if last_path_part(path) == 'url' else 'name'}", path


def lead_creation_path_settings(matches: Iterable[FieldMatch], options: OpleadOptions) -> Iterator[tuple[str, str]]:
    """Yield where a new lead's values go, as settings, of those that are not read there first."""
    for match in matches:
        if match.field in _WRITTEN_FIELDS and match.path:
            read_from: Paths = getattr(options.fields, match.field)
            if normalise_field_path(match.path) != normalise_field_path(read_from[0]):
                yield f"fields.{match.field}", match.path


def _leaves(value: object) -> Iterator[str]:
    """Yield the paths of a made-up body's texts and numbers, and of lists of them as they are written."""
    for path, node in common_lead_field_paths([value]).items():
        match next(node.all_lead_values(), None):
            case Mapping():
                pass
            case list():
                yield path + LIST
            case _:
                yield path
