"""An account whose nights end by erasing what has grown old, as `oplead-sync run` has them."""

import json
from datetime import timedelta

import pytest

from jobs.ledger.runs import finish_run
from jobs.nightly import run_night
from jobs.privacy.retention import erase_by_age
from jobs.reporting.page.facts import Period
from jobs.reporting.page.gather import gather
from jobs.reporting.page.leads import archive
from jobs.settings import load
from jobs.wiring.account import compile_rules_only
from tests.builders import ACCOUNT

DAY = timedelta(days=1)
SETTINGS = f"""
account: {ACCOUNT}
currency: EUR
oplead: {{ token: "${{OPLEAD_TOKEN}}" }}
stages: {{ appointment: [Rendez-vous], won: [Gagné], lost: [Perdu] }}
ignored_statuses: [Nouveau]
consent: {{ ad_user_data: {{ field: consent, granted: oui, refused: non }} }}
google_ads: {{ customer_id: 123-456-7890, credentials: key.json }}
conversions:
  - {{ id: sale, stage: won, value: {{ field: amount, tax: included }}, undo_when: [lost],
      google_ads: {{ conversion_action: 12 }} }}
"""


def settings_in(folder, more=""):
    """The settings of the account, and more of them as YAML."""
    key = {"type": "service_account", "client_email": "a@b.example", "private_key": "-"}
    (folder / "key.json").write_text(json.dumps(key | {"token_uri": "https://t.example/"}))
    file = folder / "pipeline.yaml"
    file.write_text(f"{SETTINGS}\n{more}\n")
    return load(file, {}, secrets=False).settings


@pytest.fixture
def account(account, keeping):
    """An account that keeps things as long as the defaults say; `night` and `report` are a command's."""

    def night(*, erases=True):
        account.source.made = 0
        with account.hold("run") as ledger:
            run = account.run(ledger)
            summary = run_night(run)
            if erases:
                summary.erased = erase_by_age(run, account.settings.retention, summary, counting(run))
            finish_run(ledger, summary.exit_code, now=account.clock.now())
            return summary

    def sweep(summary):
        with account.hold() as ledger:
            run = account.run(ledger)
            return erase_by_age(run, account.settings.retention, summary, counting(run))

    def counting(run):
        count = archive.monthly_lead_counter(account.settings, run.book, run.now())
        return lambda *args: account.count(count, *args)

    def report(first, last):
        with account.hold() as ledger, ledger.read_transaction() as session:
            return gather(session, account.settings, account.book, Period(first, last), account.clock.now())

    account.count = lambda count, *args: count(*args)
    account.night, account.sweep, account.report = night, sweep, report
    keeping(account)
    return account


@pytest.fixture
def keeping(tmp_path):
    """Give an account settings of its own, with more of them as YAML."""

    def keep(account, more=""):
        account.settings = settings_in(tmp_path, more)
        account.book = compile_rules_only(account.settings)

    return keep
