"""Breaks each guarantee once, in a copy of the project, and sees which test notices: `make mutants`.

A fault is one line made wrong. It is caught where one of its tests fails, and those tests pass without it. A fault
whose line is not there exactly once is out of date, and fails the run as one that nobody catches does.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
AT_ONCE = 2
LONGEST = 900  # seconds


@dataclass(frozen=True)
class Fault:
    """One line made wrong, and where that should be noticed."""

    promise: str
    """What it breaks."""
    file: str
    line: str
    """A piece of the file's text that stands there exactly once."""
    instead: str
    tests: str
    """Files or tests, as pytest takes them."""


FAULTS = (
    Fault(
        "an Oplead that nobody answers for is told from a lead that cannot be read",
        "connectors/oplead/source.py",
        "return isinstance(failure, Unreachable) or (",
        "return bool(",
        "tests/e2e/test_oplead_commands.py",
    ),
    Fault(
        "a failing list page keeps the pages before it",
        "connectors/oplead/client.py",
        "in_turn=True,",
        "in_turn=False,",
        "tests/contract/oplead/test_pages_ahead.py",
    ),
    Fault(
        "list pages requested before the page in front of them was retried are requested again",
        "connectors/oplead/read_ahead.py",
        "if self.in_turn and future.exception() is not None:",
        "if False:",
        "tests/contract/oplead/test_pages_ahead.py",
    ),
    Fault(
        "no list page is requested ahead of many leads' own pages, whoever reads them",
        "connectors/oplead/source.py",
        "self._details_read += 1",
        "pass",
        "tests/contract/oplead/test_pages_ahead.py",
    ),
    Fault(
        "no list page is requested beyond the stated total",
        "connectors/oplead/pagination.py",
        "if self._totals and self._totals[-1] >= self._listed:",
        "if False:",
        "tests/contract/oplead/test_pages_ahead.py",
    ),
    Fault(
        "a list page requested ahead shows nothing of a later webhook",
        "jobs/pull/sync.py",
        "heard[-1 - page.ahead]",
        "heard[-1]",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "contact data in a UTM field is shown only where it is asked for",
        "jobs/oplead_commands/lead_reads.py",
        "return lead.utm if contact else utm_to_show(lead)",
        "return lead.utm",
        "tests/e2e/test_oplead_commands.py::test_contact_data_is_shown_only_where_it_is_asked_for",
    ),
    # ── personal data ────────────────────────────────────────────────────────────────────────────
    Fault(
        "a state that is being moved is closed to runs before any row is copied",
        "jobs/ledger/storage/move.py",
        "seal(source.path, str(target))",
        "pass",
        "tests/unit/ledger/storage/test_move.py",
    ),
    Fault(
        "a copy that differs is not kept",
        "jobs/ledger/storage/move.py",
        "if table := differing_table(source, copied):",
        "if table := None:",
        "tests/unit/ledger/storage/test_move.py",
    ),
    Fault(
        "a forgotten lead is not read in again by a pull",
        "jobs/pull/ingest.py",
        "    page = without_forgotten(session, account, page, done)",
        "    pass",
        "tests/unit/pull/test_forgotten.py",
    ),
    Fault(
        "a forgotten lead's own page is not asked for",
        "jobs/pull/sync.py",
        "left_out = excluded.union(one for one in others if one.id in forgotten)",
        "left_out = excluded",
        "tests/unit/pull/test_forgotten.py",
    ),
    Fault(
        "no hash of a forgotten person is left",
        "jobs/ledger/retention/erasure.py",
        "_BY_LEAD = (DedupKey, ContactHash, ClickIdRow, ConsentAnswerRow, StatusChange, LabelMove)",
        "_BY_LEAD = (DedupKey, ClickIdRow, ConsentAnswerRow, StatusChange, LabelMove)",
        "tests/unit/ledger/retention/test_erasure.py",
    ),
    Fault(
        "no campaign of a forgotten person is left in the monthly sums",
        "jobs/privacy/forget.py",
        "monthly.without_campaigns(list(count_by_month(session, ids)))",
        "count_by_month(session, ids)",
        "tests/unit/retention/test_retention.py::test_a_forgotten_lead_stays_in_the_sums",
    ),
    Fault(
        "no bytes of a forgotten person are left in a journal",
        "jobs/privacy/compaction.py",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "tests/unit/privacy/test_compaction.py",
    ),
    Fault(
        "a forgotten lead's webhook events are erased",
        "jobs/cli/lead/forget.py",
        "return inbox.erase(leads)",
        "return 0",
        "tests/e2e/test_forget.py",
    ),
    Fault(
        "the record of a forgotten lead's creation is erased",
        "jobs/cli/lead/forget.py",
        "        self.outbox.erase(every)",
        "        pass",
        "tests/e2e/test_forget.py",
    ),
    Fault(
        "what identifies a person to forget is not logged",
        "jobs/cli/lead/forget.py",
        "    if text is None:\n        return ()",
        "    if text is None:\n        return ()\n    structlog.stdlib.get_logger().warning(text)",
        "tests/e2e/test_forget.py",
    ),
    Fault(
        "answers reach the right rows although one was erased",
        "jobs/deliver/resolve.py",
        "outcomes = [outcomes[place] for place in settlements.positions(self.session, number)]",
        "outcomes = outcomes[: len(rows)]",
        "tests/unit/deliver/test_resolve.py",
    ),
    Fault(
        "forgetting one lead does not send its duplicate, which would count twice",
        "jobs/privacy/forget.py",
        "outbox.mark_sent_elsewhere(session, ledger, each, now=now)",
        "pass",
        "tests/unit/privacy/test_forget_leads.py",
    ),
    Fault(
        "a killed forgetting is finished by the next, which may find nobody",
        "jobs/cli/lead/forget.py",
        "            forgotten = all_forgotten(session, self.ledger.account)",
        "            forgotten = [each.lead for each in held]",
        "tests/e2e/test_forget.py",
    ),
    Fault(
        "an export of a person is its owner's only, even over an existing file",
        "jobs/cli/lead/export_person.py",
        "            out.chmod(0o600)",
        "            pass",
        "tests/e2e/test_forget.py",
    ),
    # ── consent ──────────────────────────────────────────────────────────────────────────────────
    Fault(
        "a consent answer stays on record as it was first read until it changes",
        "jobs/ledger/outbox/consents.py",
        ".where(_IS_AS_BEFORE.is_not(sqlalchemy.true()))",
        "",
        "tests/unit/ledger/outbox/test_consents.py",
    ),
    Fault(
        "a consent answer that changes is recorded",
        "jobs/ledger/outbox/consents.py",
        "for name in _SAME)",
        'for name in ("field",))',
        "tests/unit/ledger/outbox/test_consents.py",
    ),
    Fault(
        "a replay rests on the consent that its bytes were frozen on",
        "jobs/deliver/preparation.py",
        " and move.row.state != DeliveryState.IN_DOUBT",
        "",
        "tests/unit/ledger/outbox/test_consents.py",
    ),
    Fault(
        "an assumed consent keeps the reason that it was sent on",
        "jobs/ledger/outbox/consents.py",
        "if last is None or last.because != because:",
        "if last is None:",
        "tests/unit/ledger/outbox/test_consents.py",
    ),
    Fault(
        "a consent answer that the settings do not list is kept by its shape only",
        "jobs/rules/extraction.py",
        'field.path, f"<{describe_text_shape(raw)}>")',
        "field.path, raw)",
        "tests/unit/ledger/outbox/test_consents.py",
    ),
    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────
    Fault(
        "an event is acknowledged only once it is durable",
        "jobs/webhooks/group_commit.py",
        "        await stored\n",
        "        await asyncio.sleep(0)\n",
        "tests/contract/webhooks tests/e2e/test_webhooks.py",
    ),
    Fault(
        "a webhook that arrives slowly ends in time",
        "jobs/webhooks/server.py",
        "self._request_deadline = self.loop.call_later(seconds, self._too_slow)",
        "self._request_deadline = self.loop.call_later(seconds * 100, self._too_slow)",
        "tests/contract/webhooks",
    ),
    Fault(
        "an answer that is never read ends the connection",
        "jobs/webhooks/server.py",
        "self.loop.call_later(self._limits.seconds, self.transport.abort)",
        "self.loop.call_later(self._limits.seconds * 100, self.transport.abort)",
        "tests/contract/webhooks",
    ),
    Fault(
        "a reader's place in the inbox outlives what is deleted",
        "jobs/webhooks/sql_inbox.py",
        "AND received_at < :before AND id < (SELECT max(id) FROM {table})",
        "AND received_at < :before",
        "tests/contract/webhooks",
    ),
    Fault(
        "a reader of a shared inbox passes over no event that is committed later",
        "jobs/webhooks/postgresql_inbox.py",
        'connection.execute(_HOLD, {"seed": _WRITERS})',
        "pass",
        "tests/contract/webhooks/test_shared_inbox.py",
    ),
    Fault(
        "an event that two receivers get is stored once",
        "jobs/webhooks/sql_inbox.py",
        "WHERE :is_unique OR :digest <> coalesce(",
        "WHERE :is_unique OR :digest = :digest OR :digest <> coalesce(",
        "tests/e2e/test_shared_inbox.py",
    ),
    Fault(
        "machines with one token keep one rate together",
        "jobs/wiring/pace.py",
        "yield tuple(each for each in others.values() if each)",
        "yield ()",
        "tests/contract/test_shared_pace.py",
    ),
    Fault(
        "forgetting a lead erases its webhook events from a database too",
        "jobs/webhooks/sql_inbox.py",
        "for each in (_BLANK_LATEST, _ERASE))",
        "for each in (_BLANK_LATEST,))",
        "tests/e2e/test_shared_inbox.py::test_a_night_takes_up_what_a_database_holds_and_forget_erases_it",
    ),
    Fault(
        "what a file's receiver takes while its inbox is moved is not lost",
        "jobs/webhooks/file_inbox.py",
        "self._path.rename(set_aside_name(self._path))",
        "pass",
        "tests/contract/webhooks/test_shared_inbox.py",
    ),
    Fault(
        "a field that a form has emptied is filled again",
        "connectors/website/capture.min.js",
        "(e.value&&e.value!=e.dataset[a]||",
        '(e.value!=(e.dataset[a]||"")||',
        "tests/contract/website/test_capture.py",
    ),
    Fault(
        "a clock that jumps ahead deletes no event that waits",
        "jobs/webhooks/sql_inbox.py",
        "WHERE received_at BETWEEN :before AND :yesterday",
        "WHERE received_at >= :before",
        "tests/contract/webhooks/test_inbox.py",
    ),
    Fault(
        "a guess of a webhook's body cannot be tested outside the inbox",
        "jobs/webhooks/sql_inbox.py",
        'hmac.digest(salt, received.digest.encode(), "sha256").hex()',
        "received.digest",
        "tests/contract/webhooks/test_inbox.py",
    ),
    Fault(
        "an event without an id is recognised whenever it is sent",
        "connectors/oplead/parsing/webhook_parser.py",
        "for key in content if loosely_normalised_name(key) not in self._of_the_delivery",
        "for key in content",
        "tests/unit/oplead/test_webhook_parser.py",
    ),
    Fault(
        "a return to an earlier status is news if only the named time tells it",
        "connectors/oplead/parsing/webhook_parser.py",
        "self._of_the_delivery = _OF_THE_DELIVERY - named",
        "self._of_the_delivery = _OF_THE_DELIVERY",
        "tests/unit/oplead/test_webhook_parser.py",
    ),
    Fault(
        "an event that is not about a status does not date one",
        "connectors/oplead/parsing/webhook_parser.py",
        "if label is not None and is_dated:",
        "if label is not None:",
        "tests/unit/oplead/test_webhook_parser.py",
    ),
    # ── nothing is lost, nothing is sent twice ───────────────────────────────────────────────────
    Fault(
        "a write that may have arrived is not called unsent",
        "connectors/oplead/client.py",
        'return Lost(_("Oplead did not answer {path} ({name})", path=path, name=type(error).__name__))',
        'return NotSent(_("Oplead did not answer {path} ({name})", path=path, name=type(error).__name__))',
        "tests/contract/oplead/test_writer.py",
    ),
    Fault(
        "a lead is on record before its request leaves",
        "jobs/oplead_commands/creation/creating.py",
        "receipt = writer.create(wanted.lead, leaving=partial(self._begin, wanted.new))",
        "receipt = writer.create(wanted.lead)\n            self._begin(wanted.new)",
        "tests/e2e/test_import.py::test_each_lead_is_created_once_though_imports_are_killed_and_answers_cut",
    ),
    Fault(
        "a lead whose request was under way when a command died may be in Oplead",
        "jobs/oplead_commands/creation/outbox.py",
        "outbox.recover(now=now())",
        """connection.execute("DELETE FROM creation WHERE state = 'in_flight'")""",
        "tests/unit/oplead_commands/creation/test_outbox.py tests/e2e/test_import.py",
    ),
    Fault(
        "a lead whose answer was lost is looked up before it is sent again",
        "jobs/oplead_commands/creation/creating.py",
        'self._outbox.record_lost_answer(key, "no_answer", now=self._context.clock.now())',
        "self._outbox.drop(key)",
        "tests/e2e/test_import.py::test_a_lost_answer_is_looked_up_before_its_lead_is_sent_again",
    ),
    Fault(
        "a lead that was created with earlier data is not called created with those of now",
        "jobs/oplead_commands/lead_writes.py",
        "if one is not None and one.is_created and one.content != wanted.new.content:",
        "if False:",
        "tests/e2e/test_import.py::test_a_lead_whose_data_changed_after_its_answer_was_lost_is_told_as_it_was_created",
    ),
    Fault(
        "a lead that stays in doubt makes no other command read leads",
        "jobs/oplead_commands/creation/creating.py",
        "if not one.is_created and one.key in self._wanted]",
        "if not one.is_created]",
        "tests/e2e/test_import.py::test_a_lead_that_stays_in_doubt_makes_no_other_command_read_leads",
    ),
    Fault(
        "hashes of an outbox are of no use outside",
        "jobs/oplead_commands/creation/identity.py",
        "hmac.digest(salt, ",
        'hmac.digest(b"", ',
        "tests/unit/oplead_commands/creation/test_identity.py",
    ),
    Fault(
        "a lead counts as not there only where a created one is recognised",
        "jobs/oplead_commands/creation/recognition.py",
        "proven = any(_proves_other_findable(other, one) for other in shown)",
        "proven = is_whole",
        "tests/unit/oplead_commands/creation/test_recognition.py",
    ),
    Fault(
        "a lead that shares a value with one since then is left to a human",
        "jobs/oplead_commands/creation/recognition.py",
        "may_be_there = ids or any(lead.id not in taken for lead in similar[one.key])",
        "may_be_there = ids",
        "tests/unit/oplead_commands/creation/test_recognition.py",
    ),
    Fault(
        "what nobody has looked for is not sent again by wish",
        "jobs/oplead_commands/importing/import_leads.py",
        'if in_doubt == "again" and one.was_looked_for:',
        'if in_doubt == "again":',
        "tests/e2e/test_import.py::test_what_nobody_has_looked_for_is_not_sent_again_by_wish",
    ),
    Fault(
        "a created lead without an id is told from one that is sent next",
        "jobs/oplead_commands/creation/outbox.py",
        "WHEN lead IS NULL THEN sent_at < :since",
        "WHEN lead IS NULL THEN TRUE",
        "tests/unit/oplead_commands/creation/test_outbox.py tests/e2e/test_import.py",
    ),
    Fault(
        "a status is set again only where the lead has another",
        "jobs/oplead_commands/statuses.py",
        "if normalise_label(has) == normalise_label(label):",
        "if False:",
        "tests/e2e/test_oplead_commands.py",
    ),
    Fault(
        "a list of subscriptions that may go on is not taken for whole",
        "jobs/oplead_commands/subscriptions.py",
        "if missing and there.gap:",
        "if False:",
        "tests/e2e/test_oplead_commands.py",
    ),
    Fault(
        "after a new secret, old subscriptions are ours still",
        "jobs/oplead_commands/subscriptions.py",
        'url == base or url.startswith((f"{base}/", f"{base}?"))',
        "False",
        "tests/e2e/test_oplead_commands.py",
    ),
    Fault(
        "first settings write a new lead's values where leads have theirs",
        "jobs/settings/specified.py",
        "{**survey.shown_at, **survey.write}",
        "survey.write",
        "tests/e2e/test_oplead_commands.py",
    ),
    Fault(
        "a refusal never repeats what was sent",
        "connectors/oplead/writing/receipts.py",
        "_MASK if _folded(word[0]) in known else word[0]",
        "word[0]",
        "tests/contract/oplead/test_writer.py tests/unit/oplead/test_receipts.py",
    ),
    Fault(
        "what a dead run left in flight may have arrived",
        "jobs/deliver/resolve.py",
        "doubt = Settlement(DeliveryState.IN_DOUBT, Reason.RUN_DIED)",
        "doubt = Settlement(DeliveryState.PENDING, Reason.RUN_DIED)",
        "tests/e2e/test_crashes.py",
    ),
    Fault(
        "an answer that was lost is not a refusal",
        "jobs/deliver/transactions.py",
        "Settlement(DeliveryState.IN_DOUBT, Reason.ANSWER_LOST, lost.reason)",
        "Settlement(DeliveryState.PENDING, Reason.ANSWER_LOST, lost.reason)",
        "tests/unit/deliver/test_sender.py tests/e2e/test_faults.py",
    ),
    Fault(
        "'already there' is ours only after an attempt of ours",
        "jobs/rules/delivery_state.py",
        "return DeliveryState.ACCEPTED if tried_before else DeliveryState.REJECTED",
        "return DeliveryState.ACCEPTED",
        "tests/unit/rules/test_delivery_state.py",
    ),
    Fault(
        "what nobody knows is never accepted",
        "jobs/rules/delivery_state.py",
        "return DeliveryState.UNCONFIRMED if asynchronous else DeliveryState.IN_DOUBT",
        "return DeliveryState.ACCEPTED",
        "tests/unit/rules/test_delivery_state.py",
    ),
    Fault(
        "bytes stay frozen while they may have arrived",
        "jobs/rules/delivery_state.py",
        "FROZEN = frozenset({_S.IN_FLIGHT, _S.SUBMITTED, _S.IN_DOUBT})",
        "FROZEN = frozenset({_S.IN_FLIGHT, _S.SUBMITTED})",
        "tests/unit/deliver/test_sender.py tests/e2e/test_crashes.py",
    ),
    Fault(
        "bytes are erased once settled",
        "jobs/ledger/outbox/outbox.py",
        'columns |= {"event": None, "in_doubt_since": None, "in_doubt_request": None}',
        'columns |= {"in_doubt_since": None, "in_doubt_request": None}',
        "tests/unit/ledger/outbox/test_outbox.py tests/e2e/test_privacy.py",
    ),
    Fault(
        "only rows that the same answer puts in the same place are settled as one",
        "jobs/deliver/transactions.py",
        "return outcome, row.id in sent_before, row.is_doubtful, row.kind",
        "return outcome, row.id in sent_before, False, row.kind",
        "tests/unit/deliver/test_statements.py",
    ),
    Fault(
        "each move among many is recorded with its own cause",
        "jobs/ledger/outbox/outbox.py",
        "if changes and all(_are_alike(change, changes[0][1]) for _, change in changes):",
        "if changes:",
        "tests/unit/ledger/outbox/test_moves.py",
    ),
    Fault(
        "a stored time is the same instant, whatever its zone",
        "jobs/ledger/times.py",
        "moment.astimezone(UTC).isoformat(",
        "moment.replace(tzinfo=UTC).isoformat(",
        "tests/unit/ledger/test_times.py",
    ),
    Fault(
        "a platform reads in a form what was written into it",
        "connectors/meta/sink.py",
        'text = text.replace("%", "%25")',
        "text = str(text)",
        "tests/unit/meta/test_form.py",
    ),
    Fault(
        "a hash of contact data is shown nowhere",
        "connectors/records.py",
        'return f"Identifier({self.kind!r})"',
        'return f"Identifier({self.kind!r}, {self.sha256!r})"',
        "tests/unit/meta/test_identity.py",
    ),
    Fault(
        "whoever lost the lease writes nothing",
        "jobs/ledger/runs.py",
        'if session.connection().scalar(_EPOCH, {"of_account": self.account}) != self.epoch:',
        "if False:",
        "tests/unit/ledger/test_lease.py tests/e2e/test_two_runs.py",
    ),
    Fault(
        "one run holds an account",
        "jobs/ledger/storage/lock.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "tests/unit/ledger/test_lease.py tests/e2e/test_two_runs.py",
    ),
    Fault(
        "a duplicate is judged again when the lead that counts changes",
        "jobs/ledger/leads/leads.py",
        "and_(col(Delivery.reason) == Reason.COUNTED_ALREADY, or_(~counts, is_to_plan)),",
        "and_(col(Delivery.reason) == Reason.COUNTED_ALREADY, ~counts),",
        "tests/unit/plan/test_deduplication.py",
    ),
    Fault(
        "a key is the delivery's, whatever run or target",
        "jobs/rules/model.py",
        "parts = (account, lead, conversion, destination, str(occurrence))",
        "parts = (account, lead, conversion, destination)",
        "tests/unit/rules/test_dedup_key.py",
    ),
    Fault(
        "a replay past 48 hours would count twice at Meta",
        "jobs/deliver/sender.py",
        "if within is not None and since is not None and self.run.now() - since > within:",
        "if False:",
        "tests/unit/deliver/test_sender.py tests/e2e/test_meta_doubles.py",
    ),
    Fault(
        "three replays, then nobody will know",
        "jobs/deliver/sender.py",
        "if len(doubt.unanswered) > REPLAY_RUNS:",
        "if len(doubt.unanswered) > 99:",
        "tests/unit/deliver/test_sender.py",
    ),
    Fault(
        "a second sending that may count twice says so",
        "jobs/deliver/conversions.py",
        "row.may_count_twice = row.may_count_twice or cannot_tell",
        "row.may_count_twice = row.may_count_twice or False",
        "tests/e2e/test_meta_doubles.py tests/unit/deliver/test_doubles.py",
    ),
    Fault(
        "a request without an answer is asked about, not sent again",
        "jobs/deliver/resolve.py",
        "resolution = None",
        "pass",
        "tests/unit/deliver/test_resolve.py",
    ),
    Fault(
        "bytes that the library can no longer read are never sent",
        "connectors/google_ads/data_manager/sink.py",
        "if (shape := _shape(fields)) not in shapes:",
        "if (shape := _shape(fields)) and not shapes:",
        "tests/unit/google_ads/test_encode.py",
    ),
    Fault(
        "a part of a request refused accepts nobody unproven",
        "connectors/google_ads/data_manager/outcomes.py",
        "return PartlyRefused(min(max(refused, 1), rows), rows, reasons)",
        "return Answered((DONE,) * rows)",
        "tests/contract/google_ads/test_resolve.py",
    ),
    Fault(
        "a named row is the one that is rejected",
        "jobs/deliver/bisect.py",
        "rest = [row for position, row in enumerate(batch) if position not in blamed]",
        "rest = [row for position, row in enumerate(batch) if position - 1 not in blamed]",
        "tests/unit/deliver/test_bisect.py tests/unit/deliver/test_sender.py",
    ),
    Fault(
        "nobody is rejected for a fault of the settings",
        "jobs/deliver/bisect.py",
        "return self.sampled is not None and self.refusals >= self.sampled + SAMPLE",
        "return False",
        "tests/unit/deliver/test_suspect_rows.py tests/e2e/test_isolation.py",
    ),
    Fault(
        "the next pull overlaps this one from its start",
        "jobs/pull/sync.py",
        "place.since - self.run.deps.sync_window.overlap",
        "place.since + self.run.deps.sync_window.overlap",
        "tests/unit/pull/test_sync.py",
    ),
    Fault(
        "a page of leads takes as many statements whatever their number",
        "jobs/ledger/bulk.py",
        "while part := list(islice(rest, AT_ONCE)):",
        "while part := list(islice(rest, 1)):",
        "tests/unit/pull/test_page_statements.py",
    ),
    Fault(
        "the first message of a command that seldom logs is redacted as any other",
        "jobs/logs.py",
        "                handler.start()",
        "                pass",
        "tests/unit/cli/test_exits.py",
    ),
    Fault(
        "an address too long to be valid is dropped, though its domain is known",
        "connectors/contact.py",
        "if len(piece) <= _USUAL_EMAIL and",
        "if",
        "tests/fuzz/test_contacts.py",
    ),
    Fault(
        "a row that is written has the defaults of columns that are not named",
        "jobs/ledger/bulk.py",
        "if isinstance(default, ScalarElementColumnDefault)}",
        "if False}",
        "tests/unit/ledger/test_written_rows.py",
    ),
    Fault(
        "an interrupted pull goes on at its page",
        "jobs/pull/sync.py",
        "resume=page.resume, moved=page.moved)",
        "resume=None, moved=page.moved)",
        "tests/unit/pull/test_sync.py tests/unit/pull/test_sync_ends.py",
    ),
    Fault(
        "a lead is gone when found gone on two nights",
        "jobs/pull/sync.py",
        "missing_before=now - BELIEVED_AFTER",
        "missing_before=now",
        "tests/unit/pull/test_deletions.py",
    ),
    Fault(
        "a surge waits for a human",
        "jobs/plan/volume_guard.py",
        "if due > allowed else None",
        "if False else None",
        "tests/unit/plan/test_volume_guard.py",
    ),
    Fault(
        "a correction is never sent as a conversion",
        "jobs/ledger/outbox/outbox.py",
        "yield of_kind(corrections=self.conversions is None)",
        "yield col(Delivery.number) >= 0",
        "tests/unit/ledger/outbox/test_outbox.py",
    ),
    Fault(
        "a correction follows what it corrects",
        "jobs/plan/adjustments.py",
        "row.at = max(wanted.at, *(at + AFTER for at in sent))",
        "row.at = wanted.at",
        "tests/unit/plan/test_adjustments.py",
    ),
    Fault(
        "the inbox counts as taken only once every reported lead was read",
        "jobs/pull/inbox.py",
        "if self.to is not None and not self.unread:",
        "if self.to is not None:",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "a webhook that comes again adds no change",
        "jobs/rules/webhook_history.py",
        "(repeats if is_repeat else entries).append",
        "entries.append",
        "tests/unit/rules/test_webhook_history.py",
    ),
    Fault(
        "a slow receiver moves no change that Oplead dates",
        "jobs/rules/status_changes.py",
        " and not _confirms_webhook_time(event, changes)",
        "",
        "tests/unit/rules/test_webhook_history.py",
    ),
    Fault(
        "no change has a time after the arrival of its webhook",
        "jobs/rules/webhook_history.py",
        "own > received.received_at + AHEAD",
        "own > received.received_at + 40 * AHEAD",
        "tests/unit/rules/test_webhook_history.py",
    ),
    Fault(
        "a merged status is judged by all that moved since the last night",
        "jobs/pull/sync.py",
        "self.moved_since = place.since",
        "self.moved_since = None",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "leads that moved before others were read with the old status wait for nothing",
        "jobs/ledger/leads/status_labels.py",
        "if (last := last_shown[row.before]) is not None and at < last:",
        "if (last := last_shown[row.before]) is not None and at < since < last:",
        "tests/unit/pull/test_one_budget.py",
    ),
    Fault(
        "leads wait for a merged status only until every lead was read since",
        "jobs/ledger/leads/status_labels.py",
        "select(func.max(_moved_at(account))).where(*waits, to_settled),",
        "",
        "tests/unit/pull/test_one_budget.py",
    ),
    Fault(
        "a few leads that leave a status between two nights wait for no night",
        "jobs/pull/inbox.py",
        "since=since, in_use=in_use",
        "since=since",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "no run between nights comes for what only a human releases",
        "jobs/ledger/outbox/outbox.py",
        "col(Delivery.reason).is_distinct_from(Reason.EXCESS_VOLUME)",
        "col(Delivery.reason).is_distinct_from(None)",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "what is due is sent between nights, webhook or none",
        "jobs/pull/inbox.py",
        "or outbox.is_any_due(session, account, now=now)",
        "",
        "tests/unit/pull/test_inbox.py",
    ),
    Fault(
        "what a webhook reports is no baseline",
        "jobs/rules/status_changes.py",
        "_add(changes, [StatusEntered(event.label, *event.time, StatusTimeOrigin.WEBHOOK, when.ended)])",
        "_add(changes, [StatusEntered(event.label, *event.time, StatusTimeOrigin.BASELINE, when.ended)])",
        "tests/unit/rules/test_webhook_history.py",
    ),
    # ── it refuses rather than guesses ───────────────────────────────────────────────────────────
    Fault(
        "nothing of the past goes out on the first night",
        "jobs/rules/status_changes.py",
        "origin = StatusTimeOrigin.BASELINE if when.previously is None and not heard else StatusTimeOrigin.BOUNDED",
        "origin = StatusTimeOrigin.BOUNDED",
        "tests/unit/rules/test_timing.py tests/e2e/test_first_night.py",
    ),
    Fault(
        "nothing before its start goes out",
        "jobs/rules/decision.py",
        "return Reason.BEFORE_SINCE if entry.at < start else None",
        "return None",
        "tests/unit/rules/test_decision.py",
    ),
    Fault(
        "no consent, no conversion",
        "jobs/rules/eligibility.py",
        "return ConsentSignalValue.GRANTED if assume else Reason.CONSENT_MISSING",
        "return ConsentSignalValue.GRANTED",
        "tests/unit/rules/test_consent.py",
    ),
    Fault(
        "an answer in no list is no consent",
        "jobs/rules/eligibility.py",
        "return Reason.CONSENT_UNKNOWN",
        "return ConsentSignalValue.GRANTED",
        "tests/unit/rules/test_consent.py",
    ),
    Fault(
        "consent that was withdrawn ends replays",
        "jobs/rules/eligibility.py",
        "return lead.ad_user_data is ConsentAnswer.REFUSED or refused_ads",
        "return refused_ads",
        "tests/unit/deliver/test_sender.py",
    ),
    Fault(
        "an unreadable amount is not replaced",
        "jobs/rules/extraction.py",
        "return NoValue(Reason.VALUE_UNREADABLE, amount.shape)",
        "return route.field_value.otherwise",
        "tests/unit/rules/test_conversion_value.py tests/unit/rules/test_decision.py",
    ),
    Fault(
        "an estimate takes young leads for as long as they were watched",
        "jobs/rules/expected_value.py",
        "at_risk -= len(together)",
        "at_risk -= len(won_now)",
        "tests/unit/rules/test_expected_value.py",
    ),
    Fault(
        "an estimate takes no missing amount for zero",
        "jobs/rules/expected_value.py",
        "0.0 if sale.amount is None else 1.0",
        "1.0",
        "tests/unit/rules/test_expected_value.py",
    ),
    Fault(
        "an estimate's interval covers the value",
        "jobs/rules/expected_value.py",
        "wide * _norm(of_expected)",
        "0.8 * wide * _norm(of_expected)",
        "tests/unit/rules/test_expected_value.py",
    ),
    Fault(
        "an estimate is not extrapolated",
        "jobs/rules/expected_value.py",
        "min(watched[FEWEST_WATCHED - 1], LONGEST)",
        "LONGEST",
        "tests/unit/rules/test_expected_value.py",
    ),
    Fault(
        "an estimate from too few sales is refused",
        "jobs/rules/expected_value.py",
        "if len(prices) < FEWEST_SALES:",
        "if not prices:",
        "tests/unit/rules/test_expected_value.py",
    ),
    Fault(
        "an estimate counts no sale that was taken back",
        "jobs/rules/stage_history.py",
        "if change.label in sale.undone_by:",
        "if False:",
        "tests/unit/rules/test_stage_history.py",
    ),
    Fault(
        "an estimate of other leads is not used",
        "jobs/rules/model.py",
        "repr((cohort, sale))",
        "repr(sale)",
        "tests/unit/plan/test_expected_values.py",
    ),
    Fault(
        "what waits for an estimate goes out once there is one",
        "jobs/ledger/leads/leads.py",
        "(Reason.VALUE_NEVER_SEEN, Reason.VALUE_NOT_ESTIMATED)",
        "(Reason.VALUE_NEVER_SEEN,)",
        "tests/unit/plan/test_expected_values.py",
    ),
    Fault(
        "a later estimate is not what counts again is worth",
        "jobs/rules/adjustment.py",
        "else sent.worth_at_first",
        "else route.expected_value.value",
        "tests/unit/plan/test_expected_values.py",
    ),
    Fault(
        "an estimate is made anew when it is due",
        "jobs/plan/expected_values.py",
        "now >= latest.computed_at + after - _NIGHT_VARIES",
        "False",
        "tests/unit/plan/test_expected_values.py",
    ),
    Fault(
        "an amount that may mean two is unreadable",
        "jobs/rules/extraction.py",
        'if not mark and grouped["group"] in ".," and whole.count(grouped["group"]) == 1:',
        "if False:",
        "tests/unit/rules/test_conversion_value.py",
    ),
    Fault(
        "an amount that may still come is waited for",
        "jobs/rules/extraction.py",
        "    if now < until:\n",
        "    if False:\n",
        "tests/unit/rules/test_conversion_value.py tests/unit/rules/test_decision.py",
    ),
    Fault(
        "a time that cannot be is not told",
        "jobs/rules/decision.py",
        "    if entry.implausible:\n",
        "    if False:\n",
        "tests/unit/rules/test_decision.py",
    ),
    Fault(
        "not before Google knows the click",
        "jobs/rules/decision.py",
        "    if now < opens_at:\n",
        "    if False:\n",
        "tests/unit/rules/test_decision.py",
    ),
    Fault(
        "nothing goes out after its window",
        "jobs/rules/decision.py",
        "is_late = now > closes_at",
        "is_late = False",
        "tests/unit/rules/test_decision.py",
    ),
    Fault(
        "a click id keeps its case",
        "connectors/oplead/parsing/click_ids.py",
        "    return ClickId(kind, text)\n\n\ndef _read_unlabelled_click_id",
        "    return ClickId(kind, text.lower())\n\n\ndef _read_unlabelled_click_id",
        "tests/unit/oplead/test_click_ids.py",
    ),
    Fault(
        "a click after the change did not lead to it",
        "jobs/rules/eligibility.py",
        "click.value.startswith(ERASED) == erased and click.clicked_at <= at]",
        "click.value.startswith(ERASED) == erased]",
        "tests/unit/rules/test_routing.py",
    ),
    Fault(
        "a sale that was lost again does not go out at once",
        "jobs/rules/decision.py",
        "    if now >= until:\n",
        "    if False:\n",
        "tests/unit/rules/test_decision.py tests/unit/plan/test_undone_before_sending.py",
    ),
    Fault(
        "a conversion renamed in silence is refused",
        "jobs/nightly.py",
        "if new not in book.was or book.was[new] is not None:",
        "if False:",
        "tests/e2e/test_settings_change.py tests/unit/plan/test_new_settings.py",
    ),
    Fault(
        "a renamed status moves nobody",
        "jobs/rules/status_changes.py",
        "if leads >= FEWEST and leads >= SHARE * seen.left[move.before]:",
        "if False:",
        "tests/unit/rules/test_status_rename.py",
    ),
    Fault(
        "a secret written out is refused",
        "jobs/settings/references.py",
        'raise ValueError(_("a secret must not stand in this file: {how_to_refer}", how_to_refer=_(HOW_TO_REFER)))',
        "found, source = text, text",
        "tests/unit/settings/test_references.py",
    ),
    # ── the sandbox is as strict as the platforms ────────────────────────────────────────────────
    Fault(
        "a document is what its name says",
        "connectors/sandbox/oplead/documents.py",
        "    if not _matches_extension(extension, content):\n",
        "    if extension not in _SIGNATURES:\n",
        "tests/contract/sandbox/test_oplead_documents.py",
    ),
    Fault(
        "a key hears only of leads that it may see",
        "connectors/sandbox/oplead/subscriptions.py",
        "if each.event == event.name and Caller(each.owner).sees(event.lead, creator)",
        "if each.event == event.name",
        "tests/contract/sandbox/test_oplead_webhooks.py",
    ),
    Fault(
        "a webhook holds the lead as it was when the event happened",
        "connectors/sandbox/oplead/subscriptions.py",
        "return Event(name, moment, lead_id, _lead_at_time(lead, moment, history[:entries]))",
        "return Event(name, moment, lead_id, lead)",
        "tests/contract/sandbox/test_oplead_webhooks.py",
    ),
    # ── personal data is held to the minimum ─────────────────────────────────────────────────────
    Fault(
        "no hash is kept of who said no",
        "jobs/rules/eligibility.py",
        "return not isinstance(signal, Reason) and signal is not ConsentSignalValue.DENIED",
        "return True",
        "tests/unit/rules/test_consent.py tests/e2e/test_privacy.py",
    ),
    Fault(
        "the token follows no redirect",
        "connectors/oplead/client.py",
        "follow_redirects=False,",
        "follow_redirects=True,",
        "tests/contract/oplead",
    ),
    Fault(
        "French numbers are hashed with their country",
        "connectors/meta/identity.py",
        'number.removeprefix("+")',
        'number.removeprefix("+33")',
        "tests/unit/meta/test_identity.py tests/unit/meta/test_identity_oracle.py",
    ),
    Fault(
        "a website stores nothing before consent",
        "connectors/website/capture.min.js",
        "()=>O(!0)&&!O(!1)",
        "()=>!O(!1)",
        "tests/contract/website/test_consent.py",
    ),
    Fault(
        "half an answer to Google is no consent",
        "connectors/website/capture.min.js",
        "&&!O(void 0)",
        "",
        "tests/contract/website/test_consent.py",
    ),
    Fault(
        "a form's own values are kept",
        "connectors/website/capture.min.js",
        "(e.value&&e.value!=e.dataset[a]||",
        "(",
        "tests/contract/website/test_capture.py",
    ),
    Fault(
        "each kind of click keeps its own time",
        "connectors/oplead/parsing/click_ids.py",
        "for kind in (ClickIdKind.GBRAID, ClickIdKind.WBRAID)}",
        "for kind in ()}",
        "tests/unit/oplead/test_click_ids.py tests/contract/website/test_capture.py",
    ),
    # ── whoever runs it is told ──────────────────────────────────────────────────────────────────
    Fault(
        "each address gets the summary of the week once",
        "jobs/alerts/weekly.py",
        "record_taken(session, ledger.account, due, mark)",
        "pass",
        "tests/unit/alerts/test_weekly.py",
    ),
    Fault(
        "what is stored of an incident is in no language",
        "jobs/ledger/stored_values.py",
        "            return in_english(value)",
        "            return value",
        "tests/unit/ledger/test_stored_values.py",
    ),
    Fault(
        "a reading that begins in the middle does not say how long the rest takes",
        "connectors/oplead/pagination.py",
        "is_part = self._is_resumed or self.changes",
        "is_part = self.changes",
        "tests/contract/oplead/test_pages.py",
    ),
    Fault(
        "wrong usage is said in the reader's language",
        "jobs/cli/usage_errors.py",
        "return translated(whole)",
        "return whole",
        "tests/unit/cli/test_usage_errors.py",
    ),
    Fault(
        "a destination that stops ends the night with 3",
        "jobs/run_summary.py",
        "if self.source_stopped or self.stopped:",
        "if self.source_stopped:",
        "tests/unit/jobs/test_nightly.py tests/unit/deliver/test_stops.py",
    ),
    Fault(
        "a destination that stops, stops alone",
        "jobs/deliver/sender.py",
        "return stop.whole_destination and way == self.scope",
        "raise SystemExit(3)",
        "tests/unit/deliver/test_stops.py tests/unit/deliver/test_sender.py",
    ),
    Fault(
        "each date has one night",
        "jobs/ledger/runs.py",
        "if done is not None or (if_missed",
        "if False and done is not None or (if_missed",
        "tests/unit/ledger/test_run_history.py tests/unit/jobs/test_scheduler.py",
    ),
    # ── exported files ───────────────────────────────────────────────────────────────────────────
    Fault(
        "a lead that a file lacks may well exist",
        "connectors/oplead/files/source.py",
        "is_gone = self._files.whole and opened.is_vouched_for and not opened.index.has_unnamed",
        "is_gone = True",
        "tests/contract/oplead/test_files.py tests/e2e/test_files.py",
    ),
    Fault(
        "a last value that may be cut is not read",
        "connectors/oplead/files/source.py",
        "if one.row == opened.possibly_cut_row:  # the id itself may be cut",
        "if False:",
        "tests/contract/oplead/test_files.py",
    ),
    Fault(
        "half a file is not taken for a whole one",
        "connectors/oplead/files/checks.py",
        "if fewer >= _FEWEST and fewer > _FEWER * last.rows:",
        "if fewer > last.rows:",
        "tests/contract/oplead/test_files.py",
    ),
    Fault(
        "a file that is still written to is not read on",
        "connectors/oplead/files/table.py",
        "if StampedFile.from_path(self.path) != self:",
        "if StampedFile.from_path(self.path).path != self.path:",
        "tests/contract/oplead/test_files.py",
    ),
    Fault(
        "a row that is cut is not taken for a short one",
        "connectors/oplead/files/csv_table.py",
        'raise self._refusal(_(_CUT, what=_("its last row, line {number}", number=short.number)))',
        "return",
        "tests/unit/oplead/test_file_tables.py",
    ),
    Fault(
        "what Oplead's documentation page names is asked of no other host",
        "connectors/oplead/probe/specification/documentation.py",
        "        if not is_same:",
        "        if False:",
        "tests/contract/oplead/test_documentation.py",
    ),
    Fault(
        "the key goes to the documentation only after it answered 401",
        "connectors/oplead/probe/specification/documentation.py",
        "if document.status != HTTPStatus.UNAUTHORIZED:",
        "if document.status == HTTPStatus.OK:",
        "tests/contract/oplead/test_documentation.py",
    ),
    Fault(
        "a specification in parts on other pages is refused",
        "connectors/oplead/probe/specification/loading.py",
        'if isinstance(reference, str) and not reference.startswith("#"):',
        "if False:",
        "tests/contract/oplead/test_documentation.py",
    ),
    Fault(
        "a platform says once a day what it received",
        "jobs/alerts/statements.py",
        "if last is not None and last.astimezone(run.book.zone).date() == now.astimezone(run.book.zone).date():",
        "if False:",
        "tests/unit/alerts/test_statements.py",
    ),
    Fault(
        "a platform that hangs when asked what it received leaves time for the others",
        "jobs/alerts/statements.py",
        "seconds = max(ends - time.monotonic(), 0) / (len(sent) - asked)",
        "seconds = max(ends - time.monotonic(), 0)",
        "tests/unit/alerts/test_statements.py",
    ),
    Fault(
        "a platform that fails when asked what it received costs the night nothing",
        "jobs/alerts/statements.py",
        "except Exception as error:  # noqa: BLE001 - one platform's failure must not hide what the others say",
        "except TimeoutError as error:",
        "tests/unit/alerts/test_statements.py",
    ),
    Fault(
        "leads that the report's database counts are those that a slow count finds",
        "jobs/ledger/report/leads.py",
        'func.count(col(LeadRow.id).distinct()).label("leads")',
        'func.count(col(LeadRow.id)).label("leads")',
        "tests/unit/reporting/test_page_rules.py",
    ),
    Fault(
        "only the first entry into a stage makes a sale",
        "jobs/ledger/report/leads.py",
        "or_(col(earlier.at) < at, and_(",
        "or_(col(earlier.at) > at, and_(",
        "tests/unit/reporting/test_page_rules.py",
    ),
    Fault(
        "a night without conversions is no silence on a day of the week that usually has none",
        "jobs/alerts/incidents.py",
        "max((night.sent for night in self.that_weekday), default=usual)",
        "usual",
        "tests/unit/alerts/test_incidents.py",
    ),
    Fault(
        "the dead man's switch is pinged before the page is written, and once",
        "jobs/cli/session.py",
        "        if not is_known:\n",
        "        if True:\n",
        "tests/unit/cli/test_after_a_night.py",
    ),
    Fault(
        "test leads and deleted ones have no unknown status",
        "jobs/ledger/leads/leads.py",
        "LeadRow.account == account, IS_COUNTED\n",
        "LeadRow.account == account\n",
        "tests/unit/reporting/test_page_rules.py",
    ),
    Fault(
        "what has expired costs what it would have been worth",
        "jobs/reporting/page/gather.py",
        "each = Decimal(row.value) if row.value else _worth(",
        "each = Decimal(row.value or 0) if True else _worth(",
        "tests/unit/reporting/test_page_figures.py",
    ),
    Fault(
        "an expected value that cannot be estimated yet costs a night nothing",
        "jobs/plan/expected_values.py",
        "if not were_sold(session, account, sale, at_least=FEWEST_SALES):",
        "if False:",
        "tests/unit/plan/test_expected_values.py",
    ),
    Fault(
        "what a platform received differs from ours only where the two cannot become equal",
        "jobs/reporting/page/platform_figures.py",
        "if theirs + counts.undecided < own.accepted:",
        "if theirs < own.accepted:",
        "tests/unit/reporting/test_platform_figures.py",
    ),
    Fault(
        "what a platform received is not compared with what it may have received before",
        "jobs/ledger/outbox/statements.py",
        "col(Delivery.may_count_twice).is_(False), is_comparable",
        "is_comparable",
        "tests/unit/ledger/outbox/test_statements.py",
    ),
    Fault(
        "what a platform received shows only what it certainly took of a request",
        "connectors/google_ads/data_manager/outcomes.py",
        'case "SUCCESS" | "PARTIAL_SUCCESS" if refused or status == "SUCCESS":',
        'case "SUCCESS" | "PARTIAL_SUCCESS":',
        "tests/contract/google_ads/test_statements.py",
    ),
    Fault(
        "a lead that left and then changes is not taken for new",
        "jobs/pull/ingest.py",
        "too_old = retention.may_have_left(session, account, unknown)",
        "too_old = set()",
        "tests/unit/retention/test_retention.py::test_a_lead_that_left_and_then_changes_is_not_sent_again "
        "tests/unit/retention/test_retention.py::test_no_way_of_reading_brings_a_lead_back",
    ),
    Fault(
        "a lead that left is not even read where the list says when it was created",
        "jobs/pull/sync.py",
        "self.too_old = self._find_too_old(session, [one.id for one in others if one not in left_out])",
        "self.too_old = set()",
        "tests/unit/retention/test_retention.py::test_no_way_of_reading_brings_a_lead_back",
    ),
    Fault(
        "a lead on record is read however old it is",
        "jobs/ledger/retention/retention.py",
        "return old.difference(row.id for row in bulk.select_rows(session, _ON_RECORD, account, old))",
        "return old",
        "tests/unit/retention/test_retention.py::test_a_lead_on_record_is_read_however_old_it_is",
    ),
    Fault(
        "how far leads have left never moves back",
        "jobs/ledger/retention/retention.py",
        "elif before > mark.before:",
        "else:",
        "tests/unit/retention/test_retention.py::test_the_mark_never_moves_back",
    ),
    Fault(
        "what leads that leave came to is kept",
        "jobs/privacy/retention.py",
        "monthly.add_months(session, list(self.count_by_month(session, leads)))",
        "list(self.count_by_month(session, leads))",
        "tests/unit/retention/test_retention.py::test_a_page_says_the_same_before_and_after_its_leads_left",
    ),
    Fault(
        "what is still to be answered keeps its lead",
        "jobs/ledger/retention/retention.py",
        "state.in_((DeliveryState.PENDING, *FROZEN)),",
        "state.in_((DeliveryState.PENDING,)),",
        "tests/unit/retention/test_retention.py::test_what_is_still_to_be_sent_or_answered_keeps_its_lead",
    ),
    Fault(
        "what is held keeps its lead while its window lasts",
        "jobs/ledger/retention/retention.py",
        "col(Delivery.expires_at) >= now",
        "col(Delivery.expires_at) < now",
        "tests/unit/retention/test_retention.py::test_what_is_still_to_be_sent_or_answered_keeps_its_lead",
    ),
    Fault(
        "a lead that changed lately stays",
        "jobs/ledger/retention/retention.py",
        "func.coalesce(col(LeadRow.updated_at), col(LeadRow.seen_at)) < before,",
        "sqlalchemy.true(),",
        "tests/unit/retention/test_retention.py::test_a_lead_on_record_is_read_however_old_it_is",
    ),
    Fault(
        "no lead leaves after a night that did not read everything",
        "jobs/privacy/retention.py",
        "if summary.pulled.complete and summary.source_stopped is None:",
        "if True:",
        "tests/unit/retention/test_retention.py::test_nothing_leaves_after_a_night_that_did_not_read_everything",
    ),
    Fault(
        "leads stay as long as platforms' windows need, whatever the settings say",
        "jobs/privacy/retention.py",
        "now - max(kept.leads, age_needed_to_send(run.book))",
        "now - kept.leads",
        "tests/unit/retention/test_retention.py::test_the_windows_of_platforms_come_before_the_settings",
    ),
    Fault(
        "a lead is counted and erased in one transaction",
        "jobs/privacy/retention.py",
        "            erase_leads(session, ledger.account, leads)",
        '            [session.connection().exec_driver_sql(each) for each in ("COMMIT", "BEGIN")]\n'
        "            erase_leads(session, ledger.account, leads)",
        "tests/unit/retention/test_retention.py::test_a_sweep_that_dies_in_the_middle_ends_the_same_when_repeated",
    ),
    Fault(
        "a request that a kept delivery was in stays",
        "jobs/ledger/retention/retention.py",
        "        ~exists().where(col(Attempt.request) == col(Request.id)),\n",
        "",
        "tests/unit/retention/test_retention.py::test_a_request_that_a_kept_delivery_was_in_stays",
    ),
    Fault(
        "the last request stays, by which an older copy of the state is told",
        "jobs/ledger/retention/retention.py",
        "col(Request.id) < select(func.max(Request.id)).scalar_subquery(),",
        "col(Request.id) > 0,",
        "tests/unit/retention/test_retention.py::test_runs_and_requests_go_once_nothing_refers_to_them",
    ),
    Fault(
        "an estimate that a kept conversion was sent with stays",
        "jobs/ledger/retention/retention.py",
        "set(replaced).difference(used)",
        "set(replaced)",
        "tests/unit/retention/test_retention.py::test_what_is_over_goes_and_what_still_holds_stays",
    ),
    Fault(
        "estimates look back no further than all leads are on record",
        "jobs/plan/expected_values.py",
        "return max(since, retention.left_before(session, account) or since)",
        "return since",
        "tests/unit/retention/test_retention.py::test_estimates_look_back_no_further_than_all_leads_are_on_record",
    ),
    Fault(
        "a page counts the whole months of leads that left",
        "jobs/reporting/page/gather.py",
        "funnel=archived.funnel(created.funnel),",
        "funnel=created.funnel,",
        "tests/unit/retention/test_retention.py::test_a_page_says_the_same_before_and_after_its_leads_left",
    ),
    Fault(
        "a page leaves out months that are only partly in its period",
        "jobs/reporting/page/leads/archive.py",
        "period.first if period.first.day == 1 else _next_month(period.first)",
        "period.first.replace(day=1)",
        "tests/unit/retention/test_retention.py::test_a_page_names_the_day_before_which_only_whole_months_are_counted",
    ),
    Fault(
        "a backfill does not reach back to leads that left",
        "jobs/cli/night/approved_send.py",
        "before is not None and self.request.start < before:",
        "False:",
        "tests/unit/retention/test_retention.py::test_a_backfill_that_reaches_back_to_leads_that_left_is_refused",
    ),
    Fault(
        "leads are kept at least as long as they may be sent",
        "jobs/settings/lint.py",
        "if age is not None and age < needed:",
        "if False:",
        "tests/unit/settings/test_retention.py",
    ),
    Fault(
        "no word of a library's log record reaches a handler",
        "jobs/privacy/redaction.py",
        "as_is = is_own(record.name) or _shape_in(record) is not None",
        "as_is = True",
        "tests/contract/privacy/test_redaction.py",
    ),
    Fault(
        "an exception that nothing catches is shown by its type and places alone",
        "jobs/privacy/redaction.py",
        "sys.excepthook = _show_uncaught",
        "pass",
        "tests/contract/privacy/test_redaction.py",
    ),
    Fault(
        "gRPC does not write metadata to stderr, whatever the environment asks for",
        "jobs/privacy/redaction.py",
        'os.environ.pop("GRPC_TRACE", None)',
        'os.environ["GRPC_VERBOSITY"] = "DEBUG"; return',
        "tests/contract/privacy/test_redaction.py",
    ),
    Fault(
        "every field that a platform receives is on the customer's list",
        "connectors/meta/encode.py",
        '"event_id": event.key,',
        '"event_id": event.key, "external_id": event.key,',
        "tests/unit/test_data_sent.py",
    ),
    Fault(
        "a licence that nobody agreed to is refused",
        "tests/supply.py",
        'yield package, licence or "unknown", licence is not None and is_allowed(package, licence)',
        'yield package, licence or "unknown", True',
        "tests/unit/test_supply.py",
    ),
    Fault(
        "an installation keeps the version of the Google Ads API that is called",
        "Makefile",
        "! -name '$(API)' -exec",
        "-exec",
        "tests/unit/test_install.py",
    ),
)


