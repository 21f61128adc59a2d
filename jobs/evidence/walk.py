"""Walks the assumptions, and saves after each what a look at the account says of it."""

from collections.abc import Iterator

from connectors.evidence import ExchangeRecorder, OpleadLook, Shown
from connectors.language import _
from jobs.claims import Claim, ClaimPlatform, SettledHow, all_claims
from jobs.evidence.folder import Evidence, EvidenceFolder, dialect_json
from jobs.evidence.oplead_reads import JUDGEMENTS
from jobs.evidence.summary import summaries
from jobs.evidence.verdicts import ClaimVerdict, Finding, Verdict, unclear


def walk(
    folder: EvidenceFolder, evidence: Evidence, look: OpleadLook | None, recorder: ExchangeRecorder
) -> Iterator[ClaimVerdict]:
    """Settle every assumption that is not settled yet, and yield each verdict once it is saved.

    `look` is what was seen of Oplead, None if it could not be read; `recorder` heard it. What nothing judges is
    unclear, and is tried again by the next walk.
    """
    if look and look.dialect:
        evidence.dialect = dialect_json(look.dialect)
    folder.save(evidence, summaries(evidence))  # a walk that ends before its first verdict is gone on with, too
    seen = folder.add(recorder.taken(look.shown if look else Shown()))
    for claim in all_claims().values():
        before = evidence.verdicts.get(claim.id)
        if before and before.verdict is not Verdict.UNCLEAR:
            continue
        finding = _judged(claim, look)
        exchanges = seen if claim.id in JUDGEMENTS else ()
        verdict = ClaimVerdict(claim.id, finding.verdict, finding.why, evidence.day, exchanges)
        evidence.verdicts[claim.id] = verdict
        folder.save(evidence, summaries(evidence))
        yield verdict


def _judged(claim: Claim, look: OpleadLook | None) -> Finding:
    if claim.platform is ClaimPlatform.OPLEAD and look is None:
        return unclear(lambda: _("Oplead could not be read"))
    if look and (judgement := JUDGEMENTS.get(claim.id)):
        return judgement(look)
    match claim.how:
        case SettledHow.WORD:
            return unclear(lambda: _("only the vendor can say"))
        case SettledHow.NIGHTS:
            return unclear(lambda: _("only time shows"))
        case SettledHow.READ | SettledHow.WRITE:
            return unclear(lambda: _("this walk does not look at it"))
