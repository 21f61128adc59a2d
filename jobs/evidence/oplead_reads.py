"""What reading alone says of the assumptions about Oplead. Pure: judges one look.

A claim is confirmed only if what was seen could not be so otherwise, and refuted only if it could not be so if the
claim held.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from connectors.evidence import ENOUGH_LEADS, OpleadLook
from connectors.language import _, _n
from jobs.claims import ClaimId
from jobs.evidence.verdicts import Finding, confirmed, refuted, unclear

Judgement = Callable[[OpleadLook], Finding]
_EVERY_LEAD_HAS = ("oplead.fields.id", "oplead.fields.created_at", "oplead.fields.status")
"""What is missed where it is not found; an account may have no click id."""
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_STATUS_DATES = ("statusDate", "statusHistory")


def _key_header(look: OpleadLook) -> Finding:
    match look.usual_way:
        case HTTPStatus.OK if not look.usual_way_shows_leads or look.without_key not in _REFUSED:
            return unclear(lambda: _("nothing shows that the key was needed, and taken this way"))
        case HTTPStatus.OK if look.is_usual_host:
            return confirmed(lambda: _("the key was taken this way"))
        case HTTPStatus.OK:
            return unclear(lambda: _("the key was taken this way, but at another address than api.oplead.com"))
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND | HTTPStatus.GONE if look.leads:
            return refuted(lambda: _("leads could be read, but not this way"))
    return unclear(lambda: _("this way was neither taken nor refused for good"))


def _list_shape(look: OpleadLook) -> Finding:
    survey = look.survey
    if look.ran_out:
        return unclear(lambda: _("the requests for finding out ran out before everything was tried"))
    if any("oplead.pagination" in one for one in survey.undecided):
        if look.pages == 1 and (survey.total or 0) > look.leads:
            return refuted(lambda: _("Oplead counts more leads than it lists, and no known way leads to the others"))
        return unclear(lambda: _("the list's shape or its pages were not understood"))
    if look.pages > 1 and survey.are_leads_readable and survey.suggestion.get("since_filter"):
        return confirmed(lambda: _n("{count} page was read", "{count} pages were read", look.pages))
    if look.pages > 1 and survey.are_leads_readable:
        return unclear(lambda: _("the list and its pages were read; no filter for changes was found"))
    return unclear(lambda: _("the list has too few leads to tell how its pages go on"))


def _field_names(look: OpleadLook) -> Finding:
    lacking = [one for one in look.survey.undecided if one.startswith(_EVERY_LEAD_HAS)]
    if lacking and _is_enough_seen(look):
        return refuted(
            lambda: _n("{count} field was not recognised", "{count} fields were not recognised", len(lacking))
        )
    return unclear(lambda: _("nothing speaks against it; whether each field means what it seems to is for you to say"))


def _documentation(look: OpleadLook) -> Finding:
    if look.is_specified:
        return confirmed(lambda: _("it was found there, and read"))
    if look.documentation in _ABSENT:
        return refuted(lambda: _("there is no page at that address"))
    return unclear(lambda: _("the page could not be read, or names no specification that could"))


def _lead_data(look: OpleadLook) -> Finding:
    if look.exact_names["leadData"]:
        return confirmed(lambda: _("leads have it"))
    return _missed(look)


def _missed(look: OpleadLook) -> Finding:
    """Judge what none of the leads has that were seen."""
    if _is_enough_seen(look):
        return refuted(lambda: _n("{count} lead has none", "none of {count} leads has it", look.leads))
    return unclear(lambda: _("too few leads' own pages were read"))


def _is_enough_seen(look: OpleadLook) -> bool:
    """Whether what none of the leads has is missed: it may stand on their own pages alone, and on few of these."""
    return look.own_pages >= ENOUGH_LEADS


def _status_dates(look: OpleadLook) -> Finding:
    if not any(look.exact_names[name] for name in _STATUS_DATES):
        return _missed(look)
    if look.status_places.isdisjoint(_STATUS_DATES):
        return unclear(lambda: _("a field has that name, but status dates seem to be elsewhere"))
    if look.are_status_dates_zoned:
        return confirmed(lambda: _("leads have them, with their zone"))
    return unclear(lambda: _("leads have them, without a zone: compare one with the time that Oplead shows you"))


def _lists(look: OpleadLook) -> Finding:
    read = [one.entries for one in look.lists.values() if one.entries is not None]
    is_paged = any((one.entries or 0) > one.on_first_page for one in look.lists.values())
    if len(read) == len(look.lists) and is_paged:
        return confirmed(lambda: _("all were read, one of them page by page"))
    return unclear(lambda: _("none of the lists that could be read has more than a page"))


JUDGEMENTS: Mapping[ClaimId, Judgement] = {
    ClaimId("oplead.key_header"): _key_header,
    ClaimId("oplead.list_shape"): _list_shape,
    ClaimId("oplead.field_names"): _field_names,
    ClaimId("oplead.documentation"): _documentation,
    ClaimId("oplead.lead_data"): _lead_data,
    ClaimId("oplead.status_dates"): _status_dates,
    ClaimId("oplead.lists"): _lists,
}
