"""Names, labels, actions and keys that must be consistent with one another."""

import pytest

from jobs.settings import ValidSettings

META = "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}', %s }"
ACTION = "google_ads: { conversion_action: 12 }"


NEEDS_CONTACT = (
    "conversions.0.count_once_per: a person is recognised by e-mail or phone, whose hashes are kept only for a "
    "destination with contact_data: attach or audience: all; write one of them under %s, or write click here"
)
NO_APPOINTMENTS = (
    "no reading of a lead shows appointments: name oplead.fields.appointment_at, or write webhooks: "
    "{ trust: [appointment], because: … } to count what webhooks alone report"
)
SHARED_EVENT = "several conversions use this event: give each its own, or all of them shared_action: true"
GOOGLE = "{ customer_id: 123-456-7890, credentials: key.json, %s }"
BOTH = "[{ id: sale, stage: won, value: 60, google_ads: { conversion_action: 12 }, meta: { event: Lead }, %s }]"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [NEEDS_CONTACT % "google_ads", NEEDS_CONTACT % "meta"]),
        ({"google_ads": GOOGLE % "contact_data: attach"}, [NEEDS_CONTACT % "meta"]),
        ({"google_ads": GOOGLE % "audience: all", "meta": META % "contact_data: attach"}, []),
    ],
)
def test_counting_once_per_person_requires_contact_data(complaints, changes, expected):
    """Without kept hashes nobody is recognised, and every lead would silently count."""
    given = {"conversions": BOTH % "count_once_per: person", "meta": META % "audience: attributed"} | changes

    assert expected == complaints(**given)


@pytest.mark.parametrize("per", ["", "count_once_per: lead, "])
def test_within_is_refused_when_counting_once_per_lead(complaints, per):
    """A lead counts once for good, so a time limit has no effect."""
    expected = "conversions.0.within: this has no effect without count_once_per: click or person; take it out"

    assert expected == only(complaints, conversions=f"[{{ id: sale, stage: won, {per}within: 9 d, {ACTION} }}]")


def only(complaints, **changes):
    """Return the only complaint about a broken configuration."""
    found = complaints(**changes)
    assert 1 == len(found), found

    return found[0]


