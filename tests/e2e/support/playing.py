"""Plays a variant of cases.yaml, night by night, and records what reached each platform."""

import copy
import dataclasses
import functools
import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs

import pytest
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.types.conversion_upload_service import UploadClickConversionsResponse
from pydantic import SecretStr
from sqlmodel import select

from connectors.google_ads.platform import LIMITS
from connectors.meta.sink import MetaSink
from connectors.sandbox.google.ads_api.server import SandboxGoogleAdsApi
from connectors.sandbox.google.ads_api.state import CallRefusal
from connectors.sandbox.google.data_manager.server import SandboxDataManager
from connectors.sandbox.meta.server import SandboxMetaApi
from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox.sandbox import Sandbox
from jobs.ledger import schema
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.nightly import run_night
from jobs.run_context import RunContext
from jobs.settings.load import ValidSettings, load
from jobs.wiring.account import open_clock
from jobs.wiring.night import open_connectors
from tests import postgresql, quick

HERE = Path(__file__).parent.parent
CASES = quick.read_yaml(HERE / "cases.yaml")
SETTINGS = quick.read_yaml(HERE / "cases.settings.yaml")
NIGHT = "2026-09-10T03:30:00Z"
MANY = 1000
"""Enough for all cases of a variant to reach a destination in one night."""
UNTIL_OUTCOMES = timedelta(minutes=45)


@dataclasses.dataclass(frozen=True)
class Way:
    """How a variant is played: the transport, and the position of each undocumented switch."""

    transport: str = "data_manager"
    alone: bool = False
    """Whether each event has its own request, so that platforms need not tell rows apart."""
    switches: tuple = ()
    """(platform, switch, position)."""
    database: str = "sqlite"
    """Where the ledger lies."""

    @property
    def name(self):
        """The name in test ids."""
        parts = (self.transport, "alone" * self.alone, "flipped" * bool(self.switches))
        return "-".join(filter(None, (*parts, "postgresql" * (self.database == "postgresql"))))


class Played:
    """What a variant's runs left behind."""

    def __init__(self, wires):
        self.seen = defaultdict(list)
        """Key → each of its appearances on a wire, in order."""
        self.actions = []
        """The conversion actions in each upload to Google."""
        self.deliveries = {}
        """(destination, lead, conversion) → delivery row."""
        self.leads = set()
        self.unreadable = 0
        self._wires = wires

    def note(self, appearances):
        """Record what one request held."""
        for one in appearances:
            self.seen[one.key].append(one)

    def data_manager(self, request, answer):
        """Record a call to Data Manager."""
        if request.path.endswith("events:ingest"):
            self.actions.append(
                {sent_to["productDestinationId"] for sent_to in json.loads(request.body)["destinations"]}
            )
            self.note(self._wires.of_data_manager(request.body, answer.status))

    def google_ads(self, call, answer):
        """Record a call to the Google Ads API."""
        if call.path.endswith("/UploadClickConversions"):
            seen = list(self._wires.of_ads_api(call.message, call.metadata, _refused_rows(answer)))
            self.actions.append({one.wire["destination"]["productDestinationId"] for one in seen})
            self.note(seen)

    def meta(self, request, answer):
        """Record a call to Meta."""
        if request.method == "POST":
            (data,) = parse_qs(request.body.decode())["data"]
            events = [json.loads(one) if isinstance(one, str) else one for one in json.loads(data)]
            self.note(self._wires.of_meta(request.path.split("/")[2], events, answer.status))


def _refused_rows(answer):
    """The refused rows of an upload; None if the whole call was refused."""
    if isinstance(answer, CallRefusal):
        return None
    status = UploadClickConversionsResponse.pb(UploadClickConversionsResponse.deserialize(answer)).partial_failure_error
    failures = [GoogleAdsFailure.pb(GoogleAdsFailure.deserialize(one.value)) for one in status.details]
    return {
        element.index
        for failure in failures
        for error in failure.errors
        for element in error.location.field_path_elements
        if element.field_name == "conversions"
    }


def laid_over(base, over):
    """The base settings with a variant laid over them, as the settings file describes."""
    if isinstance(base, list) and isinstance(over, dict):
        return [laid_over(item, over.get(item["id"], {})) for item in base]
    if isinstance(base, dict) and isinstance(over, dict):
        both = base | {key: laid_over(base.get(key), value) for key, value in over.items()}
        return {key: value for key, value in both.items() if value is not None}
    return over


def variant_of(case):
    """The variant of the settings that applies to a case."""
    return case.get("settings", "base")


def nights_of(case):
    """When the case's lead changes, and to what."""
    return case.get("nights") or [{"at": NIGHT, "lead": case["lead"]}]


def name_of(case):
    """The lead id under which the ledger keeps the case."""
    last = next(change["lead"] for change in reversed(nights_of(case)) if change["lead"] is not None)
    return str(last.get("id", case["id"]))


def played(variant, way, wires):
    """Play every case of a variant once for all tests of this worker."""
    return _played(variant, way, wires)


