"""Walks the assumptions: what reading settles first, then what a write may settle; saves after each."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from connectors.errors import ConnectorError
from connectors.evidence import OpleadLook, Shown
from connectors.language import _
from jobs.claims import Claim, ClaimId, ClaimPlatform, SettledHow, all_claims
from jobs.evidence import google, meta, oplead_writes
from jobs.evidence.folder import Evidence, EvidenceFolder, dialect_json
from jobs.evidence.oplead_reads import JUDGEMENTS
from jobs.evidence.session import Session
from jobs.evidence.summary import summaries
from jobs.evidence.verdicts import ClaimVerdict, Finding, Verdict, unclear

Check = Callable[[Session], Finding]
CHECKS: Mapping[ClaimId, Check] = {**oplead_writes.CHECKS, **google.CHECKS, **meta.CHECKS}
"""What asks a platform about a claim."""
_ORDER = (SettledHow.READ, SettledHow.WRITE, SettledHow.NIGHTS, SettledHow.WORD)


def walk(
    session: Session,
    folder: EvidenceFolder,
    evidence: Evidence,
    look: OpleadLook | None,
    checks: Mapping[ClaimId, Check],
) -> Iterator[ClaimVerdict]:
    """Settle every assumption that is not settled yet, and yield each verdict once it is saved.

    `look` is what was seen of Oplead, None if it could not be read. `checks` by claim; one that has neither a check nor
    a judgement stays unclear.
    """
    shown = look.shown if look else Shown()
    session.left_behind = evidence.left_behind
    session.verdicts = evidence.verdicts
    session.save = lambda: folder.save(evidence, summaries(evidence))
    if look and look.dialect:
        evidence.dialect = dialect_json(look.dialect)
    folder.save(evidence, summaries(evidence))  # a walk that ends before its first verdict is gone on with, too
    seen = folder.add(session.recorder.taken(shown))
    turn = {claim: number for number, claim in enumerate(checks)}  # a lead is deleted after all else was tried on it
    for claim in sorted(all_claims().values(), key=lambda one: (_ORDER.index(one.how), turn.get(one.id, -1))):
        before = evidence.verdicts.get(claim.id)
        if before and before.verdict is not Verdict.UNCLEAR:
            continue
        finding = _settle(claim, session, look, checks)
        numbers = folder.add(session.recorder.taken(shown))
        if claim.id in JUDGEMENTS:
            numbers = tuple(sorted({*seen, *numbers}))
        verdict = ClaimVerdict(claim.id, finding.verdict, finding.why, evidence.day, numbers)
        evidence.verdicts[claim.id] = verdict
        session.save()
        yield verdict


def _settle(claim: Claim, session: Session, look: OpleadLook | None, checks: Mapping[ClaimId, Check]) -> Finding:
    judgement, check = JUDGEMENTS.get(claim.id), checks.get(claim.id)
    if claim.platform is ClaimPlatform.OPLEAD and look is None:
        return unclear(lambda: _("Oplead could not be read"))
    if judgement and look:
        return judgement(look)
    if check:
        try:
            return check(session)
        except ConnectorError as error:
            name = type(error).__name__
            return unclear(lambda: _("the platform could not be asked ({name})", name=name))
    match claim.how:
        case SettledHow.WORD:
            return unclear(lambda: _("only the vendor can say"))
        case SettledHow.NIGHTS:
            return unclear(lambda: _("only time shows"))
        case SettledHow.READ | SettledHow.WRITE:
            return unclear(lambda: _("this walk does not look at it"))


def today_in(session: Session) -> date:
    """Return the day of a walk."""
    return session.clock.now().astimezone(session.known.settings.zone).date()
