"""By the command: a lead leaves once nothing has happened to it for long, even if the night is killed, and for good."""

import json
import signal
from datetime import timedelta

from jobs.ledger import schema

DAY = timedelta(days=1)
KILLED_WHILE_ERASING = """
import killed_run
from jobs.privacy import retention
killed_run.committing(retention._Sweep, "_erase", killed_run.countdown(1))
"""


def night(company):
    """Run the command; return what it says in JSON."""
    code, out, err = company.command("run", "--json")

    assert code in (0, 1), err
    return json.loads(out)


def test_a_lead_that_left_is_neither_sent_again_nor_shown(company):
    """Its sale stays in the report, and `status` says why its counts are smaller."""
    won = company.START - DAY
    company.serve(company.lead(1, ("Gagné", won)))
    night(company)
    company.clock.advance(company.START + DAY)
    night(company)
    assert {"accepted"} == set(company.states().values())
    company.clock.advance(company.START + timedelta(days=440))
    assert 0 == night(company)["erased"]["leads"]
    assert "should have left more than a week ago" in company.command("status")[1]
    company.clock.advance(company.START + timedelta(days=441))
    with company.ended(company.start_command("run", prelude=KILLED_WHILE_ERASING)) as killed:
        killed.communicate(timeout=60)
    assert (-signal.SIGKILL, 1) == (killed.returncode, len(company.rows(schema.LeadRow)))

    assert 1 == night(company)["erased"]["leads"]
    now = company.clock.now()
    company.serve(company.lead(1, ("Gagné", won), updatedAt=now.isoformat(), amount="99 000,00 €"))
    company.clock.advance(now + DAY)
    read = night(company)["pulled"]

    assert (1, 0) == (read["too_old"], read["changed"])
    assert 2 == len(company.counted())
    assert [] == company.rows(schema.Delivery)
    _, out, _ = company.command("status", "--json")
    left = json.loads(out)["left"]
    assert (1, 2) == (left["leads"], left["conversions"])
    _, out, _ = company.command("status")
    assert "1 lead has left since" in out
    code, _, err = company.command("explain", "L-1")
    assert (2, True) == (code, "it may have left" in err)
    code, _, err = company.command("export-person", "--lead", "L-1")
    assert (2, True) == (code, "created before Fri 25 Sep 2026" in err and "it has left" in err), err
    month = won.date().replace(day=1)
    last = (month + timedelta(days=31)).replace(day=1) - DAY
    _, out, _ = company.command("report", "--json", "--from", str(month), "--to", str(last))
    report = json.loads(out)
    assert 1 == sum(row["count"] for row in report["sales"] if row["platform"] == "google")
    assert report["whole_months_before"]
    code, _, err = company.command("backfill", "--from", str(month), "--to", str(last), "--yes")
    assert (2, True) == (code, "leads to which nothing had happened for long have left" in err)
