"""Which settings rest on the specification, which on the settings file, and which on trials. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from connectors.language import _
from connectors.oplead.options import OpleadOptions, PaginationOptions
from connectors.oplead.parsing.field_tree import normalise_field_path
from connectors.oplead.probe.guided import apply_specification_to_options, specified_field_locations
from connectors.oplead.probe.specification.reading import Specification
from connectors.survey import Basis, FieldMatch


@dataclass(frozen=True, slots=True)
class SettingsBasis:
    """What the settings rest on, and where the specification is contradicted."""

    rests_on: Mapping[str, Basis]
    contradictions: tuple[str, ...]


def compare_suggested_settings(
    configured: OpleadOptions,
    final: OpleadOptions,
    matches: tuple[FieldMatch, ...],
    specification: Specification | None,
) -> SettingsBasis:
    """Compare the settings that are suggested with those that were configured and those that are specified."""
    usual = OpleadOptions(token="", zone=configured.zone)
    specified = apply_specification_to_options(usual, specification) if specification else None
    rests_on: dict[str, Basis] = {}
    contradictions: list[str] = []
    for name in ("auth", "path_prefix", "leads_path", "lead_path", "pagination", "since_filter"):
        value, said = (
            _comparable_setting(final, name),
            _comparable_setting(specified, name) if _is_specified(specification, name) else None,
        )
        if said is not None and said == value:
            rests_on[name] = "specification"
        elif _comparable_setting(configured, name) == value and value != _comparable_setting(usual, name):
            rests_on[name] = "settings"
        elif value is not None:
            rests_on[name] = "trials"
        if said is not None and value is not None and said != value:
            contradictions.append(
                _(
                    "oplead.{name}: the specification says {said}, Oplead answers to {value}.",
                    name=name,
                    said=_format_setting(said),
                    value=_format_setting(value),
                )
            )
    places = (
        {match.field: match.path for match in specified_field_locations(specification, usual).matches}
        if specification
        else {}
    )
    for match in matches:
        said_path = places.get(match.field)
        if said_path and (match.path is None or normalise_field_path(match.path) == normalise_field_path(said_path)):
            rests_on[f"fields.{match.field}"] = "specification"
        elif match.path:
            rests_on[f"fields.{match.field}"] = "trials"
            if said_path:
                contradictions.append(
                    _(
                        "oplead.fields.{field}: the specification says {said}, Oplead has it at {found}.",
                        field=match.field,
                        said=said_path,
                        found=match.path,
                    )
                )
    return SettingsBasis(rests_on, tuple(contradictions))


def _is_specified(specification: Specification | None, name: str) -> bool:
    if specification is None:
        return False
    match name:
        case "auth":
            return specification.auth is not None
        case "lead_path":
            return specification.paths.lead_path is not None
        case "pagination":
            return specification.says_pages
        case "since_filter":
            return specification.since_filter is not None
    return True


def _comparable_setting(options: OpleadOptions | None, name: str) -> object:
    """Return a setting for comparison; of the pagination only what leads from page to page."""
    value = getattr(options, name, None)
    if not isinstance(value, PaginationOptions):
        return value
    match value.style:
        case "page":
            return value.style, value.page_param, value.first_page
        case "offset":
            return value.style, value.offset_param
        case "cursor" | "last_id":
            return value.style, value.cursor_param
        case style:
            return (style,)


def _format_setting(value: object) -> str:
    """Return a setting as a few words."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, str):
        return value or '""'
    return " ".join(_texts(value))


def _texts(value: object) -> Iterator[str]:
    yield from (text for one in fields(value) if isinstance(text := getattr(value, one.name), str) and text)  # type: ignore[arg-type]
