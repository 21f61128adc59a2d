"""What Oplead's own settings call the statuses of which leads only show a code."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from connectors.errors import ConnectorError
from connectors.oplead.client import OpleadClient
from connectors.oplead.parsing.fields import first_value_at_paths, text_of
from connectors.survey import SurveyedLabel

_PATHS = ("/settings/statuses", "/settings/lead-statuses", "/settings/status", "/settings/statuts")
"""Where its marketing channels are, for all that is known, with what statuses may be called."""
_CODES = ("identifier", "id", "code", "key", "value")
_WORDS = ("label", "libelle", "name", "nom", "title", "intitule")
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


def _status_names(client: OpleadClient, specified: Iterable[str]) -> Mapping[str, str]:
    for path in islice(dict.fromkeys((*specified, *_PATHS)), _MOST_PATHS):
        try:
            body = client.get(client.root + path).body
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
    return {code: words for code, words in pairs if code and words and len(words) <= _LONGEST}
