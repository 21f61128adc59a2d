"""The Google Ads API over TLS, as in production: only a server with a trusted authority receives anything."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.support.traffic import UPLOAD

COMMAND = Path(sys.executable).with_name("oplead-sync")
PATIENCE_SECONDS = 60
STOPPED = 3


@pytest.fixture
def company(company):
    """A company that calls the Google Ads API on its TLS port, with one lead to send."""
    company.use_ads_api()
    company.settings["google_ads"]["ads_api_endpoint"] = company.sandbox.sandbox_server_urls["google_ads_tls"]
    company.serve(company.lead(1, ("Gagné", company.START - timedelta(days=1))))
    return company


def installed_command(company, *arguments, **environ):
    """Run the installed command in its own process; return its exit code and output."""
    result = subprocess.run(
        [COMMAND, *arguments, "--config", str(company.config)],
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        | company.environ
        | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def test_run_over_tls_to_a_trusted_server(company):
    """The stock client sends its token and the manager's id, and everything is accepted."""
    seen = []
    company.before("google_ads_tls", UPLOAD, lambda call: seen.append(call.metadata))

    code, printed = installed_command(company, "run", GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(company.sandbox.certificate))

    assert 0 == code, printed
    assert {("L-1", "appointment"): "accepted", ("L-1", "sale"): "accepted"} == company.states()
    assert [] == company.disagreements()
    assert 2 == len(seen)
    assert {"1112223333"} == {metadata["login-customer-id"] for metadata in seen}
    assert all(metadata["authorization"].startswith("Bearer ") for metadata in seen)
    assert [] == company.asked("google_ads")


def test_untrusted_server_stops_the_destination(company):
    """Nothing is sent, so no row is `in_doubt`."""
    code, out, err = company.command("run")
    printed = out + err

    assert STOPPED == code
    assert "no connection to the Google Ads API" in printed
    assert [] == company.times("google_ads") == company.calls
    assert {"pending"} == set(company.states().values())
    assert "Traceback" not in printed
