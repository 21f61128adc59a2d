"""A change of settings re-reads or re-decides leads when it must, and only then."""

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
    ],
)
def test_a_digest_changes_with_what_it_covers(digests, changes, reads, decides):
    """What is read from a lead is in the first, what is decided of it in the second, everything else in neither."""
    before, after = digests(), digests(**changes)

    assert (reads, decides) == (before[0] != after[0], before[1] != after[1])


def test_how_tax_is_declared_changes_what_is_read(digests):
    """`900 € HT` is an amount for the one and none for the other."""
    valued = PLAIN.replace("}]", ", value: { field: amount, tax: % } }]")
    included, excluded = (digests(conversions=valued.replace("%", tax)) for tax in ("included", "excluded"))

    assert [False, False] == [one == other for one, other in zip(included, excluded, strict=True)]


def test_the_order_of_listed_values_reads_nothing_again(digests):
    """A full read of thousands of leads is not owed to a reordered list."""
    where = "{{ id: sale, stage: won, where: {{ canal: {} }}, google_ads: {{ conversion_action: 12 }} }}"

    assert (
        digests(conversions=f"[{where.format('[a, b]')}]")[0] == digests(conversions=f"[{where.format('[b, a]')}]")[0]
    )


def test_an_answer_that_changes_sides_is_read_again(digests):
    """A yes that is listed as a no from now on changes what was kept of every lead that gave it."""
    consent = "{{ ad_user_data: {{ field: leadData.consent, granted: [{}], refused: [{}] }} }}"
    before, after = digests(consent=consent.format("oui", "non")), digests(consent=consent.format("non", "oui"))

    assert before[0] != after[0]


def test_a_secret_is_in_no_digest(digests):
    """A rotated token re-reads nothing, and a stored digest tells nothing of it."""
    plain = digests(meta="{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }")
    rotated = digests(meta="{ dataset_id: 1, access_token: '${OPLEAD_TOKEN}', app_secret: '${OPLEAD_TOKEN}' }")

    assert plain == rotated


def test_digests_are_stable(digests):
    """A release that changes them without a reason would have every account read and decided again."""
    assert (
        "63d6c8972e39dcce9503459226b6b0c4bfea1fb7ace727dc19d02ecb5c5d7986",
        "c55a6e43f2f11b65635b6e9ec474b0e6168049e5d5382e6dc89bd7b5073d1e52",
    ) == digests()
