"""`oplead webhooks subscribe`, `list` and `remove`: the subscriptions on record in Oplead, their secrets masked."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote

from connectors.crm import EventKind, LeadWriter, Listed, PlatformLists, Subscription, WriteAccepted
from connectors.errors import Misconfigured
from connectors.records import Lost
from connectors.text import counted, masked_address
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.outcomes import ANY_KEY, exit_of, write_outcome_for_json, write_outcome_sentence
from jobs.reporting.console import print_json, print_rows, say
from jobs.settings.oplead_schema import WebhookSettings

HOOKS = "/hooks"
"""Where the receiver takes webhooks."""
_NOT_ALL = "there may be more subscriptions than were read: "


def webhook_address(webhooks: WebhookSettings | None) -> str:
    """Return the address Oplead is to call, with the secret unless a header carries it.

    Raises:
        UsageError: the settings do not name the receiver's public address.
    """
    if webhooks is None or webhooks.public_url is None:
        raise UsageError("webhooks.public_url is missing: the address Oplead calls, as https://hooks.maison-durand.fr")
    base = str(webhooks.public_url).rstrip("/") + HOOKS
    secret = quote(webhooks.secret.get_secret_value(), safe="")
    return base if webhooks.secret_header else f"{base}/{secret}"


def subscribe(context: OpleadContext, kinds: Sequence[EventKind], *, force: bool) -> int:
    """Show what is subscribed to, ask, and subscribe to what is not yet."""
    url = webhook_address(context.known.settings.webhooks)
    codes: list[int] = []
    with context.writer() as writer:
        there: Listed[Subscription] = Listed() if force else _on_record(writer)
        missing = [kind for kind in kinds if not _is_there(there, writer.event_name(kind), url)]
        if missing and there.gap:
            raise Misconfigured(f"{_NOT_ALL}{there.gap}. To subscribe without looking, write --force")
        json = context.approval.json
        for kind in kinds:
            if kind not in missing:
                _tell(context, kind, f"{kind.value}: subscribed already", {"outcome": "already"})
        if missing and not json:
            say(*(f"{kind.value}: report {writer.event_name(kind)} to {masked_address(url)}" for kind in missing))
        if context.approval.dry_run:
            _rehearsed(context, missing)
            return Exit.DONE
        if missing and not context.agrees(f"Subscribe to {counted(len(missing), 'event')}?"):
            say("Nothing was written.")
            return Exit.DONE
        for kind in missing:
            receipt = context.retry_until_write_arrives(partial(writer.subscribe, kind, url))
            if isinstance(receipt, Lost) and not force and _is_there(_on_record(writer), writer.event_name(kind), url):
                receipt = WriteAccepted()
            look = f"See `{context.command('webhooks list')}` before you subscribe again."
            told = write_outcome_sentence(receipt, "subscribed", key=ANY_KEY, look=look)
            _tell(context, kind, f"{kind.value}: {told}", write_outcome_for_json(receipt))
            codes.append(exit_of(receipt))
    return max(codes, default=Exit.DONE)


def show(context: OpleadContext) -> int:
    """List the subscriptions on record."""
    webhooks = context.known.settings.webhooks
    ours = webhook_address(webhooks) if webhooks and webhooks.public_url else None
    with context.writer() as writer:
        found = _on_record(writer)
    code = _tell_gap(found)
    if context.approval.json:
        for one in found.entries:
            print_json(
                {
                    "subscription": one.id,
                    "event": one.event,
                    "address": masked_address(one.url),
                    "ours": one.url == ours,
                }
            )
        return code
    rows = [[one.id, one.event, masked_address(one.url), "yes" if one.url == ours else ""] for one in found.entries]
    print_rows(("Subscription", "Event", "Address", "Ours"), rows)
    say(counted(len(found.entries), "subscription"))
    return code


def remove(context: OpleadContext, ids: Sequence[str], *, all_ours: bool) -> int:
    """Show what ends, ask, and end it."""
    code = Exit.DONE
    json = context.approval.json
    with context.writer() as writer:
        if all_ours:
            ours = webhook_address(context.known.settings.webhooks)
            found = _on_record(writer)
            code = _tell_gap(found)
            ids = [one.id for one in found.entries if one.url == ours]
        elif not ids:
            raise UsageError(f"name a subscription, as `{context.command('webhooks list')}` shows it, or write --all")
        if json and context.approval.dry_run:
            print_json({"rehearsed": True, "subscriptions": list(ids)})
        elif not json:
            say(*(f"end subscription {each}" for each in ids) if ids else ["There is no subscription of ours."])
        if not ids:
            return code
        if context.approval.dry_run or not context.agrees(f"End {counted(len(ids), 'subscription')}?"):
            if not json:
                say("Nothing was written.")
            return code
        return max(code, *(_removed(context, writer, each) for each in ids))


def _removed(context: OpleadContext, writer: LeadWriter, subscription_id: str) -> Exit:
    receipt = context.retry_until_write_arrives(partial(writer.unsubscribe, subscription_id))
    if context.approval.json:
        print_json({"subscription": subscription_id, **write_outcome_for_json(receipt)})
    else:
        look = "Ending it again does no harm."
        told = write_outcome_sentence(receipt, "ended", key=ANY_KEY, look=look, about="subscription")
        say(f"{subscription_id}: {told}")
    return exit_of(receipt)


def _on_record(lists: PlatformLists) -> Listed[Subscription]:
    try:
        return lists.subscriptions()
    except Misconfigured as error:
        raise Misconfigured(f"the subscriptions cannot be listed: {error}") from None


def _tell_gap(found: Listed[Subscription]) -> Exit:
    """Say on stderr why subscriptions may be missing, and return the exit code."""
    if found.gap is None:
        return Exit.DONE
    sys.stderr.write(f"{_NOT_ALL}{found.gap}\n")
    return Exit.ATTENTION


def _is_there(found: Listed[Subscription], event: str, url: str) -> bool:
    return any(one.event == event and one.url == url for one in found.entries)


def _tell(context: OpleadContext, kind: EventKind, text: str, document: Mapping[str, object]) -> None:
    if context.approval.json:
        print_json({"event": kind, **document})
    else:
        say(text)


def _rehearsed(context: OpleadContext, missing: Sequence[EventKind]) -> None:
    if context.approval.json:
        print_json({"rehearsed": True, "events": missing})
    else:
        say("Nothing was written.")
