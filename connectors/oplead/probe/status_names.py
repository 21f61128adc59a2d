"""What Oplead itself calls its statuses: in its own settings, or in its specification."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from connectors.errors import ConnectorError, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.parsing.fields import first_value_at_paths, text_of
from connectors.oplead.parsing.synonyms import with_french
from connectors.oplead.probe.specification.documentation import find_specification
from connectors.oplead.probe.specification.loading import NotASpecificationError
from connectors.oplead.probe.specification.reading import read_specifications
from connectors.oplead.probe.specification.written import settable_statuses
from connectors.survey import SurveyedLabel

_PATHS = ("/settings/statuses", "/settings/lead-statuses", "/settings/status", "/settings/statuts")
"""Where its marketing channels are, for all that is known, with what statuses may be called."""
_CODES = with_french("identifier", "id", "code", "key", "value")
_WORDS = with_french("label", "name", "title")
_LONGEST = 60
_MOST_PATHS = 4


def with_names_of_codes(
    labels: Sequence[SurveyedLabel], client: OpleadClient, specified: Iterable[str] = ()
) -> tuple[SurveyedLabel, ...]:
    """Return labels, mere codes with what Oplead's settings call them.

    Asks only if there is one, a few times at most: first where a specification says, then where it is likely.
    """
    names = _status_names(client, specified) if any(one.is_code for one in labels) else {}
    return tuple(replace(one, words=names.get(one.label, "")) if one.is_code else one for one in labels)


def official_statuses(client: OpleadClient) -> Mapping[str, str]:
    """Return what Oplead's settings call each status, by its code, else those that its specification lists.

    Empty if neither is to be had; six requests at most.
    """
    return _status_names(client) or {one: one for one in _specified_statuses(client) if _is_name(one)}


def _specified_statuses(client: OpleadClient) -> Sequence[str]:
    document = find_specification(client).specification
    try:
        read = read_specifications(document, client.options.base_url) if document else ()
    except NotASpecificationError:
        return ()
    return next(filter(None, map(settable_statuses, read)), ())


def _status_names(client: OpleadClient, specified: Iterable[str] = ()) -> Mapping[str, str]:
    for path in islice(dict.fromkeys((*specified, *_PATHS)), _MOST_PATHS):
        try:
            body = client.get(client.root + path).body
        except Transient:
            break
        except ConnectorError:
            continue
        if names := _names_in(body):
            return names
    return {}


def _names_in(body: object) -> Mapping[str, str]:
    """Return the names in a list of objects, which may be inside an object."""
    around = [body, *body.values()] if isinstance(body, Mapping) else [body]
    entries = next((value for value in around if isinstance(value, list)), [])
    pairs = (
        (text_of(first_value_at_paths(entry, _CODES)), text_of(first_value_at_paths(entry, _WORDS)))
        for entry in entries
        if isinstance(entry, Mapping)
    )
    return {code: words for code, words in pairs if code and words and _is_name(words)}


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST and text.isprintable()
