"""Load a specification from JSON, YAML or a page, bounded in size and depth, for it comes from outside."""

import json
import re
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from connectors.language import _

LARGEST = 8 * 1024 * 1024  # bytes
LARGEST_YAML = 1024 * 1024  # bytes; YAML is read slowly
DEEPEST = 100
MOST_VALUES = 500_000
"""The most values a specification may have, each counted as often as it is referred to."""
_INLINE = re.compile(r"""\b(?:swaggerDoc|spec)["']?\s*:\s*(?=\{)""")
_IS_YAML = re.compile(rb"""^["']?(?:openapi|swagger)["']?\s*:""", re.MULTILINE)

Specified = Mapping[str, object]
"""A specification as it was written."""


class NotASpecificationError(Exception):
    """There is no specification that can be used; the text says why, without a capital letter or a full stop."""


def specification_in(content: bytes) -> Specified | None:
    """Return the specification that this is or holds, as JSON, YAML or in a page; None if it is none.

    Raises:
        NotASpecificationError: it is broken, too large or too deep, or refers to another document.
    """
    if len(content) > LARGEST:
        raise NotASpecificationError(_("the specification has more than {most} MB", most=LARGEST // 1024 // 1024))
    text = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        document = _from_json(text.decode("utf-8", "replace"))
    elif text.startswith(b"<") or not _IS_YAML.search(text):
        document = _inline(text.decode("utf-8", "replace"))
    else:
        document = _from_yaml(text)
    if not isinstance(document, Mapping) or not {"openapi", "swagger"} & document.keys():
        return None
    _require_bounded(document)
    return document


def _from_json(text: str) -> object:
    try:
        return json.JSONDecoder().decode(text)
    except (ValueError, RecursionError):
        raise NotASpecificationError(_("the specification is no valid JSON")) from None


def _inline(text: str) -> object:
    """Return the specification that a script passes to its page, if it does."""
    found = _INLINE.search(text)
    if found is None:
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(text, found.end())
    except (ValueError, RecursionError):
        return None
    return document


def _from_yaml(content: bytes) -> object:
    if len(content) > LARGEST_YAML:
        raise NotASpecificationError(
            _("the specification has more than {most} MB of YAML", most=LARGEST_YAML // 1024 // 1024)
        )
    try:
        _require_few_values(content)
        return YAML(typ="safe", pure=True).load(content)
    except (YAMLError, ValueError, RecursionError):
        raise NotASpecificationError(_("the specification is no valid YAML")) from None


def _require_few_values(content: bytes) -> None:
    """Refuse YAML whose aliases would make it large, or that holds itself, before anything is built of it."""
    sizes: dict[str, int] = {}
    open_ones: list[tuple[str | None, int]] = []
    count = 0
    for event in YAML(typ="safe", pure=True).parse(content):
        match event:
            case AliasEvent():
                if event.anchor not in sizes:
                    raise NotASpecificationError(_("the specification holds itself"))
                count += sizes[event.anchor]
            case CollectionStartEvent():
                open_ones.append((event.anchor, count))
                count += 1
            case CollectionEndEvent():
                anchor, before = open_ones.pop()
                sizes |= {anchor: count - before} if anchor else {}
            case NodeEvent():
                count += 1
                sizes |= {event.anchor: 1} if event.anchor else {}
        if count > MOST_VALUES or len(open_ones) > DEEPEST:
            raise NotASpecificationError(_("the specification is too large or too deep"))


def _require_bounded(document: object) -> None:
    """Refuse what is too deep or large to be walked, and any reference to another document."""
    waiting, count = [(document, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise NotASpecificationError(_("the specification is too large or too deep"))
        if isinstance(value, Mapping):
            reference = value.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                raise NotASpecificationError(_("the specification refers to another document, which is not read"))
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
