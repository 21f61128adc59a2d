"""A settings change makes leads be read or decided again when it must, and only then."""

import pytest

from jobs.settings.compile import extraction_digest, rules_digest

PLAIN = "[{ id: sale, stage: won, google_ads: { conversion_action: 12 } }]"
TOKEN = "{ token: '${OPLEAD_TOKEN}', %s }"


@pytest.fixture
def digests(loaded):
    """The two digests of a configuration with changes."""

    def take(**changes):
        settings = loaded(**changes).settings
        return extraction_digest(settings), rules_digest(settings)

    return take


@pytest.mark.parametrize(
    ("changes", "reads", "decides"),
    [
        ({"oplead": TOKEN % "fields: { status: etat }"}, True, False),
        ({"click_ids": "{ bare: gclid }"}, True, True),
        ({"timezone": "Europe/Brussels"}, True, True),
        ({"consent": "{ ad_user_data: { field: leadData.consent, granted: [oui, ok], refused: non } }"}, True, True),
        ({"conversions": PLAIN.replace("}]", ", where: { canal: Web } }]")}, True, True),
        ({"conversions": PLAIN.replace("}]", ", value: { field: amount, tax: included } }]")}, True, True),
        ({"conversions": PLAIN.replace("}]", ", value: 60 }]")}, False, True),
        ({"conversions": PLAIN.replace("12", "13")}, False, True),
        ({"conversions": PLAIN.replace("}]", ", since: 2026-01-01 }]")}, False, True),
        ({"currency": "CHF"}, False, True),
        ({"stages": "{ won: [Gagné, Vendu], lost: Perdu }"}, False, True),
        ({"ignored_statuses": "[Nurserie]"}, False, True),
        ({"google_ads": "{ customer_id: 123-456-7890, credentials: key.json, audience: all }"}, False, True),
        ({"conversions": PLAIN.replace("}]", ", name: Vente }]")}, False, False),
        ({"oplead": TOKEN % "rate: 30"}, False, False),
        (
            {"google_ads": "{ customer_id: 123-456-7890, credentials: ./key.json, login_customer_id: 1112223333 }"},
            False,
            False,
        ),
        ({"schedule": "{ daily: '05:30' }"}, False, False),
        ({"report": "{ by: agency.name }"}, True, False),
        ({"report": "{ folder: reports, sale: sale }"}, False, False),
    ],
)
def test_each_digest_changes_only_with_what_it_covers(digests, changes, reads, decides):
    """One covers what is read from a lead, the other what is decided about it; other settings are in neither."""
    before, after = digests(), digests(**changes)

    assert (reads, decides) == (before[0] != after[0], before[1] != after[1])


def test_both_digests_change_with_the_tax_setting(digests):
    """`900 € HT` is an amount under one setting and none under the other."""
    valued = PLAIN.replace("}]", ", value: { field: amount, tax: % } }]")
    included, excluded = (digests(conversions=valued.replace("%", tax)) for tax in ("included", "excluded"))

    assert [False, False] == [one == other for one, other in zip(included, excluded, strict=True)]


@pytest.mark.parametrize(("audience", "is_read_anew"), [("all", True), ("attributed", False)])
def test_leads_are_read_anew_once_a_key_for_their_contact_data_lies_apart(digests, audience, is_read_anew):
    """Only where contact data go out without a click id, which a lead is otherwise known by."""
    google = {"google_ads": f"{{ customer_id: 123-456-7890, credentials: key.json, audience: {audience} }}"}
    before, after = digests(**google), digests(**google, forgotten="/mnt/elsewhere/place")

    assert (is_read_anew, False) == (before[0] != after[0], before[1] != after[1])


def test_the_order_of_listed_values_does_not_change_the_digest(digests):
    """A reordered list must not cause a full read of thousands of leads."""
    where = "{{ id: sale, stage: won, where: {{ canal: {} }}, google_ads: {{ conversion_action: 12 }} }}"

    assert (
        digests(conversions=f"[{where.format('[a, b]')}]")[0] == digests(conversions=f"[{where.format('[b, a]')}]")[0]
    )


def test_swapping_consent_answers_changes_the_extraction_digest(digests):
    """A granted answer now listed as refused changes what was kept of every lead that gave it."""
    consent = "{{ ad_user_data: {{ field: leadData.consent, granted: [{}], refused: [{}] }} }}"
    before, after = digests(consent=consent.format("oui", "non")), digests(consent=consent.format("non", "oui"))

    assert before[0] != after[0]


def test_secrets_do_not_affect_the_digests(digests):
    """A rotated token makes nothing be read again, and a stored digest reveals nothing about it."""
    plain = digests(meta="{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }")
    rotated = digests(meta="{ dataset_id: 1, access_token: '${OPLEAD_TOKEN}', app_secret: '${OPLEAD_TOKEN}' }")

    assert plain == rotated


def test_digests_are_stable(digests):
    """A release that changes them without a reason would have every account read and decided again."""
    assert (
        "c00c51a134f75505620a387f61da890084fb08da9b048e198b818aba7118af3b",
        "c55a6e43f2f11b65635b6e9ec474b0e6168049e5d5382e6dc89bd7b5073d1e52",
    ) == digests()
