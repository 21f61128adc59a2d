"""Settings: for any file, loading gives a place for every problem and shows no secret."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import jobs.settings
from jobs.settings import InvalidSettings, ValidSettings, load
from tests.fuzz.corpus import lines
from tests.fuzz.effort import FUZZ, SECONDS, SLOW, in_time

SECRET = "s3cr3t-Zq9"
LONG = 20_000 if SECONDS else 1_000
LITERAL = "l1t3ral-Xw7-0a1b2c3d4e"
ENVIRON = {
    "OPLEAD_TOKEN": SECRET,
    "META_ACCESS_TOKEN": SECRET,
    "NOTIFY_URL": f"https://exemple.fr/{SECRET}",
    "GOOGLE_ADS_KEY_FILE": "key.json",
    "TOKEN": SECRET,
    "BROKEN": f"{SECRET} é\n",
    "EMPTY": "",
}
EXAMPLE = (Path(jobs.settings.__file__).parents[2] / "config" / "pipeline.example.yaml").read_text(encoding="utf-8")
WITH_META = re.sub(r"(?m)^(\s*)# (meta:|  (?=dataset_id|access_token|contact_data|funnel|in_doubt))", r"\1\2", EXAMPLE)
WORDS = st.sampled_from(
    [
        *(
            "null",
            "~",
            "true",
            "oui",
            "0",
            "-1",
            "1e999",
            "NaN",
            ".inf",
            "0x1F",
            "2026-01-01",
            "9999-12-31T23:59:59-23:59",
        ),
        *(
            "1 d",
            "999999 d",
            "99999999999999999999",
            "[]",
            "{}",
            "[[]]",
            "{a: b}",
            '""',
            "'",
            '"',
            "*a",
            "&a x",
            "!x y",
            "|",
        ),
        *(
            "${OPLEAD_TOKEN}",
            "${BROKEN}",
            "${EMPTY}",
            "${NONE}",
            "${",
            "file:.",
            "file:/dev/null",
            "file:\\0",
            "<<: x",
            "? x",
        ),
        *(
            "http://[",
            "https://é",
            "http://exemple.fr",
            "sqlite:///x",
            "sqlite://",
            "../../etc",
            "Europe",
            "a.b",
            ".",
            "won",
        ),
        *(
            "lost",
            "created",
            "data_manager",
            "page",
            "since",
            "details",
            "\t",
            "\0",
            "\u2028",
            "\ud83d",
            "\ufeff",
            "---",
            "- ",
        ),
    ]
)


def holds(text, mark):
    """Whether a text has this line and column, by YAML 1.2 or 1.1 line rules; 0 stands for the whole file."""
    if mark.line == mark.column == 0:
        return True
    for ends in (r"\r\n|[\n\r]", r"\r\n|[\n\r\x85\u2028\u2029]"):
        rows = re.split(ends, text)
        if 1 <= mark.line <= len(rows) and 1 <= mark.column <= len(rows[mark.line - 1]) + 1:
            return True
    return False


@st.composite
def mutated(draw):
    """A valid file with up to five typing mistakes."""
    rows = draw(st.sampled_from([EXAMPLE, WITH_META])).splitlines()
    rows = [row for row in rows if row.strip() and not row.lstrip().startswith("#")]
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(rows) - 1))
        row, other = rows[at], rows[draw(st.integers(0, len(rows) - 1))]
        column = draw(st.integers(0, len(row)))
        key, colon, _ = row.partition(":")
        rows[at : at + 1] = draw(
            st.sampled_from(
                [
                    [],
                    [row, row],
                    [row, other],
                    [other],
                    [" " + row],
                    [row.lstrip()],
                    [row[:column]],
                    [key],
                    [row[:column] + draw(WORDS | st.text(max_size=3)) + row[column:]],
                    [f"{key}{colon} {draw(WORDS | st.text(max_size=8))}"],
                    [f"{key}x{colon}", f"  {row}"],
                ]
            )
        )
        if not rows:
            return ""
    return "\n".join(rows)


def answer_to(folder, content):
    """Load the content, and check what holds of every answer."""
    path = folder / "pipeline.yaml"
    path.write_bytes(content)
    (folder / "key.json").write_text('{"type": "service_account", "private_key": "s3cr3t-Zq9"}', encoding="utf-8")
    with in_time():
        answer = load(path, ENVIRON)
    problems = answer.notes if isinstance(answer, ValidSettings) else answer.problems
    assert isinstance(answer, ValidSettings) or problems
    text = content.decode(errors="replace").removeprefix("\ufeff")
    for problem in problems:
        assert holds(text, problem)
        assert str(problem).isprintable()
        place = f"{path}:{problem.line}:{problem.column}: " if problem.line else f"{path}: "
        assert str(problem).startswith(place)
        assert problem.message
    assert SECRET not in repr(answer)
    assert LITERAL not in repr(answer)
    return answer


@FUZZ
@given(mutated())
def test_mutated_file_loads_or_lists_its_problems(tmp_path, text):
    """Each problem has its place."""
    answer_to(tmp_path, text.encode(errors="surrogatepass"))


@FUZZ
@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode(errors="replace")))
@example(b"\xc2\x85!")
@example(b"\xff\xfea\x00:\x00")
@example(b"\xef\xbb\xbfaccount: x")
def test_any_bytes_load_or_list_their_problems(tmp_path, content):
    """The file may be binary."""
    answer_to(tmp_path, content)


@FUZZ
@given(
    st.sampled_from(
        ["token: ${OPLEAD_TOKEN}", "access_token: ${META_ACCESS_TOKEN}", "credentials: ${GOOGLE_ADS_KEY_FILE}"]
    ),
    st.text("{}[]\"'&*!|>%@`:#,- \t\n", max_size=4) | st.text(max_size=3),
    st.text("{}[]\"'&*!|>:#, \n\t", max_size=4) | st.text(max_size=3),
)
@example("token: ${OPLEAD_TOKEN}", "", ": x")
@example("token: ${OPLEAD_TOKEN}", "&", " x")
@example("token: ${OPLEAD_TOKEN}", "\n", ":")
@example("token: ${OPLEAD_TOKEN}", "*", "")
@example("token: ${OPLEAD_TOKEN}", "!", " x")
@example("token: ${OPLEAD_TOKEN}", "? ", "")
@example("token: ${OPLEAD_TOKEN}", "\n    ", ": x")
@example("credentials: ${GOOGLE_ADS_KEY_FILE}", "", "")
def test_literal_secret_is_never_echoed(tmp_path, reference, before, after):
    """A typing mistake may make it a value, a key, an anchor or a tag."""
    key = reference.partition(":")[0]
    text = WITH_META.replace(reference, f"{key}: {before}{LITERAL}{after}", 1)
    assert text != WITH_META

    answer_to(tmp_path, text.encode(errors="replace"))


@SLOW
@given(
    st.sampled_from(
        ["a", "[", "{", "{a: ", "- ", "&a [*a, ", "'", "\n", " ", "#", "a: ", "? ", "! ", "<<: *a\n", "\t", "é", "|\n"]
    )
    | st.text(min_size=1, max_size=4),
    st.sampled_from(["", "a: &a {x: 1}\n", "account: ", "oplead:\n  token: "]),
)
@example("- ", "")
@example("[", "")
@example("{a: ", "")
def test_long_repetition_is_refused_in_time(tmp_path, piece, before):
    """The repeated piece may nest or be an alias."""
    content = (before + piece * (LONG // len(piece))).encode(errors="replace")
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(content)
    with in_time(20):
        answer = load(path, ENVIRON)

    assert isinstance(answer, InvalidSettings)


@pytest.mark.parametrize("text", lines("settings"))
def test_corpus_files_are_invalid(tmp_path, text):
    """Each has a problem with its place."""
    assert isinstance(answer_to(tmp_path, text.encode(errors="surrogatepass")), InvalidSettings)


@pytest.mark.parametrize("text", [EXAMPLE, WITH_META])
def test_unmutated_files_are_valid(tmp_path, text, monkeypatch):
    """Otherwise the mutations would prove nothing."""
    monkeypatch.setattr("jobs.settings.references.token_address", lambda path: path)

    assert isinstance(answer_to(tmp_path, text.encode()), ValidSettings)
