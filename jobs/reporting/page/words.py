"""What the page calls the values of its records; each word is translated where it is shown."""

from collections.abc import Mapping

from connectors.language import N_, _, format_day
from jobs.claims import all_claims, count_confirmed
from jobs.reporting.page.facts import (
    AdPlatform,
    BiddingFitness,
    ConversionOutcome,
    Level,
    ResponsibleParty,
    SendingObstacle,
)
from jobs.reporting.sentences import explain_state
from jobs.reporting.wording.reasons import StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Reason

LEVELS: Mapping[Level, str] = {
    Level.GREEN: N_("Everything is all right."),
    Level.AMBER: N_("Something needs attention."),
    Level.RED: N_("Something is wrong."),
}
URGENCY: Mapping[Level, str] = {Level.GREEN: N_("To know"), Level.AMBER: N_("Soon"), Level.RED: N_("Urgent")}
RESPONSIBLE: Mapping[ResponsibleParty, str] = {
    ResponsibleParty.MARKETING: N_("Marketing"),
    ResponsibleParty.OPLEAD_USERS: N_("Oplead users"),
    ResponsibleParty.WEBSITE: N_("Whoever runs the website"),
    ResponsibleParty.OPERATOR: N_("Whoever runs this program"),
}
PLATFORMS: Mapping[AdPlatform, str] = {
    AdPlatform.GOOGLE: N_("Google"),
    AdPlatform.META: N_("Meta"),
    AdPlatform.OTHER: N_("Other ads"),
    AdPlatform.NONE: N_("No ad click known"),
}
DESTINATIONS: Mapping[str, str] = {"google_ads": N_("Google Ads"), "meta": N_("Meta")}
"""What everybody calls those that the settings give no id of their own."""
OUTCOMES: Mapping[ConversionOutcome, str] = {
    ConversionOutcome.SENT: N_("Unanswered"),
    ConversionOutcome.RECEIVED: N_("Received"),
    ConversionOutcome.ACCEPTED: N_("Accepted"),
    ConversionOutcome.HELD: N_("Held back"),
    ConversionOutcome.REJECTED: N_("Rejected"),
    ConversionOutcome.WAITING: N_("Waiting"),
    ConversionOutcome.EXPIRED: N_("Expired"),
    ConversionOutcome.IN_DOUBT: N_("In doubt"),
    ConversionOutcome.NOT_SENT: N_("Not to be sent"),
}
"""In the order of the page."""
GAPS: Mapping[SendingObstacle, str] = {
    SendingObstacle.UNKNOWN_STATUS: N_("Status that the settings do not know"),
    SendingObstacle.UNREADABLE_AMOUNT: N_("Amount that cannot be read"),
    SendingObstacle.MISSING_AMOUNT: N_("Sale without an amount"),
    SendingObstacle.AMBIGUOUS_CLICK_ID: N_("Click id: Google's or Meta's?"),
    SendingObstacle.UNUSABLE_CLICK_ID: N_("Click id that cannot be used"),
    SendingObstacle.CONSENT_MISSING: N_("Consent not asked"),
    SendingObstacle.CONSENT_UNCLEAR: N_("Consent unknown"),
    SendingObstacle.UNREADABLE_LEAD: N_("Lead that cannot be read"),
}
FITNESS: Mapping[BiddingFitness, str] = {
    BiddingFitness.FIT: N_("✓ Good to bid on"),
    BiddingFitness.TOO_RARE: N_("Too rare"),
    BiddingFitness.TOO_LATE: N_("Too late"),
    BiddingFitness.TOO_LATE_AND_TOO_RARE: N_("Too late and too rare"),
    BiddingFitness.TOO_FEW_TO_TELL: N_("Too few to tell"),
}
EXIT_CODES: Mapping[int | None, str] = {
    0: N_("It ended as planned."),
    1: N_("It ended, and somebody is needed: see above."),
    2: N_("It stopped at the settings or the state: see above."),
    3: N_("It stopped before its end: see above."),
    None: N_("It has not ended."),
}

_STATES: Mapping[ConversionOutcome, DeliveryState] = {
    ConversionOutcome.SENT: DeliveryState.IN_FLIGHT,
    ConversionOutcome.RECEIVED: DeliveryState.SUBMITTED,
    ConversionOutcome.ACCEPTED: DeliveryState.ACCEPTED,
    ConversionOutcome.HELD: DeliveryState.WITHHELD,
    ConversionOutcome.REJECTED: DeliveryState.REJECTED,
    ConversionOutcome.WAITING: DeliveryState.PENDING,
    ConversionOutcome.EXPIRED: DeliveryState.EXPIRED,
    ConversionOutcome.IN_DOUBT: DeliveryState.UNCONFIRMED,
    ConversionOutcome.NOT_SENT: DeliveryState.SKIPPED,
}

_RESENT = frozenset({Reason.ANSWER_LOST, Reason.RUN_DIED})
"""In doubt for now: the next night sends it again. For any other reason, it stays so."""
TWO_NAMES = (("adwords", "google"), ("fb", "facebook"), ("ig", "instagram"))
"""Sources that may well be one, which only those who write the links can tell."""


def explain_outcome(outcome: ConversionOutcome, cause: Cause) -> StateAndReasonTexts:
    """Return the words for an outcome and its cause."""
    will_be_resent = outcome is ConversionOutcome.IN_DOUBT and cause in _RESENT
    return explain_state(DeliveryState.IN_DOUBT if will_be_resent else _STATES[outcome], cause)


def why_held_back(reason: Reason) -> StateAndReasonTexts:
    """Return the words for what holds back a conversion that can still be sent."""
    return explain_outcome(ConversionOutcome.HELD, reason)


def explain_exit_code(exit_code: int | None) -> str:
    """Return how a night ended, in a sentence."""
    known = EXIT_CODES.get(exit_code)
    return _(known) if known else _("It ended with exit code {code}.", code=exit_code)


def assumptions_confirmed() -> str:
    """Say how many of the job's assumptions about live platforms are confirmed, and when the last was."""
    claims = all_claims().values()
    confirmed, last = count_confirmed(claims)
    day = f" ({format_day(last)})" if last else ""
    return _(
        "Assumptions about Oplead, Google and Meta that are confirmed: {confirmed} of {count}{day}. "
        "`oplead-sync evidence` tests them on your account.",
        confirmed=confirmed,
        count=len(claims),
        day=day,
    )
