"""Two datasets, in one file or in two accounts: each gets only its own token, and a refusal stops only one."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from tests import quick, suite
from tests.builders import stops

OURS, OTHER = TOKENS
OTHER_ACCOUNT = "maison-autre"
BOTH = ("appointment", "sale")
STOPPED = 3


@pytest.fixture
def company(company):
    """A company whose conversions go to Google and to two datasets."""
    company.use_meta(funnel={})
    ours = {"app_secret": "${META_SECRET}"} | company.settings["meta"]
    other = {"id": "meta_other", "dataset_id": OTHER, "access_token": "${OTHER_TOKEN}", "app_secret": "${OTHER_SECRET}"}
    company.settings["meta"] = [ours, ours | other]
    company.environ |= {
        "OTHER_TOKEN": TOKENS[OTHER],
        "META_SECRET": APP_SECRETS[OURS],
        "OTHER_SECRET": APP_SECRETS[OTHER],
    }
    made = company.START - timedelta(days=1)
    company.serve(*(company.lead(number, ("Gagné", made), clicks=company.both(number)) for number in (1, 2)))
    return company


def uploads(company):
    """How many uploads each dataset received, by token."""
    return Counter((post.dataset, *sorted(post.tokens)) for post in company.posts)


def no_upload_holds_what_is_not_its_own(company):
    """Assert that no address, header or body of a request to one dataset holds anything of the other."""
    for post in company.posts:
        (stranger,) = {OURS, OTHER} - {post.dataset}
        for secret in (TOKENS[stranger], APP_SECRETS[stranger], stranger):
            assert secret.encode() not in post.raw


def counted(company, dataset):
    """How many events a dataset has counted."""
    return sum(line["accepted"] for line in company.sandbox.meta.conversions_json() if line["dataset"] == dataset)


def test_two_datasets_each_use_their_own_token(company):
    """Each dataset gets every conversion once, with the proof of its own app."""
    summary = company.night()

    assert 0 == summary.exit_code
    assert {(OURS, TOKENS[OURS]): 2, (OTHER, TOKENS[OTHER]): 2} == uploads(company)
    no_upload_holds_what_is_not_its_own(company)
    for destination in ("meta", "meta_other"):
        assert {"accepted"} == set(company.states(destination).values())
        assert 4 == len(set(company.taken(destination))) == len(company.taken(destination))

    company.later()

    assert [] == company.disagreements()


@pytest.mark.parametrize("refused", suite.mostly_exhaustive(["meta", "meta_other"], "meta"))
@pytest.mark.parametrize(
    ("token", "code"),
    [pytest.param("EAArevoked", "190", id="revoked"), pytest.param(None, "100/33", id="the other dataset's")],
)
def test_refused_token_stops_only_its_dataset(company, refused, token, code):
    """The other dataset and Google are served; once fixed, everything is sent once."""
    variable, stranger, dataset = {
        "meta": ("META_ACCESS_TOKEN", OTHER, OURS),
        "meta_other": ("OTHER_TOKEN", OURS, OTHER),
    }[refused]
    (served,) = {"meta", "meta_other"} - {refused}
    token = token or TOKENS[stranger]
    for one in company.settings["meta"]:
        one.pop("app_secret")  # which would not match a wrong token
    right = company.environ[variable]
    company.environ[variable] = token

    summary = company.night()

    assert STOPPED == summary.exit_code
    assert [refused] == list(stops(summary))
    assert stops(summary)[refused].startswith(f"{code}:")
    assert token not in stops(summary)[refused]
    assert 1 == uploads(company)[dataset, token]
    assert {"pending"} == set(company.states(refused).values())
    assert {"accepted"} == set(company.states(served).values())
    assert {"submitted"} == set(company.states().values())

    company.environ[variable] = right

    assert 0 == company.later().exit_code
    assert {"accepted"} == set(company.states(refused).values())
    assert 4 == counted(company, OURS) == counted(company, OTHER)
    assert [] == company.disagreements()


def other_account(company):
    """The settings of another account, which reads the same leads and sends to the other dataset."""
    told = json.loads(company.config.read_text())
    _, other = told["meta"]
    state = quick.with_state(company.state.with_name("other.db"))
    told |= {"account": OTHER_ACCOUNT, "state": f"sqlite:///{state}", "meta": other}
    path = company.config.with_name("other.yaml")
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_two_accounts_in_one_command_keep_tokens_apart(company):
    """One account's token never reaches the other's requests, although both run in one command."""
    path = other_account(company)
    company.settings["meta"] = company.settings["meta"][0]

    code, _, printed = company.command("run", "--config", str(path))

    assert 0 == code, printed
    assert {(OURS, TOKENS[OURS]): 2, (OTHER, TOKENS[OTHER]): 2} == uploads(company)
    no_upload_holds_what_is_not_its_own(company)
    assert 4 == counted(company, OURS) == counted(company, OTHER)


@pytest.mark.parametrize("variable", suite.mostly_exhaustive(["META_ACCESS_TOKEN", "OTHER_TOKEN"], "META_ACCESS_TOKEN"))
def test_refused_token_of_one_account_spares_the_other(company, variable):
    """The command exits with 3, and the other account's run is complete."""
    path = other_account(company)
    company.settings["meta"] = company.settings["meta"][0]
    company.environ[variable] = "EAArevoked"

    code, out, err = company.command("run", "--config", str(path))

    refused, served = (OURS, OTHER) if variable == "META_ACCESS_TOKEN" else (OTHER, OURS)
    assert STOPPED == code
    assert "EAArevoked" not in out + err
    assert 0 == counted(company, refused)
    assert 4 == counted(company, served)
