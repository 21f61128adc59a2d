"""Tells leads that were deleted from those that a reading merely missed, and believes neither too soon."""

from collections.abc import Collection
from datetime import datetime, timedelta

from connectors.records import LeadId
from jobs.ledger import reading_progress
from jobs.ledger.leads import leads
from jobs.pull.ingest import MANY, DetailFetcher, FetchedDetails, PastRefusedFetcher

SHARE = 0.2
"""`MANY` leads, and such a share of those with open deliveries, missing at once suggest an API key that sees less."""
SAMPLED = 20
"""Known leads to read by their own pages on a night whose list shows only changed ones."""
ASKED_A_NIGHT = 200
"""Maximum number of unlisted leads to ask for by their own pages."""
BELIEVED_AFTER = timedelta(hours=12)
"""Delay between first finding a lead missing and believing it: two nights, not two runs of one night."""


def reread_relevant_leads(fetch: DetailFetcher, *, clicked_since: datetime) -> bool:
    """Read leads that may still have something to send, longest unread first; return False if time runs out.

    If none of them is found on its own page and some show another lead, ids are misread and nothing is concluded.
    """
    run, done = fetch.run, fetch.done
    with run.ledger.read_transaction() as session:
        wanted = leads.leads_worth_reading(session, run.ledger.account, since=clicked_since, before=fetch.started)
    asked = fetch.read(wanted)
    if asked.merged and not asked.as_asked:
        done.no_detail_pages = True
    elif _is_half_gone(asked) and not run.deps.accept_fewer:
        done.suspicious = len(asked.unseen)
    elif done.is_absence_believed:
        _record_missing(fetch, asked, wanted)
    is_whole = len(asked.ids) == len(wanted)
    if not is_whole and not done.detail_pages:
        done.unread = len(wanted)
    return is_whole


def look_for_unlisted(fetch: DetailFetcher, whole_since: datetime | None) -> None:
    """Ask for leads with open deliveries that the full list didn't show.

    If some are missing, also ask for one that was listed: if that has no page either, the path to detail pages is wrong
    and nothing is concluded about the others.
    """
    run = fetch.run
    with run.ledger.read_transaction() as session:
        unlisted = leads.unlisted_open_leads(session, run.ledger.account, since=whole_since)
    asked = fetch.read(unlisted if run.deps.accept_fewer else unlisted[:ASKED_A_NIGHT])
    if asked.deleted:
        with run.ledger.read_transaction() as session:
            listed = leads.most_recently_seen_leads(session, run.ledger.account, but=unlisted)
        if fetch.read(listed).deleted:
            fetch.done.no_detail_pages = True
            return
    _record_missing(fetch, asked, unlisted)


def sample_known(fetch: DetailFetcher, *, shown: LeadId | None) -> None:
    """Read a few known leads that a filtered list need not show: if half are not there, the key may see less.

    Where no lead is seen to have a page of its own, that shows nothing: not even the one that tonight's list has shown.
    """
    run = fetch.run
    with run.ledger.read_transaction() as session:
        # What the last whole list did not show is no news.
        listed = reading_progress.get_cursor(session, run.ledger.account).full_read_at
        known = leads.newest_unread_leads(
            session, run.ledger.account, since=listed, before=fetch.started, limit=SAMPLED
        )
    if len(known) < MANY:
        return
    asked = PastRefusedFetcher(run, fetch.done, fetch.until, fetch.started, fetch.ahead).read(known)
    if not _is_half_gone(asked):
        return
    if asked.as_asked or asked.refused or (shown is not None and fetch.read([shown]).as_asked):
        fetch.done.suspicious = len(asked.unseen)


def _is_half_gone(asked: FetchedDetails) -> bool:
    """Whether so many known leads, drawn for other reasons, are not shown that the key may see less."""
    return len(asked.unseen) >= MANY and 2 * len(asked.unseen) >= len(asked.ids)


def _record_missing(fetch: DetailFetcher, asked: FetchedDetails, candidates: Collection[LeadId]) -> None:
    """Record missing leads; those found missing a second time are planned, which cancels their open deliveries.

    Among `candidates` not asked for, the share missing is assumed to be the same as among those asked for. If too many
    are missing, no deletion is believed; whoever says that they were deleted is believed at once.
    """
    if not asked.deleted:
        return
    run, done = fetch.run, fetch.done
    account, now, is_told = run.ledger.account, run.now(), run.deps.accept_fewer
    with run.ledger.write_transaction() as session:
        leads.mark_missing_from_list(session, account, asked.deleted, now=now)
        leads.record_merged_into(session, account, asked.deleted, asked.merged)
        with_open = leads.leads_with_open_deliveries(session, account)
        missing = len(with_open.intersection(asked.deleted))
        likely = missing * len(with_open.intersection(candidates)) / max(1, len(with_open.intersection(asked.ids)))
        if likely >= MANY and likely > SHARE * len(with_open) and not is_told:
            done.suspicious = missing
        else:
            before = now if is_told else now - BELIEVED_AFTER
            done.deleted += leads.mark_missing_as_deleted(
                session, account, asked.deleted, missing_before=before, now=now
            )
