"""The hand-written cases are well-formed, so that a mistake in them is not blamed on the code."""

import functools
import hashlib
import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.ads.datamanager_v1 import ErrorReason, ProcessingErrorReason
from google.ads.googleads.v26.errors.types.conversion_upload_error import ConversionUploadErrorEnum

from jobs.settings.schema import Settings
from tests import quick

E2E = Path(__file__).parents[1] / "e2e"
CASES = quick.read_yaml(E2E / "cases.yaml")
SETTINGS = quick.read_yaml(E2E / "cases.settings.yaml")

FINAL_NIGHT = "2026-09-10T03:30:00Z"
MAY_LIE_AHEAD = timedelta(minutes=5)
CUSTOMER = "1234567890"
ACTIONS = {"lead": "987654323", "appointment": "987654321", "sale": "987654322"}
FUNNEL = {"lead_received": "created", "appointment_set": "appointment", "sale": "won"}
DATASET = "1234567890"
FIELDS = {
    *("id", "why", "settings", "lead", "nights", "clicks", "rulings", "rulings_ads_api", "rulings_meta"),
    *("expect", "expect_ads_api", "ads_api", "expect_meta"),
}
ALLOWED_BESIDE_FATE = {
    "pending": {"not_before", "wire"},
    "withheld": {"reason"},
    "skipped": {"reason"},
    "submitted": {"wire"},
    "accepted": {"wire"},
    "rejected": {"reason", "wire"},
    "expired": {"reason", "wire"},
    "cancelled": set(),
    "unconfirmed": {"wire"},
}
NEEDED_BESIDE_FATE = {
    "withheld": {"reason"},
    "skipped": {"reason"},
    "submitted": {"wire"},
    "accepted": {"wire"},
    "rejected": {"reason", "wire"},
    "unconfirmed": {"wire"},
}
OUR_REASONS = {
    "withheld": {
        "time",
        "consent_missing",
        "consent_refused",
        "consent_unknown",
        "no_click_id",
        "bare_click_id",
        "no_identifier",
        "value_unreadable",
        "value_missing",
    },
    "skipped": {"before_since", "baseline", "another_platform"},
}
PLATFORMS_OWN = re.compile(r"[A-Z][A-Z0-9_]+|100/2804\d{3}")
VENDOR_REASONS = {
    "submit": set(ErrorReason.__members__),
    "processing": set(ProcessingErrorReason.__members__),
}
WIRE_ALWAYS = {"eventTimestamp", "eventSource", "consent", "destination"}
WIRE_SOMETIMES = {"adIdentifiers", "userData", "conversionValue", "currency"}
META_WIRE = {"dataset", "event_name", "event_time", "action_source", "user_data", "custom_data"}
META_PLAINS = {
    "em": r"[^\sA-Z@]+@[^\sA-Z@]+",
    "ph": r"[1-9]\d{7,14}",
    "fn": r"[^\W\d_]+( [^\W\d_]+)*",
    "ln": r"[^\W\d_]+( [^\W\d_]+)*",
    "ct": r"[^\W\d_]+",
    "zp": r"\d{5}",
    "country": r"fr|be",
}
META_ENOUGH = ({"em"}, {"ph"}, {"fn", "ln", "zp"}, {"fn", "ln", "ct"})
FBC = re.compile(r"fb\.[0-2]\.\d{13}\.[A-Za-z0-9_-]+")


def variant(case):
    """The settings variant that applies to a case."""
    return case.get("settings", "base")


def nights(case):
    """The lead's JSON by night, whichever way the case is written."""
    return case.get("nights") or [{"at": FINAL_NIGHT, "lead": case["lead"]}]


def over_ads_api(case):
    """What a case expects of Google when it is reached by the Ads API."""
    return laid_over(case["expect"], case.get("expect_ads_api", {}))


@functools.cache
def settings_of(name):
    """A variant's settings, without the values that only a running sandbox knows."""
    return laid_over(SETTINGS["base"], SETTINGS["variants"][name].get("settings", {}))


def meta_conversions(name):
    """The conversions of a variant as sent to Meta: its own, then the stages of its funnel."""
    return [*ACTIONS, *(f"funnel:{stage}" for stage in settings_of(name)["meta"].get("funnel", {}).values())]