def test_the_unmodified_configuration_is_valid(loaded):
    """Every other test here breaks one thing in this configuration."""
    assert isinstance(loaded(), ValidSettings)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"report": "{ sale: vente }"},
            "report.sale: there is no conversion of this name; there are sale",
        ),
        (
            {"conversions": f"[{{ id: sale, stage: wom, {ACTION} }}]"},
            'conversions.0.stage: there is no stage of this name; did you mean "won"?',
        ),
        (
            {"conversions": f"[{{ id: sale, stage: zzzzzz, {ACTION} }}]"},
            "conversions.0.stage: there is no stage of this name; there are created, appointment, won, lost",
        ),
        (
            {"conversions": f"[{{ id: a, stage: appointment, implied_by: [won, lots], {ACTION} }}]"},
            'conversions.0.implied_by.1: there is no stage of this name; did you mean "lost"?',
        ),
        (
            {"conversions": f"[{{ id: a, stage: won, undo_when: losst, {ACTION} }}]"},
            'conversions.0.undo_when: there is no stage of this name; did you mean "lost"?',
        ),
        (
            {"meta": META % "funnel: { created: lead, wonn: sale }"},
            'meta.funnel.wonn: there is no stage of this name; did you mean "won"?',
        ),
        (
            {"meta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}', funnel: { won: sale } }"},
            "meta.funnel: name at least two stages: Meta learns from the way between them",
        ),
        (
            {"meta": META % "funnel: { created: x, won: x, lost: y }"},
            "meta.funnel.won: another stage has this name for Meta; each needs its own",
        ),
        (
            {"meta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}', funnel_since: 2026-09-01 }"},
            "meta.funnel_since: this has no effect without funnel; add that, or take this out",
        ),
        (
            {
                "meta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }",
                "conversions": "[{ id: sale, stage: won, meta: { event: Purchase } }]",
            },
            "conversions.0: Meta takes a Purchase only with a value: add value, or name another event",
        ),
        (
            {
                "meta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }",
                "conversions": "[{ id: a, stage: won, meta: { event: Lead }, shared_action: true }, "
                "{ id: b, stage: appointment, meta: { event: Lead } }]",
            },
            f"conversions.1.meta.event: {SHARED_EVENT}",
        ),
        ({"currency": "EUX"}, "currency: there is no currency of this code; for euros write EUR"),
        (
            {"stages": "{ created: [Nouveau], won: [Gagné] }"},
            "stages.created: the stage created is built in; give this one another name",
        ),
        (
            {"stages": "{ won: [Sans suite], lost: [perdu, SANS-SUITE] }"},
            "stages.lost.1: this label stands in the stage won already (accents and case do not matter)",
        ),
        (
            {"ignored_statuses": "[Nurserie, gagne]"},
            "ignored_statuses.1: this label stands in the stage won already (accents and case do not matter)",
        ),
        ({"ignored_statuses": "['-']"}, "ignored_statuses.0: a label needs letters or digits"),
        (
            {"stages": "{ appointment: [RDV, appointment_set], won: [Gagné], lost: [Perdu] }"},
            f"stages.appointment.1: {NO_APPOINTMENTS}",
        ),
        (
            {"schedule": "{ daily: '05:30', also_every: 1 h }"},
            "schedule.also_every: between nights, only webhooks report what to read: add webhooks, or take this out",
        ),
        (
            {"state": "'${DATABASE}'", "webhooks": "{ secret: '${WEBHOOK_SECRET}', inbox: in.db }"},
            "webhooks.inbox: the state is in a database, and so is the inbox: take this key out",
        ),
        (
            {"schedule": "{ daily: '05:30', also_every: 4 min }", "webhooks": "{ secret: '${WEBHOOK_SECRET}' }"},
            "schedule.also_every: write 5 min or more: every time, leads are read and the rules applied",
        ),
        (
            {"notify_weekly": "monday"},
            "notify_weekly: nobody would get the summary: add an address to notify, or take this out",
        ),
        (
            {"conversions": "[{ id: sale, stage: won }]"},
            "conversions.0: this conversion goes nowhere: give it google_ads, meta or both",
        ),
        (
            {"conversions": f"[{{ id: sale, stage: won, meta: {{ event: Lead }}, {ACTION} }}]"},
            "conversions.0.meta: this file has no meta destination; add one, or take this out",
        ),
        (
            {
                "google_ads": "{ id: gads, customer_id: 1234567890, credentials: key.json }",
                "conversions": "[{ id: sale, stage: won, google_ads: { conversion_action: 12, destination: gad } }]",
            },
            'conversions.0.google_ads.destination: there is no destination of this name; did you mean "gads"?',
        ),
        (
            {
                "google_ads": "[{ customer_id: 1234567890, credentials: key.json }, "
                "{ customer_id: 1234567891, credentials: key.json }]"
            },
            "google_ads.1: another destination is called google_ads; give each an id of its own",
        ),
        (
            {"conversions": f"[{{ id: sale, stage: won, was: sale, {ACTION} }}]"},
            "conversions.0.was: a conversion of this id is still here, so this one cannot be it under a new name",
        ),
        (
            {"conversions": f"[{{ id: none, stage: won, {ACTION} }}]"},
            'conversions.0.id: a conversion cannot be called "none": `was: none` marks a new one',
        ),
        (
            {"consent": "{ ad_user_data: { field: c, granted: [oui], refused: [non] }, missing: assume_granted }"},
            "consent.missing: write why consent may be assumed, as because: …; reports will show it",
        ),
        (
            {"consent": "{ ad_user_data: { field: c, granted: [oui], refused: [non] }, because: our lawyer agrees }"},
            "consent.because: this has no effect without missing: assume_granted; take it out",
        ),
        (
            {"consent": "{ ad_user_data: { field: c, granted: [oui, yes], refused: [non, Oui] } }"},
            "consent.ad_user_data.refused.1: this value means both granted and refused; leave it in one list",
        ),
        (
            {"oplead": "{ token: '${OPLEAD_TOKEN}', auth: { style: query } }"},
            "oplead.auth.style: write the query parameter's name too, as name: …",
        ),
        (
            {"oplead": "{ token: '${OPLEAD_TOKEN}', pull: since }"},
            "oplead.pull: since needs the filter Oplead offers: add since_filter: { param: … }, or write list",
        ),
        ({"schedule": "{}"}, "schedule: write either daily or cron"),
        ({"schedule": "{ daily: '05:30', cron: '30 5 * * *' }"}, "schedule: write either daily or cron"),
        (
            {"schedule": "{ cron: '30 5 * * 1-5' }"},
            "schedule.cron: write days of the week by name, as mon-fri: programs disagree on their numbers",
        ),
        (
            {"conversions": f"[{{ id: sale, stage: won, name: 'to ${{WHO}}', {ACTION} }}]"},
            "conversions.0.name: a ${VARIABLE} stands only for a secret or the credentials; write the value itself",
        ),
        (
            {"metta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }"},
            'metta: there is no such key here; did you mean "meta"?',
        ),
        (
            {"conversions": f"[{{ id: sale, stage: won, undo_if: [lost], {ACTION} }}]"},
            'conversions.0.undo_if: there is no such key here; did you mean "undo_when"?',
        ),
        (
            {"conversions": "[{ id: sale, stage: won, google_ads: { conversion_action: AW-987654321 } }]"},
            (
                "conversions.0.google_ads.conversion_action: write the number after ctId= in the conversion action's "
                "address in Google Ads; AW-… names a tag"
            ),
        ),
    ],
)
def test_each_inconsistency_gives_one_message_at_its_place(complaints, changes, expected):
    """The message says what to do."""
    assert expected == only(complaints, **changes)


