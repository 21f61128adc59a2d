"""A first settings file, written from a few answers; `check` then says what is still missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from connectors.text import counted
from jobs.settings.yaml_source import Written, block, listed, scalar

PUBLIC_ADDRESS = "https://api.oplead.com"
TO_BE_FILLED_IN = "replace-me"
"""Begins what stands where an id is not known yet; `check` names the line."""


@dataclass(frozen=True, slots=True)
class ConsentDraft:
    """The field that says whether a lead's data may be used for advertising, and its answers."""

    field: str
    granted: Sequence[str]
    refused: Sequence[str]


@dataclass(frozen=True, slots=True)
class AmountDraft:
    """The field that holds what a sale is worth."""

    field: str
    tax: Literal["included", "excluded"]
    otherwise: Decimal | None = None


@dataclass(frozen=True, slots=True)
class GoogleDraft:
    """One Google Ads customer and the action of each conversion, by stage."""

    customer_id: str
    login_customer_id: str | None = None
    actions: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    """A local stand-in's, by their keys in the file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a first settings file says."""

    account: str
    timezone: str
    currency: str
    base_url: str
    oplead: Mapping[str, Written]
    """What `probe` suggests beside the token and the address."""
    stages: Mapping[str, Sequence[str]]
    ignored: Sequence[str]
    consent: ConsentDraft
    personalization: ConsentDraft | None = None
    """Where the form asks for it apart."""
    amount: AmountDraft | None = None
    google: GoogleDraft | None = None
    dataset_id: str | None = None
    graph_url: str | None = None
    """A local stand-in's."""
    clock: str | None = None
    """A sandbox's."""
    auth: Mapping[str, str] | None = None
    """How the key is shown, where that was told and not found."""
    path_prefix: str | None = None
    """What Oplead's paths begin with, where that was told and not found."""
    contact_data: Literal["attach", "none"] = "none"
    """Whether hashed contact data goes beside a click id."""
    left_out: Sequence[str] = ()
    """The shapes of statuses that cannot be written, for they may be somebody's data."""
    schema: str | None = None
    """Where the schema lies that editors complete the file by."""
    imported_until: date | None = None
    """The last day whose conversions were imported by other means."""
    looked_at: int = 0
    """On how many leads the ignored labels were seen."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables the file refers to, each with what it holds."""
        wanted = {"OPLEAD_TOKEN": "Oplead's API key (settings > API): the client admin's, which sees all leads."}
        if self.google:
            wanted["GOOGLE_ADS_KEY_FILE"] = "The path of the Google service account's key file."
        if self.dataset_id:
            wanted["META_ACCESS_TOKEN"] = "Meta's access token (Events Manager > the dataset > Settings)."  # noqa: S105
        return wanted


@dataclass(frozen=True, slots=True)
class _Worth:
    """A stage that is worth telling the platforms."""

    stage: str
    conversion: str
    name: str
    event: str
    event_with_value: str


_WORTH = (
    _Worth("appointment", "appointment", "Rendez-vous pris", "Schedule", "Schedule"),
    _Worth("quote_sent", "quote", "Devis envoyé", "SubmitApplication", "SubmitApplication"),
    # Meta takes a Purchase only with a value.
    _Worth("won", "sale", "Vente signée", "Sale", "Purchase"),
)


WORTH_TELLING = frozenset(worth.stage for worth in _WORTH)
"""The stages that make a conversion; without one of them there is nothing to send."""


def settings_text(draft: Draft) -> str:
    """The text of `pipeline.yaml`, with a comment wherever somebody may want to write something else."""
    return "\n".join(_lines(draft)) + "\n"


def environment_text(draft: Draft) -> str:
    """The text of `.env.example`: what the settings refer to, without a value."""
    lines = ["# Copy to .env beside the settings, chmod 600, fill in; every command reads it there.", ""]
    for name, meaning in draft.variables.items():
        lines += [f"# {meaning}", f"{name}=", ""]
    return "\n".join(lines)


def _lines(draft: Draft) -> Iterator[str]:
    if draft.schema:
        yield f"# yaml-language-server: $schema={draft.schema}"
    yield "# Check every change before it counts:  oplead-sync check --config <this file>"
    yield "# Secrets never stand here: write ${VARIABLE}, or file:/path/of/a/file."
    yield ""
    yield f"account: {scalar(draft.account)}   # stays the same for good: the ledger knows it"
    yield f"timezone: {scalar(draft.timezone)}"
    yield f"currency: {draft.currency}"
    if draft.clock:
        yield f"clock: {scalar(draft.clock)}   # a sandbox's: take it out before anything real is told"
    yield ""
    yield from _oplead(draft)
    yield from _meaning(draft)
    yield from _google(draft)
    yield from _meta(draft)
    yield from _conversions(draft)


