"""Walks the assumptions: what reading settles first, then what a write may settle; saves after each."""

from collections.abc import Callable, Iterator, Mapping

from connectors.errors import ConnectorError, NothingSent
from connectors.evidence import Shown
from connectors.language import _
from jobs.claims import Claim, ClaimId, ClaimPlatform, SettledHow, all_claims
from jobs.evidence import google, meta, oplead_writes
from jobs.evidence.folder import EvidenceFolder, dialect_json
from jobs.evidence.oplead_reads import JUDGEMENTS
from jobs.evidence.session import Session
from jobs.evidence.verdicts import ClaimVerdict, Finding, Verdict, unclear

Check = Callable[[Session], Finding]
CHECKS: Mapping[ClaimId, Check] = {**oplead_writes.CHECKS, **google.CHECKS, **meta.CHECKS}
"""What asks a platform about a claim."""
_ORDER = (SettledHow.READ, SettledHow.WRITE, SettledHow.NIGHTS, SettledHow.WORD)


def walk(session: Session, folder: EvidenceFolder) -> Iterator[ClaimVerdict]:
    """Settle every assumption that is not settled yet, and yield each verdict once it is saved.

    What nothing judges is unclear, and is tried again by the next walk.
    """
    evidence, look = session.evidence, session.look
    shown = look.shown if look else Shown()
    if look and look.dialect:
        evidence.dialect = dialect_json(look.dialect)
    session.save()  # a walk that ends before its first verdict is gone on with, too
    seen = folder.add(session.recorder.taken(shown))
    for claim in _in_turn():
        before = evidence.verdicts.get(claim.id)
        if before and before.verdict is not Verdict.UNCLEAR:
            continue
        finding = _settle(claim, session)
        made = folder.add(session.recorder.taken(shown))
        exchanges = seen if claim.id in JUDGEMENTS else made
        verdict = ClaimVerdict(claim.id, finding.verdict, finding.why, evidence.day, exchanges)
        evidence.verdicts[claim.id] = verdict
        session.save()
        yield verdict


def _in_turn() -> list[Claim]:
    """Return the claims: what is only read first, and a lead deleted after all else was tried on it."""
    turn = {claim: number for number, claim in enumerate(CHECKS)}
    return sorted(all_claims().values(), key=lambda one: (_ORDER.index(one.how), turn.get(one.id, -1)))


def _settle(claim: Claim, session: Session) -> Finding:
    look = session.look
    if claim.platform is ClaimPlatform.OPLEAD and look is None:
        return unclear(lambda: _("Oplead could not be read"))
    if look and (judgement := JUDGEMENTS.get(claim.id)):
        return judgement(look)
    if check := CHECKS.get(claim.id):
        try:
            return check(session)
        except (ConnectorError, NothingSent) as error:
            name = type(error).__name__
            return unclear(lambda: _("the platform could not be asked ({name})", name=name))
    match claim.how:
        case SettledHow.WORD:
            return unclear(lambda: _("only the vendor can say"))
        case SettledHow.NIGHTS:
            return unclear(lambda: _("only time shows"))
        case SettledHow.READ | SettledHow.WRITE:
            return unclear(lambda: _("this walk does not look at it"))
