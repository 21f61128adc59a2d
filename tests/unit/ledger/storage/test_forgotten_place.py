"""The second place is written whole, and once for whatever it learns together."""

from datetime import date, timedelta

from jobs.ledger.storage.forgotten_place import ForgottenPlace


def test_what_the_ledger_knows_is_written_at_once(tmp_path, monkeypatch):
    """Also if its leads were forgotten on many days: each writing waits for the disk."""
    written = []
    monkeypatch.setattr(ForgottenPlace, "_write", lambda place: written.append(len(place.days)))
    place = ForgottenPlace(tmp_path / "place", "maison-test", "00")
    place.match({f"L-{number}": date(2026, 1, 1) + timedelta(days=number) for number in range(9)})
    place.match({"L-1": date(2026, 9, 9)})

    assert [9] == written
    assert date(2026, 1, 2) in place.days.values()
    assert 8 == len(place.unmatched)