def _oplead(draft: Draft) -> Iterator[str]:
    yield "oplead:"
    yield "  token: ${OPLEAD_TOKEN}   # the client admin's key: other keys see only some leads"
    if draft.base_url != PUBLIC_ADDRESS:
        yield f"  base_url: {scalar(draft.base_url)}"
    if draft.path_prefix is not None:
        yield f"  path_prefix: {scalar(draft.path_prefix)}"
    if draft.auth and "auth" not in draft.oplead:
        yield from block({"auth": draft.auth}, 1)
    if draft.oplead:
        yield "  # found by `oplead-sync probe`:"
        yield from block(draft.oplead, 1)
    else:
        yield "  # run `oplead-sync probe --config <this file>` and put here what it suggests"
    yield ""


def _meaning(draft: Draft) -> Iterator[str]:
    yield "# Your word: [Oplead's labels]. Accents, capitals and hyphens do not matter; `created` is built in."
    yield from block({"stages": draft.stages})
    yield "# Labels that mean nothing here. A label in neither list is reported."
    if draft.ignored:
        seen = counted(draft.looked_at, "lead")
        yield f"# Nobody has chosen these: they are what {seen} showed beside the stages."
        yield "# Look through them."
    for shape in draft.left_out:
        yield f"# Left out, for it may be somebody's data: {shape.strip('<>')}. Read it in Oplead; if it is a status,"
        yield "# write it under a stage or here."
    yield f"ignored_statuses: {listed(draft.ignored)}"
    yield ""
    yield "consent:"
    yield "  ad_user_data:"
    yield from block(_signal(draft.consent), 2)
    if draft.personalization:
        yield "  ad_personalization:   # refused alone: Google is told so, Meta gets nothing"
        yield from block(_signal(draft.personalization), 2)
    else:
        yield "  # ad_personalization: { field: …, granted: [oui], refused: [non] }   # where it is asked apart"
    yield "  missing: withhold   # no answer: not sent"
    yield ""


def _signal(consent: ConsentDraft) -> Mapping[str, Written]:
    return {"field": consent.field, "granted": consent.granted, "refused": consent.refused}


def _contact_data(draft: Draft) -> str:
    meaning = "attach sends hashed contact data beside the id, where the person agreed to it"
    return f"  contact_data: {draft.contact_data}   # {meaning}"


def _google(draft: Draft) -> Iterator[str]:
    google = draft.google
    if google is None:
        return
    yield "google_ads:"
    yield f"  customer_id: {scalar(google.customer_id)}   # the account that owns the conversion actions"
    if google.login_customer_id:
        yield f"  login_customer_id: {scalar(google.login_customer_id)}   # the manager account that gives access"
    yield "  credentials: ${GOOGLE_ADS_KEY_FILE}"
    yield from block(google.addresses, 1)
    yield _contact_data(draft)
    yield ""


def _meta(draft: Draft) -> Iterator[str]:
    if draft.dataset_id is None:
        return
    yield "meta:"
    yield f"  dataset_id: {scalar(draft.dataset_id)}"
    yield "  access_token: ${META_ACCESS_TOKEN}"
    if draft.graph_url:
        yield f"  graph_url: {scalar(draft.graph_url)}"
    yield _contact_data(draft)
    names = {"created": "lead_received", "appointment": "appointment_set", "quote_sent": "quote_sent", "won": "sale"}
    funnel = {stage: name for stage, name in names.items() if stage in ("created", *draft.stages)}
    if len(funnel) > 1:
        yield "  # for leads of Meta's own forms: your stages under names that Meta learns from; they stay for good"
        yield f"  funnel: {{ {', '.join(f'{stage}: {name}' for stage, name in funnel.items())} }}"
    yield ""


def _conversions(draft: Draft) -> Iterator[str]:
    yield "conversions:"
    for worth in _WORTH:
        if worth.stage in draft.stages:
            yield from _conversion(draft, worth)


def _conversion(draft: Draft, worth: _Worth) -> Iterator[str]:
    yield f"  - id: {worth.conversion}   # stays the same for good; to rename it, write  was: {worth.conversion}"
    yield f"    name: {worth.name}"
    yield f"    stage: {worth.stage}"
    if draft.imported_until:
        first = draft.imported_until + timedelta(days=1)
        yield f"    since: {first}   # what happened before was imported by other means"
    amount = draft.amount if worth.stage == "won" else None
    if amount:
        fields: dict[str, Written] = {"field": amount.field, "tax": amount.tax}
        yield "    value:"
        yield from block(fields, 3)
        yield (
            f"      otherwise: {amount.otherwise}   # sent where the amount is still missing after three days"
            if amount.otherwise
            else "      # otherwise: 900   # sent where the amount is still missing after three days"
        )
    else:
        yield "    # value: 60   # what it is worth to you"
    if draft.google:
        action = draft.google.actions.get(worth.stage, f"{TO_BE_FILLED_IN}-{worth.stage}")
        yield f"    google_ads: {{ conversion_action: {action} }}"
    if draft.dataset_id:
        yield f"    meta: {{ event: {worth.event_with_value if amount else worth.event} }}"
