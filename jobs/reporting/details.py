"""Says in the reader's language what the ledger keeps in English: what was found behind a reason."""

import re
from collections.abc import Iterator
from functools import cache

from connectors.language import N_, _

_SENTENCES = (
    N_("only {kinds}"),
    N_("text, {length} character"),
    N_("text, {length} characters"),
    N_("a number, {length} character"),
    N_("a number, {length} characters"),
    N_("a list of {length}"),
    N_("an object with {length} name"),
    N_("an object with {length} names"),
    N_("true or false"),
    N_("nothing"),
    N_("{found} of {total}: {codes}"),
    N_("{found} of {total}"),
    N_("a value without a label, of unknown kind ({shape}): see click_ids.bare"),
    N_("a value without a label, of unknown kind: see click_ids.bare"),
    N_("labelled {kind}, but not in its form ({shape})"),
    N_("labelled {kind}, but not in its form"),
    N_("labelled {kind}, but no click id has this form ({shape})"),
    N_("labelled {kind}, but no click id has this form"),
    N_("labelled {kind}, but {cause}"),
    N_("no click id has this form ({shape})"),
    N_("no click id has this form"),
    N_("an e-mail address"),
    N_("a UUID, somebody's own reference"),
    N_("an Oplead channel identifier"),
    N_("Meta's form under another's name, cut short, or with a time that cannot be"),
    N_("a placeholder"),
    N_("a number or date ({shape})"),
    N_("a number or date"),
    N_("no time that can be read ({shape}): see oplead.fields.{setting}"),
    N_("no time that can be read: see oplead.fields.{setting}"),
    N_("no id that can be used ({shape}): see oplead.fields.id"),
    N_("no id that can be used: see oplead.fields.id"),
    N_("no creation time: see oplead.fields.created_at"),
    N_("an entry of the list is no object ({shape})"),
    N_("an entry of the list is no object"),
    N_("it is nested too deeply"),
)
"""Each before those that would match it too."""
_NUMERIC = frozenset({"length", "found", "total"})
_SHAPE = re.compile(r" \((?:text|a number|a list|an object|true or false|nothing)[^()]*\)")
_IS_SHAPE = re.compile(r"(?:text|a number), [\d,]+ characters?")


def say_detail(detail: str) -> str:
    """Return a detail in the current language; one that is not known, as a platform's own words, stays as it is."""
    for sentence, form in _forms():
        if match := form.fullmatch(detail):
            return _(sentence, **{name: say_detail(value) for name, value in match.groupdict().items()})
    return detail


def without_shape(detail: str) -> str:
    """Return a detail without the length of what was found, which differs from lead to lead."""
    return "" if _IS_SHAPE.fullmatch(detail) else _SHAPE.sub("", detail)


@cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((sentence, re.compile("".join(_pieces(sentence)))) for sentence in _SENTENCES)


def _pieces(sentence: str) -> Iterator[str]:
    for place, piece in enumerate(re.split(r"\{(\w+)\}", sentence)):
        if place % 2 == 0:
            yield re.escape(piece)
        else:
            yield f"(?P<{piece}>{r'[0-9,]+' if piece in _NUMERIC else '.+?'})"
