"""A start date in the future is noted: with a mistyped year nothing is sent, and no error says so."""

from datetime import UTC, datetime

from jobs.settings.unmatched import notes_on_future_starts

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
GOOGLE = "google_ads: { conversion_action: 12 }"


def noted(loaded, tmp_path, **changed):
    """The notes, by path."""
    answer = loaded(**changed)
    notes = notes_on_future_starts(tmp_path / "pipeline.yaml", answer.settings, NOW)
    return {note.path: (note.line, note.message) for note in notes}


def test_a_since_date_in_the_future_is_noted_at_its_line(loaded, tmp_path):
    """The note says what it means; a date that has just passed, to the second, is not noted."""
    sale = f"{{ id: sale, stage: won, since: 2027-09-01, {GOOGLE} }}"
    come = "{ id: meeting, stage: appointment, since: 2026-09-10 05:30, google_ads: { conversion_action: 13 } }"
    ((path, (line, message)),) = noted(loaded, tmp_path, conversions=f"[{sale}, {come}]").items()

    assert ("conversions.0.since", 7) == (path, line)
    assert message.startswith("Wed 1 Sep 2027 lies in the future: until then nothing is sent")


def test_a_funnel_start_in_the_future_is_noted(loaded, tmp_path):
    """Meta's funnel stages have a start of their own."""
    meta = "{ dataset_id: '1', access_token: '${META_ACCESS_TOKEN}', funnel_since: 2026-10-01, "
    meta += "funnel: { created: lead_received, won: sale } }"

    assert ["meta.funnel_since"] == list(noted(loaded, tmp_path, meta=meta))


def test_no_note_without_a_start_date(loaded, tmp_path):
    """The first run then sets the start."""
    assert {} == noted(loaded, tmp_path)
