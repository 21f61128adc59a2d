"""Settings compiled into routes: what goes where, which stages trigger it, and within which windows."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from connectors.google_ads.platform import DATA_MANAGER
from connectors.meta.encode import META
from connectors.records import ClickIdKind, Target
from jobs.rules.model import DedupRule, DedupScope
from jobs.settings import ValidSettings, load
from jobs.settings.compile import compile_rules, target_assumptions

FORM = frozenset({ClickIdKind.LEAD_ID})
ENVIRON = {"OPLEAD_TOKEN": "tok-5a1d", "HOOK": "a-secret-of-twenty-or-more", "META_ACCESS_TOKEN": "tok-77e0"}
GOOGLE = {"customer_id": "123-456-7890", "credentials": "key.json"}
DATASET = {"dataset_id": "55", "access_token": "${META_ACCESS_TOKEN}"}
FUNNEL = {"created": "lead_received", "appointment": "appointment_set", "won": "sale"}
SETTINGS = {
    "account": "maison-test",
    "currency": "EUR",
    "oplead": {"token": "${OPLEAD_TOKEN}"},
    "stages": {"appointment": ["Rendez-vous", "RDV pris"], "won": ["Gagné"], "lost": ["Perdu"]},
    "consent": {"ad_user_data": {"field": "leadData.consent", "granted": ["oui"], "refused": ["non"]}},
    "google_ads": GOOGLE,
    "meta": DATASET,
    "conversions": [
        {
            "id": "sale",
            "stage": "won",
            "google_ads": {"conversion_action": "12"},
            "meta": {"event": "Lead"},
        }
    ],
}


class Compiled:
    """Settings that a test modifies, and what they compile to."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = copy.deepcopy(SETTINGS)
        self.conversion = self.settings["conversions"][0]
        key = {
            "type": "service_account",
            "client_email": "job@project.iam.example",
            "private_key": "-----BEGIN PRIVATE KEY-----",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        (folder / "key.json").write_text(json.dumps(key))

    def load(self):
        """The settings, read as a command reads them."""
        path = self.folder / "pipeline.yaml"
        path.write_text(json.dumps(self.settings))
        loaded = load(path, ENVIRON)
        assert isinstance(loaded, ValidSettings), loaded
        return loaded.settings

    @property
    def book(self):
        """The compiled rules."""
        settings = self.load()
        google = {one.id: DATA_MANAGER for one in settings.google_ads}
        return compile_rules(settings, google | {one.id: META for one in settings.meta})

    def routes(self):
        """Every route by conversion and destination; no pair occurs twice."""
        routes = self.book.routes
        found = {(route.conversion, route.destination): route for route in routes}
        assert len(routes) == len(found)
        return found

    def route(self, conversion="sale", destination="meta"):
        """One route."""
        return self.routes()[conversion, destination]

    def expected(self):
        """What the settings assume of each target, by conversion and destination."""
        found = target_assumptions(self.load(), self.book)
        return {(each.conversion, destination): each for destination, all_of in found.items() for each in all_of}


@pytest.fixture
def compiled(tmp_path):
    """One conversion that goes to Google and to Meta."""
    return Compiled(tmp_path)


# ── where conversions go ─────────────────────────────────────────────────────────────────────────


def test_routes_a_conversion_to_each_platform_under_its_own_names(compiled):
    """Google gets the customer's action and Meta the dataset's event name, each with its own limits."""
    routes = compiled.routes()

    assert {("sale", "google_ads"), ("sale", "meta")} == routes.keys()
    assert Target("data_manager", "1234567890", "12", "WEB") == routes["sale", "google_ads"].target
    assert Target("conversions_api", "55", "Lead", "system_generated") == routes["sale", "meta"].target
    assert (DATA_MANAGER, META) == (routes["sale", "google_ads"].limits, routes["sale", "meta"].limits)


def test_the_transport_changes_only_the_target(compiled):
    """Another interface carries the same conversion."""
    before = compiled.route(destination="google_ads")
    compiled.settings["google_ads"] = GOOGLE | {"transport": "google_ads_api"}
    after = compiled.route(destination="google_ads")

    assert "google_ads_api" == after.target.transport
    assert before == replace(after, target=before.target)


def test_a_conversion_goes_to_every_account_unless_it_names_one(compiled):
    """With two customers and two datasets it goes to all, or to the one that `destination` names."""
    compiled.settings["google_ads"] = [GOOGLE | {"id": "north"}, GOOGLE | {"id": "south", "customer_id": "2345678901"}]
    compiled.settings["meta"] = [DATASET | {"id": "meta_a"}, DATASET | {"id": "meta_b", "dataset_id": "66"}]
    everywhere = {destination for _, destination in compiled.routes()}
    compiled.conversion["google_ads"]["destination"] = "south"
    named = compiled.routes()

    assert {"north", "south", "meta_a", "meta_b"} == everywhere
    assert {"south", "meta_a", "meta_b"} == {destination for _, destination in named}
    assert "2345678901" == named["sale", "south"].target.owner
    assert "66" == named["sale", "meta_b"].target.owner


@pytest.mark.parametrize(("left_out", "stays"), [("google_ads", "meta"), ("meta", "google_ads")])
def test_a_conversion_goes_only_to_platforms_it_configures(compiled, left_out, stays):
    """A platform that the conversion does not mention gets no route."""
    del compiled.conversion[left_out]

    assert {("sale", stays)} == compiled.routes().keys()


def test_compiles_an_account_without_google_ads(compiled):
    """Google Ads is optional."""
    del compiled.settings["google_ads"]
    del compiled.conversion["google_ads"]

    assert {("sale", "meta")} == compiled.routes().keys()


@pytest.mark.parametrize(
    ("destination", "conversion", "source"),
    [
        (None, None, "system_generated"),
        ("phone_call", None, "phone_call"),
        (None, "physical_store", "physical_store"),
        ("phone_call", "physical_store", "physical_store"),
    ],
)
def test_a_conversions_action_source_overrides_the_datasets(compiled, destination, conversion, source):
    """The default applies when neither is set."""
    compiled.settings["meta"] = DATASET | ({"action_source": destination} if destination else {})
    compiled.conversion["meta"] |= {"action_source": conversion} if conversion else {}

    assert source == compiled.route().target.source


@pytest.mark.parametrize(
    ("destination", "conversion", "source"),
    [(None, None, "WEB"), ("PHONE", None, "PHONE"), (None, "IN_STORE", "IN_STORE"), ("PHONE", "IN_STORE", "IN_STORE")],
)
def test_a_conversions_event_source_overrides_the_customers(compiled, destination, conversion, source):
    """The default applies when neither is set."""
    compiled.settings["google_ads"] = GOOGLE | ({"event_source": destination} if destination else {})
    compiled.conversion["google_ads"] |= {"event_source": conversion} if conversion else {}

    assert source == compiled.route(destination="google_ads").target.source


# ── the funnel ───────────────────────────────────────────────────────────────────────────────────


def test_a_funnel_routes_each_stage_for_form_leads_only(compiled):
    """Routes use Meta's names, the source `crm` and no value; `created` triggers on creation."""
    compiled.settings["meta"] = DATASET | {"funnel": FUNNEL}
    routes = compiled.routes()
    stages = {name: routes[f"funnel:{name}", "meta"] for name in FUNNEL.values()}

    assert {"sale", *(f"funnel:{name}" for name in FUNNEL.values())} == {
        conversion for conversion, destination in routes if destination == "meta"
    }
    for name, route in stages.items():
        assert Target("conversions_api", "55", name, "crm") == route.target
        assert (FORM, frozenset()) == (route.only_with, route.never_with)
        assert (None, None) == (route.fixed_value, route.field_value)
    assert [True, False, False] == [route.on_creation for route in stages.values()]
    assert frozenset({"rendez vous", "rdv pris"}) == stages["appointment_set"].labels
    assert frozenset({"gagne"}) == stages["sale"].labels


def test_with_a_funnel_conversions_exclude_form_leads(compiled):
    """A lead goes one way only; without a funnel all go as conversions, and Google is unaffected either way."""
    without = compiled.routes()
    compiled.settings["meta"] = DATASET | {"funnel": FUNNEL}
    beside = compiled.routes()

    assert frozenset() == without["sale", "meta"].never_with
    assert FORM == beside["sale", "meta"].never_with
    assert frozenset() == beside["sale", "google_ads"].never_with
    assert {frozenset()} == {
        route.only_with for (conversion, _), route in beside.items() if not conversion.startswith("funnel:")
    }


def test_a_funnel_does_not_affect_another_dataset(compiled):
    """Form leads go to the other dataset as conversions."""
    compiled.settings["meta"] = [
        DATASET | {"id": "with", "funnel": FUNNEL},
        DATASET | {"id": "without", "dataset_id": "66"},
    ]
    routes = compiled.routes()

    assert (FORM, frozenset()) == (routes["sale", "with"].never_with, routes["sale", "without"].never_with)
    assert {"with"} == {destination for conversion, destination in routes if conversion.startswith("funnel:")}


def test_renaming_a_stage_keeps_its_funnel_identity(compiled):
    """Its identity is Meta's name for it, so nothing is sent again."""
    compiled.settings["meta"] = DATASET | {"funnel": FUNNEL}
    before = {conversion for conversion, _ in compiled.routes()}
    compiled.settings["stages"]["signed"] = compiled.settings["stages"].pop("won")
    compiled.conversion["stage"] = "signed"
    compiled.settings["meta"]["funnel"] = {"created": "lead_received", "signed": "sale"}

    assert {"sale", "funnel:lead_received", "funnel:sale"} == {conversion for conversion, _ in compiled.routes()}
    assert {"funnel:sale", "funnel:lead_received"} <= before


def test_start_dates_apply_to_conversions_and_the_funnel(compiled):
    """They are kept in UTC; a day means midnight in the account's zone, and no date means no start."""
    compiled.conversion["since"] = "2026-09-01"
    compiled.settings["meta"] = DATASET | {"funnel": FUNNEL, "funnel_since": "2026-08-20 08:00"}
    since = {conversion: route.since for (conversion, _), route in compiled.routes().items()}
    compiled.settings["meta"].pop("funnel_since")
    without = {conversion: route.since for (conversion, _), route in compiled.routes().items()}

    midnight = datetime(2026, 8, 31, 22, 0, tzinfo=UTC)
    assert midnight == since["sale"] == without["sale"]
    assert {datetime(2026, 8, 20, 6, 0, tzinfo=UTC)} == {since[f"funnel:{name}"] for name in FUNNEL.values()}
    assert {None} == {without[f"funnel:{name}"] for name in FUNNEL.values()}


# ── triggers and conditions ──────────────────────────────────────────────────────────────────────


def test_a_conversion_is_triggered_by_its_stage_and_implying_stages(compiled):
    """Labels are compared without accents and case."""
    compiled.conversion |= {"stage": "appointment", "implied_by": ["won"]}
    route = compiled.route()

    assert frozenset({"rendez vous", "rdv pris", "gagne"}) == route.labels
    assert ("appointment", False) == (route.stage, route.on_creation)


def test_conditions_of_conversion_and_destination_both_apply(compiled):
    """Each condition applies only to the routes that it concerns."""
    compiled.conversion["where"] = {"channel": ["Site web", "Téléphone"]}
    compiled.settings["meta"] = DATASET | {"where": {"agency": ["Nord"]}, "funnel": FUNNEL}
    routes = compiled.routes()
    of_the_conversion = {"channel": frozenset({"site web", "telephone"})}
    of_the_destination = {"agency": frozenset({"nord"})}

    assert (of_the_conversion, of_the_destination) == routes["sale", "meta"].where
    assert (of_the_conversion,) == routes["sale", "google_ads"].where
    assert (of_the_destination,) == routes["funnel:sale", "meta"].where


def test_every_path_used_by_a_condition_or_value_is_extracted(compiled):
    """This includes paths that only a destination uses; values listed for one path are merged."""
    compiled.conversion |= {
        "where": {"channel": ["Site web"]},
        "value": {"field": "amount", "tax": "included", "otherwise": 900},
    }
    compiled.settings["meta"] = DATASET | {"where": {"agency": ["Nord"], "channel": ["Salon"]}}
    extraction = compiled.book.extraction

    assert {"channel": {"site web", "salon"}, "agency": {"nord"}} == extraction.where
    assert {"amount": {"included"}} == extraction.amounts
    assert {"leadData.consent", "channel", "agency", "amount"} <= set(extraction.paths)


def test_a_route_takes_its_value_from_the_conversion(compiled):
    """A value is fixed, read from a field, or absent."""
    none = compiled.route()
    compiled.conversion["value"] = 60
    fixed = compiled.route()
    compiled.conversion["value"] = {"field": "amount", "tax": "excluded", "otherwise": 900, "wait_for_value": "2 d"}
    of_a_field = compiled.route()

    assert (None, None) == (none.fixed_value, none.field_value)
    assert (Decimal(60), None) == (fixed.fixed_value, fixed.field_value)
    assert of_a_field.fixed_value is None
    told = of_a_field.field_value
    assert ("amount", "excluded", Decimal(900), timedelta(days=2)) == (told.path, told.tax, told.otherwise, told.wait)


@pytest.mark.parametrize(
    ("told", "attach", "alone"),
    [
        ({}, False, False),
        ({"contact_data": "attach"}, True, False),
        ({"audience": "all"}, False, True),
        ({"audience": "all", "contact_data": "attach"}, True, True),
    ],
    ids=str,
)
def test_contact_data_is_configured_per_destination(compiled, told, attach, alone):
    """It goes with a click id, instead of one, both or neither; the other destination is unaffected."""
    compiled.settings["meta"] = DATASET | told | {"funnel": FUNNEL}
    routes = compiled.routes()

    for conversion in ("sale", "funnel:sale"):
        route = routes[conversion, "meta"]
        assert (attach, alone, attach or alone) == (route.attach_contact, route.contact_only, route.uses_contact)
    assert not routes["sale", "google_ads"].uses_contact


def test_assumed_consent_applies_to_every_route(compiled):
    """It is a setting of the account."""
    assert {False} == {route.assume_consent for route in compiled.routes().values()}

    compiled.settings["consent"] |= {"missing": "assume_granted", "because": "the form asks before it is sent"}

    assert {True} == {route.assume_consent for route in compiled.routes().values()}


# ── windows ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("days", "window"), [(None, 90), (30, 30), (90, 90)])
def test_the_click_window_is_the_actions_own(compiled, days, window):
    """Without one it is 90 days, as long as Google remembers clicks; Meta has no such window."""
    told = {"id": "12"} | ({"click_window_days": days} if days else {})
    compiled.conversion["google_ads"] = {"conversion_action": told}
    routes = compiled.routes()

    assert timedelta(days=window) == routes["sale", "google_ads"].click_window
    assert META.click_window == routes["sale", "meta"].click_window
    assert routes["sale", "google_ads"].event_window is None


@pytest.mark.parametrize(
    ("source", "window"),
    [
        ("system_generated", META.event_window),
        ("phone_call", META.event_window),
        ("physical_store", META.source_windows["physical_store"]),
    ],
)
def test_only_physical_store_events_get_the_long_window(compiled, source, window):
    """All others get the seven-day window, and so does the funnel whatever the dataset says."""
    compiled.settings["meta"] = DATASET | {"action_source": source, "funnel": FUNNEL}
    routes = compiled.routes()

    assert window == routes["sale", "meta"].event_window
    assert META.event_window == routes["funnel:sale", "meta"].event_window
    assert META.source_windows["physical_store"] > timedelta(days=61) > timedelta(days=7) > META.event_window


# ── the rest of the rulebook ─────────────────────────────────────────────────────────────────────


def test_lists_the_datasets_that_ask_when_in_doubt(compiled):
    """`in_doubt: ask` is set per dataset and never for Google."""
    compiled.settings["meta"] = [
        DATASET | {"id": "asks", "in_doubt": "ask"},
        DATASET | {"id": "resends", "dataset_id": "66", "in_doubt": "resend"},
    ]

    assert {"asks"} == compiled.book.ask_when_lost


def test_distinguishes_a_former_id_from_none(compiled):
    """`was: old` is a former id, `was: none` says that there is none."""
    compiled.settings["conversions"] = [
        compiled.conversion | {"was": "vente"},
        compiled.conversion | {"id": "visit", "was": "none", "google_ads": {"conversion_action": "13"}},
        compiled.conversion | {"id": "third", "google_ads": {"conversion_action": "14"}},
    ]
    for number, conversion in enumerate(compiled.settings["conversions"]):
        conversion["meta"] = {"event": f"Event{number}"}

    assert {"sale": "vente", "visit": None} == compiled.book.was


def test_knows_the_labels_of_stages_and_ignored_statuses(compiled):
    """They are held in the spelling in which they are compared."""
    compiled.settings["ignored_statuses"] = ["Nurserie", "À rappeler"]

    assert {"rendez vous", "rdv pris", "gagne", "perdu", "nurserie", "a rappeler"} == set(compiled.book.meanings)


def test_account_zone_and_currency_are_on_every_route(compiled):
    """Rules can then be applied without the settings."""
    compiled.settings |= {"timezone": "Indian/Reunion", "meta": DATASET | {"funnel": FUNNEL}}

    assert {("maison-test", ZoneInfo("Indian/Reunion"), "EUR")} == {
        (route.account, route.zone, route.currency) for route in compiled.book.routes
    }


# ── assumptions about each target ────────────────────────────────────────────────────────────────


def test_lists_the_assumed_target_of_every_route(compiled):
    """It holds the currency and whether a value or contact data is sent; funnel stages are included."""
    compiled.conversion["value"] = 60
    compiled.settings["meta"] = DATASET | {"contact_data": "attach", "funnel": FUNNEL}
    expected = compiled.expected()

    assert expected.keys() == compiled.routes().keys()
    for name, each in expected.items():
        assert compiled.routes()[name].target == each.target
        assert "EUR" == each.currency
        assert (name[1] == "meta") == each.sends_contact
        assert (name[0] == "sale") == each.sends_value


@pytest.mark.parametrize("days", [None, 30])
def test_only_an_explicit_click_window_is_assumed(compiled, days):
    """The default is the program's assumption, not the user's claim; Meta has none."""
    if days:
        compiled.conversion["google_ads"] = {"conversion_action": {"id": "12", "click_window_days": days}}
    expected = compiled.expected()

    assert (timedelta(days=days) if days else None) == expected["sale", "google_ads"].click_window
    assert expected["sale", "meta"].click_window is None


def test_a_click_window_is_assumed_only_for_the_actions_customer(compiled):
    """A customer that the conversion does not go to is left out."""
    compiled.settings["google_ads"] = [GOOGLE | {"id": "north"}, GOOGLE | {"id": "south", "customer_id": "2345678901"}]
    action = {"conversion_action": {"id": "12", "click_window_days": 30}, "destination": "south"}
    compiled.conversion["google_ads"] = action
    expected = compiled.expected()

    assert ("sale", "north") not in expected
    assert timedelta(days=30) == expected["sale", "south"].click_window


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, None),
        ({"count_once_per": "lead"}, None),
        ({"count_once_per": "click"}, DedupRule(DedupScope.CLICK, timedelta(days=30))),
        ({"count_once_per": "person", "within": "10 d"}, DedupRule(DedupScope.PERSON, timedelta(days=10))),
    ],
)
def test_the_deduplication_rule_follows_count_once_per(compiled, written, expected):
    """By default each lead counts on its own."""
    for platform in ("google_ads", "meta"):
        compiled.settings[platform] = compiled.settings[platform] | {"contact_data": "attach"}
    compiled.conversion |= written

    assert expected == compiled.route().once


