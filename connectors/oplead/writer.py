"""The `LeadWriter` and `PlatformLists` ports for Oplead: writes leads, documents, statuses and subscriptions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never
from urllib.parse import urlsplit

from connectors.crm import (
    Document,
    EventKind,
    LeadData,
    Subscription,
    WriteFault,
    WritePreview,
    WriteReceipt,
    WriteRefused,
)
from connectors.errors import Misconfigured
from connectors.oplead.client import FilePart, OpleadClient, WriteAnswer
from connectors.oplead.encode import Tree, UnwritableLead, form_body, json_bytes, lead_body, put, values_in
from connectors.oplead.fields import first, text_of
from connectors.oplead.options import Endpoint, FormOptions, Paths, SubscriptionOptions, WriteOptions
from connectors.oplead.receipts import receipt_of, usable_id
from connectors.records import LeadId, Lost, NotSent

_SUBSCRIPTION_IDS = ("id", "subscriptionId", "subscription_id", "identifier", "uuid")
_SUBSCRIPTION_EVENTS = ("event", "type", "eventType", "name")
_SUBSCRIPTION_URLS = ("url", "endpoint", "callback", "callbackUrl", "target")
UNSENT = 0
"""The status of a write that was refused here, before anything was sent."""


class OpleadWriter:
    """Writes to one Oplead platform, a request at a time; nothing is ever sent twice by it."""

    def __init__(self, client: OpleadClient, options: WriteOptions, form: OpleadClient | None = None) -> None:
        """Send nothing yet; `form` speaks to the form import, if leads are created by it."""
        self._client = client
        self._options = options
        self._form = form

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        if self._form is not None:
            self._form.close()

    # ── leads ────────────────────────────────────────────────────────────────────────────────────

    def create(self, lead: LeadData) -> WriteReceipt:
        """Create a lead, by the API or the form import."""
        if self._form is not None and self._options.form is not None:
            return self._create_by_form(lead, self._form, self._options.form)
        return self._write_lead(self._options.create, self._path(self._options.create), lead)

    def update(self, lead_id: LeadId, lead: LeadData) -> WriteReceipt:
        """Change a lead; what `lead` leaves out is not sent."""
        return self._write_lead(self._options.update, self._path(self._options.update, lead_id), lead)

    def preview(self, lead: LeadData, lead_id: LeadId | None = None) -> WritePreview:
        """Return what `create`, or with an id `update`, would write.

        Raises:
            UnwritableLead: it cannot be written as it is.
        """
        form = self._options.form
        if lead_id is None and self._form is not None and form is not None:
            body = form_body(lead, form)
            return WritePreview(f"POST {form.url}", values_in({**body, "token": "…"}))
        endpoint = self._options.create if lead_id is None else self._options.update
        body = lead_body(lead, self._options.paths, self._client.options.fields)
        return WritePreview(f"{endpoint.verb} {self._path(endpoint, lead_id)}", values_in(body))

    def set_status(self, lead_id: LeadId, label: str) -> WriteReceipt:
        """Set a lead's status."""
        body: Tree = {}
        put(body, self._options.status_field, label)
        return self._write(self._options.status, self._path(self._options.status, lead_id), body)

    def attach(self, lead_id: LeadId, document: Document) -> WriteReceipt:
        """Add a document to a lead, read from disk in pieces as it is sent."""
        endpoint = self._options.document
        path = self._path(endpoint, lead_id)
        try:
            with document.path.open("rb") as file:
                if file.seek(0, 2) != document.size:
                    return _unsent("the file has changed since it was checked")
                file.seek(0)
                part = FilePart(self._options.document_field, document.name, document.media_type, file, document.size)
                answer = self._client.attempt(endpoint.verb, path, part)
        except OSError as error:
            return _unsent(f"the file can no longer be read ({error.strerror})")
        return self._receipt(answer, endpoint, path, (document.name,))

    def _create_by_form(self, lead: LeadData, client: OpleadClient, form: FormOptions) -> WriteReceipt:
        try:
            body = form_body(lead, form)
        except UnwritableLead as error:
            return _unsent(str(error))
        path = urlsplit(form.url).path or "/"
        answer = client.attempt("POST", path, json_bytes(body))
        return self._receipt(answer, Endpoint("POST", path), path, values_in(body).values())

    # ── subscriptions ────────────────────────────────────────────────────────────────────────────

    def subscribe(self, event: EventKind, url: str) -> WriteReceipt:
        """Have events of one kind reported to an address."""
        options = self._options.subscriptions
        body: Tree = {}
        put(body, options.event_field, self.event_name(event))
        put(body, options.url_field, url)
        endpoint = Endpoint("POST", options.path)
        path = self._path(endpoint)
        answer = self._client.attempt(endpoint.verb, path, json_bytes(body))
        return self._receipt(answer, endpoint, path, values_in(body).values(), ids=_SUBSCRIPTION_IDS)

    def unsubscribe(self, subscription_id: str) -> WriteReceipt:
        """End a subscription."""
        endpoint = Endpoint("DELETE", f"{self._options.subscriptions.path}/{{id}}")
        path = self._path(endpoint, subscription_id)
        return self._receipt(self._client.attempt(endpoint.verb, path), endpoint, path, ())

    def event_name(self, event: EventKind) -> str:
        """Return the platform's name for a kind of event."""
        names = self._options.subscriptions
        match event:
            case EventKind.NEW_LEAD:
                return names.new_lead
            case EventKind.STATUS_CHANGE:
                return names.status_change
            case EventKind.APPOINTMENT:
                return names.appointment
        assert_never(event)

    # ── what the platform is set up for ──────────────────────────────────────────────────────────

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

    # ── one request ──────────────────────────────────────────────────────────────────────────────

    def _write_lead(self, endpoint: Endpoint, path: str, lead: LeadData) -> WriteReceipt:
        try:
            body = lead_body(lead, self._options.paths, self._client.options.fields)
        except UnwritableLead as error:
            return _unsent(str(error))
        return self._write(endpoint, path, body)

    def _write(self, endpoint: Endpoint, path: str, body: Tree) -> WriteReceipt:
        return self._receipt(
            self._client.attempt(endpoint.verb, path, json_bytes(body)), endpoint, path, values_in(body).values()
        )

    def _path(self, endpoint: Endpoint, lead_id: str | None = None) -> str:
        """Return a request's path.

        Raises:
            Misconfigured: the endpoint has a place for an id and there is none, or the other way round.
        """
        if endpoint.names_lead != (lead_id is not None):
            what = "needs {id} once where the lead's id goes" if lead_id is not None else "must not name a lead by {id}"
            raise Misconfigured(f"{endpoint.verb} {endpoint.path} {what}: see oplead.write")
        if lead_id is None:
            return self._client.root + endpoint.path
        return self._client.lead_path(lead_id, endpoint.path)

    def _receipt(
        self,
        answer: WriteAnswer | NotSent | Lost,
        endpoint: Endpoint,
        path: str,
        sent: Iterable[str],
        ids: Paths | None = None,
    ) -> WriteReceipt:
        if not isinstance(answer, WriteAnswer):
            return answer
        known = self._client.options.fields.id if ids is None else ids
        return receipt_of(answer, ids=known, names_lead=endpoint.names_lead, path=path, sent=sent)


def _unsent(reason: str) -> WriteRefused:
    return WriteRefused(UNSENT, WriteFault.DATA, reason)


def _subscription(entry: Mapping[str, object], options: SubscriptionOptions) -> Subscription | None:
    subscription_id = usable_id(first(entry, _SUBSCRIPTION_IDS))
    if subscription_id is None:
        return None
    event = text_of(first(entry, (options.event_field, *_SUBSCRIPTION_EVENTS)))
    url = text_of(first(entry, (options.url_field, *_SUBSCRIPTION_URLS)))
    return Subscription(subscription_id, event or "", url or "")
