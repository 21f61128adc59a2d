"""An unfinished settings file is read as far as looking at Oplead requires."""

import pytest

from jobs.settings import InvalidSettings
from jobs.settings.load import load_partial, partial_settings_without_file


@pytest.fixture
def read(tmp_path):
    """Read a text as a partial settings file."""

    def write(text):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text)
        return load_partial(file, {"OPLEAD_TOKEN": "tok-0123456789"})

    return write


def test_the_oplead_section_alone_is_enough(read):
    """Every other section may be missing."""
    told = read("oplead: { token: '${OPLEAD_TOKEN}', rate: 30 }")

    assert (30, "Europe/Paris", {}) == (told.settings.oplead.rate, told.settings.timezone, told.settings.stages)
    assert {"token": "${OPLEAD_TOKEN}", "rate": "30"} == told.section


def test_problems_outside_the_needed_sections_are_ignored(read):
    """Stages are used if readable; half a consent section and unknown keys are left to `check`."""
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
def test_problems_in_the_needed_sections_are_reported(read, text, path):
    """Each problem names its place."""
    told = read(text)

    assert isinstance(told, InvalidSettings)
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
def test_splits_an_address_into_host_and_path_prefix(address, base_url, prefix):
    """It may be that of a documentation page, of the list of leads or of the API as a whole."""
    oplead = partial_settings_without_file(address, "tok-0123456789", "${OPLEAD_TOKEN}").settings.oplead

    assert (base_url, prefix) == (str(oplead.base_url), oplead.path_prefix)


def test_an_explicit_path_prefix_is_kept():
    """The address then keeps its own path, unless that is the path of a documentation page."""
    said = [
        partial_settings_without_file(
            f"https://h.example{path}", "tok-0123456789", "", path_prefix="/v3"
        ).settings.oplead
        for path in PATHS
    ]

    expected = [("https://h.example/crm", "/v3"), ("https://h.example/", "/v3")]
    assert expected == [(str(one.base_url), one.path_prefix) for one in said]


PATHS = ("/crm", "/docs/index.html")


def test_an_invalid_path_prefix_is_refused():
    """The message says what to write."""
    with pytest.raises(ValueError, match=r"oplead\.path_prefix: write the start of the path, as /v1"):
        partial_settings_without_file(None, "tok-0123456789", "", path_prefix="v3")


def test_plain_http_is_refused_for_a_remote_address():
    """The rule is the same as in a settings file: plain HTTP is for this machine only."""
    with pytest.raises(ValueError, match="plain http"):
        partial_settings_without_file("http://example.org", "t", "${OPLEAD_TOKEN}")


def test_a_sandbox_clock_is_refused_with_a_real_address():
    """The rule is the same as in a settings file: a sandbox never sets the time for a real service."""
    with pytest.raises(ValueError, match=r"clock: .*not on this machine: oplead\.base_url"):
        partial_settings_without_file(None, "t", "${OPLEAD_TOKEN}", clock="http://127.0.0.1:1")
