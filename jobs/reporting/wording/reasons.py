"""What states and reasons mean, in a few words and in a sentence, and what to do.

Each is in the language of the moment when it is looked up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from connectors.language import N_, _
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Reason

NOTHING = N_("Nothing to do.")


@dataclass(frozen=True, slots=True)
class StateAndReasonTexts:
    """The texts for a state, a reason or a platform code."""

    short: str
    """A few words, for a table."""
    means: str
    """A sentence."""
    todo: str = NOTHING
    """What to do; empty if that depends on the reason."""

    @property
    def needs_no_action(self) -> bool:
        """Return whether there is nothing to do, at least for now."""
        return self.todo.startswith(_(NOTHING).rstrip("."))


Key = TypeVar("Key")


class TranslatedTexts(Mapping[Key, StateAndReasonTexts]):
    """Texts by key, translated whenever one is looked up."""

    def __init__(self, texts: Mapping[Key, StateAndReasonTexts]) -> None:
        self._texts = texts

    def __getitem__(self, key: Key) -> StateAndReasonTexts:
        texts = self._texts[key]
        return StateAndReasonTexts(_(texts.short), _(texts.means), texts.todo and _(texts.todo))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


ZERO_MAY_BE_FINAL = N_("Google's help calls a value of 0 final: check in Google Ads whether this one rose again.")
"""For a value that was set to 0 and then restored: https://support.google.com/google-ads/answer/7686447."""

_SAY_WHICH = N_(
    "Compare the two leads in Oplead. If they are one, run `oplead-sync run --same-leads` once, and nothing counts "
    "twice; if they are two, run `oplead-sync run --other-leads`."
)
_LOOK_IT_UP = N_("Look the request up in the platform's diagnostics; it is not sent again.")

