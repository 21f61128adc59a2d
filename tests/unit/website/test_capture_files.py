"""The capture script as files: its size, its syntax, and nothing in it that could send."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.website import SCRIPTS

MINIFIED = SCRIPTS / "capture.min.js"
DOCS = Path(__file__).parents[3] / "docs"
PAGES = (DOCS / "website.md", DOCS / "fr" / "site-web.md")


def test_minified_script_has_at_most_4096_bytes_and_is_of_this_source():
    """Its first line names the source it was made from; `make script` makes it anew."""
    minified = MINIFIED.read_bytes()
    source = hashlib.sha256((SCRIPTS / "capture.js").read_bytes()).hexdigest()

    assert len(minified) <= 4096
    assert source[:8] == re.match(rb"/\*! oplead-sync capture, MIT, of (\w+) \*/\n", minified)[1].decode()


def test_script_asks_for_nothing():
    """It knows no address and calls nothing that could send anything."""
    for script in SCRIPTS.glob("*.js"):
        code = re.sub(r"^\s*//.*$", "", script.read_text(), flags=re.MULTILINE)

        assert [] == re.findall(
            r"https?:|fetch|XMLHttp|sendBeacon|WebSocket|EventSource|new Image|import|eval|\.cookie *=", code
        )


def test_source_may_be_pasted_into_tag_manager():
    """It has no syntax newer than ES5, no variable of Tag Manager's and no end of a script."""
    assert [] == re.findall(r"\{\{|</", (SCRIPTS / "capture.js").read_text())
    code = re.sub(
        r"//.*$|/\*.*?\*/|'[^'\n]*'", "", (SCRIPTS / "capture.js").read_text(), flags=re.MULTILINE | re.DOTALL
    )

    assert [] == re.findall(r"=>|`|\b(?:let|const|class|async|await)\b|\?\.|\?\?|\.\.\.", code)


CONSENT = "leadData.consent"
FORMS = [
    ({}, []),
    ({"EXTERNAL_ID": "gclid=Ab3-_x&gclid_ts=2026-09-01T10:00:00.000Z", "CONSENT": "oui"}, [0, 4]),
    ({"CONSENT": '" --yes $(exit) x=y'}, [4]),
    ({"UTM_SOURCE": "-x", "UTM_MEDIUM": "a b;*", "UTM_CAMPAIGN": "\"'><script>$(exit)`exit`"}, [1, 2, 3]),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("page", PAGES, ids=["en", "fr"])
def test_documented_command_passes_on_what_the_form_holds(tmp_path, page, form):
    """An empty field is left out, a box left unticked is a no, and a hostile value stays one value."""
    values, given = form
    command = re.search(r"```sh\n(oplead-sync oplead leads create .*?)```", page.read_text(), re.DOTALL)[1]
    shim = tmp_path / "oplead-sync"
    shim.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    shim.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SUBMISSION_ID": "F-1", "EMAIL": "claire@example.com"} | values

    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, timeout=10, check=True
    )

    options = ["--external-id", "--utm-source", "--utm-medium", "--utm-campaign", f"--field={CONSENT}"]
    hidden = [f"{options[at]}={value}" for at, value in zip(given, values.values(), strict=True)]
    unticked = [] if "CONSENT" in values else [f"--field={CONSENT}=non"]
    assert ["--yes", "--reference=F-1", "--email=claire@example.com", *hidden, *unticked] == done.stdout.splitlines()[
        5:
    ]


def test_documented_command_answers_where_the_example_settings_ask():
    """Otherwise a missing consent would hold every lead back."""
    example = YAML(typ="safe").load((DOCS.parent / "config" / "pipeline.example.yaml").read_text(encoding="utf-8"))
    asked = example["consent"]["ad_user_data"]

    assert (CONSENT, True) == (asked["field"], "non" in asked["refused"])
