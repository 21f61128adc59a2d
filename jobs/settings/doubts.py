"""What a file may say and its writer may not have meant; it is noted, and the run goes on."""

from collections.abc import Iterator
from difflib import get_close_matches

from jobs.settings.document import Tree
from jobs.settings.places import find, texts
from jobs.settings.problems import Finding

_STANDARD_EVENTS = (
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Donate",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "Subscribe",
    "ViewContent",
)
"""https://developers.facebook.com/docs/meta-pixel/reference#standard-events"""
_NEAR = 0.8
"""How like a standard event a name must be to be taken for one that was mistyped."""
_TICKS = frozenset({"yes", "no", "on", "off"})
"""Words that other readers of YAML take for true and false."""


def doubtful_notes(tree: Tree) -> Iterator[Finding]:
    """Everything that may be a slip."""
    yield from _near_events(tree)
    yield from _ticks(tree)


def _near_events(tree: Tree) -> Iterator[Finding]:
    known = {name.casefold(): name for name in _STANDARD_EVENTS}
    for path, event in find(tree, "conversions.*.meta.event"):
        if not isinstance(event, str) or event in _STANDARD_EVENTS:
            continue
        close = get_close_matches(event.casefold()[:100], known, n=1, cutoff=_NEAR)
        if close:
            said = "this is none of Meta's standard events, so it counts as a custom one"
            yield Finding(path, f'{said}; did you mean "{known[close[0]]}"?')


def _ticks(tree: Tree) -> Iterator[Finding]:
    for signal in ("ad_user_data", "ad_personalization"):
        for answers in ("granted", "refused"):
            for place in find(tree, f"consent.{signal}.{answers}"):
                for path, text in texts(place):
                    if text.casefold() in _TICKS:
                        yield Finding(
                            path, f"this is the word {text}, as a lead may hold it; for true or false write those"
                        )