def test_a_shared_action_must_be_declared_by_every_conversion(complaints):
    """One `shared_action: true` is not enough, and `1-2` is the same action as `12`."""
    first, second = "id: a, stage: won", "id: b, stage: lost, shared_action: true"
    message = "several conversions use this action: give each its own, or all of them shared_action: true"
    one = f"[{{ {first}, {ACTION} }}, {{ {second}, google_ads: {{ conversion_action: {{ id: 1-2 }} }} }}]"
    both = f"[{{ {first}, shared_action: true, {ACTION} }}, {{ {second}, {ACTION} }}]"

    assert f"conversions.0.google_ads.conversion_action: {message}" == only(complaints, conversions=one)
    assert [] == complaints(conversions=both)


def test_one_action_number_under_two_customers_is_two_actions(complaints):
    """Conversions that name different destinations share nothing."""
    customers = (
        "[{ id: north, customer_id: 1234567890, credentials: key.json }, "
        "{ id: south, customer_id: 1234567891, credentials: key.json }]"
    )
    conversions = (
        "[{ id: a, stage: won, google_ads: { conversion_action: 12, destination: north } }, "
        "{ id: b, stage: won, google_ads: { conversion_action: 12, destination: south } }]"
    )

    assert [] == complaints(google_ads=customers, conversions=conversions)


def test_conversion_ids_and_former_ids_must_be_unique(complaints):
    """Two conversions with one id, or claiming the same former id, are refused."""
    twice = f"[{{ id: a, stage: won, {ACTION} }}, {{ id: a, stage: lost, google_ads: {{ conversion_action: 13 }} }}]"
    former = (
        f"[{{ id: a, stage: won, was: z, {ACTION} }}, "
        "{ id: b, stage: lost, was: z, google_ads: { conversion_action: 13 } }]"
    )

    assert "conversions.1.id: another conversion has this id; each needs its own" == only(complaints, conversions=twice)
    assert "conversions.1.was: another conversion says it had this id before" == only(complaints, conversions=former)


@pytest.mark.parametrize(
    "changes",
    [
        {"conversions": f"[{{ id: lead, stage: created, {ACTION} }}]"},
        {"conversions": f"[{{ id: a, stage: appointment, implied_by: won, was: none, {ACTION} }}]"},
        {"conversions": f"[{{ id: a, stage: won, value: 59.90, {ACTION} }}]"},
        {
            "consent": "{ ad_user_data: { field: c, granted: [oui], refused: [non] }, "
            "missing: assume_granted, because: the form asks for it }"
        },
        {"oplead": "{ token: '${OPLEAD_TOKEN}', pull: since, since_filter: { param: updatedAfter } }"},
        {"oplead": "{ token: '${OPLEAD_TOKEN}', auth: { style: header, name: X-API-KEY } }"},
        {"oplead": "{ token: '${OPLEAD_TOKEN}', pagination: { style: page } }"},
    ],
)
def test_consistent_settings_are_accepted(complaints, changes):
    """Each case satisfies a rule that the inconsistent ones break."""
    assert [] == complaints(**changes)


@pytest.mark.parametrize("written", ["123-456", "1234567890-12", "12 34"])
def test_a_meta_id_with_punctuation_is_refused(complaints, written):
    """Meta shows its ids as digits: with anything else it is a different id or a slip, so nothing is stripped."""
    meta = f"{{ dataset_id: {written}, access_token: '${{META_ACCESS_TOKEN}}' }}"
    sale = "[{ id: sale, stage: won, meta: { event: Lead } }]"

    assert ["meta.dataset_id: write the id, digits only"] == complaints(google_ads=None, meta=meta, conversions=sale)


def test_an_appointment_may_stand_beside_a_status_of_nearly_its_name(loaded):
    """The built-in label is not the status that it would be without its underscore."""
    stages = "{ appointment: [appointment_set, Appointment set], won: [Gagné], lost: [Perdu] }"

    webhooks = "{ secret: '${WEBHOOK_SECRET}', trust: [appointment], because: Oplead shows no appointments }"

    assert isinstance(loaded(stages=stages, webhooks=webhooks), ValidSettings)
