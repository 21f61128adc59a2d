"""What was found behind a reason, without what differs from lead to lead."""

import re

from connectors.language import N_

_SHAPE = re.compile(r" \((?:text|a number|a list|an object|true or false|nothing)[^()]*\)")
_IS_SHAPE = re.compile(r"(?:text|a number), [\d,]+ characters?")
WITHOUT_SHAPE = (
    N_("a value without a label, of unknown kind: see click_ids.bare"),
    N_("labelled {kind}, but not in its form"),
    N_("labelled {kind}, but no click id has this form"),
    N_("no click id has this form"),
    N_("a number or date"),
    N_("no time that can be read: see oplead.fields.{setting}"),
    N_("no id that can be used: see oplead.fields.id"),
    N_("an entry of the list is no object"),
)
"""What is left of details with a shape, for the catalogues: `translated` finds them there."""


def strip_shape_from_detail(detail: str) -> str:
    """Return a detail without the length of what was found, which differs from lead to lead."""
    return "" if _IS_SHAPE.fullmatch(detail) else _SHAPE.sub("", detail)
