"""The `PlatformLists` port for Oplead: reads what a platform is set up for."""

from collections.abc import Mapping, Sequence

from connectors.crm import Subscription
from connectors.errors import Misconfigured
from connectors.oplead.client import OpleadClient
from connectors.oplead.fields import first, text_of
from connectors.oplead.lead_parser import as_lead_id
from connectors.oplead.options import SubscriptionOptions, WriteOptions

SUBSCRIPTION_IDS = ("id", "subscriptionId", "subscription_id", "identifier", "uuid")
_SUBSCRIPTION_EVENTS = ("event", "type", "eventType", "name")
_SUBSCRIPTION_URLS = ("url", "endpoint", "callback", "callbackUrl", "target")


class OpleadLists:
    """Reads the lists of one Oplead platform, with GET requests only."""

    def __init__(self, client: OpleadClient, options: WriteOptions) -> None:
        """Send nothing yet; `options` say where the lists are."""
        self._client = client
        self._options = options

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def subscriptions(self) -> Sequence[Subscription]:
        """Return the subscriptions on the first page that Oplead lists."""
        options = self._options.subscriptions
        entries = self._entries(options.path, "webhooks.subscriptions.path")
        read = [_subscription(entry, options) for entry in entries]
        if None in read:
            raise Misconfigured(f"a subscription at {options.path} has no id: see webhooks.subscriptions.path")
        return [one for one in read if one is not None]

    def channels(self) -> Sequence[Mapping[str, object]]:
        """Return the marketing channels, as Oplead shows them."""
        return self._entries(self._options.channels, "oplead.write.channels")

    def custom_fields(self) -> Sequence[Mapping[str, object]]:
        """Return the custom fields, as Oplead shows them."""
        return self._entries(self._options.custom_fields, "oplead.write.custom_fields")

    def _entries(self, path: str, setting: str) -> Sequence[Mapping[str, object]]:
        """Return the objects of the one list in the answer at a path."""
        body = self._client.get(self._client.root + path).body
        inside = body.get("data", body) if isinstance(body, Mapping) else body
        around = inside.values() if isinstance(inside, Mapping) else [inside]
        lists = [value for value in around if isinstance(value, list)]
        if len(lists) != 1 or not all(isinstance(entry, Mapping) for entry in lists[0]):
            raise Misconfigured(f"the answer at {path} holds no list, or several: see {setting}")
        return lists[0]


def _subscription(entry: Mapping[str, object], options: SubscriptionOptions) -> Subscription | None:
    subscription_id = as_lead_id(first(entry, SUBSCRIPTION_IDS))
    if subscription_id is None:
        return None
    event = text_of(first(entry, (options.event_field, *_SUBSCRIPTION_EVENTS)))
    url = text_of(first(entry, (options.url_field, *_SUBSCRIPTION_URLS)))
    return Subscription(subscription_id, event or "", url or "")
