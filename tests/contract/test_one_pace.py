"""One pace for each key, whatever folders its user runs commands in."""

import http.server
import os
import subprocess
import sys
import threading
import time

import pytest

from connectors.rate_limit import ProcessRequestHistory, SharedRequestHistory, pace_file
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.types import StateFile
from jobs.wiring.oplead import pacer_for, user_pace_folder
from tests.fakes import FakeClock, slot

RATE = 6
PATIENCE = 60
COMMAND = "from jobs.cli.app import main; main()"
SETTINGS = """
account: maison
oplead: {{ token: "${{OPLEAD_TOKEN}}", base_url: "{address}", rate: {rate} }}
"""


@pytest.fixture
def oplead():
    """An Oplead that has nothing to show: its address, and the paths it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_two_folders_with_one_key_stay_within_one_rate(oplead, tmp_path):
    """Two commands at once, each beside settings and a state of its own; what one has asked, the other leaves out."""
    address, asked = oplead
    environ = os.environ | {"OPLEAD_TOKEN": "tok-1", "XDG_STATE_HOME": str(tmp_path / "user"), "HOME": str(tmp_path)}
    running = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipeline.yaml").write_text(SETTINGS.format(address=address, rate=RATE))
        command = [sys.executable, "-c", COMMAND, "probe", "--json", "--config", f"{name}/pipeline.yaml"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running.append(subprocess.Popen(command, cwd=tmp_path, env=environ, **quiet))
    try:
        end = time.monotonic() + PATIENCE
        while len(asked) < RATE and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(4)
    finally:
        for each in running:
            each.kill()
            each.wait()

    assert RATE == len(asked)
    assert 0o700 == (tmp_path / "user" / "oplead-sync" / "pace").stat().st_mode & 0o777


@pytest.fixture
def pacer(tmp_path):
    """Makes the pacer of a folder."""

    def make(clock, folder, **more):
        oplead = OpleadSettings(rate=1, base_url="https://crm.example.org", token="tok-1")
        return pacer_for(oplead, clock, state=folder and StateFile(tmp_path / folder / "state.db"), **more)

    return make


def test_folders_share_a_pace_by_their_user_and_commands_by_their_folder(pacer, tmp_path, monkeypatch):
    """A service that may not write to its user's folder counts with whoever uses the same state."""
    clock = FakeClock()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))
    with slot(pacer(clock, "one")):
        pass

    assert clock.now() < pacer(clock, "other").take_request_slot()
    assert clock.now() < pacer(clock, None).take_request_slot()
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/none")
    assert clock.now() < pacer(clock, "one").take_request_slot()
    assert pacer(clock, "other").take_request_slot() is None


def test_sandbox_s_time_counts_for_its_own_folder_alone(pacer, tmp_path, monkeypatch):
    """Another one's, at the same address, may be another day's; and rehearsals leave nothing in a user's folders."""
    clock = FakeClock()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))
    with slot(pacer(clock, "one", is_sandbox=True)):
        pass

    assert pacer(clock, "other", is_sandbox=True).take_request_slot() is None
    assert not (tmp_path / "user").exists()


def test_what_stands_in_both_files_counts_once(tmp_path):
    """Otherwise a rate would be half of what it is."""
    files = [pace_file(tmp_path / each, "https://crm.example.org", "tok-1") for each in ("user", "state")]
    own, clock = SharedRequestHistory(*files), FakeClock()
    with own.lock_and_update_request_history(_history(clock, 3), clock.now()):
        pass

    with SharedRequestHistory(*files).lock_and_update_request_history(_history(clock, 0), clock.now()) as (_, others):
        assert [3] == [len(each.answered) for each in others]


def _history(clock, count):
    return ProcessRequestHistory([], [clock.now()] * count, None, None)


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"XDG_STATE_HOME": "{}/state", "HOME": "{}"}, "state/oplead-sync/pace"),
        ({"HOME": "{}"}, ".local/state/oplead-sync/pace"),
        ({"HOME": "{}/none"}, None),
        ({"XDG_STATE_HOME": "relative"}, None),
        ({"XDG_STATE_HOME": "{}/file"}, None),
        ({}, None),
    ],
)
def test_user_s_folder_is_where_programs_keep_what_they_know(tmp_path, environ, place):
    """No home is made for a user without one."""
    (tmp_path / "file").touch()
    found = user_pace_folder({name: value.format(tmp_path) for name, value in environ.items()})

    assert (place and tmp_path / place) == found
