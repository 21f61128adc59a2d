"""`oplead webhooks subscribe`, `list` and `remove`: the subscriptions on record in Oplead, their secrets masked."""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote, urlsplit

from rich.markup import escape

from connectors.crm import EventKind, LeadWriter, PlatformLists, Subscription, Written
from connectors.errors import Misconfigured
from connectors.records import Lost
from connectors.text import counted
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.outcomes import ANY_KEY, document_of, exit_of, sentence_of
from jobs.reporting.console import print_json, results, say, table
from jobs.settings.oplead_schema import WebhookSettings

HOOKS = "/hooks"
"""Where the receiver takes webhooks."""
_LOOK = "See `oplead-sync oplead webhooks list` before you subscribe again."


def address_of(webhooks: WebhookSettings | None) -> str:
    """Return the address Oplead is to call, with the secret unless a header carries it.

    Raises:
        UsageError: the settings do not name the receiver's public address.
    """
    if webhooks is None or webhooks.public_url is None:
        raise UsageError("webhooks.public_url is missing: the address Oplead calls, as https://hooks.maison-durand.fr")
    base = str(webhooks.public_url).rstrip("/") + HOOKS
    secret = quote(webhooks.secret.get_secret_value(), safe="")
    return base if webhooks.secret_header else f"{base}/{secret}"


def shown(url: str) -> str:
    """Return an address without what may be secret in it: all but its server."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"


def subscribe(context: OpleadContext, kinds: Sequence[EventKind], *, force: bool) -> int:
    """Show what is subscribed to, ask, and subscribe to what is not yet."""
    url = address_of(context.known.settings.webhooks)
    codes: list[int] = []
    with context.writer() as writer:
        there = [] if force else _on_record(writer)
        missing = [kind for kind in kinds if not _is_there(there, writer.event_name(kind), url)]
        json = context.approval.json
        for kind in kinds:
            if kind not in missing:
                _tell(context, kind, f"{kind.value}: subscribed already", {"outcome": "already"})
        if missing and not json:
            say(*(f"{kind.value}: report {writer.event_name(kind)} to {shown(url)}" for kind in missing))
        if context.approval.dry_run:
            _rehearsed(context, missing)
            return Exit.DONE
        if missing and not context.agrees(f"Subscribe to {counted(len(missing), 'event')}?"):
            say("Nothing was written.")
            return Exit.DONE
        for kind in missing:
            receipt = context.until_taken(partial(writer.subscribe, kind, url))
            if isinstance(receipt, Lost) and not force and _is_there(_on_record(writer), writer.event_name(kind), url):
                receipt = Written()
            told = sentence_of(receipt, "subscribed", key=ANY_KEY, look=_LOOK)
            _tell(context, kind, f"{kind.value}: {told}", document_of(receipt))
            codes.append(exit_of(receipt))
    return max(codes, default=Exit.DONE)


def show(context: OpleadContext) -> int:
    """List the subscriptions on record."""
    webhooks = context.known.settings.webhooks
    ours = address_of(webhooks) if webhooks and webhooks.public_url else None
    with context.writer() as writer:
        found = _on_record(writer)
    if context.approval.json:
        for one in found:
            print_json({"subscription": one.id, "event": one.event, "address": shown(one.url), "ours": one.url == ours})
        return Exit.DONE
    rows = [
        [escape(one.id), escape(one.event), escape(shown(one.url)), "yes" if one.url == ours else ""] for one in found
    ]
    results().print(table("Subscription", "Event", "Address", "Ours", rows=rows))
    say(counted(len(found), "subscription"))
    return Exit.DONE


def remove(context: OpleadContext, ids: Sequence[str], *, all_ours: bool) -> int:
    """Show what ends, ask, and end it."""
    with context.writer() as writer:
        if all_ours:
            ours = address_of(context.known.settings.webhooks)
            ids = [one.id for one in _on_record(writer) if one.url == ours]
        if not ids:
            say("There is no subscription of ours." if all_ours else "Name a subscription, or write --all.")
            return Exit.DONE if all_ours else Exit.CONFIGURATION
        if not context.approval.json:
            say(*(f"end subscription {each}" for each in ids))
        if context.approval.dry_run and context.approval.json:
            print_json({"rehearsed": True, "subscriptions": list(ids)})
            return Exit.DONE
        if context.approval.dry_run or not context.agrees(f"End {counted(len(ids), 'subscription')}?"):
            say("Nothing was written.")
            return Exit.DONE
        codes = [_removed(context, writer, each) for each in ids]
    return max(codes)


def _removed(context: OpleadContext, writer: LeadWriter, subscription_id: str) -> int:
    receipt = context.until_taken(partial(writer.unsubscribe, subscription_id))
    if context.approval.json:
        print_json({"subscription": subscription_id, **document_of(receipt)})
    else:
        look = "Ending it again does no harm."
        say(f"{subscription_id}: {sentence_of(receipt, 'ended', key=ANY_KEY, look=look)}")
    return exit_of(receipt)


def _on_record(lists: PlatformLists) -> Sequence[Subscription]:
    try:
        return lists.subscriptions()
    except Misconfigured as error:
        raise Misconfigured(f"the subscriptions cannot be listed: {error}") from None


def _is_there(found: Sequence[Subscription], event: str, url: str) -> bool:
    return any(one.event == event and one.url == url for one in found)


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
