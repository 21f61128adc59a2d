"""How a dataset's ratings are answered: by one read-only query, judged by its form alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.meta.outcomes import read_error, read_object
from connectors.meta.sink import GraphApi, MetaOptions
from connectors.meta.statements import QUALITY


@dataclass(frozen=True, slots=True)
class QualityAnswer:
    """One answer, without a value in it."""

    status: int | None
    """None if there was no answer."""
    code: int | None = None
    """That of Meta's error, if it was one."""
    has_scores: bool | None = None
    """Whether web events are rated where that is assumed; None if none is rated, or the answer is not Meta's."""


def ask_for_quality(options: MetaOptions) -> QualityAnswer:
    """Ask for the ratings of a dataset's events.

    Raises:
        Misconfigured: the address, the token or the app secret is malformed.
    """
    path, fields = QUALITY
    graph = GraphApi(options)
    try:
        response = graph.get(path, dataset_id=options.dataset_id, fields=fields)
    except OSError:
        return QualityAnswer(None)
    if error := read_error(response):
        return QualityAnswer(error.http, error.code)
    return QualityAnswer(response.status_code, has_scores=_has_scores(read_object(response) or {}))


def _has_scores(answer: Mapping[str, object]) -> bool | None:
    listed = answer.get("web", [])
    if not isinstance(listed, list):
        return False
    found = {_is_rated(each) for each in listed}
    return None if found <= {None} else False not in found


def _is_rated(event: object) -> bool | None:
    """Return whether an event's rating is a number where that is assumed; None if it has none."""
    match event:
        case {"event_match_quality": {"composite_score": score}}:
            return None if score is None else isinstance(score, int | float)
        case {"event_match_quality": {} | None}:
            return None
        case {"event_match_quality": _}:
            return False
    return None if isinstance(event, dict) else False
