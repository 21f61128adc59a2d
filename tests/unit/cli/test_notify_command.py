"""`notify --test` sends each address one message and says what happened, without showing an address."""

import json
import os

import pytest
from typer.testing import CliRunner

from jobs.cli.app import app
from tests import quick
from tests.e2e.support.typed import SCHEMA
from tests.reported import SETTINGS, WrittenLedger, on, settings_from


@pytest.fixture
def account(tmp_path, httpserver, monkeypatch):
    """The settings of an account with one address that takes messages and one that does not."""
    httpserver.expect_request("/up").respond_with_data("ok")
    httpserver.expect_request("/down").respond_with_data("no", status=403)
    at = f"json://user:s3cret@127.0.0.1:{httpserver.port}"
    secrets = {"UP": f"{at}/up", "DOWN": f"{at}/down", "OPLEAD_TOKEN": "o", "META_ACCESS_TOKEN": "m"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings_from(tmp_path, f'language: en\nnotify: ["${{UP}}", "${{DOWN}}"]\n{SETTINGS}')
    return tmp_path / "pipeline.yaml"


def notify(*arguments):
    """Run the command."""
    return CliRunner().invoke(app, ["notify", *map(str, arguments)])


def test_each_address_has_its_line(account, httpserver):
    """Without a state, the message only says that it arrives."""
    ran = notify("--test", "--config", account)

    assert [
        "maison-durand: notify.0 (JSON): taken within 1 second",
        "maison-durand: notify.1 (JSON): refused (HTTP 403)",
    ] == ran.stdout.splitlines()
    assert 1 == ran.exit_code
    assert "s3cret" not in ran.output
    assert ["This is a test: messages arrive here."] * 2 == [
        json.loads(request.data)["message"] for request, _ in httpserver.log
    ]


def test_the_message_is_the_summary_of_the_last_seven_days(account, httpserver):
    """Whoever gets it sees what each week will bring; it says that it is a test."""
    made = WrittenLedger(account.parent / "maison-durand.db")
    made.run(1, on("11-10"))
    made.write()
    quick.with_state(account.parent / "maison-durand.db")
    notify("--test", "--config", account)
    said = json.loads(httpserver.log[0][0].data)

    assert said["title"].startswith("maison-durand: test: the week to ")
    assert said["message"].startswith("This is a test.")
    assert "Signed sales from ads: 0" in said["message"]


def test_addresses_that_all_take_it_end_with_0(account, monkeypatch):
    """Scripts can rely on it."""
    monkeypatch.setenv("DOWN", f"{os.environ['UP']}?x=1")

    assert 0 == notify("--test", "--config", account).exit_code


def test_programs_get_one_object_for_each_address(account):
    """Whatever language the account's messages are in, and without an address."""
    ran = notify("--test", "--json", "--config", account)
    tried = [json.loads(line) for line in ran.stdout.splitlines()]

    assert [
        ("maison-durand", "notify.0", "JSON", "accepted", None),
        ("maison-durand", "notify.1", "JSON", "refused", 403),
    ] == [tuple(one[key] for key in ("account", "place", "service", "outcome", "http_status")) for one in tried]
    assert all(SCHEMA.is_valid(one) for one in tried)
    assert 1 == ran.exit_code
    assert "s3cret" not in ran.output


def test_an_account_without_addresses_is_told_so(account):
    """Nothing was tried, so nothing is fine."""
    account.write_text("\n".join(line for line in account.read_text().splitlines() if not line.startswith("notify")))
    ran = notify("--test", "--config", account)

    assert (2, "") == (ran.exit_code, ran.stdout)


def test_without_the_option_nothing_is_sent(account, httpserver):
    """Nights send notices by themselves."""
    assert 2 == notify("--config", account).exit_code
    assert [] == httpserver.log
