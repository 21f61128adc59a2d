"""The `CrmLists` port for Oplead: reads what a platform is set up for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.crm import CrmListEntries, Subscription
from connectors.errors import Misconfigured
from connectors.language import _, _n
from connectors.oplead.answers import OpleadRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadWriteOptions, Paths, SubscriptionOptions
from connectors.oplead.pagination import PageWalk, hash_entry_without_id
from connectors.oplead.parsing.fields import first_value_at_paths, lists_in, text_of
from connectors.oplead.parsing.lead_parser import as_lead_id

_IDS = ("id", "subscriptionId", "subscription_id", "identifier", "uuid")
_MOST_PAGES = 100
_COUNTED_HERE = frozenset({"page", "offset", "last_id"})
"""The styles in which the answer announces no next page: a list that refuses the one we ask for has ended."""
_NO_SUCH_PAGE = frozenset({400, 404, 422})
_SUBSCRIPTION_EVENTS = ("event", "type", "eventType", "name")
_SUBSCRIPTION_URLS = ("url", "endpoint", "callback", "callbackUrl", "target")


class OpleadLists:
    """Reads the lists of one Oplead platform, with GET requests only."""

    def __init__(self, client: OpleadClient, options: OpleadWriteOptions) -> None:
        """Send nothing yet; `options` say where the lists are."""
        self._client = client
        self._options = options

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def subscriptions(self) -> CrmListEntries[Subscription]:
        """Return the subscriptions on record."""
        options = self._options.subscriptions
        found = self._entries(options.path, "webhooks.subscriptions.path", subscription_ids(options))
        read = [_subscription(entry, options) for entry in found.entries]
        if None in read:
            raise Misconfigured(
                _("a subscription at {path} has no id: see webhooks.subscriptions.id_field", path=options.path)
            )
        return CrmListEntries([one for one in read if one is not None], found.gap)

    def crm_marketing_channels(self) -> CrmListEntries[Mapping[str, object]]:
        """Return the marketing channels, as Oplead shows them."""
        return self._entries(self._options.channels, "oplead.write.channels")

    def custom_field_definitions(self) -> CrmListEntries[Mapping[str, object]]:
        """Return the custom fields, as Oplead shows them."""
        return self._entries(self._options.custom_fields, "oplead.write.custom_fields")

    def _entries(self, path: str, setting: str, ids: Paths = _IDS) -> CrmListEntries[Mapping[str, object]]:
        """Return the objects of a list, whose pages are assumed to follow each other as the leads' do."""
        client, address = self._client, self._client.root + path
        # The first page is asked for plainly, and so has the list's own size: it may be the only one.
        options = replace(client.options.pagination, size_param=None, max_pages=_MOST_PAGES)
        walk = PageWalk(options, client, path=address)
        position, answer = walk.first_page_position(), client.get(address)
        found: dict[str, Mapping[str, object]] = {}
        entries = _objects(answer.body, path, setting)
        try:
            while not found.keys() >= (page := {_mark(entry, ids): entry for entry in entries}).keys():
                found |= page
                following = walk.position_after(position, answer, tuple(page))
                if following is None:
                    break
                position, answer = following, client.get(walk.request_target(following))
                entries = _objects(answer.body, path, setting)
        except Misconfigured as error:
            has_no_such_page = isinstance(error, OpleadRefused) and error.status in _NO_SUCH_PAGE
            if not (has_no_such_page and options.style in _COUNTED_HERE):
                return CrmListEntries(list(found.values()), str(error))
        missing = walk.missing_lead_count
        gap = _n("Oplead counts {count} more than it lists", "Oplead counts {count} more than it lists", missing)
        return CrmListEntries(list(found.values()), gap if missing else None)


def _objects(body: object, path: str, setting: str) -> Sequence[Mapping[str, object]]:
    """Return the objects of the one list in an answer."""
    lists = lists_in(body)
    if len(lists) != 1 or not all(isinstance(entry, Mapping) for entry in lists[0]):
        raise Misconfigured(
            _("the answer at {path} holds no list, or several: see {setting}", path=path, setting=setting)
        )
    return lists[0]


def subscription_ids(options: SubscriptionOptions) -> Paths:
    """Return where a subscription's id may be: as the settings say, else by the usual names."""
    return (options.id_field, *_IDS) if options.id_field else _IDS


def _mark(entry: Mapping[str, object], ids: Paths) -> str:
    return as_lead_id(first_value_at_paths(entry, ids)) or hash_entry_without_id(entry)


def _subscription(entry: Mapping[str, object], options: SubscriptionOptions) -> Subscription | None:
    subscription_id = as_lead_id(first_value_at_paths(entry, subscription_ids(options)))
    if subscription_id is None:
        return None
    event = text_of(first_value_at_paths(entry, (options.event_field, *_SUBSCRIPTION_EVENTS)))
    url = text_of(first_value_at_paths(entry, (options.url_field, *_SUBSCRIPTION_URLS)))
    return Subscription(subscription_id, event or "", url or "")
