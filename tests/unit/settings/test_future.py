"""A start in the future is told: a mistyped year sends nothing, and nobody hears of it."""

from datetime import UTC, datetime

from jobs.settings.unmatched import future_notes

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
GOOGLE = "google_ads: { conversion_action: 12 }"


def noted(loaded, tmp_path, **changed):
    """What is noted, by path."""
    answer = loaded(**changed)
    notes = future_notes(tmp_path / "pipeline.yaml", answer.settings, NOW)
    return {note.path: (note.line, note.message) for note in notes}


def test_a_since_in_the_future_is_told_at_its_line(loaded, tmp_path):
    """And what it means; one that has come is not, to the second."""
    sale = f"{{ id: sale, stage: won, since: 2027-09-01, {GOOGLE} }}"
    come = "{ id: meeting, stage: appointment, since: 2026-09-10 05:30, google_ads: { conversion_action: 13 } }"
    ((path, (line, message)),) = noted(loaded, tmp_path, conversions=f"[{sale}, {come}]").items()

    assert ("conversions.0.since", 7) == (path, line)
    assert message.startswith("2027-09-01 lies in the future: until then nothing is sent")


def test_so_is_the_funnels(loaded, tmp_path):
    """Meta's stages have a start of their own."""
    meta = "{ dataset_id: '1', access_token: '${META_ACCESS_TOKEN}', funnel_since: 2026-10-01, "
    meta += "funnel: { created: lead_received, won: sale } }"

    assert ["meta.funnel_since"] == list(noted(loaded, tmp_path, meta=meta))


def test_without_a_start_nothing_is_told(loaded, tmp_path):
    """The first run settles it."""
    assert {} == noted(loaded, tmp_path)