REASONS: Mapping[Reason, StateAndReasonTexts] = TranslatedTexts(
    {
        # ── there is no such conversion ──────────────────────────────────────────────────────────────
        Reason.STAGE_NOT_REACHED: StateAndReasonTexts(
            N_("stage not reached"),
            N_("The lead has not reached this conversion's stage yet."),
            N_("Nothing to do; it goes out once Oplead shows the lead there."),
        ),
        Reason.WHERE_DOES_NOT_MATCH: StateAndReasonTexts(
            N_("where does not match"),
            N_("The lead does not match the `where` of this conversion or destination."),
            N_("Nothing to do, unless the `where` in the settings is too narrow."),
        ),
        Reason.ANOTHER_WAY: StateAndReasonTexts(
            N_("sent by another route"),
            N_("Leads from Meta's own forms go through `meta.funnel`; all others go as conversions."),
        ),
        Reason.ANOTHER_PLATFORM: StateAndReasonTexts(
            N_("another platform's ad"),
            N_("The lead came from another platform's ad."),
            N_("Nothing to do; if a click id of this platform turns up, it counts here too."),
        ),
        Reason.SENT_ELSEWHERE: StateAndReasonTexts(
            N_("sent elsewhere"),
            N_("The platform already has it: by another route, or from another destination before the lead was moved."),
            N_("Nothing to do: it must not count twice."),
        ),
        # ── it happened before its start ─────────────────────────────────────────────────────────────
        Reason.BEFORE_SINCE: StateAndReasonTexts(
            N_("before its start"),
            N_("It happened before this conversion began to count."),
            N_("Nothing to do; `oplead-sync backfill` sends older changes once, an earlier `since` makes them count."),
        ),
        Reason.BASELINE: StateAndReasonTexts(
            N_("already in this stage"),
            N_("The lead was already in this stage when it was first read, and Oplead does not say since when."),
            N_("Nothing to do; if Oplead dates its statuses, name the field in `oplead.fields.status_at`."),
        ),
        Reason.ALREADY_SENT: StateAndReasonTexts(
            N_("sent by other means"),
            N_(
                "Someone said that the platform has it: by other means (`oplead-sync backfill --already-sent FILE`), "
                "or under the lead's former id (`oplead-sync run --same-leads`)."
            ),
            N_("Nothing to do: it must not count twice."),
        ),
        Reason.UNDONE: StateAndReasonTexts(
            N_("lost before it was sent"),
            N_("The lead moved to a stage that undoes the conversion, and stayed there for `undo_after`."),
            N_("Nothing to do: it goes out only if the lead enters the stage again."),
        ),
        # ── it is corrected ──────────────────────────────────────────────────────────────────────────
        Reason.NOT_UNDOABLE: StateAndReasonTexts(
            N_("cannot be undone"),
            N_("The lead is lost again, and the API this conversion went through does not support retraction."),
            N_("Nothing to do; if it went to Google, `undo_via: google_ads_api` may be able to retract it."),
        ),
        Reason.TOO_LATE_TO_CORRECT: StateAndReasonTexts(
            N_("too late to correct"), N_("It happened so long ago that the platform no longer accepts corrections.")
        ),
        Reason.MAY_COME_BACK: StateAndReasonTexts(
            N_("may come back"),
            N_(
                "The lead is lost but may be won again: after `undo_after` the conversion is undone, or cancelled if "
                "it has not been sent."
            ),
        ),
        Reason.STANDS_AGAIN: StateAndReasonTexts(
            N_("no correction needed"),
            N_("Everything is as it was reported, or the settings no longer ask for a correction."),
        ),
        # ── it waits ─────────────────────────────────────────────────────────────────────────────────
        Reason.DUE: StateAndReasonTexts(N_("goes out next"), N_("It is ready and goes out with the next run.")),
        Reason.EXCESS_VOLUME: StateAndReasonTexts(
            N_("held: far more than usual"),
            N_(
                "Far more conversions are due for this destination than a night usually sends, so nothing new goes "
                "there."
            ),
            N_(
                "Check them with `oplead-sync run --dry-run`; if they are right, run `oplead-sync run --accept-volume`."
            ),
        ),
        Reason.AFTER_RESTORE: StateAndReasonTexts(
            N_("after a restore"),
            N_(
                "It may have been sent before the state was restored from a backup, which does not know; the platform "
                "could count it twice."
            ),
            N_(
                "Look it up in the platform's diagnostics. To send what waits, flagged as perhaps counting twice, "
                "write `in_doubt: resend` under `meta`; to settle leads as sent, "
                "`oplead-sync backfill --already-sent FILE`."
            ),
        ),
        Reason.IDS_CHANGED: StateAndReasonTexts(
            N_("held: lead ids changed"),
            N_(
                "The ids or creation dates of many leads have changed in Oplead, so nothing new goes to this "
                "destination."
            ),
            _SAY_WHICH,
        ),
        Reason.CLICK_TOO_RECENT: StateAndReasonTexts(
            N_("click too recent"),
            N_("The platform does not know clicks of the last few hours yet."),
            N_("Nothing to do; it goes out by itself once the click is old enough."),
        ),
        Reason.NOON_AWAITED: StateAndReasonTexts(
            N_("waiting for noon"),
            N_("Oplead gives the day of the change but no time; it is reported as noon of that day, still to come."),
            N_("Nothing to do; it goes out by itself."),
        ),
        Reason.VALUE_AWAITED: StateAndReasonTexts(
            N_("waiting for its amount"),
            N_("The amount is not in Oplead yet."),
            N_("Enter the amount in Oplead; otherwise it goes out with `value.otherwise` when the wait is over."),
        ),
        Reason.NOT_SENT: StateAndReasonTexts(
            N_("will be retried"),
            N_("The last attempt did not get through."),
            N_("Nothing to do; the next run tries again."),
        ),
        Reason.NOT_ENCODED: StateAndReasonTexts(
            N_("could not be prepared"),
            N_("This program failed to prepare it, for a reason that nobody foresaw."),
            N_("Report it with the lines of the log; later runs try again."),
        ),
        Reason.RETRY: StateAndReasonTexts(
            N_("will be sent again"), N_("`oplead-sync retry` put it back in the queue.")
        ),
        # ── it is held back until its cause is fixed ─────────────────────────────────────────────────
        Reason.CONSENT_MISSING: StateAndReasonTexts(
            N_("consent not asked"),
            N_("The lead's consent field is empty, so its data may not be used for advertising."),
            N_("Have the form ask for consent and write the answer to the field that `consent` names."),
        ),
        Reason.CONSENT_REFUSED: StateAndReasonTexts(
            N_("consent refused"),
            N_("The lead refused the use of its data for advertising."),
            N_("Nothing to do: it must not be sent."),
        ),
        Reason.CONSENT_UNKNOWN: StateAndReasonTexts(
            N_("consent unclear"),
            N_("The answer in the consent field is neither in `granted` nor in `refused`."),
            N_("Read the answer in Oplead and add it to `granted` or `refused` under `consent`, or correct it there."),
        ),
        Reason.NO_CLICK_ID: StateAndReasonTexts(
            N_("no usable click id"),
            N_("Oplead holds no click id of this platform for the lead, so the ad cannot be found."),
            N_(
                "Have the form store the click id (gclid, fbclid) in leadData.externalID. "
                "Leads that came without an ad stay here, as they should."
            ),
        ),
        Reason.BARE_CLICK_ID: StateAndReasonTexts(
            N_("Google's click or Meta's?"),
            N_("The lead has a click id without a label, and nothing says which platform's it is."),
            N_(
                "Say under `click_ids.bare` in the settings which platform's ids these are: then it goes out. Have the "
                "website write the label too (`gclid=…`, `fbclid=…`)."
            ),
        ),
        Reason.NO_IDENTIFIER: StateAndReasonTexts(
            N_("nothing to identify it by"),
            N_(
                "The lead has neither a click id of this platform nor a usable e-mail or phone, "
                "nor, for Meta, first and last name with a postcode or town."
            ),
            N_("Have the form store the click id (gclid, fbclid) and a valid e-mail address or phone."),
        ),
        Reason.VALUE_MISSING: StateAndReasonTexts(
            N_("no amount"),
            N_("The amount stayed empty and the conversion has no value to use instead."),
            N_("Enter the amount in Oplead, or write `value.otherwise` under the conversion."),
        ),
        Reason.VALUE_NEVER_SEEN: StateAndReasonTexts(
            N_("no lead has an amount"),
            N_("No lead has an amount at the path in `value.field`, so that path is probably wrong."),
            N_("Write the amount's path as `value.field` (`oplead-sync probe` shows it), or a number as `value`."),
        ),
        Reason.VALUE_NOT_ESTIMATED: StateAndReasonTexts(
            N_("no expected value yet"),
            N_("Leads and sales on record are too few to estimate what a lead in this stage is worth."),
            N_("Wait for more sales (`oplead-sync values suggest` tells how many), or write `value.otherwise`."),
        ),
        Reason.VALUE_UNREADABLE: StateAndReasonTexts(
            N_("amount unreadable"),
            N_("The amount in Oplead cannot be read as one number; `value.otherwise` only replaces a missing amount."),
            N_("Correct it in Oplead: write 12500,00, without words."),
        ),
        Reason.TIME: StateAndReasonTexts(
            N_("implausible date"),
            N_("Oplead dates the change before the lead's creation or in the future."),
            N_("Correct the status date in Oplead; one in the future is judged again once it has come."),
        ),
        Reason.TO_BE_READ_AGAIN: StateAndReasonTexts(
            N_("will be read again"),
            N_("The settings now need other fields of the lead, which has not been read again yet."),
            N_("Nothing to do; the next full read of Oplead settles it."),
        ),
        Reason.POSSIBLE_TWIN: StateAndReasonTexts(
            N_("same lead, another id?"),
            N_(
                "It counted already for another lead with the same click, or, where neither has one, with the same "
                "contact data or moment of creation, whose id has vanished from Oplead: this may be the same lead "
                "under a new id."
            ),
            _SAY_WHICH,
        ),
        Reason.REUSED_ID: StateAndReasonTexts(
            N_("id used again"),
            N_(
                "Oplead shows a lead under this id that was created more than 30 days before or after the one on "
                "record: nothing of it is stored, sent or corrected."
            ),
            N_(
                "Look at the lead in Oplead and at `oplead.fields.created_at`. If it is the same lead and its creation "
                "was corrected, run `oplead-sync run --same-leads` once."
            ),
        ),
        Reason.COUNTED_ALREADY: StateAndReasonTexts(
            N_("already counted"),
            N_("The same click or person already counts through another lead (`count_once_per`)."),
            N_("Nothing to do; if the other never goes out, this one will."),
        ),
        Reason.EXCLUDED: StateAndReasonTexts(
            N_("test lead"),
            N_(
                "The lead matches `exclude` in the settings, or has an address that `oplead-sync evidence` invented "
                "(at `oplead-sync.invalid`), so nothing is sent for it."
            ),
            N_("Nothing to do; if it is a real lead, narrow `exclude` and it goes out."),
        ),
        Reason.NOT_CONFIGURED: StateAndReasonTexts(
            N_("no longer in the settings"),
            N_("The settings no longer have this conversion for this destination; it is held back, not forgotten."),
            N_("If that was a mistake, put the conversion back and it goes out; otherwise nothing."),
        ),
        # ── it is with the platform ──────────────────────────────────────────────────────────────────
        Reason.SENDING: StateAndReasonTexts(N_("request started"), N_("The request was about to be sent.")),
        Reason.RECEIVED: StateAndReasonTexts(N_("received"), N_("The platform received the request.")),
        Reason.ANSWER_LOST: StateAndReasonTexts(N_("answer lost"), N_("The request was sent and no answer came.")),
        Reason.RUN_DIED: StateAndReasonTexts(N_("run died"), N_("The run died before it had an answer.")),
        # ── it was sent more than once ───────────────────────────────────────────────────────────────
        Reason.MAY_COUNT_TWICE: StateAndReasonTexts(
            N_("may count twice"),
            N_(
                "Its answer was lost, or the state was restored from a backup that may not know it as sent, so it was "
                "sent again and accepted; the platform does not guarantee to count it once."
            ),
            N_("Nothing to do; if you would rather lose one than count it twice, write `in_doubt: ask` under `meta`."),
        ),
        # ── it will not go out ───────────────────────────────────────────────────────────────────────
        Reason.WINDOW_CLOSED: StateAndReasonTexts(
            N_("too late"),
            N_("The click, or the event itself, is older than the platform accepts."),
            N_("Nothing to do for this lead; if something held it until then, fix that for the next ones."),
        ),
        Reason.LEAD_DELETED: StateAndReasonTexts(
            N_("lead deleted"),
            N_("Oplead did not have this lead on two nights: it was deleted, or merged with another."),
            N_("Nothing to do; if the lead reappears, this carries on while it is still in time."),
        ),
        Reason.CONSENT_WITHDRAWN: StateAndReasonTexts(
            N_("consent withdrawn"),
            N_("The lead withdrew its consent before the conversion was sent."),
            N_("Nothing to do: it must not be sent."),
        ),
        Reason.FORGOTTEN: StateAndReasonTexts(
            N_("forgotten"),
            N_("Its person asked to be forgotten: nothing more is sent, and no answer is asked for."),
            N_("Nothing to do."),
        ),
        # ── its outcome stays unknown ────────────────────────────────────────────────────────────────
        Reason.NO_ANSWER: StateAndReasonTexts(
            N_("no answer"), N_("No answer came, however often it was sent."), _LOOK_IT_UP
        ),
        Reason.REPLAY_COUNTS_TWICE: StateAndReasonTexts(
            N_("no answer in time"), N_("No answer came; sent again now, it would count twice."), _LOOK_IT_UP
        ),
        Reason.TOO_OLD_TO_REPLAY: StateAndReasonTexts(
            N_("too old to be sent again"),
            N_("No answer came, and the platform would now refuse it as too old."),
            _LOOK_IT_UP,
        ),
        Reason.SENT_BEFORE_RESTORE: StateAndReasonTexts(
            N_("sent before a restore?"),
            N_(
                "It may have been sent before the state was restored from a backup, which does not know; it is too "
                "late to send it again."
            ),
            N_("Look it up in the platform's diagnostics; it is not sent again."),
        ),
        Reason.DAMAGED: StateAndReasonTexts(
            N_("damaged in the state"),
            N_("The record of what was sent is damaged, and a new request may count twice."),
            _LOOK_IT_UP,
        ),
        Reason.NO_OUTCOME: StateAndReasonTexts(
            N_("no outcome"), N_("The platform never reported the outcome."), _LOOK_IT_UP
        ),
        Reason.PARTLY_REFUSED: StateAndReasonTexts(
            N_("partly refused"), N_("The platform refused part of the request without saying which."), _LOOK_IT_UP
        ),
        Reason.MISCOUNTED: StateAndReasonTexts(
            N_("miscounted"), N_("The platform's count differs from what it was sent."), _LOOK_IT_UP
        ),
    }
)