def rows_of(expect, conversions):
    """The rows of an expectation, by conversion."""
    return [(conversion, row) for conversion, row in expect.items() if conversion in conversions and "none" not in row]


def meta_rows(case):
    """The rows a case expects at Meta, by conversion."""
    return rows_of(case.get("expect_meta", {}), meta_conversions(variant(case)))


def expectations():
    """Every expectation of a row at Google by Data Manager, with its case and conversion."""
    return [(case, *row) for case in CASES for row in rows_of(case["expect"], ACTIONS)]


def ads_api_expectations():
    """Every expectation of a row at Google by the Ads API, with its case and conversion."""
    return [(case, *row) for case in CASES if "ads_api" not in case for row in rows_of(over_ads_api(case), ACTIONS)]


def meta_expectations():
    """Every expectation of a row at Meta, with its case and conversion."""
    return [(case, *row) for case in CASES for row in meta_rows(case)]


def wires():
    """Every event that must reach Google, with its case and conversion."""
    return [(case, conversion, row["wire"]) for case, conversion, row in expectations() if "wire" in row]


def meta_wires():
    """Every event that must reach Meta, with its case and conversion."""
    return [(case, conversion, row["wire"]) for case, conversion, row in meta_expectations() if "wire" in row]


def told_of(case):
    """All that Oplead ever returns for the case's lead, as one text."""
    return str([night["lead"] for night in nights(case)])


def instant(text):
    """A whole second of UTC as the cases write it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def span(timestamp):
    """The earliest and the latest instant an expected timestamp allows."""
    if isinstance(timestamp, dict):
        return instant(timestamp["from"]), instant(timestamp["to"])
    return instant(timestamp), instant(timestamp)


def laid_over(base, over):
    """The base with a variant laid over it, as the settings file describes."""
    if isinstance(base, list) and isinstance(over, dict):
        return [laid_over(item, over.get(item["id"], {})) for item in base]
    if isinstance(base, dict) and isinstance(over, dict):
        both = base | {key: laid_over(base.get(key), value) for key, value in over.items()}
        return {key: value for key, value in both.items() if value is not None}
    return over


def test_case_ids_are_unique():
    """A failure names its case by id."""
    counted = Counter(case["id"] for case in CASES)

    assert not [name for name, times in counted.items() if times > 1]


def test_each_case_has_valid_fields():
    """It has a one-sentence reason, a settings variant, and either one lead or several nights."""
    wrong = [
        case["id"]
        for case in CASES
        if set(case) - FIELDS
        or not re.fullmatch(r"[a-z0-9_]+", case["id"])
        or not re.fullmatch(r"[^.]+\.", case["why"])
        or variant(case) not in SETTINGS["variants"]
        or ("lead" in case) == ("nights" in case)
    ]

    assert not wrong


def test_nights_are_in_order_and_concern_one_lead():
    """No two nights of a case are at the same time."""
    wrong = [
        case["id"]
        for case in CASES
        if [night["at"] for night in nights(case)] != sorted({night["at"] for night in nights(case)})
        or len({night["lead"].get("id") for night in nights(case) if night["lead"]}) != 1
    ]

    assert not wrong


def test_cases_sharing_a_ledger_have_different_leads():
    """All cases of one variant run on one ledger."""
    counted = Counter((variant(case), str(nights(case)[0]["lead"].get("id", case["id"]))) for case in CASES)

    assert not [lead for lead, times in counted.items() if times > 1]


def test_every_conversion_has_an_expectation():
    """An unreadable lead has none, and `none` stands alone."""
    wrong = [
        case["id"]
        for case in CASES
        if case["expect"] != {"unreadable": True}
        and (
            set(case["expect"]) != set(ACTIONS)
            or any(row != {"none": True} for row in case["expect"].values() if "none" in row)
        )
    ]

    assert not wrong


def test_every_meta_conversion_has_an_expectation():
    """A case with expectations for Meta covers each conversion and each stage of the funnel."""
    wrong = [
        case["id"]
        for case in CASES
        if case.get("expect_meta", {"unreadable": True}) != {"unreadable": True}
        and (
            set(case["expect_meta"]) != set(meta_conversions(variant(case)))
            or any(row != {"none": True} for row in case["expect_meta"].values() if "none" in row)
        )
    ]

    assert not wrong


def test_at_least_eighty_cases_cover_both_platforms():
    """Each has expectations for Google and for Meta."""
    both = [case["id"] for case in CASES if {"expect", "expect_meta"} <= set(case)]

    assert len(both) >= 80


def test_a_lead_goes_to_meta_by_funnel_or_conversions():
    """A case never has rows for both."""
    wrong = [
        case["id"] for case in CASES if len({conversion.startswith("funnel:") for conversion, _ in meta_rows(case)}) > 1
    ]

    assert not wrong


@pytest.mark.parametrize("rows", [expectations, ads_api_expectations, meta_expectations])
def test_each_expectation_has_exactly_its_fields(rows):
    """Each state requires some fields and allows no others."""
    wrong = [
        (case["id"], conversion)
        for case, conversion, row in rows()
        if set(row) - {"state"} - ALLOWED_BESIDE_FATE[row["state"]]
        or NEEDED_BESIDE_FATE.get(row["state"], set()) - set(row)
        or row.get("reason") not in OUR_REASONS.get(row["state"], {row.get("reason")})
    ]

    assert not wrong


def test_a_platforms_code_stands_only_beside_an_event():
    """The program's own reasons never do."""
    wrong = [
        (case["id"], conversion)
        for rows in (expectations, ads_api_expectations, meta_expectations)
        for case, conversion, row in rows()
        if "reason" in row and bool(PLATFORMS_OWN.fullmatch(row["reason"])) != ("wire" in row)
    ]

    assert not wrong


