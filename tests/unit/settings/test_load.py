"""Loading turns one file into settings, or into everything that is wrong with it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.language import Language, using_language
from jobs.account.files import secrets_of
from jobs.settings import InvalidSettings, SettingsProblem, ValidSettings, load
from jobs.settings.references import HOW_TO_REFER
from jobs.settings.types import StateDatabaseAddress, StateFile

REPOSITORY = Path(__file__).parents[3]

SPOILT = """\
account: maison-durand
curency: EUR
oplead:
  token: sk-live-0123456789
  rate: fast
stages:
  won: [Gagné]
  lost: [gagne]
  lost: [Perdu]
consent:
  ad_user_data: { field: leadData.consent, granted: [oui], refused: [non] }
google_ads:
  customer_id: 12-34
  credentials: ${NO_SUCH_VARIABLE}
conversions:
  - id: sale
    stage: wonn
    value: { field: amount }
    google_ads: { conversion_action: 12 }
"""

EXPECTED = [
    "1:1: currency: this key is missing: The currency of all values, such as EUR.",
    '2:1: curency: there is no such key here; did you mean "currency"?',
    f"4:3: oplead.token: a secret must not stand in this file: {HOW_TO_REFER}",
    "5:3: oplead.rate: write a whole number",
    "8:10: stages.lost.0: this label stands in the stage won already (accents and case do not matter)",
    "9:3: stages.lost: this key stands here twice, first on line 8",
    "13:3: google_ads.customer_id: write the ten digits Google Ads shows at the top right, as 123-456-7890",
    (
        "14:3: google_ads.credentials: the environment variable NO_SUCH_VARIABLE is not set: write the line  "
        "NO_SUCH_VARIABLE=…  into .env, or type  export NO_SUCH_VARIABLE=…"
    ),
    '17:5: conversions.0.stage: there is no stage of this name; did you mean "won"?',
    "18:5: conversions.0.value.tax: this key is missing: Whether that amount includes tax: included or excluded.",
]


def lines(answer, path):
    """The problems without the file's name and folder."""
    assert isinstance(answer, InvalidSettings)

    return [str(problem).removeprefix(f"{path}:").replace(f"{path.parent}/", "") for problem in answer.problems]


def test_reports_every_problem_at_once_in_file_order(tmp_path):
    """One reading finds shape, names, secrets, duplicates and types, each at its line and column."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(SPOILT, encoding="utf-8")

    assert EXPECTED == lines(load(path, {}), path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty"),
        ("- a\n", "1:1: write keys, each as key: value, as account: my-company"),
        (
            "account: a: b\n",
            "1:11: a colon is not expected here: put the text in quotes, or check the line's indentation",
        ),
        ("account:\n\tname: x\n", "2:1: indent with spaces, not tabs"),
        ("account: @x\n", "1:10: a text that begins with this sign must stand in quotes"),
        ("oplead:\n  token: *sk-live\n", "2:10: a text that begins with * must stand in quotes"),
        ("account: a\nstages: [x\n", "2:9: what begins here is never closed: check quotes and brackets"),
        ("a: 1\n---\nb: 2\n", "2:1: one file holds one account: take the line --- and what follows out"),
        ("[" * 9_000, "1:1: the file nests its values far too deep"),
        ("a: \x01\n", "1:1: the file holds characters that YAML does not allow"),
    ],
)
def test_yaml_errors_are_reported_like_other_problems(tmp_path, text, expected):
    """Each has a place and says what to do."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")

    assert [expected] == lines(load(path, {}), path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "the file does not exist; check the path, or write a first file with `oplead-sync init`"),
        (b"account: Caf\xe9\n", "the file is not UTF-8 text; save it as UTF-8"),
        (b"#" * 1_000_001, "the file is too long"),
    ],
)
def test_an_unreadable_file_is_reported_as_a_problem(tmp_path, content, expected):
    """A missing file, another encoding and an absurd length do not raise."""
    path = tmp_path / "pipeline.yaml"
    if content is not None:
        path.write_bytes(content)

    found = load(path, {})

    assert (SettingsProblem(str(path), 0, 0, "", expected),) == found.problems
    assert f"{path}: {expected}" == str(found.problems[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clients", "there is neither a file nor a folder of this name; check the path"),
        ("clients/durand.yml", "the file does not exist; check the path"),
        (".", "this is a folder, and here one account's file is wanted; name one of the files in it"),
    ],
)
def test_a_path_without_a_settings_file_is_described_as_what_it_is(tmp_path, name, expected):
    """A missing folder is not called a file, and a folder is not called missing."""
    (problem,) = load(tmp_path / name, {}).problems

    assert problem.message.startswith(expected)


