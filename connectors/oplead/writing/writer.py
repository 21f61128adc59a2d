"""The `LeadWriter` port for Oplead: writes leads, documents, statuses and subscriptions."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import assert_never
from urllib.parse import urlsplit

from connectors.crm import (
    CrmEventKind,
    DocumentToAttach,
    LeadToWrite,
    WritePreview,
    WriteReceipt,
    WriteRefusalReason,
    WriteRefused,
)
from connectors.errors import Misconfigured
from connectors.language import N_, _
from connectors.oplead.answers import RawWriteResponse
from connectors.oplead.client import OpleadClient
from connectors.oplead.connection import FilePart
from connectors.oplead.options import Endpoint, FormImportServiceOptions, OpleadWriteOptions, Paths
from connectors.oplead.writing.encode import (
    Tree,
    UnwritableLead,
    form_import_body,
    json_body,
    json_bytes,
    lead_body,
    values_by_path,
)
from connectors.oplead.writing.lists import OpleadLists, subscription_ids
from connectors.oplead.writing.receipts import receipt_of
from connectors.records import LeadId
from connectors.text import masked_address

_DOCUMENT_IDS = ("id", "documentId", "document_id", "attachmentId", "identifier", "uuid")
UNSENT = 0
"""The status of a write that was refused here, before anything was sent."""


class OpleadWriter(OpleadLists):
    """Writes to one Oplead platform, a request at a time; nothing is ever sent twice by it."""

    def __init__(self, client: OpleadClient, options: OpleadWriteOptions, form: OpleadClient | None = None) -> None:
        """Send nothing yet; `form` speaks to the form import, if leads are created by it."""
        super().__init__(client, options)
        self._form = form

    def close(self) -> None:
        """Close the connections."""
        super().close()
        if self._form is not None:
            self._form.close()

    # ── leads ────────────────────────────────────────────────────────────────────────────────────

    def create(self, lead: LeadToWrite, *, leaving: Callable[[], None] = lambda: None) -> WriteReceipt:
        """Create a lead, by the API or the form import; `leaving` is called right before the request leaves."""
        ids, form = self._client.options.fields.id, self._options.form
        if self._form is not None and form is not None:
            build = partial(form_import_body, lead, form, self._options.types)
            return self._write(self._form, _form_endpoint(form), build, ids=ids, leaving=leaving)
        return self._write(self._client, self._options.create, partial(self._body, lead), ids=ids, leaving=leaving)

    def update(self, lead_id: LeadId, lead: LeadToWrite) -> WriteReceipt:
        """Change a lead; what `lead` leaves out is not sent."""
        return self._write(self._client, self._options.update, partial(self._body, lead), lead_id)

    def preview_write(self, lead: LeadToWrite, lead_id: LeadId | None = None) -> WritePreview:
        """Return what `create`, or with an id `update`, would write; what may be secret in an address is masked.

        Raises:
            UnwritableLead: it cannot be written as it is.
        """
        if lead.provider_url is not None:
            lead = replace(lead, provider_url=masked_address(lead.provider_url))
        form = self._options.form
        if lead_id is None and self._form is not None and form is not None:
            body = form_import_body(lead, form, self._options.types)
            return WritePreview(f"POST {form.url}", values_by_path({**body, "token": "…"}))
        endpoint = self._options.create if lead_id is None else self._options.update
        path = _path(self._client, endpoint, lead_id)
        return WritePreview(f"{endpoint.verb} {path}", values_by_path(self._body(lead)))

    def set_status(self, lead_id: LeadId, label: str) -> WriteReceipt:
        """Set a lead's status."""
        build = partial(json_body, [(self._options.status_field, label)], self._options.types)
        return self._write(self._client, self._options.status, build, lead_id)

    def attach_document(self, lead_id: LeadId, document: DocumentToAttach) -> WriteReceipt:
        """Add a document to a lead, read from disk in pieces as it is sent."""
        try:
            file = document.path.open("rb")
        except OSError as error:
            return _unsent_refusal(_("the file can no longer be read ({strerror})", strerror=error.strerror))
        with file:
            if os.fstat(file.fileno()).st_size != document.size:
                return _unsent_refusal(_("the file has changed since it was checked"))
            part = FilePart(self._options.document_field, document.name, document.media_type, file, document.size)
            return self._exchange(self._client, self._options.document, part, lead_id, ids=_DOCUMENT_IDS)

    # ── subscriptions ────────────────────────────────────────────────────────────────────────────

    def subscribe(self, event: CrmEventKind, url: str) -> WriteReceipt:
        """Have events of one kind reported to an address."""
        options = self._options.subscriptions
        values = [(options.event_field, self.oplead_event_name(event)), (options.url_field, url)]
        build = partial(json_body, values, self._options.types)
        return self._write(self._client, Endpoint("POST", options.path), build, ids=subscription_ids(options))

    def unsubscribe(self, subscription_id: str) -> WriteReceipt:
        """End a subscription."""
        endpoint = Endpoint("DELETE", f"{self._options.subscriptions.path}/{{id}}")
        return self._exchange(self._client, endpoint, None, subscription_id)

    def oplead_event_name(self, event: CrmEventKind) -> str:
        """Return the platform's name for a kind of event."""
        names = self._options.subscriptions
        match event:
            case CrmEventKind.NEW_LEAD:
                return names.new_lead
            case CrmEventKind.STATUS_CHANGE:
                return names.status_change
            case CrmEventKind.APPOINTMENT:
                return names.appointment
        assert_never(event)

    # ── one request ──────────────────────────────────────────────────────────────────────────────

    def _body(self, lead: LeadToWrite) -> Tree:
        return lead_body(lead, self._options.paths, self._client.options.fields, self._options.types)

    def _write(
        self,
        client: OpleadClient,
        endpoint: Endpoint,
        build: Callable[[], Tree],
        about: str | None = None,
        *,
        ids: Paths = (),
        leaving: Callable[[], None] = lambda: None,
    ) -> WriteReceipt:
        """Make one request with the body that `build` returns, unless that is not possible."""
        try:
            body = build()
        except UnwritableLead as error:
            return _unsent_refusal(str(error))
        return self._exchange(client, endpoint, body, about, ids=ids, leaving=leaving)

    def _exchange(
        self,
        client: OpleadClient,
        endpoint: Endpoint,
        body: Tree | FilePart | None,
        about: str | None = None,
        *,
        ids: Paths = (),
        leaving: Callable[[], None] = lambda: None,
    ) -> WriteReceipt:
        """Make one request, `about` a lead or a subscription, and judge its answer; a new id may be at `ids`."""
        path = _path(client, endpoint, about)
        content = json_bytes(body) if isinstance(body, dict) else body
        answer = client.attempt(endpoint.verb, path, content, leaving=leaving)
        if not isinstance(answer, RawWriteResponse):
            return answer
        return receipt_of(
            answer,
            ids=ids,
            names_lead=endpoint.is_single_lead_endpoint,
            path=path,
            sent=self._sent_texts(body),
            answers=self._options.answers,
        )

    def _sent_texts(self, body: Tree | FilePart | None) -> Iterable[str]:
        """Return every text of a request, and the keys: none of them may come back in a reason."""
        form = self._options.form
        return (*_texts_of(body), self._client.options.token, *([form.token] if form else []))


def _path(client: OpleadClient, endpoint: Endpoint, about: str | None) -> str:
    """Return a request's path.

    Raises:
        Misconfigured: the endpoint has a place for an id and there is none, or the other way round.
    """
    if endpoint.is_single_lead_endpoint != (about is not None):
        wrong = N_("{verb} {path} needs {place} once where the lead's id goes: see oplead.write")
        if about is None:
            wrong = N_("{verb} {path} must not name a lead by {place}: see oplead.write")
        raise Misconfigured(_(wrong, verb=endpoint.verb, path=endpoint.path, place="{id}"))
    return client.root + endpoint.path if about is None else client.lead_path(about, endpoint.path)


def _texts_of(body: Tree | FilePart | None) -> Iterable[str]:
    match body:
        case dict():
            return values_by_path(body).values()
        case FilePart():
            return (body.name,)
        case None:
            return ()
    assert_never(body)


def _form_endpoint(form: FormImportServiceOptions) -> Endpoint:
    """Return where the form import is: its client's address has no path of its own."""
    return Endpoint("POST", urlsplit(form.url).path or "/")


def _unsent_refusal(reason: str) -> WriteRefused:
    return WriteRefused(UNSENT, WriteRefusalReason.DATA, reason)
