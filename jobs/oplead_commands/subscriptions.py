"""`oplead webhooks subscribe`, `list` and `remove`: the subscriptions on record in Oplead, their secrets masked."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Literal
from urllib.parse import quote

from connectors.crm import CrmEventKind, CrmListEntries, CrmLists, Subscription, WriteAccepted
from connectors.errors import Misconfigured, Transient
from connectors.language import N_, _, _n
from connectors.records import AnswerLost
from connectors.text import masked_address
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext, OpleadWriteAccess
from jobs.oplead_commands.outcomes import ANY_KEY, write_outcome_sentence
from jobs.reporting.console import print_rows, say
from jobs.reporting.presentation import print_json
from jobs.settings.oplead_schema import WebhookSettings

HOOKS = "/hooks"
"""Where the receiver takes webhooks."""
_NOT_ALL = N_("there may be more subscriptions than were read: {gap}")
_OURS = {"yes": N_("yes"), "old secret": N_("old secret"), "": ""}


def webhook_address(webhooks: WebhookSettings | None) -> str:
    """Return the address Oplead is to call, with the secret unless a header carries it.

    Raises:
        UsageError: the settings do not name the receiver's public address.
    """
    if webhooks is None or webhooks.public_url is None:
        raise UsageError(
            _("webhooks.public_url is missing: the address Oplead calls, as https://hooks.maison-durand.fr")
        )
    secret = quote(webhooks.secret.get_secret_value(), safe="")
    return _receiver(webhooks) if webhooks.secret_header else f"{_receiver(webhooks)}/{secret}"


def _receiver(webhooks: WebhookSettings) -> str:
    return str(webhooks.public_url).rstrip("/") + HOOKS


def _is_own_address(url: str, webhooks: WebhookSettings | None) -> Literal["yes", "old secret", ""]:
    """Return whether an address is our receiver's, and if so, whether with the secret of today."""
    if webhooks is None or webhooks.public_url is None:
        return ""
    if url == webhook_address(webhooks):
        return "yes"
    base = _receiver(webhooks)
    return "old secret" if url == base or url.startswith((f"{base}/", f"{base}?")) else ""


def subscribe(context: OpleadContext, kinds: Sequence[CrmEventKind], *, force: bool) -> int:
    """Show what is subscribed to, ask, and subscribe to what is not yet."""
    webhooks = context.known.settings.webhooks
    url = webhook_address(webhooks)
    codes: list[int] = []
    with context.writer() as writer:
        there: CrmListEntries[Subscription] = CrmListEntries() if force else _fetch_listed_subscriptions(writer)
        missing = [kind for kind in kinds if not _is_there(there, writer.oplead_event_name(kind), url)]
        if old := [one.id for one in there.entries if _is_own_address(one.url, webhooks) == "old secret"]:
            end = context.account_command_line("webhooks remove ID")
            refused = _(
                "With an old secret: {ids}. What these report is refused; end each: `{command}`",
                ids=", ".join(old),
                command=end,
            )
            sys.stderr.write(f"{refused}\n")
        if missing and there.gap:
            raise Misconfigured(
                _(
                    "there may be more subscriptions than were read: {gap}. To subscribe without looking, write "
                    "--force",
                    gap=there.gap,
                )
            )
        for kind in kinds:
            if kind in missing:
                continue
            if context.approval.json_wanted:
                print_json({"event": kind, "outcome": "already"})
            else:
                say(_("{event}: subscribed already", event=kind.value))
        if not missing and not context.approval.dry_run:
            return Exit.DONE
        shown = [
            _(
                "{event}: report {name} to {address}",
                event=kind.value,
                name=writer.oplead_event_name(kind),
                address=masked_address(url),
            )
            for kind in missing
        ]
        question = _n("Subscribe to {count} event?", "Subscribe to {count} events?", len(missing))
        if not context.is_write_confirmed(question, rehearsed={"events": missing}, show=partial(say, *shown)):
            return Exit.DONE
        for kind in missing:
            receipt = context.retry_write_if_not_received(partial(writer.subscribe, kind, url))
            if isinstance(receipt, AnswerLost) and not force and _is_found(writer, writer.oplead_event_name(kind), url):
                receipt = WriteAccepted()
            look = _(
                "See `{command}` before you subscribe again.", command=context.account_command_line("webhooks list")
            )
            outcome = write_outcome_sentence(receipt, _("subscribed"), key=ANY_KEY, look=look)
            outcome = _("{name}: {text}", name=kind.value, text=outcome)
            codes.append(context.report_write(receipt, {"event": kind}, outcome))
    return max(codes)