def test_multiplying_or_recursive_anchors_are_refused(complaints):
    """A few lines that expand to millions of values cannot exhaust the machine."""
    bomb = "&a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(6)
    )
    expected = ": the file repeats or nests its values far too often: check its anchors"

    assert expected in complaints(a=bomb)
    assert expected in complaints(retention="&r { again: *r }")


def test_a_secret_used_as_a_key_is_masked(tmp_path):
    """This happens when it is pasted onto a line of its own with a colon after it."""
    path = tmp_path / "pipeline.yaml"
    path.write_text("oplead:\n  token:\n  sk-live-0123456789: x\n", encoding="utf-8")

    shown = [str(problem) for problem in load(path, {}).problems]

    assert f"{path}:3:3: oplead.<text, 18 characters>: there is no such key here" in shown
    assert not any("sk-live" in line for line in shown)


@pytest.mark.timeout(20)
def test_a_key_repeated_thousands_of_times_loads_quickly(tmp_path):
    """A script may write the same line over and over."""
    path = tmp_path / "pipeline.yaml"
    path.write_text("a: 1\n" * 5_000, encoding="utf-8")

    assert isinstance(load(path, {}), InvalidSettings)


def test_anchors_and_merge_keys_work(loaded):
    """What several conversions share is written once; a key written beside `<<` wins."""
    answer = loaded(
        conversions="""
  - &first { id: appointment, stage: appointment, value: 60, google_ads: { conversion_action: 12 } }
  - { <<: *first, id: sale, stage: won, google_ads: { conversion_action: 13 } }"""
    )

    assert isinstance(answer, ValidSettings)
    assert [("appointment", Decimal(60)), ("sale", Decimal(60))] == [
        (conversion.id, conversion.value) for conversion in answer.settings.conversions
    ]


def test_scalars_are_read_as_typed(loaded):
    """YAML's own types change nothing: a postcode keeps its zero, `non` and `no` are words, ids need no quotes."""
    answer = loaded(
        conversions="[{ id: sale, stage: won, where: { cp: [01000, 1e3, no, true] }, google_ads: "
        "{ conversion_action: 0012 } }]"
    )

    assert isinstance(answer, ValidSettings)
    conversion = answer.settings.conversions[0]
    assert ("01000", "1e3", "no", "true") == conversion.where["cp"]
    assert "0012" == conversion.google_ads.conversion_action.id


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-07-01 08:00", datetime(2026, 7, 1, 6, tzinfo=UTC)),
        ("2026-01-01T08:00:00", datetime(2026, 1, 1, 7, tzinfo=UTC)),
        ("2026-07-01T08:00:00Z", datetime(2026, 7, 1, 8, tzinfo=UTC)),
        ("2026-07-01 08:00+04:00", datetime(2026, 7, 1, 4, tzinfo=UTC)),
        ("30/08/2026", datetime(2026, 8, 29, 22, tzinfo=UTC)),
        ("30/08/2026 à 8h05", datetime(2026, 8, 30, 6, 5, tzinfo=UTC)),
    ],
)
def test_since_is_read_in_the_accounts_time_zone(loaded, written, expected):
    """A day begins at its midnight; a time without an offset is the account's."""
    answer = loaded(
        conversions=f"[{{ id: sale, stage: won, since: '{written}', google_ads: {{ conversion_action: 12 }} }}]"
    )

    assert isinstance(answer, ValidSettings)
    assert expected == answer.settings.conversions[0].since


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"meta": "{ dataset_id: '1', contact_data: oui }"}, "meta.contact_data: write attach for yes, none for no"),
        (
            {"conversions": "[{ id: sale, stage: won, value: { field: a, tax: ttc } }]"},
            "conversions.0.value.tax: write included for TTC, excluded for HT",
        ),
        (
            {"conversions": "[{ id: sale, stage: won, undo_via: api }]"},
            "conversions.0.undo_via: write data_manager or google_ads_api",
        ),
    ],
)
def test_a_choice_with_two_sides_is_put_in_the_words_of_the_questions(complaints, sections, said):
    """Nobody who answers yes or no knows what attach and none are."""
    assert said in complaints(**sections)


