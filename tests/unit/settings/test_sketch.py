"""A file that is not finished yet is read as far as looking at Oplead needs."""

import pytest

from jobs.settings import Invalid
from jobs.settings.sketch import sketch, sketch_of


@pytest.fixture
def read(tmp_path):
    """Read a text as a settings file."""

    def write(text):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text)
        return sketch(file, {"OPLEAD_TOKEN": "tok-0123456789"})

    return write


def test_the_oplead_section_is_enough(read):
    """Nothing else has to stand there."""
    told = read("oplead: { token: '${OPLEAD_TOKEN}', rate: 30 }")

    assert (30, "Europe/Paris", {}) == (told.look.oplead.rate, told.look.timezone, told.look.stages)
    assert {"token": "${OPLEAD_TOKEN}", "rate": "30"} == told.section


def test_what_is_wrong_elsewhere_is_left_to_check(read):
    """Stages are used where they can be read; half a consent and unknown keys are passed over."""
    told = read(
        "account: maison\noplead: { token: '${OPLEAD_TOKEN}' }\nstages: { won: [Gagné] }\n"
        "consent: { missing: withhold }\nconversions: []\nnonsense: 1\n"
    )

    assert ({"won": ("Gagné",)}, None) == (told.look.stages, told.look.consent)
    assert told.state_folder is not None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("stages: { won: [Gagné] }", "oplead"),
        ("oplead: { token: '${NOBODY}' }", "oplead.token"),
        ("oplead: { token: '${OPLEAD_TOKEN}', raet: 30 }", "oplead.raet"),
        ("oplead: { token: '${OPLEAD_TOKEN}' }\ntimezone: Paris", "timezone"),
        ("oplead: { token: '${OPLEAD_TOKEN}' }\nclock: http://127.0.0.1:1", "clock"),
    ],
)
def test_what_looking_needs_must_be_right(read, text, path):
    """Each problem names its place."""
    told = read(text)

    assert isinstance(told, Invalid)
    assert path in [problem.path for problem in told.problems]


def test_an_address_is_refused_as_in_a_file():
    """Plain http is for this machine only."""
    with pytest.raises(ValueError, match="plain http"):
        sketch_of("http://example.org", "t", "${OPLEAD_TOKEN}")


def test_a_clock_is_refused_as_in_a_file():
    """A sandbox's rules over nothing real."""
    with pytest.raises(ValueError, match=r"clock: .*not on this machine: oplead\.base_url"):
        sketch_of(None, "t", "${OPLEAD_TOKEN}", clock="http://127.0.0.1:1")