STATES: Mapping[DeliveryState, StateAndReasonTexts] = TranslatedTexts(
    {
        DeliveryState.SKIPPED: StateAndReasonTexts(N_("not counted"), N_("It is on record and does not count.")),
        DeliveryState.PENDING: StateAndReasonTexts(N_("waiting"), N_("It will be sent.")),
        DeliveryState.WITHHELD: StateAndReasonTexts(
            N_("held back"), N_("It is not sent as things stand, and goes out by itself once the cause is fixed."), ""
        ),
        DeliveryState.IN_FLIGHT: StateAndReasonTexts(
            N_("being sent"),
            N_("It was being sent when the last run ended."),
            N_("Nothing to do; the next run sends the same bytes again."),
        ),
        DeliveryState.SUBMITTED: StateAndReasonTexts(
            N_("received, outcome awaited"),
            N_("The platform has received it but not reported the outcome yet."),
            N_("Nothing to do; the next run asks."),
        ),
        DeliveryState.IN_DOUBT: StateAndReasonTexts(
            N_("in doubt"),
            N_("It was sent and the answer was lost, so nobody knows yet whether it arrived."),
            N_("Nothing to do: the next night sends the same bytes again; with `in_doubt: ask` you decide."),
        ),
        DeliveryState.ACCEPTED: StateAndReasonTexts(N_("accepted"), N_("The platform accepted it.")),
        DeliveryState.REJECTED: StateAndReasonTexts(N_("rejected"), N_("The platform refused it."), ""),
        DeliveryState.EXPIRED: StateAndReasonTexts(N_("expired"), N_("Its time ran out before it could be sent."), ""),
        DeliveryState.CANCELLED: StateAndReasonTexts(N_("cancelled"), N_("It was cancelled before it was sent."), ""),
        DeliveryState.UNCONFIRMED: StateAndReasonTexts(
            N_("unconfirmed"),
            N_("It was sent, but the platform will not say whether it counted this one."),
            _LOOK_IT_UP,
        ),
    }
)