@functools.cache
def _played(variant, way, wires):
    cases = [case for case in CASES if variant_of(case) == variant]
    nights = sorted({datetime.fromisoformat(night["at"]) for case in cases for night in nights_of(case)})
    result = Played(wires)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        for platform, note in (
            (SandboxDataManager, result.data_manager),
            (SandboxGoogleAdsApi, result.google_ads),
            (SandboxMetaApi, result.meta),
        ):
            patch.setattr(platform, "handle", _noted(platform.handle, note))
        if way.alone:
            for transport, limits in LIMITS.items():
                patch.setitem(LIMITS, transport, dataclasses.replace(limits, batch=1))
            patch.setattr(MetaSink, "limits", dataclasses.replace(MetaSink.limits, batch=1))
        directory = Path(folder)
        with Sandbox(quick.with_key(directory), start=nights[0]) as sandbox:
            _prepare(sandbox, cases, SETTINGS["variants"][variant].get("switches", {}), way)
            settings = _settings(variant, way, sandbox, directory)
            state = _state(settings, way, directory)
            for night in nights:
                sandbox.clock.advance(max(night, sandbox.clock.now()))
                _serve(sandbox, cases, night)
                assert _run(settings, sandbox, state).source_stopped is None
            sandbox.clock.advance(nights[-1] + UNTIL_OUTCOMES)
            _run(settings, sandbox, state)
            _read_ledger(settings, state, result)
    return result


def _noted(handle, note):
    def noted(platform, request):
        answer = handle(platform, request)
        note(request, answer)
        return answer

    return noted


def _state(settings, way, directory):
    """An empty state of the account's own, in a file or in a database that it shares with all other ways."""
    if way.database == "sqlite":
        return SqliteState(quick.with_state(directory / "state.db"))
    return PostgresqlState(SecretStr(_shared_database()), settings.account)


@functools.cache
def _shared_database():
    """The address of a database for all accounts that this worker plays."""
    return postgresql.server().url(postgresql.server().create("cases"))


def _settings(variant, way, sandbox, directory):
    """The variant's settings, pointed at a sandbox, for an account that is played in no other way."""
    told = copy.deepcopy(laid_over(SETTINGS["base"], SETTINGS["variants"][variant].get("settings", {})))
    told["account"] = f"{variant}-{way.name}".replace("_", "-")
    addresses = sandbox.sandbox_server_urls
    told["clock"] = addresses["clock"]
    told["oplead"] = {"token": "${OPLEAD_TOKEN}", "base_url": addresses["oplead"]}
    told["google_ads"] |= {"credentials": "${KEY}", "endpoint": addresses["data_manager"]}
    told["google_ads"] |= {"transport": way.transport, "ads_api_endpoint": addresses["google_ads"]}
    told["meta"] |= {"access_token": "${META}", "graph_url": addresses["meta"]}
    for name in ("google_ads", "meta"):
        told[name]["max_per_run"] = MANY
    path = directory / "pipeline.yaml"
    path.write_text(json.dumps(told, default=str), encoding="utf-8")
    environ = {"OPLEAD_TOKEN": ADMIN_KEY, "KEY": str(sandbox.key_file), "META": TOKENS[told["meta"]["dataset_id"]]}
    loaded = load(path, environ)
    assert isinstance(loaded, ValidSettings), loaded
    return loaded.settings


def _run(settings, sandbox, state):
    """Run the main job once."""
    with (
        open_clock(settings) as clock,
        quick.clock_at_hand(clock, sandbox.clock),
        open_connectors(settings, clock) as (book, deps),
        open_locked_ledger(state, settings.account, "run", now=clock.now(), first_run=not state.exists()) as ledger,
    ):
        return run_night(RunContext(ledger, book, deps))


def _prepare(sandbox, cases, switches, way):
    """Register the clicks and plant the rulings of the cases."""
    for platform, name, position in way.switches:
        getattr(sandbox, platform).set_switch(name, position)
    # A variant's own switches win over those of the way it is played.
    for name, value in (switches | ({"record_indices": False} if way.alone else {})).items():
        sandbox.data_manager.set_switch(name, value)
    for case in cases:
        sandbox.data_manager.register_clicks(case.get("clicks", {}))
        sandbox.data_manager.plant_event_rulings(case.get("rulings", {}))
        sandbox.google_ads.plant_event_rulings(case.get("rulings_ads_api", {}))
        sandbox.meta.plant_event_rulings(case.get("rulings_meta", {}))


def _serve(sandbox, cases, night):
    """Have the sandbox serve the leads as they are from this night on."""
    for case in cases:
        for change in nights_of(case):
            if datetime.fromisoformat(change["at"]) != night:
                continue
            if change["lead"] is None:
                sandbox.oplead.delete_lead(case["id"])
            else:
                sandbox.oplead.put(str(change["lead"].get("id", case["id"])), change["lead"])


def _read_ledger(settings, state, result):
    """Read from the ledger what the tests compare."""
    after = datetime.fromisoformat("2027-01-01T00:00Z")
    with (
        open_locked_ledger(state, settings.account, "test", now=after) as ledger,
        ledger.read_transaction() as session,
    ):
        rows = session.exec(select(schema.Delivery)).all()
        result.deliveries = {(row.destination, row.lead, row.conversion): row for row in rows}
        result.leads = set(session.exec(select(schema.LeadRow.id)))
        result.unreadable = len(session.exec(select(schema.UnreadableLeadRow)).all())
