"""The form import, a service of its own: another host, another token and other names than the API."""

from typing import Final

from connectors.sandbox.oplead.bodies import parse_flat_form
from connectors.sandbox.oplead.gate import RefusedError, refusal
from connectors.sandbox.oplead.lead_parts import UTM
from connectors.sandbox.oplead.leads.rendering import Fields, wire_lead_id
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.server import WireRequest, WireResponse, json_response

FORM: Final = "site-web"
"""The only form there is."""
FORM_TOKEN: Final = "sandbox-form-token"  # noqa: S105 - invented
PATH: Final = "/addlead/"
CREATOR: Final = "form"
_MANDATORY: Final = ("form", "token", "ctc_lastname", "ctc_postcode", "ctc_country", "ctc_email")
_PLACES: Final = {
    "ctc_civility": ("contact", "civility"),
    "ctc_lastname": ("contact", "lastname"),
    "ctc_firstname": ("contact", "firstname"),
    "ctc_email": ("contact", "email"),
    "ctc_phone": ("contact", "phone"),
    "ctc_mobile": ("contact", "mobile"),
    "ctc_postcode": ("address", "postcode"),
    "ctc_city": ("address", "city"),
    "ctc_country": ("address", "country"),
    **{name: ("leadData", name) for name in UTM},
}
"""Where each variable goes in an untranslated lead; all others are dropped in silence."""


class SandboxFormImport:
    """The form import of one Oplead platform."""

    def __init__(self, platform: OpleadPlatform) -> None:
        """Create leads in this platform."""
        self._platform = platform

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request."""
        if request.path != PATH:
            return refusal(404, "no such page")
        if request.method != "POST":
            return refusal(405, "forms are sent with POST", {"Allow": "POST"})
        try:
            fields = self._validate_lead_form(parse_flat_form(request))
        except RefusedError as refused:
            return refusal(refused.status, str(refused))
        lead = self._platform.create(fields, CREATOR)
        return json_response(201, {"id": wire_lead_id(str(lead["id"]), self._platform.shape.ids)})

    def _validate_lead_form(self, form: dict[str, str]) -> Fields:
        """Return the parts of the lead that a form describes."""
        if form.get("token") != FORM_TOKEN:
            raise RefusedError(401, "unknown token")
        if missing := [name for name in _MANDATORY if not form.get(name, "").strip()]:
            raise RefusedError(422, f"{missing[0]} is missing")
        if form["form"] != FORM:
            raise RefusedError(422, "there is no such form")
        if "@" not in form["ctc_email"]:
            raise RefusedError(422, "ctc_email is an e-mail address")
        return lead_parts_from_form(form, self._platform.options)


def lead_parts_from_form(form: dict[str, str], options: UndocumentedBehaviour) -> Fields:
    """Return the parts of a lead that a form's variables fill."""
    places = _PLACES | ({"external_id": ("leadData", "externalID")} if options.form_external_id != "ignored" else {})
    filled: dict[str, dict[str, str]] = {}
    for name, (folder, field) in places.items():
        if form.get(name):
            filled.setdefault(folder, {})[field] = form[name]
    return filled
