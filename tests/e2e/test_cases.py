"""Every lead of cases.yaml, played over real sockets: its fate, and what reached the platform."""

import copy
import dataclasses
import functools
import json
import os
import re
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ruamel.yaml import YAML
from sqlmodel import select

from connectors.google_ads import limits
from connectors.sandbox.data_manager import DataManager
from connectors.sandbox.oplead import ADMIN_KEY
from connectors.sandbox.sandbox import Sandbox
from jobs import wiring
from jobs.ledger import tables
from jobs.ledger.ledger import held
from jobs.nightly import run_night
from jobs.settings.load import Valid, load

HERE = Path(__file__).parent
CASES = YAML(typ="safe").load((HERE / "cases.yaml").read_text(encoding="utf-8"))
SETTINGS = YAML(typ="safe").load((HERE / "cases.settings.yaml").read_text(encoding="utf-8"))
NIGHT = "2026-09-10T03:30:00Z"
UNTIL_OUTCOMES = timedelta(minutes=45)


def laid_over(base, over):
    """The base with a variant laid over it, as the settings file describes."""
    if isinstance(base, list) and isinstance(over, dict):
        return [laid_over(item, over.get(item["id"], {})) for item in base]
    if isinstance(base, dict) and isinstance(over, dict):
        both = base | {key: laid_over(base.get(key), value) for key, value in over.items()}
        return {key: value for key, value in both.items() if value is not None}
    return over


def instant(text):
    """An instant as the cases write it."""
    return datetime.fromisoformat(text)


def nights_of(case):
    """When the case's lead changes, and to what."""
    return case.get("nights") or [{"at": NIGHT, "lead": case["lead"]}]


def name_of(case, lead):
    """The id the sandbox keeps a lead under."""
    return str((lead or {}).get("id", case["id"]))


class Played:
    """What a variant's runs left behind."""

    def __init__(self):
        self.ingests = []
        """(request JSON, answer JSON or None) of every ingest, in order."""
        self.deliveries = {}
        """(lead, conversion) → delivery row."""
        self.leads = set()
        self.unreadable = 0


def write_settings(variant, sandbox, directory):
    """The variant's settings, pointed at a sandbox; the path of the file."""
    settings = copy.deepcopy(laid_over(SETTINGS["base"], SETTINGS["variants"][variant].get("settings", {})))
    settings["clock"] = sandbox.addresses["clock"]
    settings["oplead"] = {"token": "${OPLEAD_TOKEN}", "base_url": sandbox.addresses["oplead"]}
    settings["google_ads"] |= {"credentials": "${KEY}", "endpoint": sandbox.addresses["data_manager"]}
    path = directory / "pipeline.yaml"
    path.write_text(json.dumps(settings, default=str), encoding="utf-8")
    return path


def run_once(settings, state):
    """One run of the main job."""
    with (
        wiring.open_clock(settings) as clock,
        wiring.connect(settings, clock) as (book, deps),
        held(state, settings.account, "run", pid=os.getpid(), now=clock.now()) as ledger,
    ):
        return run_night(ledger, book, deps)


@functools.cache
def played(variant, *, alone=False):
    """Play every case of a variant; `alone` sends each event in a request of its own, without record indices."""
    cases = [case for case in CASES if case.get("settings", "base") == variant]
    nights = sorted({instant(night["at"]) for case in cases for night in nights_of(case)})
    result = Played()
    handle = DataManager.handle

    def recorded(self, request):
        answer = handle(self, request)
        if request.path.endswith("events:ingest"):
            result.ingests.append((json.loads(request.body), json.loads(answer.body or b"null"), answer.status))
        return answer

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(DataManager, "handle", recorded)
        if alone:
            patch.setattr(limits, "DATA_MANAGER", dataclasses.replace(limits.DATA_MANAGER, batch=1))
        directory = Path(folder)
        with Sandbox(directory, start=nights[0]) as sandbox:
            prepare(sandbox, cases, SETTINGS["variants"][variant].get("switches", {}), alone=alone)
            loaded = load(
                write_settings(variant, sandbox, directory),
                {"OPLEAD_TOKEN": ADMIN_KEY, "KEY": str(sandbox.key_file)},
            )
            assert isinstance(loaded, Valid), loaded
            for night in nights:
                sandbox.clock.advance(max(night, sandbox.clock.now()))
                serve(sandbox, cases, night)
                summary = run_once(loaded.settings, directory / "state.db")
                assert summary.source_stopped is None
            sandbox.clock.advance(nights[-1] + UNTIL_OUTCOMES)
            run_once(loaded.settings, directory / "state.db")
            read_ledger(loaded.settings, directory / "state.db", result)
    return result


def prepare(sandbox, cases, switches, *, alone):
    """Register the clicks and plant the rulings of the cases."""
    for name, value in (switches | ({"record_indices": False} if alone else {})).items():
        sandbox.data_manager.switch(name, value)
    for case in cases:
        sandbox.data_manager.register_clicks(case.get("clicks", {}))
        sandbox.data_manager.plant_rulings(case.get("rulings", {}))