def test_the_built_in_label_of_appointments_stays_as_it_is(compiled):
    """No status of Oplead's has it, and marketing may list it beside theirs."""
    compiled.settings["oplead"]["fields"] = {"appointment_at": "rdv"}
    compiled.settings["stages"]["appointment"] = ["RDV-pris", "Appointment_set"]
    compiled.conversion["stage"] = "appointment"

    assert frozenset({"rdv pris", "appointment_set"}) == compiled.route().labels
    assert "appointment" == compiled.book.meanings["appointment_set"]


@pytest.mark.parametrize(
    ("changes", "lost", "quote"),
    [
        pytest.param({}, set(), set(), id="no conversion counts them"),
        pytest.param({"undo_when": ["lost"]}, {"rdv pris", "devis"}, set(), id="it undoes the sale"),
        pytest.param({"implied_by": ["lost"]}, {"rdv pris", "devis", "gagne"}, set(), id="it implies the sale"),
        pytest.param({"stage": "quote"}, set(), {"rdv pris"}, id="the quote counts"),
        pytest.param({"stage": "appointment", "implied_by": ["quote"]}, set(), {"rdv pris"}, id="it implies the first"),
        pytest.param({"stage": "created", "undo_when": ["lost"]}, set(), set(), id="it undoes what every lead was"),
    ],
)
def test_only_a_stage_that_counts_proves_those_written_before_it(compiled, changes, lost, quote):
    """A lost lead may never have been won, whether or not a loss undoes the sale."""
    compiled.settings["stages"] = {
        "appointment": ["RDV pris"],
        "quote": ["Devis"],
        "won": ["Gagné"],
        "lost": ["Perdu"],
        "after": ["SAV"],
    }
    compiled.settings["webhooks"] = {"secret": "${HOOK}"}
    compiled.conversion |= changes
    order = compiled.book.webhooks.order

    def proven(shown: str) -> set[str]:
        return {label for label in order.places if order.has_passed(shown, label)}

    assert (lost, quote, set()) == (proven("perdu"), proven("devis"), proven("sav"))


