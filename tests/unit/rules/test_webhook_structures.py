"""What is shown of webhooks that are not understood, and what to paste for them."""

import pytest
import yaml

from jobs.rules.webhook_structures import settings_line, shown_fields
from jobs.settings.oplead_schema import WebhookFields


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (
            "evenement: text, 8 characters; prospect: object; prospect.numero: number; prospect.nouveau.statut: text",
            {"event": "evenement", "lead_id": "prospect.numero", "status": "prospect.nouveau.statut"},
        ),
        (
            "httpStatus: number; statusDate: date; lead.paid: true or false; lead.contact.id: number",
            {"lead_id": "NAME", "status": "NAME"},
        ),
        ("an object without names", {"lead_id": "NAME", "status": "NAME"}),
    ],
)
def test_the_line_to_paste_names_what_looks_right_and_is_taken(structure, expected):
    """What nothing looks like is left for a person to name."""
    fields = yaml.safe_load(settings_line([structure]))["fields"]

    assert expected == fields
    assert WebhookFields.model_validate(fields)


def test_few_names_are_shown_and_never_a_value():
    """Of forty fields, the first; a path that merely holds others says nothing, and a long one is left out."""
    long = "a" * 70
    many = "; ".join(
        ["lead: object", f"{long}: text", *(f"lead.f{number}: text, 6 characters" for number in range(40))]
    )

    shown = shown_fields([many, many])

    assert [*(f"lead.f{number}" for number in range(8)), "…"] == list(shown)
    assert ("an object without names",) == shown_fields(["an object without names"])