def serve(sandbox, cases, night):
    """Have the sandbox serve the leads as they stand from this night on."""
    for case in cases:
        for change in nights_of(case):
            if instant(change["at"]) == night:
                if change["lead"] is None:
                    sandbox.oplead.delete(case["id"])
                else:
                    sandbox.oplead.put(name_of(case, change["lead"]), change["lead"])


def read_ledger(settings, state, result):
    """Take what the tests compare out of the ledger."""
    with (
        held(
            state, settings.account, "test", pid=os.getpid(), now=datetime.fromisoformat("2027-01-01T00:00Z")
        ) as ledger,
        ledger.reading() as session,
    ):
        result.deliveries = {(row.lead, row.conversion): row for row in session.exec(select(tables.Delivery))}
        result.leads = set(session.exec(select(tables.LeadRow.id)))
        result.unreadable = len(session.exec(select(tables.UnreadableLeadRow)).all())


def parametrize():
    """Each case under its variant, so that one worker plays a variant once."""
    for case in CASES:
        variant = case.get("settings", "base")
        yield pytest.param(variant, case, id=case["id"], marks=pytest.mark.xdist_group(f"cases-{variant}"))


@pytest.mark.parametrize(("variant", "case"), list(parametrize()))
def test_case(variant, case):
    """The lead ends in its expected fate, and exactly the expected wire reached the platform."""
    check(played(variant), case)


@pytest.mark.parametrize(
    # What these two variants are about is what rows of one request share.
    ("variant", "case"),
    [param for param in parametrize() if param.values[0] not in ("no_indices", "stopped")],
)
def test_case_without_record_indices(variant, case):
    """Told apart by requests instead of record indices, every lead still ends in its expected fate."""
    check(played(variant, alone=True), case)


def check(result, case):
    """Compare what a variant's runs left with what a case expects."""
    last = next(change["lead"] for change in reversed(nights_of(case)) if change["lead"] is not None)
    lead = name_of(case, last)
    if case["expect"].get("unreadable"):
        assert lead not in result.leads
        assert result.unreadable > 0
        return
    for conversion, expected in case["expect"].items():
        row = result.deliveries.get((lead, conversion))
        told = f"{conversion}: {expected} but {row}"
        if expected.get("none"):
            assert row is None, told
            continue
        assert row is not None, told
        assert expected["fate"] == row.fate, told
        if "reason" in expected:
            why = row.code if row.fate in ("rejected", "unconfirmed") or row.code else row.reason
            assert expected["reason"] == (why or "").partition(":")[0], told
        if "not_before" in expected:
            assert instant(expected["not_before"]) == row.not_before, told
        check_wire(result, row, expected)


def check_wire(result, row, expected):
    """Compare the event that reached the platform, and how often it was taken."""
    seen = [
        (ingest, event, status)
        for ingest, _, status in result.ingests
        for event in ingest["events"]
        if event["transactionId"] == row.key
    ]
    if "wire" not in expected:
        assert seen == []
        return
    taken = [one for one in seen if one[2] == 200]
    refused_at_submit = expected["fate"] == "rejected" and not expected["reason"].startswith("PROCESSING")
    assert (0 if refused_at_submit else 1) == len(taken)
    assert seen != []
    for ingest, event, _ in seen:
        assert re.fullmatch(r"[0-9a-f]{1,64}", event["transactionId"])
        compare_event(expected["wire"], ingest, event)


def compare_event(wire, ingest, event):
    """Field by field: what is not listed must be absent."""
    wire = copy.deepcopy(wire)
    destination = wire.pop("destination")
    (sent_to,) = ingest["destinations"]
    accounts = {"operatingAccount": sent_to["operatingAccount"]["accountId"]}
    if "loginAccount" in sent_to:
        accounts["loginAccount"] = sent_to["loginAccount"]["accountId"]
    assert destination == accounts | {"productDestinationId": sent_to["productDestinationId"]}
    event = dict(event)
    event.pop("transactionId")
    at, expected_at = event.pop("eventTimestamp"), wire.pop("eventTimestamp")
    if isinstance(expected_at, dict):
        assert instant(expected_at["from"]) <= instant(at) <= instant(expected_at["to"])
    else:
        assert expected_at == at
    known = {"userData": users, "consent": consent, "eventSource": source}
    read = {name: known.get(name, lambda value: value)(value) for name, value in event.items()}
    wanted = {name: known.get(name, lambda value: value)(value) for name, value in wire.items()}
    assert wanted == read


def users(value):
    """Identifiers without order and without the plain text beside them."""
    return sorted(
        json.dumps({k: v for k, v in one.items() if k != "plain"}, sort_keys=True) for one in value["userIdentifiers"]
    )


def consent(value):
    """Consent by the names of the enum."""
    names = {1: "CONSENT_GRANTED", 2: "CONSENT_DENIED"}
    return {signal: names.get(status, status) for signal, status in value.items()}


def source(value):
    """The event source by the name of the enum."""
    return {1: "WEB"}.get(value, value)


def test_every_request_of_a_variant_goes_to_one_action():
    """Bad rows of one conversion action never hold up another."""
    by_action = defaultdict(int)
    for ingest, _, _ in played("base").ingests:
        (destination,) = ingest["destinations"]
        by_action[destination["productDestinationId"]] += 1

    assert {"987654321", "987654322", "987654323"} == set(by_action)
