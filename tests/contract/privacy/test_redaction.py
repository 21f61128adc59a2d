"""No library's own words reach a log or stderr, whatever it logs, warns of or raises, at DEBUG."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.privacy.loud_libraries import LIBRARIES, marker

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("loud_libraries.py")


def output(how):
    """All that the libraries wrote to stdout and stderr, in a process of their own."""
    asked = {"PYTHONPATH": str(ROOT), "GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "http,call,channel"}
    done = subprocess.run(
        [sys.executable, SCRIPT, how],
        env=os.environ | asked | {"LANG": "C", "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert 1 == done.returncode, done.stderr  # the last of them raises what nothing catches
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def bare():
    """What they say by themselves."""
    return output("bare")


@pytest.fixture(scope="module")
def redacted():
    """What the command lets them say."""
    return output("redacted")


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_of_what_a_library_says_is_shown(library, bare, redacted):
    """It would have shown its marker: in an address, a header, a body, an error, a parameter or a name."""
    assert marker(library) in bare

    assert marker(library) not in redacted


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("urllib3.connectionpool", "urllib3/connectionpool.py:"),
        ("httpx", "httpx/_client.py:"),
        ("httpcore.http11", "httpcore/_trace.py:"),
        ("google.ads.googleads", "google/ads/googleads/interceptors/logging_interceptor.py:"),
        ("google.auth.transport.requests", "google/auth/_helpers.py:"),
        ("google.ads.datamanager_v1.services.ingestion_service.transports.rest", "google/ads/datamanager_v1/"),
        ("apprise", "apprise/plugins/custom_json.py:"),
        ("uvicorn.error", "uvicorn/protocols/http/h11_impl.py:"),
        ("sqlalchemy.engine.Engine", "sqlalchemy/engine/"),
        ("alembic.autogenerate.compare.tables", "alembic/autogenerate/"),
        ("apscheduler.executors.default", "apscheduler/executors/base.py:"),
        ("asyncio", "base_events.py:"),
    ],
)
def test_each_record_says_where_in_the_code_it_was_made(source, place, redacted):
    """With that, its words can be looked up in the library's code; they hold no data there."""
    lines = [line for line in redacted.splitlines() if line.startswith(f"{source} reported ")]

    assert [line for line in lines if f" at {place}" in line]


@pytest.mark.parametrize("source", ["python", "python.threading", "python.unraisable", "python.warnings"])
def test_what_nothing_catches_is_reported_by_its_type_and_places(source, redacted):
    """On the main thread, in another, in a destructor, and as a warning."""
    kind = "UserWarning" if source == "python.warnings" else "ValueError"

    assert f'"event": "{source} reported {kind} at loud_libraries.py:' in redacted
