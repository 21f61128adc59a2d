"""Where things are looked for in a lead when the settings do not say.

Named by Oplead's help pages: `leadData.externalID` and the UTM fields
(https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead), the id in `/v1/leads/{id}`, `lastname` and
its like for users. All else is what such APIs commonly say, tried in turn and replaceable in the settings
(`oplead.fields`).
"""

from dataclasses import fields

from connectors.oplead.options import FieldPaths

_PEOPLE = ("", "contact.", "customer.")
_PLACES = ("", "address.", "contact.", "contact.address.")


def _under(parents: tuple[str, ...], *names: str) -> tuple[str, ...]:
    return tuple(parent + name for parent in parents for name in names)


CANDIDATES = FieldPaths(
    id=("id", "leadIdentifier", "leadId", "identifier", "leadData.id"),
    created_at=("createdAt", "creationDate", "dateCreation", "createdOn", "created", "leadData.createdAt"),
    updated_at=("updatedAt", "updateDate", "modifiedAt", "lastModified", "updated", "leadData.updatedAt"),
    status=("status", "leadData.status", "leadStatus", "state"),
    status_at=("statusDate", "status.date", "statusUpdatedAt", "statusChangedAt", "leadData.statusDate"),
    history=("statusHistory", "history", "leadData.statusHistory"),
    click_id=("leadData.externalID", "externalID"),
    click_id_at=(),
    utm_source=("utm_source", "leadData.utm_source", "tracking.utm_source"),
    utm_medium=("utm_medium", "leadData.utm_medium", "tracking.utm_medium"),
    utm_campaign=("utm_campaign", "leadData.utm_campaign", "tracking.utm_campaign"),
    email=(*_under(_PEOPLE, "email", "emails"), "ctc_email"),
    phone=(
        *_under(_PEOPLE, "phone", "mobile", "mobilePhone", "landline", "phones"),
        *("ctc_phone", "ctc_mobile"),
    ),
    first_name=(*_under(_PEOPLE, "firstname"), "ctc_firstname"),
    last_name=(*_under(_PEOPLE, "lastname"), "ctc_lastname"),
    postcode=(*_under(_PLACES, "postcode", "zipCode", "postalCode"), "ctc_postcode"),
    city=(*_under(_PLACES, "city"), "ctc_city"),
    country=(*_under(_PLACES, "country"), "ctc_country"),
)


def with_candidates(paths: FieldPaths) -> FieldPaths:
    """The settings' paths, and the known candidates where they name none."""
    chosen = {one.name: getattr(paths, one.name) for one in fields(FieldPaths)}
    return FieldPaths(**{name: getattr(CANDIDATES, name) if path is None else path for name, path in chosen.items()})
