"""Loading answers whatever the file holds, and never shows a secret."""

import re
from io import StringIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from jobs.settings import InvalidSettings, ValidSettings, load
from jobs.settings.load import _OTHERWISE, models_in
from jobs.settings.schema import Settings
from tests import suite

SECRET = "s3cr3t-Zq9"
LITERAL = "l1t3ral-Xw7"
ENVIRON = {"TOKEN": SECRET, "KEY": SECRET, "BROKEN": f"{SECRET} é\n"}
WHOLE = settings(
    max_examples=suite.examples(40, 100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def keys():
    """Every key of every section."""
    found, models = set(), [Settings]
    while models:
        model = models.pop()
        found |= set(model.model_fields)
        models += [below for field in model.model_fields.values() for below in models_in(field.annotation)]
    return sorted(found)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "${TOKEN}",
            "${KEY}",
            "${BROKEN}",
            "${NONE}",
            "file:/dev/zero",
            "file:.",
            "won",
            "lost",
            "created",
            "oui",
            "2026-01-01",
            "9999-12-31T23:59:59-23:59",
            "1 d",
            "999999 d",
            "59.90",
            "1e999",
            "NaN",
            "http://[",
            "https://é",
            "sqlite:///x",
            "a.b",
            "1234567890",
            "data_manager",
            "details",
            "Europe",
            "../../etc",
            "\ud800",
        ]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(keys()) | st.text(max_size=5), below, max_size=6)
    ),
    max_leaves=40,
)
GOOD = {
    "account": "a",
    "currency": "EUR",
    "oplead": {"token": "${TOKEN}"},
    "stages": {"won": ["Gagné"]},
    "consent": {"ad_user_data": {"field": "c", "granted": ["oui"], "refused": ["non"]}},
    "google_ads": {"customer_id": "1234567890", "credentials": "key.json"},
    "conversions": [{"id": "sale", "stage": "won", "google_ads": {"conversion_action": 12}}],
}


def dumped(tree):
    """A tree as YAML text."""
    text = StringIO()
    YAML(typ="safe", pure=True).dump(tree, text)
    return text.getvalue()


def answer_to(tmp_path, text):
    """Load the text and check what holds for every answer."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    answer = load(path, ENVIRON)
    shown = [str(problem) for problem in (answer.notes if isinstance(answer, ValidSettings) else answer.problems)]
    assert isinstance(answer, ValidSettings) or shown
    assert not any(SECRET in line or LITERAL in line for line in [*shown, repr(answer)])
    assert all(re.match(rf"{re.escape(str(path))}:[1-9]\d*:[1-9]\d*: \S", line) and "\n" not in line for line in shown)
    assert not any(line.endswith(_OTHERWISE) for line in shown), shown
    return answer


@WHOLE
@given(st.text())
@example("a: &a [*a]")
@example("<<: 1")
@example("? {a: 1}\n: 2")
@example("a: !!binary x\nb: !!python/object:os.system x")
@example("%YAML 1.1\n---\na: yes")
def test_loading_any_text_never_raises(tmp_path, text):
    """The text need not be YAML."""
    answer_to(tmp_path, text)


@WHOLE
@given(TREES)
def test_loading_any_structure_never_raises(tmp_path, tree):
    """Any arrangement of the known keys, with values of every kind, gives problems with a place."""
    answer_to(tmp_path, dumped(tree))


@WHOLE
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TREES, min_size=1, max_size=3))
def test_loading_a_valid_file_with_broken_sections_never_raises(tmp_path, spoilt):
    """Random sections stand between valid ones, so that every check is reached."""
    answer_to(tmp_path, dumped(GOOD | spoilt))


@WHOLE
@given(st.text(alphabet="{}[]\"'&*!|>%@`:#,- \t", max_size=4), st.text(alphabet="{}[]\"'&*!|>:#, \n\t", max_size=4))
@pytest.mark.parametrize("key", ["token", "access_token", "app_secret"])
def test_a_literal_secret_is_never_echoed(tmp_path, key, before, after):
    """This holds even where its characters break the YAML around it."""
    section = "oplead" if key == "token" else "meta"
    text = dumped({name: value for name, value in GOOD.items() if name != section})
    assert isinstance(answer_to(tmp_path, f"{text}{section}:\n  {key}: {before}{LITERAL}{after}\n"), InvalidSettings)