def test_ads_api_expectations_state_only_differences():
    """Each differs from the Data Manager's expectation for the same conversion."""
    wrong = [
        (case["id"], conversion)
        for case in CASES
        for conversion, over in case.get("expect_ads_api", {}).items()
        if case["expect"].get(conversion, {"none": True}) == {"none": True}
        or any(case["expect"][conversion].get(key) == value for key, value in over.items())
        or over_ads_api(case)[conversion] == case["expect"][conversion]
    ]

    assert not wrong


def test_ads_api_braids_carry_no_contact_data():
    """No gbraid or wbraid has contact data beside it, and no event has more than five identifiers."""
    wrong = []
    for case, conversion, row in ads_api_expectations():
        wire = row.get("wire", {})
        people = wire.get("userData", {})
        braid = {"gbraid", "wbraid"} & wire.get("adIdentifiers", {}).keys()
        if (braid and people) or people.get("some", len(people.get("userIdentifiers", []))) > 5:
            wrong.append((case["id"], conversion))

    assert not wrong


def test_google_wires_are_complete_events():
    """Each names its action, one click id or contact data alone, and a currency with any value."""
    wrong = [
        (case["id"], conversion)
        for case, conversion, wire in wires()
        if not wire.keys() >= WIRE_ALWAYS
        or wire.keys() - WIRE_ALWAYS - WIRE_SOMETIMES
        or wire["destination"]
        != {
            "operatingAccount": CUSTOMER,
            "loginAccount": "1112223333",
            "productDestinationId": ACTIONS[conversion],
        }
        or {"conversionValue", "currency"} & wire.keys()
        != (set() if conversion == "lead" else {"conversionValue", "currency"})
        or len(wire.get("adIdentifiers", {"contact": "alone"})) != 1
        or not {"adIdentifiers", "userData"} & wire.keys()
    ]

    assert not wrong


def test_meta_wires_are_complete_events():
    """Each names its dataset, one id or contact data alone, and the fields of its profile."""
    wrong = []
    for case, conversion, wire in meta_wires():
        settings = settings_of(variant(case))
        configured = {one["id"]: one["meta"] for one in settings["conversions"]}
        stage = conversion.removeprefix("funnel:")
        value = {"value": wire["custom_data"].get("value"), "currency": "EUR"} if conversion != "lead" else {}
        name, source, custom = (
            (stage, "system_generated", {"event_source": "crm", "lead_event_source": "Oplead"})
            if stage != conversion
            else (
                configured[conversion]["event"],
                configured[conversion].get("action_source", "system_generated"),
                {"order_id": "event_id"} | value,
            )
        )
        if (
            set(wire) != META_WIRE
            or wire["dataset"] != DATASET
            or (wire["event_name"], wire["action_source"], wire["custom_data"]) != (name, source, custom)
            or not isinstance(wire["custom_data"].get("value", 0), int | float)
            or len({"lead_id", "fbc"} & wire["user_data"].keys())
            not in ({1} if settings["meta"]["audience"] == "attributed" else {0, 1})
            or (stage != conversion and "lead_id" not in wire["user_data"])
            or not wire["user_data"]
        ):
            wrong.append((case["id"], conversion))

    assert not wrong


