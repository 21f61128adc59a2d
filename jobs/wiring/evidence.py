"""Looks at an Oplead with somebody listening, so that what is assumed of it can be judged."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.crm import CrmListEntries
from connectors.errors import ConnectorError, Misconfigured, Transient
from connectors.evidence import ENOUGH_LEADS, ExchangeRecorder, ListAnswer, OpleadLook
from connectors.ports import Clock
from jobs.settings.load import PartialSettings
from jobs.wiring.oplead import build_lead_writing_options, oplead_client
from jobs.wiring.surveys import oplead_probe

if TYPE_CHECKING:
    from connectors.oplead.answers import HeardExchange
    from connectors.oplead.client import OpleadClient
    from connectors.oplead.options import OpleadWriteOptions

LEADS = 300
"""How many leads to look at."""
_NAMES = ("leadData", "statusDate", "statusHistory")
_NO_SUCH_LEAD = "0"


def listener_for(recorder: ExchangeRecorder) -> "Callable[[HeardExchange], None]":
    """Return what an Oplead client tells of each exchange, so that the recorder keeps its structure."""
    from connectors.oplead.evidence.redaction import redacted_exchange  # noqa: PLC0415

    return lambda heard: recorder.add(partial(redacted_exchange, heard))


def look_at_oplead(known: PartialSettings, clock: Clock, recorder: ExchangeRecorder) -> OpleadLook:
    """Survey the Oplead that settings name, and ask it a few things more, by reading alone.

    Raises:
        Misconfigured: it refuses access, however the token is presented.
        Transient: it keeps failing after bounded retries.
    """
    from connectors.oplead.evidence.looking import (  # noqa: PLC0415
        contact_values,
        dialect_of,
        exact_names,
        heard_leads,
        shown_of,
        status_dates_say_zone,
        status_places,
    )
    from connectors.oplead.options import ApiAuthScheme, OpleadOptions  # noqa: PLC0415
    from connectors.oplead.probe.asking import ProbeRequestSender  # noqa: PLC0415
    from connectors.oplead.probe.sampling import read_detail_pages  # noqa: PLC0415
    from connectors.oplead.probe.specification.documentation import PAGE  # noqa: PLC0415

    look, heard = known.settings, list["HeardExchange"]()
    keep = listener_for(recorder)

    def listen(one: "HeardExchange") -> None:
        heard.append(one)
        keep(one)

    client = oplead_client(look, clock, state=known.state, listener=listen)
    write = build_lead_writing_options(look.oplead.write, look.webhooks)
    configured = client.options
    guide = OpleadOptions(token="", zone=configured.zone)
    usual = replace(configured, auth=guide.auth, path_prefix=guide.path_prefix, leads_path=guide.leads_path)
    usual_way = _status_of(replace(client, options=usual), usual.path_prefix + usual.leads_path)
    probe = oplead_probe(look, client)
    survey = probe.survey(leads=LEADS)
    options = probe.found or configured
    reader = replace(client, options=options)
    is_specified = bool(probe.documentation and probe.documentation.specification)
    # Without the key it may be refused, or hidden; what is not there with it either is not there.
    documentation = None if is_specified else _status_of(reader, PAGE)
    _status_of(reader, client.lead_path(_NO_SUCH_LEAD))
    without_key = _status_of(
        replace(client, options=replace(options, auth=ApiAuthScheme(style="none"), extra_headers={})),
        options.path_prefix + options.leads_path,
    )
    leads = heard_leads(heard, options)
    if leads.opened:  # there are such pages: enough of them are read for something to be missed there
        unopened = [one for one in leads.ids if one not in leads.opened][: ENOUGH_LEADS - len(leads.opened)]
        with closing(reader), suppress(ConnectorError):
            read_detail_pages(
                ProbeRequestSender(reader, len(unopened)), unopened, options.fields.id, options.lead_path, set()
            )
        leads = heard_leads(heard, options)
    shown = shown_of(leads, survey, options, write)
    return OpleadLook(
        survey=survey,
        is_usual_host=client.host == urlsplit(guide.base_url).hostname,
        usual_way=usual_way,
        usual_way_shows_leads=bool(heard_leads(heard[:1], replace(usual, pagination=options.pagination)).listed),
        without_key=without_key,
        pages=leads.list_pages,
        documentation=documentation,
        is_specified=is_specified,
        exact_names=exact_names(leads.all, _NAMES),
        leads=len(leads.ids),
        own_pages=len(leads.opened),
        unread_pages=leads.unread,
        status_places=status_places(survey),
        are_status_dates_zoned=status_dates_say_zone(leads.all, survey),
        lists=dict(_lists(reader, write, heard)),
        dialect=dialect_of(heard, leads, survey, options, shown) if leads.listed else None,
        ran_out=probe.ran_out,
        shown=shown,
        contact=contact_values(leads.all, survey, shown),
    )


def _status_of(client: "OpleadClient", target: str) -> int | None:
    """Return the status of one request, None if nobody answered."""
    with closing(client):
        try:
            return client.get_raw_response(target, client.largest_page).status
        except (Misconfigured, Transient):
            return None


def _lists(
    client: "OpleadClient", write: "OpleadWriteOptions", heard: "Sequence[HeardExchange]"
) -> Iterator[tuple[str, ListAnswer]]:
    """Yield how each of Oplead's other lists was answered."""
    from connectors.oplead.evidence.looking import entries_in  # noqa: PLC0415
    from connectors.oplead.writing.lists import OpleadLists  # noqa: PLC0415

    with closing(OpleadLists(client, write)) as lists:
        reads: dict[str, Callable[[], CrmListEntries[Any]]] = {
            "subscriptions": lists.subscriptions,
            "channels": lists.crm_marketing_channels,
            "custom_fields": lists.custom_field_definitions,
        }
        for name, read in reads.items():
            before, entries = len(heard), None
            with suppress(ConnectorError):
                found = read()
                entries = len(found.entries) if found.gap is None else None
            answered = heard[before:]
            yield (
                name,
                ListAnswer(
                    answered[-1].status if answered else 0, entries, entries_in(answered[0].answered) if answered else 0
                ),
            )