@pytest.mark.parametrize("language", Language)
def test_since_means_the_same_day_to_whoever_reads_the_file(complaints, language):
    """A night may speak another language than the person who wrote it."""
    sale = "{{ id: sale, stage: won, since: {}, google_ads: {{ conversion_action: 12 }} }}"
    with using_language(language):
        (twofold,), (none,) = (complaints(conversions=f"[{sale.format(since)}]") for since in ("05/06/2026", "bientôt"))

    assert "2026-06-05" in twofold
    assert "2026-05-06" in twofold
    assert "31/08/2026" in none


def test_the_ledger_path_is_relative_to_the_settings_file(loaded, tmp_path, monkeypatch):
    """Otherwise a night started from another folder would begin an empty ledger."""
    monkeypatch.chdir("/")

    assert StateFile(tmp_path / "maison-durand.db") == loaded().settings.state
    assert StateFile(tmp_path / "kept/l.db") == loaded(state="sqlite:///kept/l.db").settings.state
    assert StateFile(Path("/var/lib/l.db")) == loaded(state="sqlite:////var/lib/l.db").settings.state


@pytest.mark.parametrize("secrets", [True, False])
def test_a_database_is_named_by_reference(loaded, tmp_path, secrets):
    """Its address is looked up even where secrets are not, since without it no state can be read."""
    answer = loaded(secrets=secrets, state="'${DATABASE}'")

    assert StateDatabaseAddress(SecretStr("postgresql://fleet:tok-d4ba@db/fleet"), tmp_path) == answer.settings.state
    assert "tok-d4ba" not in repr(answer.settings)
    assert isinstance(loaded(secrets=secrets, state="'${ELSEWHERE}'"), ValidSettings) is not secrets
    assert {"postgresql://fleet:tok-d4ba@db/fleet", "tok-d4ba"} <= set(secrets_of(answer.settings))


def test_the_shipped_example_configuration_is_valid(key_file):
    """`config/pipeline.example.yaml` loads without a note."""
    environ = {"OPLEAD_TOKEN": "t0ken-of-oplead", "GOOGLE_ADS_KEY_FILE": str(key_file())}

    answer = load(REPOSITORY / "config" / "pipeline.example.yaml", environ)

    assert isinstance(answer, ValidSettings), answer.problems
    assert () == answer.notes
    assert StateFile(REPOSITORY / "state" / "maison-durand.db") == answer.settings.state


def test_errors_speak_french(tmp_path):
    """Every kind of error is worded in the language of the moment, pydantic's own included."""
    path = tmp_path / "pipeline.yaml"
    path.write_text("account: Été\ncurrency: EUR\nstages: { won: [Gagné] }\nnotify: 3\n", encoding="utf-8")
    with using_language(Language.FRENCH):
        problems = load(path, {}).problems
    assert [(each.path, each.message.replace("\xa0", " ")) for each in problems] == [
        (
            "account",
            (
                "écrivez un nom en minuscules, sans accents ni espaces\u202f; les chiffres, - et _ sont permis (mais "
                "ni - ni _ au début), 40 caractères au plus"
            ),
        ),
        (
            "consent",
            (
                "cette clé manque : Quel champ dit que les données d’un lead peuvent être envoyées, et quelles "
                "réponses valent accord ou refus."
            ),
        ),
        ("conversions", "cette clé manque : Ce qu’il faut remonter aux plateformes."),
        (
            "oplead",
            (
                "cette clé manque : Où et comment les leads sont lus ; il y faut au moins un jeton, sauf si `source` "
                "désigne des fichiers."
            ),
        ),
        ("notify", "écrivez une liste, comme [un, deux]"),
    ]
