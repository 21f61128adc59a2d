"""The capture script as files: its size, its syntax, and nothing in it that could send."""

import hashlib
import re

from tests.website import SCRIPTS

MINIFIED = SCRIPTS / "capture.min.js"


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
    """It has no syntax newer than ES5."""
    code = re.sub(
        r"//.*$|/\*.*?\*/|'[^'\n]*'", "", (SCRIPTS / "capture.js").read_text(), flags=re.MULTILINE | re.DOTALL
    )

    assert [] == re.findall(r"=>|`|\b(?:let|const|class|async|await)\b|\?\.|\?\?|\.\.\.", code)
