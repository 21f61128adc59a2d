"""A claim is confirmed only by what could not be so otherwise, and refuted only by what could not be so if it held."""

from dataclasses import replace

import pytest

from connectors.evidence import ListAnswer, OpleadLook
from connectors.survey import Survey
from jobs.claims import SettledHow, all_claims
from jobs.evidence.oplead_reads import JUDGEMENTS
from jobs.evidence.verdicts import Verdict

READ = ListAnswer(200, 3, 3)
LOOK = OpleadLook(
    survey=Survey(leads=60, suggestion={"since_filter": {"param": "updatedAfter"}}),
    is_usual_host=True,
    usual_way=200,
    usual_way_shows_leads=True,
    without_key=401,
    pages=3,
    documentation=200,
    is_specified=True,
    exact_names={"leadData": 60, "statusDate": 60, "statusHistory": 0},
    leads=60,
    own_pages=20,
    unread_pages=0,
    status_places=frozenset({"statusHistory", "updatedAt"}),
    are_status_dates_zoned=True,
    lists={"subscriptions": READ, "channels": READ, "custom_fields": replace(READ, entries=30)},
    dialect=None,
)
UNDECIDED = Survey(leads=60, total=99, undecided=("oplead.pagination.style: …", "oplead.fields.status: …"))
NO_CLICK_IDS = Survey(leads=60, undecided=("oplead.fields.click_id: …",))
NO_NAMES = {"leadData": 0, "statusDate": 0, "statusHistory": 0}
C, R, U = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNCLEAR


@pytest.mark.parametrize(
    ("claim", "seen", "verdict"),
    [
        ("key_header", {}, C),
        ("key_header", {"is_usual_host": False}, U),
        ("key_header", {"usual_way_shows_leads": False}, U),
        ("key_header", {"without_key": 200}, U),
        ("key_header", {"without_key": None}, U),
        ("key_header", {"usual_way": 401}, R),
        ("key_header", {"usual_way": 404}, R),
        ("key_header", {"usual_way": 401, "leads": 0}, U),
        ("key_header", {"usual_way": 429}, U),
        ("key_header", {"usual_way": None}, U),
        ("list_shape", {}, C),
        ("list_shape", {"pages": 1}, U),
        ("list_shape", {"survey": Survey(leads=60)}, U),
        ("list_shape", {"survey": UNDECIDED, "pages": 1}, R),
        ("list_shape", {"ran_out": True}, U),
        ("list_shape", {"survey": UNDECIDED, "pages": 1, "ran_out": True}, U),
        *(("list_shape", {"survey": replace(UNDECIDED, total=total), "pages": 1}, U) for total in (60, None)),
        *(("list_shape", {"survey": UNDECIDED, "pages": pages}, U) for pages in (0, 2)),
        ("field_names", {}, U),
        ("field_names", {"survey": UNDECIDED}, R),
        ("field_names", {"survey": UNDECIDED, "own_pages": 19}, U),
        ("field_names", {"survey": NO_CLICK_IDS}, U),
        ("documentation", {}, C),
        *(("documentation", {"is_specified": False, "documentation": code}, R) for code in (404, 410)),
        *(
            ("documentation", {"is_specified": False, "documentation": code}, U)
            for code in (200, 302, 401, 403, 500, None)
        ),
        ("lead_data", {}, C),
        ("lead_data", {"exact_names": NO_NAMES}, R),
        ("lead_data", {"exact_names": NO_NAMES, "own_pages": 19}, U),
        ("status_dates", {}, C),
        ("status_dates", {"are_status_dates_zoned": False}, U),
        ("status_dates", {"exact_names": NO_NAMES}, R),
        ("status_dates", {"exact_names": NO_NAMES, "own_pages": 19}, U),
        ("status_dates", {"status_places": frozenset({"depuis"})}, U),
        ("lists", {}, C),
        ("lists", {"lists": dict.fromkeys(LOOK.lists, READ)}, U),
        ("lists", {"lists": {**LOOK.lists, "channels": ListAnswer(403, None, 0)}}, U),
        ("lists", {"lists": {**LOOK.lists, "channels": ListAnswer(503, None, 3)}}, U),
    ],
)
def test_a_look_is_judged(claim, seen, verdict):
    """As it is said of each claim."""
    assert verdict is JUDGEMENTS[f"oplead.{claim}"](replace(LOOK, **seen)).verdict


def test_only_claims_that_reading_settles_are_judged():
    """And every one of Oplead's that an account's API can show."""
    by_reading = {claim.id for claim in all_claims().values() if claim.how is SettledHow.READ}

    assert set(JUDGEMENTS) == {one for one in by_reading if one.startswith("oplead.")} - {
        "oplead.export",
        "oplead.banners",
    }
