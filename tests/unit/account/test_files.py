"""Which settings files a command reads, and which accounts would conflict."""

import pytest
from structlog.testing import capture_logs

from jobs.account.files import find_settings_files, load_accounts
from jobs.exit_codes import UsageError

ENVIRON = {"OPLEAD_TOKEN": "t0ken-of-oplead", "META": "t0ken-of-meta"}
SETTINGS = """
account: {account}
currency: EUR
state: sqlite:///{state}
metrics: {metrics}
oplead: {{ token: "${{OPLEAD_TOKEN}}" }}
stages: {{ won: [Gagné] }}
consent: {{ ad_user_data: {{ field: c, granted: [oui], refused: [non] }} }}
meta: {{ dataset_id: "1", access_token: "${{META}}" }}
conversions: [{{ id: sale, stage: won, value: 60, meta: {{ event: Purchase }} }}]
"""


@pytest.fixture
def write(tmp_path):
    """Write an account's settings file: `write("paris")`."""

    def write(name, **told):
        file = tmp_path / f"{name}.yaml"
        plain = {"account": name, "state": f"{name}.db", "metrics": f"{name}.prom"}
        file.write_text(SETTINGS.format(**plain | told))
        return file

    return write


def _may_run(account):
    """Whether the settings are usable, alone and beside the others."""
    try:
        return bool(account.settings)
    except UsageError:
        return False


def test_a_folder_means_every_settings_file_in_it(tmp_path, write):
    """They come by name; hidden files, examples, other extensions and subfolders are skipped."""
    paris, lyon = write("paris"), write("lyon")
    (tmp_path / "nice.yml").write_text("")
    for name in (".paris.yaml", "pipeline.example.yaml", "pipeline.schema.json", "paris.yaml.bak"):
        (tmp_path / name).write_text("")
    (tmp_path / "old.yaml").mkdir()

    assert [lyon, tmp_path / "nice.yml", paris] == find_settings_files([tmp_path])


def test_files_and_folders_may_be_mixed(tmp_path, write):
    """They keep the order given; a missing file is reported later as unreadable."""
    paris = write("paris")

    assert [tmp_path / "none.yaml", paris] == find_settings_files([tmp_path / "none.yaml", tmp_path])


def test_a_folder_without_settings_is_refused(tmp_path):
    """The message names it and says what to do."""
    with pytest.raises(UsageError, match=f"^{tmp_path}: no settings in this folder; write"):
        find_settings_files([tmp_path])


def test_accounts_without_conflicts_may_all_run(write):
    """A broken settings file does not keep the others from running."""
    broken = write("broken", account="No Slug!")
    opened = load_accounts([write("paris"), broken, write("lyon")], ENVIRON)

    assert [True, False, True] == [_may_run(each) for each in opened]
    assert ["paris", str(broken), "lyon"] == [each.name for each in opened]


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"account": "paris"}, "account 'paris'"),
        ({"state": "paris.db"}, "the same `state:`"),
        ({"metrics": "paris.prom"}, "the same `metrics:`"),
    ],
)
def test_accounts_that_would_write_the_same_files_are_refused(write, second, what):
    """Both are refused with a message that names both; a third one runs."""
    paris, other, third = write("paris"), write("other", **second), write("third")
    first, second, last = load_accounts([paris, other, third], ENVIRON)

    assert _may_run(last)
    for one in (first, second):
        with pytest.raises(UsageError, match=what) as refused:
            _ = one.settings_with_notes
        assert all(str(file) in str(refused.value) for file in (paris, other))


def test_a_shared_env_file_is_reported_once(write, tmp_path):
    """The message lists every variable that any account takes from it."""
    env_file = tmp_path / ".env"
    env_file.write_text("OPLEAD_TOKEN=t0ken-of-oplead\nMETA=t0ken-of-meta\nUNUSED=x\n")
    env_file.chmod(0o640)
    with capture_logs() as logged:
        opened = load_accounts([write("paris"), write("lyon")], {"META": "t"})
    told = [each["event"] for each in logged]

    assert all(map(_may_run, opened))
    assert [
        f"read from {env_file}: OPLEAD_TOKEN",
        f"{env_file} holds secrets and others may read it: chmod 600 {env_file}",
    ] == told
    assert "t0ken" not in str(logged)


def test_one_file_given_twice_is_refused(write):
    """Its second run would wait for the first one's lease."""
    paris = write("paris")

    assert not any(map(_may_run, load_accounts([paris, paris], ENVIRON)))
