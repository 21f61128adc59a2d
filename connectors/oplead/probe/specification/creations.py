"""Whether a specification says that a creation is answered without an id. Pure, and never a guess.

What is taken for a success without an id may be a refusal in words that nobody knows, and its lead would be lost:
whatever is not said, or may be read otherwise, counts as unknown.
"""

from connectors.oplead.parsing.field_tree import normalise
from connectors.oplead.probe.specification.openapi import (
    ApiDescription,
    ApiOperation,
    Schema,
    mapping_or_empty,
    resolve_local_reference,
    type_of_schema,
)

_EMPTY = ("204", "205")
"""The statuses of an answer that has no body; with any other, one may only have been left out of the document."""
_IDENTIFYING = ("id", "ref", "key", "cle", "num", "slug", "url", "uri", "href", "link", "lien", "location")
"""Pieces of the names of what may tell which lead was made."""
_UNDECIDED = ("allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "unevaluatedProperties")
"""With these, what a schema lists is not all there may be."""
_SCALARS = ("string", "integer", "number", "boolean")
_DEEPEST = 4


def is_created_without_id(api: ApiDescription, operation: ApiOperation) -> bool:
    """Return whether every success that is described for a creation names no id, in its body or a header."""
    return bool(operation.successes) and all(
        _is_without_id(api, status, answer) for status, answer in operation.successes.items()
    )


def _is_without_id(api: ApiDescription, status: str, answer: Schema) -> bool:
    named = (*mapping_or_empty(answer.get("headers")), *mapping_or_empty(answer.get("links")))
    if any(_is_identifying(str(name)) for name in named):
        return False
    if "content" not in answer:  # Swagger 2 writes the schema without it
        return _lists_no_id(api, answer["schema"], _DEEPEST) if "schema" in answer else status in _EMPTY
    bodies = mapping_or_empty(answer["content"])
    return bool(bodies) and all(
        "json" in str(media) and _lists_no_id(api, mapping_or_empty(body).get("schema"), _DEEPEST)
        for media, body in bodies.items()
    )


def _lists_no_id(api: ApiDescription, schema: object, depth: int) -> bool:
    """Whether a schema lists all that there is, and nothing of it may be an id."""
    found = resolve_local_reference(api.document, schema)
    if not depth or any(name in found for name in _UNDECIDED) or _has_several_types(found):
        return False
    match kind := type_of_schema(found):
        case "object":
            properties = mapping_or_empty(found.get("properties"))
            is_closed = found.get("additionalProperties", not properties) is False
            return is_closed and all(
                not _is_identifying(str(name)) and _lists_no_id(api, one, depth - 1) for name, one in properties.items()
            )
        case "array":
            return _lists_no_id(api, found.get("items"), depth - 1)
    return kind in _SCALARS


def _has_several_types(schema: Schema) -> bool:
    kinds = schema.get("type")
    return isinstance(kinds, list) and sum(one != "null" for one in kinds) > 1


def _is_identifying(name: str) -> bool:
    return any(piece in normalise(name) for piece in _IDENTIFYING)
