"""The metrics of a night, in the Prometheus text format."""

import os
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import select

from jobs.ledger.runs import finish_run
from jobs.ledger.schema import Run
from jobs.metrics import AccountMetrics, run_metrics, write_metrics
from tests import fakes
from tests.builders import lead
from tests.fakes import NIGHT

DAY = timedelta(days=1)
SECONDS = datetime(2026, 9, 10, 3, 40, tzinfo=UTC).timestamp()


def measured(**over):
    """Return the metrics of a successful night."""
    plain = {
        "account": "maison-durand",
        "ended_at": datetime(2026, 9, 10, 3, 40, tzinfo=UTC),
        "exit_code": 0,
        "last_success": datetime(2026, 9, 10, 3, 40, tzinfo=UTC),
        "deliveries": Counter({("sale", "google_ads", "accepted"): 3, ("sale", "meta", "rejected"): 1}),
        "open": 7,
        "oldest_due": datetime(2026, 9, 10, 2, 40, tzinfo=UTC),
    }
    return AccountMetrics(**(plain | over))


def read(path):
    """Return every sample: name without the prefix, labels without the account, and value."""
    found = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert "maison-durand" == labels.pop("account")
            found[(sample.name.removeprefix("oplead_sync_"), *labels.values())] = sample.value
    return found


def test_every_metric_is_written_with_its_account(tmp_path):
    """docs/operations.md lists the same metrics."""
    path = tmp_path / "oplead.prom"
    write_metrics(measured(), path)

    assert {
        ("last_run_timestamp_seconds",): SECONDS,
        ("last_success_timestamp_seconds",): SECONDS,
        ("exit_code",): 0,
        ("open_deliveries",): 7,
        ("oldest_due_age_seconds",): 3600,
        ("night_deliveries", "sale", "google_ads", "accepted"): 3,
        ("night_deliveries", "sale", "meta", "rejected"): 1,
    } == read(path)


def test_failed_write_leaves_the_previous_file_intact(tmp_path, monkeypatch):
    """A collector never reads half a file, and no temporary file is left."""
    path = tmp_path / "oplead.prom"
    write_metrics(measured(), path)
    before = path.read_text(encoding="utf-8")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_metrics(measured(exit_code=3), path)

    assert (before, [path]) == (path.read_text(encoding="utf-8"), list(tmp_path.iterdir()))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_metrics_file_is_readable_by_its_owner_only(tmp_path, umask):
    """The umask does not matter."""
    path = tmp_path / "oplead.prom"
    before = os.umask(umask)
    try:
        write_metrics(measured(), path)
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_rewriting_keeps_the_file_permissions(tmp_path):
    """A collector of another user was once given access."""
    path = tmp_path / "oplead.prom"
    write_metrics(measured(), path)
    path.chmod(0o640)
    write_metrics(measured(exit_code=3), path)

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    assert 3 == read(path)["exit_code",]


def test_file_with_other_content_is_not_overwritten(tmp_path):
    """The path in `metrics` was mistyped."""
    path = tmp_path / "pyproject.toml"
    path.write_text("[project]")
    with pytest.raises(FileExistsError, match="it holds something else, and was left as it is"):
        write_metrics(measured(), path)

    assert ("[project]", [path]) == (path.read_text(), list(tmp_path.iterdir()))


def test_stopped_night_keeps_the_time_of_the_last_success(account):
    """It also shows since when the oldest delivery has been due."""
    account.put(lead())
    first, _ = run(account)
    account.put(lead("L-2"))
    account.clock.time += DAY
    account.sink.script.append(fakes.refuse(fakes.OutcomeClass.FIX_CONFIG))
    second, row = run(account)

    assert (0, NIGHT, None) == (first.exit_code, first.last_success, first.oldest_due)
    assert (3, NIGHT) == (second.exit_code, second.last_success)
    assert row.at == second.oldest_due


def run(account):
    """Run a night and return its metrics."""
    summary = account.night()
    with account.hold() as ledger:
        with ledger.write_transaction() as session:
            for each in session.exec(select(Run)):
                each.command = "run"
        finish_run(ledger, summary.exit_code, now=account.clock.now())
        numbers = run_metrics(ledger, (), exit_code=summary.exit_code, now=account.clock.now())
    return numbers, account.rows()[-1]