def main(only: Sequence[str]) -> int:
    """Try every fault, or those whose promise holds one of these words; 1 where one is caught by nobody."""
    wanted = [fault for fault in FAULTS if not only or any(word in fault.promise for word in only)]
    verdicts = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for fault, (caught, by) in zip(wanted, pool.map(_tried, wanted), strict=True):
            print(f"{'caught' if caught else 'MISSED'}  {fault.promise}\n        {by}", flush=True)
            verdicts.append(caught)
    missed = verdicts.count(False)
    print(f"{len(wanted)} faults, {missed} missed")
    return int(missed > 0)


def _tried(fault: Fault) -> tuple[bool, str]:
    """Whether a fault is caught, and by which test, or why not."""
    text = (ROOT / fault.file).read_text()
    if text.count(fault.line) != 1:
        return False, f"out of date: {fault.file} has its line {text.count(fault.line)} times"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for file in _files():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, copy / file)
        (copy / fault.file).write_text(text.replace(fault.line, fault.instead))
        return _verdict(copy, fault.tests.split())


def _files() -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return (file for file in listed.splitlines() if (ROOT / file).is_file())


def _verdict(copy: Path, tests: Sequence[str]) -> tuple[bool, str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-m",
        "not exhaustive",
        "--tb=no",
        "-p",
        "no:randomly",
        "-n",
        "0",
        *tests,
    ]
    environ = {**os.environ, "PYTHONPATH": str(copy)}
    try:
        run = subprocess.run(
            command, cwd=copy, env=environ, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return True, f"{' '.join(tests)} did not end"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    if run.returncode == 1 and failed:
        return True, failed[1]
    return False, f"{' '.join(tests)} ended with {run.returncode}: {run.stdout.strip().splitlines()[-1:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
