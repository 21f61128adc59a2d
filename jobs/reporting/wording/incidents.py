"""What a notice about an incident says; `sentences` translates it and fills in its values."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.language import N_
from jobs.reporting.wording.messages import NEW_LINE, MessagePart
from jobs.rules.incident import IncidentKind


@dataclass(frozen=True, slots=True)
class IncidentTexts:
    """A notice about an incident."""

    title: tuple[MessagePart, ...]
    text: tuple[MessagePart, ...]


INCIDENTS: Mapping[IncidentKind, IncidentTexts] = {
    IncidentKind.SOURCE: IncidentTexts(
        (MessagePart(N_("Oplead cannot be read")),),
        (
            MessagePart("{why}"),
            NEW_LINE,
            MessagePart(N_("What was read before is still sent; nothing new is found until this is fixed.")),
            MessagePart(N_("`oplead-sync check --live` shows what Oplead answers.")),
        ),
    ),
    IncidentKind.STOPPED: IncidentTexts(
        (MessagePart(N_("{about} stopped")),),
        (
            MessagePart("{why}"),
            NEW_LINE,
            MessagePart(
                N_(
                    "Nothing goes there. What is due waits, and goes out by itself once this is fixed if it is still "
                    "in time."
                )
            ),
            MessagePart(N_("`oplead-sync check --live` shows what the platform answers.")),
        ),
    ),
    IncidentKind.EXPIRING: IncidentTexts(
        (
            MessagePart(
                N_("{about}: {count} conversion will expire", "{about}: {count} conversions will expire"),
                counts="soon",
            ),
        ),
        (
            MessagePart(
                N_(
                    "{count} conversion at {about} expires at {first} unless someone approves it with `oplead-sync run "
                    "--accept-volume`.",
                    "{count} conversions at {about} expire by {last} unless someone approves them with `oplead-sync "
                    "run --accept-volume`; the first at {first}.",
                ),
                counts="soon",
                given="held",
            ),
            MessagePart(
                N_(
                    "{count} conversion at {about} expires at {first} unless this is fixed.",
                    "{count} conversions at {about} expire by {last} unless this is fixed; the first at {first}.",
                ),
                counts="soon",
                lacking="held",
            ),
            MessagePart(
                N_(
                    "{count} more waits there and expires later.",
                    "{count} more wait there and expire later.",
                ),
                counts="later",
                given="later",
            ),
            MessagePart(N_("An expired conversion cannot be sent any more.")),
            NEW_LINE,
            MessagePart(N_("Why nothing goes there: {why}")),
        ),
    ),
    IncidentKind.HELD: IncidentTexts(
        (
            MessagePart(N_("{about}: far more than usual is held"), lacking="ids"),
            MessagePart(N_("{about}: held, as ids of leads have changed"), given="ids"),
        ),
        (
            MessagePart("{why}."),
            NEW_LINE,
            MessagePart(
                N_("Check it with `oplead-sync run --dry-run`. If it is wrong, fix the settings."), lacking="ids"
            ),
        ),
    ),
    IncidentKind.IN_DOUBT: IncidentTexts(
        (
            MessagePart(
                N_("{where}: {count} correction in doubt", "{where}: {count} corrections in doubt"),
                given="corrections",
            ),
            MessagePart(
                N_("{where}: {count} conversion in doubt", "{where}: {count} conversions in doubt"),
                lacking="corrections",
            ),
        ),
        (
            MessagePart(
                N_(
                    "{count} correction was sent to {where}, and the answer was lost.",
                    "{count} corrections were sent to {where}, and the answer was lost.",
                ),
                given="corrections",
            ),
            MessagePart(
                N_(
                    "{count} conversion was sent to {where}, and the answer was lost.",
                    "{count} conversions were sent to {where}, and the answer was lost.",
                ),
                lacking="corrections",
            ),
            MessagePart(
                N_(
                    "It was sent on {day}; `oplead-sync explain {leads}` shows it.",
                    "The first was sent on {day}; `oplead-sync explain {leads}` shows one of them.",
                ),
                given="leads",
            ),
            MessagePart(
                N_(
                    "`in_doubt: ask` leaves them to you: look one up in the platform's diagnostics; to send them "
                    "again, which may count twice, write `in_doubt: resend` within 48 h."
                ),
                given="asks",
            ),
            MessagePart(
                N_("Nothing to do yet: the next nights send the same bytes again, three times at most."),
                lacking="asks",
            ),
        ),
    ),
    IncidentKind.UNCONFIRMED: IncidentTexts(
        (
            MessagePart(
                N_("{where}: {count} correction unconfirmed", "{where}: {count} corrections unconfirmed"),
                given="corrections",
            ),
            MessagePart(
                N_("{where}: {count} conversion unconfirmed", "{where}: {count} conversions unconfirmed"),
                lacking="corrections",
            ),
        ),
        (
            MessagePart(
                N_(
                    "{count} correction was sent to {where}, but the platform will not say whether it counted. It is "
                    "not sent again: look in the platform's own diagnostics; `oplead-sync explain` of its lead shows "
                    "why.",
                    "{count} corrections were sent to {where}, but the platform will not say whether they counted. "
                    "They are not sent again: look in the platform's own diagnostics; `oplead-sync explain` of its "
                    "lead shows why.",
                ),
                given="corrections",
            ),
            MessagePart(
                N_(
                    "{count} conversion was sent to {where}, but the platform will not say whether it counted. It is "
                    "not sent again: look in the platform's own diagnostics; `oplead-sync status` shows why.",
                    "{count} conversions were sent to {where}, but the platform will not say whether they counted. "
                    "They are not sent again: look in the platform's own diagnostics; `oplead-sync status` shows why.",
                ),
                lacking="corrections",
            ),
        ),
    ),
    IncidentKind.STATUS_MISSING: IncidentTexts(
        (MessagePart(N_("{about} does not say what became of uploads")),),
        (
            MessagePart(
                N_(
                    "Request {requests} has no outcome; it was due {age} ago. The last answer: {answer}.",
                    "{count} requests have no outcome: {requests}. The first was due {age} ago. The last answer: "
                    "{answer}.",
                )
            ),
            NEW_LINE,
            MessagePart(
                N_(
                    "What was sent with them is on record as received, and nothing is sent again; everything else "
                    "goes on. Each run asks again, for 45 days. `oplead-sync check --live` shows what the platform "
                    "answers."
                )
            ),
        ),
    ),
    IncidentKind.REJECTED: IncidentTexts(
        (
            MessagePart(N_("{where} rejects {share} of the corrections it settles"), given="corrections"),
            MessagePart(N_("{where} rejects {share} of what it settles"), lacking="corrections"),
        ),
        (
            MessagePart(
                N_(
                    "{rejected} of {count} correction settled tonight was rejected.",
                    "{rejected} of {count} corrections settled tonight were rejected.",
                ),
                counts="settled",
                given="corrections",
            ),
            MessagePart(
                N_(
                    "{rejected} of {count} conversion settled tonight was rejected.",
                    "{rejected} of {count} conversions settled tonight were rejected.",
                ),
                counts="settled",
                lacking="corrections",
            ),
            MessagePart(N_("The codes: {codes}."), given="codes"),
            NEW_LINE,
            MessagePart(N_("`oplead-sync explain LEAD` says why, for lead {leads}."), given="leads"),
            MessagePart(N_("`oplead-sync explain LEAD` says why."), lacking="leads"),
        ),
    ),
    IncidentKind.ACCEPTANCE: IncidentTexts(
        (MessagePart(N_("{about} accepts fewer than usual")),),
        (
            MessagePart(
                N_(
                    "{accepted} of {count} conversion settled tonight was accepted, {share}; usual is {usual}, the "
                    "median of the last nights.",
                    "{accepted} of {count} conversions settled tonight were accepted, {share}; usual is {usual}, the "
                    "median of the last nights.",
                ),
                counts="settled",
            ),
            NEW_LINE,
            MessagePart(N_("`oplead-sync status` shows the reasons.")),
        ),
    ),
    IncidentKind.NOTHING_SENT: IncidentTexts(
        (MessagePart(N_("{about}: nothing was sent tonight")),),
        (
            MessagePart(
                N_(
                    "Half of the last {nights} nights sent {sends} conversions or more to {about}; tonight sent none, "
                    "and nothing has stopped."
                )
            ),
            NEW_LINE,
            MessagePart(
                N_("Did anyone enter statuses in Oplead? `oplead-sync status` shows what is held back, and why.")
            ),
        ),
    ),
    IncidentKind.ANOMALY: IncidentTexts(
        (MessagePart("{title}"),),
        (MessagePart("{anomaly}"), NEW_LINE, MessagePart(N_("`oplead-sync status` shows where everything stands."))),
    ),
    IncidentKind.FINDING: IncidentTexts((MessagePart("{title}"),), (MessagePart("{finding}."),)),
    IncidentKind.NOT_ERASED: IncidentTexts(
        (MessagePart(N_("What should be erased is still there")),),
        (MessagePart("{why}."), NEW_LINE, MessagePart(N_("Until then it is kept longer than `retention` says."))),
    ),
    IncidentKind.ENDS: IncidentTexts(
        (MessagePart(N_("{about} is near its end")),),
        (
            MessagePart(
                N_("{about} may end from {on} on (no day is named yet; this is the earliest): {page}"),
                given="is_estimate",
            ),
            MessagePart(N_("{about} ends {on}: {page}"), lacking="is_estimate"),
            NEW_LINE,
            MessagePart(
                N_(
                    "Install a newer oplead-sync before that (for Meta, a newer `api_version` will do); afterwards "
                    "every call is refused, and conversions wait until it is done."
                )
            ),
        ),
    ),
    IncidentKind.UNREADABLE: IncidentTexts(
        (
            MessagePart(N_("An incident that cannot be read: {unreadable}"), given="unreadable"),
            MessagePart(N_("An incident that cannot be read"), lacking="unreadable"),
        ),
        (
            MessagePart(N_("It has been open since {since}."), given="since"),
            MessagePart(
                N_(
                    "Another version of oplead-sync recorded it, or the record is damaged. It stays open until a "
                    "version that can read it resolves it: run the newest one."
                )
            ),
        ),
    ),
}
