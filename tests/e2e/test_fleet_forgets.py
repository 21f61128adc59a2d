"""A person whose lead a fleet's workers read is forgotten: the fleet's own tables, page and log never had anything."""

import json
import signal
from contextlib import closing
from datetime import timedelta

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from tests import postgresql
from tests.e2e.support.fleet import PATIENCE
from tests.e2e.support.forked import Forked
from tests.e2e.support.planted import EMAIL, PAGE, PEOPLE, PHONE, person

DAY = timedelta(days=1)
REJECTION = {
    "error": {
        "code": 400,
        "message": "Invalid argument.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "events.events[0].user_data", "description": "", "reason": "BROKEN"}],
            }
        ],
    }
}
"""Of the first event, which is the person's."""
TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'oplead_fleet')"


def contents(fleet):
    """Return every row of every table of the database, of the fleet's and of all accounts', as text by table."""
    with closing(postgresql.server().connect(conninfo_to_dict(fleet.url)["dbname"])) as connection:
        return {
            f"{schema}.{table}": [
                row for (row,) in connection.execute(SQL("SELECT t::text FROM {} t").format(Identifier(schema, table)))
            ]
            for schema, table in connection.execute(TABLES).fetchall()
        }


def found(tables):
    """Return what of the person stands in which table."""
    text = {name: "\n".join(rows).encode() for name, rows in tables.items()}
    return {name: names for name, data in text.items() if (names := PEOPLE.found_in(data))}


@pytest.mark.parametrize(
    "whom", [("--lead", "L-1"), ("--email", EMAIL), ("--phone", PHONE)], ids=["id", "e-mail", "phone"]
)
def test_a_fleet_keeps_nothing_of_a_forgotten_person(fleet, whom):
    """Its lead's id stands in the tombstone alone: in no problem, run, notice, job or settings."""
    company = fleet.company
    company.serve(
        person(company, 1, ("RDV pris", company.START - DAY), ("Gagné", company.START - DAY), amount="à voir"),
        company.lead(2, ("Gagné", company.START)),
    )
    for status, body in ((400, json.dumps(REJECTION)), (500, PAGE)):
        company.fail("data_manager", "status", status=status, body=body, path="/v1/events:ingest", count=1)
    fleet.add("maison-00", notify_when={"rejected_at_least": 1})
    with fleet.worker() as worker:
        fleet.wait_for(lambda: fleet.runs("exit_code IS NOT NULL"))
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE)
    before, page = contents(fleet), fleet.folder / "fleet.html"
    shown = "".join(fleet.command("status", "--out", page)[1:])

    assert {"public"} == {name.partition(".")[0] for name in found(before)}
    assert "hash of e-mail" in found(before)["public.contact_hash"]
    assert before["oplead_fleet.fleet_problem"]
    assert ["L-1" in row for row in before["public.incident"]] == [True], before["public.incident"]
    assert set() == PEOPLE.found_in((fleet.said + shown + page.read_text()).encode())
    process = Forked(
        ["forget", *whom, "--config", fleet.folder / "maison-00.yaml"], environ=fleet.environ, cwd=fleet.folder
    )
    out, err = process.communicate(timeout=PATIENCE)
    after = contents(fleet)

    assert (0, {}) == (process.returncode, found(after)), out + err
    assert ["public.forgotten_lead"] == [name for name, rows in after.items() if "L-1" in "\n".join(rows)]
    assert set() == PEOPLE.found_in((out + err).encode())
