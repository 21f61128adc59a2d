"""What stops, anomalies and other messages say; `sentences` translates them and fills in their values."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.language import N_, Plural
from jobs.rules.reasons import MessageKind, StopKind


@dataclass(frozen=True, slots=True)
class MessagePart:
    """A whole message of a text, usually its only one."""

    message: str | Plural
    counts: str = "count"
    """The value that decides between the forms of a plural, which show it as `{count}`."""
    given: str = ""
    """A value without which the part is left out."""
    lacking: str = ""
    """A value with which it is left out."""


NEW_LINE = MessagePart("\n")
"""Parts are separated by this, or by a space."""


STOPS: Mapping[StopKind, str] = {
    StopKind.REFUSED: "{answers}",
    StopKind.UNAVAILABLE: "{answers}",
    StopKind.NOTHING_PASSES: N_("nothing passes, everything is refused: {answers}"),
    StopKind.NO_ANSWER: N_("{answers}, at every try"),
    StopKind.ASKED_TO_WAIT: N_("{answers}; it asks for {wait}"),
    StopKind.QUOTA_FULL: N_("{answers}; there is room again in {wait}"),
    StopKind.KEPT_FAILING: N_("{answers}, {times} times"),
    StopKind.FAULT: N_("this was not foreseen: {answers}; please report it with the lines of the log"),
}

_FIRST_IN_DOUBT = MessagePart(
    N_(
        "(sent on {day}; `oplead-sync explain {leads}` shows it)",
        "(the first sent on {day}; `oplead-sync explain {leads}` shows one of them)",
    ),
    given="leads",
)
MESSAGES: Mapping[MessageKind, tuple[MessagePart, ...]] = {
    MessageKind.NONE_CAN_BE_SENT: (
        MessagePart(N_("conversions qualify tonight and none of them can be sent: {reason} ({there})")),
    ),
    MessageKind.HALF_STOPPED: (
        MessagePart(N_("one reason stops at least half of tonight's conversions: {reason} ({there})")),
    ),
    MessageKind.WHERE_EXCLUDES_ALL: (
        MessagePart(
            N_(
                "{count} lead reached the stage of '{conversion}' and `where` let none through to {destination}: "
                "compare its values with Oplead's",
                "{count} leads reached the stage of '{conversion}' and `where` let none of them through to "
                "{destination}: compare its values with Oplead's",
            )
        ),
    ),
    MessageKind.CONSENT_EMPTY: (
        MessagePart(
            N_(
                "the consent field {path} is empty on the last lead: is the path right?",
                "the consent field {path} is empty on each of the last {count} leads: is the path right?",
            )
        ),
    ),
    MessageKind.WHERE_EMPTY: (
        MessagePart(
            N_(
                "{path}, which a `where` looks at, is empty on the last lead: is the path right?",
                "{path}, which a `where` looks at, is empty on each of the last {count} leads: is the path right?",
            )
        ),
    ),
    MessageKind.WHERE_UNLISTED: (
        MessagePart(
            N_(
                "the last lead has no value at {path} that a `where` lists: compare its values with Oplead's",
                "none of the last {count} leads has a value at {path} that a `where` lists: compare its values with "
                "Oplead's",
            )
        ),
    ),
    MessageKind.PAST_UNEXPLAINED: (
        MessagePart(
            N_(
                "most past statuses of the newest leads are in no stage, are not ignored, and are no lead's present "
                "status, so a conversion may have the time of the night that saw it: write each under a stage or under "
                "ignored_statuses: {labels}"
            )
        ),
    ),
    MessageKind.AMOUNT_NEVER_SEEN: (
        MessagePart(
            N_(
                "no lead has an amount at {path}, the value field: conversions without one are held back, whatever "
                "`otherwise` says; fix the path, or write a number as `value`"
            )
        ),
    ),
    MessageKind.AMOUNT_EMPTY: (
        MessagePart(
            N_("the value field {path} is empty on each of the last {count} that reached its stage: is the path right?")
        ),
    ),
    MessageKind.CLICK_SHARE_COLLAPSED: (
        MessagePart(
            N_(
                "{now} % of the leads of the last {days} days have a click id, {then} % of those before had: does the "
                "form still store it?"
            )
        ),
    ),
    MessageKind.SOURCE_CLICK_SHARE_FELL: (
        MessagePart(
            N_(
                "of the leads from {source} in the last {days} days, {now} % have a click id; of those in the {before} "
                "days before, {then} % had: ask whoever makes its form or landing page whether it still stores the id"
            )
        ),
    ),
    MessageKind.CLICK_IDS_STOPPED: (
        MessagePart(
            N_(
                "the last lead has no click id, {then} % of those before had: does the form still store it?",
                "none of the last {count} leads has a click id, {then} % of those before had: does the form still "
                "store it?",
            )
        ),
    ),
    MessageKind.CLICK_IDS_CUT: (
        MessagePart(
            N_(
                "{damaged} of the last {count} click ids ({kind}) are {length} characters long and none is longer: "
                "they look cut off on their way into Oplead"
            )
        ),
    ),
    MessageKind.CLICK_IDS_LOWERED: (
        MessagePart(
            N_(
                "{damaged} of the last {count} click ids ({kind}) have no capital letter: something puts them in "
                "lowercase on their way into Oplead"
            )
        ),
    ),
    MessageKind.STOPPED_THERE: (MessagePart(N_("{stopped} of {count} for {destination}")),),
    MessageKind.RENAMED_WITHIN_STAGE: (
        MessagePart(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: both names are listed in one "
                "place, so there is nothing to do",
                "status '{before}' seems to be called '{after}' now on {count} leads: both names are listed in one "
                "place, so there is nothing to do",
            ),
            counts="leads",
        ),
    ),
    MessageKind.RENAMED_TO_KNOWN: (
        MessagePart(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: nothing is sent for it. Did it "
                "really move to another status? Then write '{before}' under its own stage or `ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: nothing is sent for them. Did "
                "they really move to another status? Then write '{before}' under its own stage or `ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageKind.RENAMED_TO_UNKNOWN: (
        MessagePart(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: write '{after}' where '{before}' "
                "stands. Did it really move to another status? Then write it under its own stage or "
                "`ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: write '{after}' where "
                "'{before}' stands. Did they really move to another status? Then write it under its own stage or "
                "`ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageKind.RENAMED_BETWEEN_UNKNOWN: (
        MessagePart(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: write '{after}' under a stage or "
                "`ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: write '{after}' under a stage "
                "or `ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageKind.REJECTED: (
        MessagePart(
            N_(
                "{count} rejected (lead {leads}): `explain` says why",
                "{count} rejected (lead {leads}): `explain` says why",
            ),
            given="leads",
        ),
        MessagePart(
            N_("{count} rejected: `explain` says why", "{count} rejected: `explain` says why"), lacking="leads"
        ),
    ),
    MessageKind.WOULD_BE_REJECTED: (
        MessagePart(
            N_("{count} would be rejected (lead {leads})", "{count} would be rejected (lead {leads})"), given="leads"
        ),
        MessagePart(N_("{count} would be rejected", "{count} would be rejected"), lacking="leads"),
    ),
    MessageKind.EXCESS_VOLUME: (
        MessagePart(
            N_(
                "{due} conversions are due and one night may send {allowed} (the largest of the last {nights} nights "
                "sent {largest}): they are held until someone approves them with `oplead-sync run --accept-volume`"
            ),
            given="conversions",
        ),
        MessagePart(
            N_(
                "{due} corrections are due and one night may send {allowed} (the largest of the last {nights} nights "
                "sent {largest}): they are held until someone approves them with `oplead-sync run --accept-volume`"
            ),
            given="corrections",
        ),
        MessagePart(
            N_(
                "{due} conversions since the last night are due and one night may send {allowed} (the largest of the "
                "last {nights} nights sent {largest}): they are held until someone approves them with `oplead-sync "
                "run --accept-volume`"
            ),
            given="conversions since the last night",
        ),
        MessagePart(
            N_(
                "{due} corrections since the last night are due and one night may send {allowed} (the largest of the "
                "last {nights} nights sent {largest}): they are held until someone approves them with `oplead-sync "
                "run --accept-volume`"
            ),
            given="corrections since the last night",
        ),
    ),
    MessageKind.IDS_CHANGED: (
        MessagePart(
            N_(
                "{count} new conversion is held, and nothing else goes there: its lead looks like one that has "
                "already counted, whose id has vanished from Oplead: {pairs}. If it is the same lead under a new id, "
                "type `oplead-sync run --same-leads`; if it is another, `oplead-sync run --other-leads`",
                "{count} new conversions are held, and nothing else goes there: their leads look like some that have "
                "already counted, whose ids have vanished from Oplead: {pairs}. If they are the same leads under new "
                "ids, type `oplead-sync run --same-leads`; if they are others, `oplead-sync run --other-leads`",
            )
        ),
    ),
    MessageKind.POSSIBLE_TWINS: (
        MessagePart(
            N_(
                "{count} new conversion is held: its lead looks like one that has already counted, whose id has "
                "vanished from Oplead: {pairs}. If it is the same lead under a new id, type `oplead-sync run "
                "--same-leads`; if it is another, `oplead-sync run --other-leads`",
                "{count} new conversions are held: their leads look like some that have already counted, whose ids "
                "have vanished from Oplead: {pairs}. If they are the same leads under new ids, type `oplead-sync run "
                "--same-leads`; if they are others, `oplead-sync run --other-leads`",
            )
        ),
    ),
    MessageKind.REUSED_IDS: (
        MessagePart(
            N_(
                "Oplead shows another lead under the id of {count} lead on record, created more than 30 days apart "
                "({leads}): nothing of it is stored or sent. If it is the same lead, type `oplead-sync run "
                "--same-leads`; if another has its id now, `oplead-sync run --other-leads`",
                "Oplead shows other leads under the ids of {count} leads on record, created more than 30 days apart "
                "({leads}): nothing of them is stored or sent. If they are the same leads, type `oplead-sync run "
                "--same-leads`; if others have their ids now, `oplead-sync run --other-leads`",
            ),
            given="leads",
        ),
        MessagePart(
            N_(
                "Oplead shows another lead under the id of {count} lead on record, created more than 30 days apart: "
                "nothing of it is stored or sent. If it is the same lead, type `oplead-sync run --same-leads`; if "
                "another has its id now, `oplead-sync run --other-leads`",
                "Oplead shows other leads under the ids of {count} leads on record, created more than 30 days apart: "
                "nothing of them is stored or sent. If they are the same leads, type `oplead-sync run --same-leads`; "
                "if others have their ids now, `oplead-sync run --other-leads`",
            ),
            lacking="leads",
        ),
    ),
    MessageKind.REUSED_HELD: (
        MessagePart(
            N_(
                "the creation of {count} lead moved by more than 30 days in one night: nothing goes out until you "
                "answer. Is `oplead.fields.created_at` right, or are day and month exchanged? If it is the same lead, "
                "type `oplead-sync run --same-leads`; if another one has its id now, `oplead-sync run --other-leads`",
                "the creation of {count} leads moved by more than 30 days in one night: nothing goes out until you "
                "answer. Is `oplead.fields.created_at` right, or are day and month exchanged? If they are the same "
                "leads, type `oplead-sync run --same-leads`; if others have their ids now, `oplead-sync run "
                "--other-leads`",
            )
        ),
    ),
    MessageKind.HELD_THERE: (MessagePart(N_("{scope}: {excess}")),),
    MessageKind.UNCONFIRMED: (
        MessagePart(
            N_(
                "{count} unconfirmed: the platform will not say whether it counted: {requests}",
                "{count} unconfirmed: the platform will not say whether they counted: {requests}",
            ),
            given="requests",
        ),
        MessagePart(
            N_(
                "{count} unconfirmed: the platform will not say whether it counted",
                "{count} unconfirmed: the platform will not say whether they counted",
            ),
            lacking="requests",
        ),
    ),
    MessageKind.UNRESOLVED_REQUEST: (
        MessagePart(N_("request {ticket} at {destination}, {cause} ({detail})"), given="detail"),
        MessagePart(N_("request {ticket} at {destination}, {cause}"), lacking="detail"),
    ),
    MessageKind.FAULTS: (
        MessagePart(
            N_(
                "{count} part of this run failed for a reason that nobody foresaw ({errors}), and the others went on; "
                "please report it with the lines of the log",
                "{count} parts of this run failed for reasons that nobody foresaw ({errors}), and the others went on; "
                "please report it with the lines of the log",
            )
        ),
    ),
    MessageKind.STATUS_MISSING: (
        MessagePart(
            N_(
                "{scope} does not say what became of {count} request ({requests}), which was due {age} ago; the last "
                "answer: {answer}",
                "{scope} does not say what became of {count} requests ({requests}), the first due {age} ago; the last "
                "answer: {answer}",
            )
        ),
    ),
    MessageKind.IN_DOUBT: (
        MessagePart(
            N_(
                "{scope}: {count} in doubt: an answer was lost; the next night sends the same bytes again",
                "{scope}: {count} in doubt: an answer was lost; the next night sends the same bytes again",
            )
        ),
        _FIRST_IN_DOUBT,
    ),
    MessageKind.IN_DOUBT_ASKS: (
        MessagePart(
            N_(
                "{scope}: {count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send it "
                "again, which may count twice, write `in_doubt: resend` within 48 h; otherwise it becomes unconfirmed",
                "{scope}: {count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send them "
                "again, which may count twice, write `in_doubt: resend` within 48 h; otherwise they become unconfirmed",
            )
        ),
        _FIRST_IN_DOUBT,
    ),
    MessageKind.HELD_AFTER_RESTORE: (
        MessagePart(
            N_(
                "{count} held: it may have been sent before the state was restored from a backup, and `in_doubt: ask` "
                "leaves it to you. To send it, which may count twice, write `in_doubt: resend`; to settle it as sent, "
                "`oplead-sync backfill --already-sent FILE`",
                "{count} held: they may have been sent before the state was restored from a backup, and `in_doubt: "
                "ask` leaves them to you. To send them, which may count twice, write `in_doubt: resend`; to settle "
                "them as sent, `oplead-sync backfill --already-sent FILE`",
            )
        ),
    ),
    MessageKind.UNDECIDED_LEADS: (
        MessagePart(
            N_(
                "Oplead never answered whether {count} lead was created, and it has not been found there. Look for it, "
                "then type the command that created it again (`oplead leads create` or `import`): with --created if "
                "it is there, with --create-again to send it once more, with --not-created to forget it",
                "Oplead never answered whether {count} leads were created, and they have not been found there. Look "
                "for them, then type the command that created them again (`oplead leads create` or `import`): with "
                "--created if they are there, with --create-again to send them once more, with --not-created to "
                "forget them",
            )
        ),
    ),
    MessageKind.CREATED_LEADS_UNUSABLE: (
        MessagePart(
            N_(
                "the record of the leads that commands created in Oplead ({file}, beside the state) cannot be used "
                "({why}): none whose answer was lost is looked for, and none can be created. Restore it from a backup "
                "and run `oplead-sync state restored`; if there is no backup, move it away, and import only new leads"
            )
        ),
    ),
    MessageKind.PUT_OFF: (
        MessagePart(
            N_(
                "{count} put off by the platform again (lead {leads}): it goes out while it is still in time; "
                "`explain` shows its answer",
                "{count} put off by the platform again (lead {leads}): they go out while they are still in time; "
                "`explain` shows its answer",
            ),
            given="leads",
        ),
        MessagePart(
            N_(
                "{count} put off by the platform again: it goes out while it is still in time; `explain` shows its "
                "answer",
                "{count} put off by the platform again: they go out while they are still in time; `explain` shows its "
                "answer",
            ),
            lacking="leads",
        ),
    ),
    MessageKind.NOT_ERASED: (
        MessagePart(
            N_(
                "what is older than `retention` allows could not be erased: the log says why; the next night tries "
                "again"
            )
        ),
    ),
    MessageKind.ERASURE_OVERDUE: (
        MessagePart(
            N_(
                "leads that should have left more than a week ago (see `retention`) are still on record: they leave "
                "after a night that has read everything, and this one has not. What `run` says of its reading shows why"
            )
        ),
    ),
    MessageKind.CLOCK_JUMPED: (
        MessagePart(
            N_(
                "nothing that has grown old was erased: this machine's clock says {now}, and the night before this "
                "one began {last}. See that the clock is right; if it is, the next night erases"
            )
        ),
    ),
    MessageKind.UNREADABLE: (
        MessagePart(
            N_(
                "{count} lead could not be read: `status` lists it",
                "{count} leads could not be read: `status` lists them",
            )
        ),
    ),
    MessageKind.STILL_UNREADABLE: (
        MessagePart(
            N_(
                "{count} lead still cannot be read: `status` lists it",
                "{count} leads still cannot be read: `status` lists them",
            )
        ),
    ),
    MessageKind.UNKNOWN_STATUSES: (
        MessagePart(
            N_(
                "{count} lead with a click id has a status in neither `stages` nor `ignored_statuses`",
                "{count} leads with a click id have a status in neither `stages` nor `ignored_statuses`",
            )
        ),
    ),
    MessageKind.STILL_UNKNOWN_STATUSES: (
        MessagePart(N_("still in neither `stages` nor `ignored_statuses`: {labels}")),
    ),
    MessageKind.SUSPICIOUSLY_MISSING: (
        MessagePart(
            N_(
                "{count} lead is no longer shown: does the key (oplead.token) still see every lead? If it was really "
                "deleted, say so once by `oplead-sync run --accept-fewer`",
                "{count} leads are no longer shown: does the key (oplead.token) still see every lead? If they were "
                "really deleted, say so once by `oplead-sync run --accept-fewer`",
            )
        ),
    ),
    MessageKind.FEWER_LEADS: (
        MessagePart(
            N_(
                "Oplead lists {count} lead; the last complete list had {before}: does the key (oplead.token) still see "
                "every lead? If they were really deleted, say so once by `oplead-sync run --accept-fewer`",
                "Oplead lists {count} leads; the last complete list had {before}: does the key (oplead.token) still "
                "see every lead? If they were really deleted, say so once by `oplead-sync run --accept-fewer`",
            )
        ),
    ),
    MessageKind.UNREAD: (
        MessagePart(
            N_(
                "{count} lead was not read: the list alone used up `oplead.budget` or `oplead.max_requests`, so no "
                "change was seen",
                "{count} leads were not read: the list alone used up `oplead.budget` or `oplead.max_requests`, so no "
                "change was seen",
            )
        ),
    ),
    MessageKind.NO_DETAIL_PAGES: (
        MessagePart(N_("leads that are listed have no page of their own: see oplead.lead_path")),
    ),
    MessageKind.INBOX_UNREADABLE: (
        MessagePart(
            N_(
                "the webhooks' inbox cannot be read, so changes are found and dated without it ({why}): restore it, or "
                "move it away and restart the receiver"
            )
        ),
    ),
    MessageKind.REPORTED_UNREAD: (
        MessagePart(
            N_(
                "{count} lead that webhooks reported could not be read ({why}); the next run reads what is left",
                "{count} leads that webhooks reported could not be read ({why}); the next run reads what is left",
            )
        ),
    ),
    MessageKind.REPORTED_MISSING: (
        MessagePart(
            N_(
                "{count} lead that webhooks reported does not exist in Oplead, or this key may not read it: {leads}. "
                "If nobody deleted it there, somebody else knows the webhooks' secret; change it",
                "{count} leads that webhooks reported do not exist in Oplead, or this key may not read them: {leads}. "
                "If nobody deleted them there, somebody else knows the webhooks' secret; change it",
            ),
            given="leads",
        ),
        MessagePart(
            N_(
                "{count} lead that webhooks reported does not exist in Oplead, or this key may not read it. If nobody "
                "deleted it there, somebody else knows the webhooks' secret; change it",
                "{count} leads that webhooks reported do not exist in Oplead, or this key may not read them. If nobody "
                "deleted them there, somebody else knows the webhooks' secret; change it",
            ),
            lacking="leads",
        ),
    ),
    MessageKind.INBOX_DAMAGED: (
        MessagePart(
            N_(
                "{count} event in the webhooks' inbox is damaged and left out, so a change may be dated without it: "
                "restore the inbox from a backup",
                "{count} events in the webhooks' inbox are damaged and left out, so a change may be dated without "
                "them: restore the inbox from a backup",
            )
        ),
    ),
    MessageKind.UNKNOWN_WEBHOOKS: (
        MessagePart(
            N_(
                "{count} webhook not understood, nothing was read from it, and it holds: {structures}.",
                "{count} webhooks not understood, nothing was read from them, and they hold: {structures}.",
            )
        ),
        MessagePart(
            N_("If these are the right ones, paste this below `webhooks:` in the settings: {line}"), given="line"
        ),
        MessagePart(
            N_(
                "No setting can read a lead in a list within another object, as here: please report it, with what "
                "`run --json` says of it."
            ),
            given="out_of_reach",
        ),
    ),
}

ANOMALY_TITLES: Mapping[MessageKind, str] = {
    **dict.fromkeys(
        (
            *(MessageKind.NONE_CAN_BE_SENT, MessageKind.HALF_STOPPED, MessageKind.WHERE_EXCLUDES_ALL),
            *(MessageKind.CONSENT_EMPTY, MessageKind.WHERE_EMPTY, MessageKind.WHERE_UNLISTED),
            *(MessageKind.CLICK_SHARE_COLLAPSED, MessageKind.SOURCE_CLICK_SHARE_FELL, MessageKind.CLICK_IDS_STOPPED),
            *(MessageKind.CLICK_IDS_CUT, MessageKind.CLICK_IDS_LOWERED),
        ),
        N_("Conversions may be missing"),
    ),
    MessageKind.PAST_UNEXPLAINED: N_("Conversions may have wrong times"),
    MessageKind.AMOUNT_NEVER_SEEN: N_("Conversions are held back"),
    MessageKind.AMOUNT_EMPTY: N_("Amounts may be missing"),
}

FINDING_TITLES: Mapping[MessageKind, str] = {
    **dict.fromkeys(
        (
            *(MessageKind.RENAMED_WITHIN_STAGE, MessageKind.RENAMED_TO_KNOWN),
            *(MessageKind.RENAMED_TO_UNKNOWN, MessageKind.RENAMED_BETWEEN_UNKNOWN),
        ),
        N_("A status was renamed in Oplead"),
    ),
    MessageKind.UNREADABLE: N_("Leads that cannot be read"),
    MessageKind.UNKNOWN_STATUSES: N_("Statuses that the settings do not name"),
    MessageKind.PUT_OFF: N_("Put off by the platform again"),
    MessageKind.SUSPICIOUSLY_MISSING: N_("Many leads are no longer shown"),
    MessageKind.UNREAD: N_("Leads that were not read"),
    MessageKind.NO_DETAIL_PAGES: N_("Leads without a page of their own"),
    MessageKind.INBOX_UNREADABLE: N_("The webhooks' inbox cannot be read"),
    MessageKind.REPORTED_UNREAD: N_("Leads that webhooks reported were not read"),
    MessageKind.INBOX_DAMAGED: N_("The webhooks' inbox is damaged"),
    MessageKind.UNKNOWN_WEBHOOKS: N_("Webhooks that are not understood"),
    MessageKind.REPORTED_MISSING: N_("Leads that webhooks reported do not exist"),
    MessageKind.FEWER_LEADS: N_("Oplead shows far fewer leads than before"),
    MessageKind.REUSED_IDS: N_("Ids now used by other leads"),
    MessageKind.POSSIBLE_TWINS: N_("Known leads under new ids?"),
    MessageKind.HELD_AFTER_RESTORE: N_("Held since the state was restored"),
    MessageKind.FAULTS: N_("Parts of a run failed"),
    MessageKind.UNDECIDED_LEADS: N_("Leads that may or may not be in Oplead"),
    MessageKind.CREATED_LEADS_UNUSABLE: N_("The record of created leads cannot be used"),
}
