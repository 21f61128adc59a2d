"""What somebody may have meant by a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "won"?` where one of the known names is close, else nothing."""
    names = {candidate.casefold(): candidate for candidate in sorted(known)}
    # Comparing costs the product of both lengths: no known name is near a hundred letters long.
    close = get_close_matches(name.casefold()[:100], names, n=1)
    return f'; did you mean "{names[close[0]]}"?' if close else ""
