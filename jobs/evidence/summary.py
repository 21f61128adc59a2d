"""The summary of a walk, for people: what was confirmed, refuted and left open, and what stays in the CRM."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, assert_never

from connectors.language import Language, _, _n, using_language
from jobs.claims import Claim, ClaimPlatform, all_claims
from jobs.evidence.folder import Evidence
from jobs.evidence.verdicts import ClaimVerdict, Verdict

FILES = {Language.ENGLISH: "summary.md", Language.FRENCH: "resume.md"}
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\.md[^)]*\)")
"""A link to a page of the documentation, which does not stand beside the summary."""


def summaries(evidence: Evidence) -> dict[str, str]:
    """Return the summary in each language, by file name."""
    written = {}
    for language, name in FILES.items():
        with using_language(language):
            written[name] = "\n".join(_lines(evidence, language)) + "\n"
    return written


def verdict_word(verdict: Verdict) -> str:
    """Return a verdict in the current language."""
    match verdict:
        case Verdict.CONFIRMED:
            return _("confirmed")
        case Verdict.REFUTED:
            return _("refuted")
        case Verdict.UNCLEAR:
            return _("unclear")
    assert_never(verdict)


def headline(evidence: Evidence) -> str:
    """Return how many assumptions came out how."""
    found = [one.verdict for one in evidence.verdicts.values()]
    return _n(
        "Of {count} assumption: {confirmed} confirmed, {refuted} refuted, {unclear} unclear.",
        "Of {count} assumptions: {confirmed} confirmed, {refuted} refuted, {unclear} unclear.",
        len(all_claims()),
        confirmed=found.count(Verdict.CONFIRMED),
        refuted=found.count(Verdict.REFUTED),
        unclear=len(all_claims()) - found.count(Verdict.CONFIRMED) - found.count(Verdict.REFUTED),
    )


def left_behind_lines(evidence: Evidence) -> Iterator[str]:
    """Yield what was made and stays in Oplead."""
    for one in evidence.left_behind:
        what = " ".join(filter(None, (_kind_word(one.kind), one.id)))
        yield _("{name} ({what})", name=one.name, what=what)


def _kind_word(kind: Literal["lead", "subscription", "document"]) -> str:
    match kind:
        case "lead":
            return _("lead")
        case "subscription":
            return _("subscription")
        case "document":
            return _("document")
    assert_never(kind)


def _lines(evidence: Evidence, language: Language) -> Iterator[str]:
    yield from (_heading(_("What this account says of the assumptions"), 1), "")
    yield f"{headline(evidence)} ({evidence.day.isoformat()}, oplead-sync {evidence.program})"
    columns = (_("assumption"), _("verdict"), _("why"), _("exchanges"))
    for platform in ClaimPlatform:
        yield from ("", _heading(platform.title(), 2), "", _row(columns), _row(("---",) * len(columns)))
        for claim in all_claims().values():
            if claim.platform is platform:
                yield _row(_cells(claim, evidence.verdicts.get(claim.id), language))
    yield from ("", _heading(_("What stays in Oplead"), 2), "")
    yield from [f"- {line}" for line in left_behind_lines(evidence)] or [_("Nothing.")]


def _heading(text: str, level: int) -> str:
    return f"{'#' * level} {text}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(claim: Claim, found: ClaimVerdict | None, language: Language) -> tuple[str, ...]:
    words = _LINK.sub(r"\1", claim.words[0])
    if found is None:
        return words, _("not looked at yet"), "", ""
    return words, verdict_word(found.verdict), found.why.get(language, ""), _ranges(found.exchanges)


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers in order, neighbours together: `001–016, 020`."""
    runs = groupby(enumerate(sorted(numbers)), lambda placed: placed[1] - placed[0])
    ends = [(placed[0][1], placed[-1][1]) for placed in (list(run) for _step, run in runs)]
    return ", ".join(f"{first:03}" if first == last else f"{first:03}–{last:03}" for first, last in ends)