def test_meta_ids_come_from_the_lead():
    """A lead id is an integer and an fbc is complete; both hold exactly what Oplead returned."""
    wrong = []
    for case, conversion, wire in meta_wires():
        fbc, lead_id = wire["user_data"].get("fbc"), wire["user_data"].get("lead_id")
        if isinstance(fbc, dict):
            earliest, latest = span(fbc)
            whole = set(fbc) == {"fbclid", "from", "to"} and earliest < latest
            said = fbc["fbclid"]
        else:
            whole = fbc is None or FBC.fullmatch(fbc)
            said = (fbc or "").rpartition(".")[2]
        if not whole or said not in told_of(case) or (lead_id is not None and type(lead_id) is not int):
            wrong.append((case["id"], conversion))
        if lead_id is not None and (str(lead_id) not in told_of(case) or not 15 <= len(str(lead_id)) <= 17):
            wrong.append((case["id"], conversion))

    assert not wrong


def test_meta_gets_sufficient_contact_data_or_none():
    """None goes out where the settings attach none."""
    wrong = []
    for case, conversion, wire in meta_wires():
        kinds = wire["user_data"].keys() - {"lead_id", "fbc"}
        attached = settings_of(variant(case))["meta"]["contact_data"] == "attach"
        if kinds and (not attached or not any(enough <= kinds for enough in META_ENOUGH)):
            wrong.append((case["id"], conversion))

    assert not wrong


def test_event_times_precede_the_last_night():
    """They may lie five minutes ahead; a time that cannot be known spans a minute at most."""
    wrong = []
    times = [(case, conversion, wire["eventTimestamp"]) for case, conversion, wire in wires()]
    times += [(case, conversion, wire["event_time"]) for case, conversion, wire in meta_wires()]
    for case, conversion, time in times:
        earliest, latest = span(time)
        if (
            earliest > instant(nights(case)[-1]["at"]) + MAY_LIE_AHEAD
            or not 0 <= (latest - earliest).total_seconds() <= 60
        ):
            wrong.append((case["id"], conversion))

    assert not wrong


def test_google_hashes_match_their_plain_values():
    """Each is the SHA-256 of the normalised text beside it, under the field name for that text."""
    wrong = []
    for case, conversion, wire in wires():
        for identifier in wire.get("userData", {}).get("userIdentifiers", []):
            plain = identifier["plain"]
            kind = "phoneNumber" if re.fullmatch(r"\+[1-9]\d{7,14}", plain) else "emailAddress"
            if identifier != {"plain": plain, kind: hashlib.sha256(plain.encode()).hexdigest()} or (
                kind == "emailAddress" and not re.fullmatch(r"[^\sA-Z@]+@[^\sA-Z@]+", plain)
            ):
                wrong.append((case["id"], conversion, kind))

    assert not wrong


def test_meta_hashes_match_their_plain_values():
    """Each is the SHA-256 of the normalised text beside it, composed and in the form of its field."""
    wrong = [
        (case["id"], conversion, field)
        for case, conversion, wire in meta_wires()
        for field, people in wire["user_data"].items()
        if field not in ("lead_id", "fbc")
        for one in people
        if one != {"plain": one["plain"], "hash": hashlib.sha256(one["plain"].encode()).hexdigest()}
        or not re.fullmatch(META_PLAINS[field], one["plain"])
        or one["plain"] != unicodedata.normalize("NFC", one["plain"]).lower()
    ]

    assert not wrong


def test_accepted_click_ids_are_registered_and_precede_the_event():
    """Google accepts a click id only of the customer's own."""
    unknown = {"clicked_at": "9999-12-31T00:00:00Z", "customer": "unregistered"}
    wrong = [
        (case["id"], conversion)
        for case, conversion, row in expectations()
        if row["state"] in {"accepted", "submitted"}
        for click in [
            case.get("clicks", {}).get(click_id, unknown) for click_id in row["wire"].get("adIdentifiers", {}).values()
        ]
        if click["customer"] != CUSTOMER or instant(click["clicked_at"]) > span(row["wire"]["eventTimestamp"])[0]
    ]

    assert not wrong