@pytest.mark.parametrize("undo_when", [[], ["lost"]])
def test_a_sale_proves_what_is_written_before_it(compiled, undo_when):
    """And nothing that is written after it."""
    compiled.settings["webhooks"] = {"secret": "${HOOK}"}
    compiled.conversion["undo_when"] = undo_when
    order = compiled.book.webhooks.order

    assert {"rendez vous", "rdv pris"} == {label for label in order.places if order.has_passed("gagne", label)}


def test_a_loss_that_counts_as_a_conversion_proves_no_sale_that_it_undoes(compiled):
    """It proves what is written before the sale."""
    loss = {"id": "loss", "stage": "lost", "google_ads": {"conversion_action": "13"}}
    compiled.settings["conversions"].append(loss)
    compiled.settings["webhooks"] = {"secret": "${HOOK}"}
    compiled.conversion["undo_when"] = ["lost"]
    order = compiled.book.webhooks.order

    assert {"rendez vous", "rdv pris"} == {label for label in order.places if order.has_passed("perdu", label)}


def test_a_loss_written_first_proves_nothing(compiled):
    """Not even what it does not undo: nothing is written before it."""
    compiled.settings["stages"] = {"lost": ["Perdu"], "appointment": ["RDV pris"], "won": ["Gagné"]}
    compiled.settings["webhooks"] = {"secret": "${HOOK}"}
    compiled.conversion["undo_when"] = ["lost"]
    order = compiled.book.webhooks.order

    assert not any(order.has_passed("perdu", label) for label in order.places)


def test_another_order_of_stages_judges_every_lead_again(compiled):
    """Where webhooks are received, for which the order matters."""
    compiled.settings["webhooks"] = {"secret": "${HOOK}"}
    before = compiled.book.rules_digest
    compiled.settings["stages"] = dict(reversed(compiled.settings["stages"].items()))

    assert before != compiled.book.rules_digest
