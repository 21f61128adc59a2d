"""The hand-written cases are well-formed: what is wrong in them must not be blamed on the code."""

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.ads.datamanager_v1 import ErrorReason, ProcessingErrorReason
from ruamel.yaml import YAML

from jobs.settings.model import Settings

E2E = Path(__file__).parents[1] / "e2e"
CASES = YAML(typ="safe").load(E2E / "cases.yaml")
SETTINGS = YAML(typ="safe").load(E2E / "cases.settings.yaml")

FINAL_NIGHT = "2026-09-10T03:30:00Z"
MAY_LIE_AHEAD = timedelta(minutes=5)
CUSTOMER = "1234567890"
ACTIONS = {"lead": "987654323", "appointment": "987654321", "sale": "987654322"}
FIELDS = {"id", "why", "settings", "lead", "nights", "clicks", "rulings", "expect"}
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
        "no_identifier",
        "value_unreadable",
        "value_missing",
    },
    "skipped": {"before_since", "baseline"},
}
VENDOR_REASONS = {
    "submit": set(ErrorReason.__members__),
    "processing": set(ProcessingErrorReason.__members__),
}
WIRE_ALWAYS = {"eventTimestamp", "eventSource", "consent", "destination"}
WIRE_SOMETIMES = {"adIdentifiers", "userData", "conversionValue", "currency"}


def variant(case):
    """The settings a case is judged by."""
    return case.get("settings", "base")


def nights(case):
    """The lead's JSON by night, whichever way the case is written."""
    return case.get("nights") or [{"at": FINAL_NIGHT, "lead": case["lead"]}]


def expectations():
    """Every expectation of a row, with its case and conversion."""
    return [
        (case, conversion, expected)
        for case in CASES
        for conversion, expected in case["expect"].items()
        if conversion in ACTIONS and "none" not in expected
    ]


def wires():
    """Every event that must reach the platform, with its case and conversion."""
    return [(case, conversion, row["wire"]) for case, conversion, row in expectations() if "wire" in row]


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


def test_ids_are_unique():
    """Every case has an id of its own."""
    counted = Counter(case["id"] for case in CASES)

    assert not [name for name, times in counted.items() if times > 1]


def test_cases_have_their_fields():
    """A case says why in a sentence, under which settings, and gives either one lead or several nights."""
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


def test_nights_go_forward_and_tell_of_one_lead():
    """The nights of a case come in order and all concern the same lead."""
    wrong = [
        case["id"]
        for case in CASES
        if [night["at"] for night in nights(case)] != sorted({night["at"] for night in nights(case)})
        or len({night["lead"].get("id") for night in nights(case) if night["lead"]}) != 1
    ]

    assert not wrong


def test_leads_that_share_a_ledger_are_different_leads():
    """No two cases of one variant put down the same lead."""
    counted = Counter((variant(case), str(nights(case)[0]["lead"].get("id", case["id"]))) for case in CASES)

    assert not [lead for lead, times in counted.items() if times > 1]


def test_every_conversion_is_judged():
    """A readable lead has an expectation for each conversion, and `none` stands alone."""
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


def test_expectations_are_complete():
    """A fate comes with what belongs to it and nothing else."""
    wrong = [
        (case["id"], conversion)
        for case, conversion, row in expectations()
        if set(row) - {"fate"} - ALLOWED_BESIDE_FATE[row["fate"]]
        or NEEDED_BESIDE_FATE.get(row["fate"], set()) - set(row)
        or row.get("reason") not in OUR_REASONS.get(row["fate"], {row.get("reason")})
    ]

    assert not wrong


def test_wires_are_whole_events():
    """An event names its action, one click id or contact data alone, and a currency where it has a value."""
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


def test_wires_lie_before_their_sending():
    """An event's time is not after the last night, and spans a minute at most where it cannot be known."""
    wrong = []
    for case, conversion, wire in wires():
        earliest, latest = span(wire["eventTimestamp"])
        if (
            earliest > instant(nights(case)[-1]["at"]) + MAY_LIE_AHEAD
            or not 0 <= (latest - earliest).total_seconds() <= 60
        ):
            wrong.append((case["id"], conversion))

    assert not wrong


def test_hashes_are_those_of_the_plain_values():
    """Each hash is the SHA-256 of the normalised text beside it, under the name that text calls for."""
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


def test_what_google_accepts_it_knows():
    """A click id that must be accepted is registered for the customer, and was clicked before the event."""
    unknown = {"clicked_at": "9999-12-31T00:00:00Z", "customer": "unregistered"}
    wrong = [
        (case["id"], conversion)
        for case, conversion, row in expectations()
        if row["fate"] in {"accepted", "submitted"}
        for click in [
            case.get("clicks", {}).get(click_id, unknown) for click_id in row["wire"].get("adIdentifiers", {}).values()
        ]
        if click["customer"] != CUSTOMER or instant(click["clicked_at"]) > span(row["wire"]["eventTimestamp"])[0]
    ]

    assert not wrong


def test_rulings_are_the_vendors():
    """A planted ruling is a member of the vendor's enum, concerns a known click, and is the expected one."""
    wrong = [
        case["id"]
        for case in CASES
        for click_id, ruling in case.get("rulings", {}).items()
        if ruling["reason"] not in VENDOR_REASONS[ruling["when"]]
        or click_id not in case["clicks"]
        or case["expect"]["lead"].get("reason", ruling["reason"]) != ruling["reason"]
    ]

    assert not wrong


def test_every_fate_and_reason_has_a_case():
    """No fate that nights without faults can end in, and no reason of ours, goes without a case."""
    rows = [row for _, _, row in expectations()]

    assert set(ALLOWED_BESIDE_FATE) == {row["fate"] for row in rows}
    for fate, reasons in OUR_REASONS.items():
        assert reasons == {row["reason"] for row in rows if row["fate"] == fate}


def test_every_variant_has_a_case():
    """A variant without a case is a leftover."""
    used = {variant(case) for case in CASES}

    assert set(SETTINGS["variants"]) == used


@pytest.mark.parametrize("name", list(SETTINGS["variants"]))
def test_a_variant_is_valid_settings(name):
    """Each variant, once a sandbox's secrets are added, is accepted as settings and keeps the actions."""
    laid = laid_over(SETTINGS["base"], SETTINGS["variants"][name].get("settings", {}))
    settings = Settings.model_validate(
        laid | {"oplead": {"token": "t"}, "google_ads": laid["google_ads"] | {"credentials": "key.json"}}
    )

    actions = {each.id: each.google_ads.conversion_action.id for each in settings.conversions}

    assert sorted(ACTIONS.items()) == sorted(actions.items())