def test_data_manager_rulings_use_the_vendors_reasons():
    """Each concerns a known click and is the expected reason."""
    wrong = [
        case["id"]
        for case in CASES
        for click_id, ruling in case.get("rulings", {}).items()
        if ruling["reason"] not in VENDOR_REASONS[ruling["when"]]
        or click_id not in case["clicks"]
        or case["expect"]["lead"].get("reason", ruling["reason"]) != ruling["reason"]
    ]

    assert not wrong


def test_ads_api_rulings_use_the_vendors_errors():
    """Each concerns a click of the lead and is the expected reason."""
    wrong = [
        case["id"]
        for case in CASES
        for click_id, ruling in case.get("rulings_ads_api", {}).items()
        if set(ruling) != {"when", "reason"}
        or ruling["when"] != "submit"
        or ruling["reason"] not in ConversionUploadErrorEnum.ConversionUploadError.__members__
        or click_id not in told_of(case)
        or over_ads_api(case)["lead"].get("reason", ruling["reason"]) != ruling["reason"]
    ]

    assert not wrong


def test_every_data_manager_ruling_has_an_ads_api_counterpart():
    """A case without one says that it does not apply to the Ads API."""
    wrong = [
        case["id"]
        for case in CASES
        if ("rulings" in case and "rulings_ads_api" not in case and "ads_api" not in case)
        or case.get("ads_api", "skip") != "skip"
        or ("ads_api" in case and ("Ads API" not in case["why"] or "expect_ads_api" in case))
    ]

    assert not wrong


def test_meta_rulings_are_expected():
    """Each concerns an id of the lead, and every event of the lead has its code."""
    wrong = []
    for case in CASES:
        for click_id, ruling in case.get("rulings_meta", {}).items():
            codes = {row.get("reason") for _, row in meta_rows(case) if "wire" in row}
            if (
                set(ruling) != {"subcode"}
                or not isinstance(click_id, str)
                or click_id not in told_of(case)
                or codes != {f"100/{ruling['subcode']}"}
            ):
                wrong.append(case["id"])

    assert not wrong


def test_every_state_and_reason_has_a_case():
    """The states are those in which nights without faults can end."""
    rows = [row for _, _, row in expectations()]

    assert set(ALLOWED_BESIDE_FATE) == {row["state"] for row in rows}
    for state, reasons in OUR_REASONS.items():
        assert reasons == {row["reason"] for row in rows if row["state"] == state}


def test_every_state_and_reason_has_a_case_at_meta():
    """States of outcomes that arrive later do not occur at Meta."""
    rows = [row for _, _, row in meta_expectations()]

    assert set(ALLOWED_BESIDE_FATE) - {"submitted", "unconfirmed"} == {row["state"] for row in rows}
    assert {"window_closed", "100/2804003"} == {row["reason"] for row in rows if row["state"] == "expired"}
    for state, reasons in OUR_REASONS.items():
        assert reasons == {row["reason"] for row in rows if row["state"] == state}


def test_every_variant_has_a_case():
    """A variant without a case is a leftover."""
    used = {variant(case) for case in CASES}

    assert set(SETTINGS["variants"]) == used


@pytest.mark.parametrize("name", list(SETTINGS["variants"]))
def test_each_variant_is_valid_and_keeps_the_actions(name):
    """A sandbox's secrets are added first."""
    laid = settings_of(name)
    secrets = {
        "oplead": {"token": "t"},
        "google_ads": laid["google_ads"] | {"credentials": "key.json"},
        "meta": laid["meta"] | {"access_token": "t"},
    }
    settings = Settings.model_validate(laid | secrets)

    actions = {each.id: each.google_ads.conversion_action.id for each in settings.conversions}
    funnels = [dict(each.funnel) for each in settings.meta]

    assert sorted(ACTIONS.items()) == sorted(actions.items())
    assert [{} if name == "no_funnel" else {stage: called for called, stage in FUNNEL.items()}] == funnels
