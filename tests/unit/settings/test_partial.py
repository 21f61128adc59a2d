"""A file that is not finished yet is read as far as looking at Oplead needs."""

import pytest

from jobs.settings import Invalid
from jobs.settings.load import load_partial, partial_settings


@pytest.fixture
def read(tmp_path):
    """Read a text as a settings file."""

    def write(text):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text)
        return load_partial(file, {"OPLEAD_TOKEN": "tok-0123456789"})

    return write


def test_the_oplead_section_is_enough(read):
    """Nothing else has to stand there."""
    told = read("oplead: { token: '${OPLEAD_TOKEN}', rate: 30 }")

    assert (30, "Europe/Paris", {}) == (told.settings.oplead.rate, told.settings.timezone, told.settings.stages)
    assert {"token": "${OPLEAD_TOKEN}", "rate": "30"} == told.section


def test_what_is_wrong_elsewhere_is_left_to_check(read):
    """Stages are used where they can be read; half a consent and unknown keys are passed over."""
    told = read(
        "account: maison\noplead: { token: '${OPLEAD_TOKEN}' }\nstages: { won: [Gagné] }\n"
        "consent: { missing: withhold }\nconversions: []\nnonsense: 1\n"
    )

    assert ({"won": ("Gagné",)}, None) == (told.settings.stages, told.settings.consent)
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


@pytest.mark.parametrize(
    ("address", "base_url", "prefix"),
    [
        ("https://api.oplead.com", "https://api.oplead.com/", "/v1"),
        ("https://api.oplead.com/documentation/index.html", "https://api.oplead.com/", "/v1"),
        (
            "https://api.oplead.com/documentation/index.html?urls.primaryName=v1#/leads",
            "https://api.oplead.com/",
            "/v1",
        ),
        ("https://crm.example/api/v2/documentation", "https://crm.example/", "/api/v2"),
        ("https://crm.example/api/v2/swagger.json", "https://crm.example/", "/api/v2"),
        ("https://crm.example:8443/api/v2/leads", "https://crm.example:8443/", "/api/v2"),
        ("https://crm.example/api/v2/leads/{id}", "https://crm.example/", "/api/v2"),
        ("https://crm.example/api/v2/leads?page=2", "https://crm.example/", "/api/v2"),
        ("https://crm.example/api/v2/", "https://crm.example/", "/api/v2"),
        ("https://crm.example/leads", "https://crm.example/", ""),
    ],
)
def test_an_address_as_it_is_documented_is_taken_apart(address, base_url, prefix):
    """Of a page of documentation, of the list or of the whole: the host is one thing, the start of the path another."""
    oplead = partial_settings(address, "tok-0123456789", "${OPLEAD_TOKEN}").settings.oplead

    assert (base_url, prefix) == (str(oplead.base_url), oplead.path_prefix)


def test_the_start_of_the_path_can_be_said():
    """Then an address keeps its own path, but for that of a documented page."""
    said = [
        partial_settings(f"https://h.example{path}", "tok-0123456789", "", path_prefix="/v3").settings.oplead
        for path in PATHS
    ]

    expected = [("https://h.example/crm", "/v3"), ("https://h.example/", "/v3")]
    assert expected == [(str(one.base_url), one.path_prefix) for one in said]


PATHS = ("/crm", "/docs/index.html")


def test_a_start_of_the_path_that_is_none_is_refused():
    """With what to write."""
    with pytest.raises(ValueError, match=r"oplead\.path_prefix: write the start of the path, as /v1"):
        partial_settings(None, "tok-0123456789", "", path_prefix="v3")


def test_an_address_is_refused_as_in_a_file():
    """Plain http is for this machine only."""
    with pytest.raises(ValueError, match="plain http"):
        partial_settings("http://example.org", "t", "${OPLEAD_TOKEN}")


def test_a_clock_is_refused_as_in_a_file():
    """A sandbox's rules over nothing real."""
    with pytest.raises(ValueError, match=r"clock: .*not on this machine: oplead\.base_url"):
        partial_settings(None, "t", "${OPLEAD_TOKEN}", clock="http://127.0.0.1:1")