def show(context: OpleadContext) -> int:
    """List the subscriptions on record."""
    webhooks = context.known.settings.webhooks
    with context.writer() as writer:
        found = _fetch_listed_subscriptions(writer)
    code = _report_missing_subscriptions(found)
    if context.approval.json_wanted:
        for one in found.entries:
            ours = _is_own_address(one.url, webhooks)
            whose = {"ours": ours != "", "old_secret": ours == "old secret"}
            print_json({"subscription": one.id, "event": one.event, "address": masked_address(one.url), **whose})
        return code
    rows = [
        [one.id, one.event, masked_address(one.url), _(_OURS[_is_own_address(one.url, webhooks)])]
        for one in found.entries
    ]
    print_rows((_("Subscription"), _("Event"), _("Address"), _("Of ours")), rows)
    say(_n("{count} subscription", "{count} subscriptions", len(found.entries)))
    return code


def remove(context: OpleadContext, ids: Sequence[str], *, all_ours: bool) -> int:
    """Show what ends, ask, and end it."""
    code = Exit.DONE
    json = context.approval.json_wanted
    with context.writer() as writer:
        if all_ours:
            webhooks = context.known.settings.webhooks
            webhook_address(webhooks)  # needs the public address
            found = _fetch_listed_subscriptions(writer)
            code = _report_missing_subscriptions(found)
            ids = [one.id for one in found.entries if _is_own_address(one.url, webhooks)]
        elif not ids:
            raise UsageError(
                _(
                    "name a subscription, as `{command}` shows it, or write --all",
                    command=context.account_command_line("webhooks list"),
                )
            )
        if not ids and not (json and context.approval.dry_run):
            if not json:
                say(_("There is no subscription of ours."))
            return code
        question = _n("End {count} subscription?", "End {count} subscriptions?", len(ids))
        ends = partial(say, *(_("end subscription {id}", id=each) for each in ids))
        if not context.is_write_confirmed(question, rehearsed={"subscriptions": list(ids)}, show=ends):
            return code
        return max(code, *(_end_subscription(context, writer, each) for each in ids))


def _end_subscription(context: OpleadContext, writer: OpleadWriteAccess, subscription_id: str) -> Exit:
    receipt = context.retry_write_if_not_received(partial(writer.unsubscribe, subscription_id))
    if isinstance(receipt, AnswerLost) and _is_gone(writer, subscription_id):
        receipt = WriteAccepted()
    look = _("Ending it again does no harm.")
    outcome = write_outcome_sentence(receipt, _("ended"), key=ANY_KEY, look=look, about="subscription")
    text = _("{name}: {text}", name=subscription_id, text=outcome)
    return context.report_write(receipt, {"subscription": subscription_id}, text)


def _fetch_listed_subscriptions(lists: CrmLists) -> CrmListEntries[Subscription]:
    try:
        return lists.subscriptions()
    except Misconfigured as error:
        raise Misconfigured(_("the subscriptions cannot be listed: {error}", error=error)) from None


def _report_missing_subscriptions(found: CrmListEntries[Subscription]) -> Exit:
    """Say on stderr why subscriptions may be missing, and return the exit code."""
    if found.gap is None:
        return Exit.DONE
    sys.stderr.write(_(_NOT_ALL, gap=found.gap) + "\n")
    return Exit.ATTENTION


def _is_there(found: CrmListEntries[Subscription], event: str, url: str) -> bool:
    return any(one.event == event and one.url == url for one in found.entries)


def _is_found(lists: CrmLists, event: str, url: str) -> bool:
    """Whether a subscription whose answer was lost is on record; if that cannot be read, it stays lost."""
    try:
        return _is_there(_fetch_listed_subscriptions(lists), event, url)
    except (Misconfigured, Transient):
        return False


def _is_gone(lists: CrmLists, subscription_id: str) -> bool:
    """Whether a subscription that was to end is no longer on record, as far as all can be read."""
    try:
        found = _fetch_listed_subscriptions(lists)
    except (Misconfigured, Transient):
        return False
    return found.gap is None and all(one.id != subscription_id for one in found.entries)
