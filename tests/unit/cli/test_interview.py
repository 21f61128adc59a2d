"""`init` with a marketer at the terminal: doubtful answers are pointed out and can be taken back."""

import re
from dataclasses import replace
from datetime import date

import pytest

from connectors.survey import AmountPath, FieldMatch, PathWithFewValues, SurveyedLabel, SurveyedPath
from jobs.cli.setup.init import command
from tests.unit.cli.test_init import APART_TOO, ENOUGH, META, SURVEY

CODES = replace(
    SURVEY,
    labels=(SurveyedLabel("1", 90, 50), SurveyedLabel("6", 30, 9), SurveyedLabel("4", 12, 6), SurveyedLabel("7", 7, 3)),
)
CONSENT, NOTHING, DATASET, NO_CONTACT = ("", "", "", ""), "-", "77", "none"
"""Enter for the field, its two answers and their confirmation."""
END = (*CONSENT, NOTHING, NOTHING, NOTHING, DATASET, NO_CONTACT, NOTHING)
"""Consent as proposed, no second signal, no amount, no Google, a dataset, no contact data, no day."""


def lines(*typed):
    """What is typed, one answer a line."""
    return "\n".join(typed) + "\n"


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────


def test_a_numeric_status_is_not_taken_for_a_menu_position(type_in):
    """Choices have letters; a status that is typed means itself, and the answer is repeated on screen."""
    typed = lines("4", "-", "d", "5", "b", "y", "maison-x", *END)
    result, told = type_in(survey=CODES, typed=typed)

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["4"], "won": ["7"], "lost": ["6"]} == told["stages"]
    assert "appointment = code 4  (12 leads, 6 with a click id)" in result.output
    assert "won = code 7  (7 leads, 3 with a click id)" in result.output
    assert "5 is neither a letter from the list nor a status there" in result.output
    assert ["a  code 1", "b  code 6", "c  code 4", "d  code 7"] == [
        line.strip().partition("  (")[0]
        for line in result.output.partition("Which")[0].splitlines()
        if "with a click id)" in line
    ]


def test_a_status_named_by_a_letter_wins_over_the_menu_letter(type_in):
    """`b` means the status B, whatever its position."""
    letters = replace(SURVEY, labels=(SurveyedLabel("Neu", 9, 1), SurveyedLabel("Alt", 8, 1), SurveyedLabel("B", 7, 1)))
    result, told = type_in(survey=letters, typed=lines("-", "-", "b", "c", "y", "maison-x", *END))

    assert {"won": ["B"], "lost": ["Alt"]} == told["stages"], result.output


def test_a_less_than_sign_goes_back_to_the_previous_question(type_in):
    """It works several times in a row and says when the first question is reached; earlier answers stay."""
    typed = lines("<", "a", "b", "<", "<", "-", "c", "d", "-", "y", "Maison", "<", "y", "maison-x", *END)
    result, told = type_in(survey=CODES, typed=typed)

    assert 0 == result.exit_code, result.output
    assert {"quote_sent": ["4"], "won": ["7"]} == told["stages"]
    assert 1 == result.output.count("this is the first question")


def test_the_whole_status_mapping_is_confirmed(type_in):
    """It shows what is left over; a no starts the statuses again."""
    typed = lines("a", "-", "d", "-", "n", "c", "-", "d", "b", "", "maison-x", *END)
    result, told = type_in(survey=CODES, typed=typed)

    assert {"appointment": ["4"], "won": ["7"], "lost": ["6"]} == told["stages"], result.output
    whole = result.output.rpartition("So this is what your statuses mean:")[2]
    named = dict(line.split(maxsplit=1) for line in whole.splitlines()[1:6])
    expected = [
        *map(
            "code {0[0]}  ({0[1]} leads, {0[2]} with a click id)".format,
            ((4, 12, 6), (7, 7, 3), (6, 30, 9), (1, 90, 50)),
        )
    ]
    expected.insert(1, "none")
    assert expected == [named[key] for key in ("appointment", "quote_sent", "won", "lost", "ignored")]


def test_says_whether_all_leads_of_a_status_have_a_click_id_or_none(type_in):
    """In words, where a number would only be compared."""
    labels = (
        SurveyedLabel("Gagné", 9, 9),
        SurveyedLabel("RDV", 8, 0),
        SurveyedLabel("Neuf", 1, 1),
        SurveyedLabel("Tiède", 1, 0),
    )
    result, _ = type_in("--account", "m", *META, survey=replace(SURVEY, labels=labels), typed=lines(*[""] * 5))
    listed = [line.split("  ")[-1] for line in result.output.splitlines() if re.match(r"    [a-d]  ", line)]

    having = ("9 leads, all with", "8 leads, none with", "1 lead, with", "1 lead, without")
    assert [f"({each} a click id)" for each in having] == listed[:4], result.output


def test_a_status_under_two_stages_is_refused(type_in):
    """A lead may enter several stages, but a status counts for one."""
    result, told = type_in(survey=SURVEY, typed=lines("c", NOTHING, "c", "a", "", "", "maison-x", *END))

    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]
    assert "“RDV pris” is under appointment already: a status counts for one step only" in result.output


def test_a_mapping_without_any_conversion_stage_is_asked_again(type_in):
    """Without such a stage no conversion can be written; in a script that is a usage error."""
    typed = lines("-", "-", "-", "a", "y", "c", "-", "-", "-", "y", "maison-x", *END)
    result, told = type_in(survey=CODES, typed=typed)

    assert {"appointment": ["4"]} == told["stages"], result.output
    assert "there is nothing to send" in result.output
    assert 2 == type_in("--account", "m", "--force", *META, survey=CODES)[0].exit_code


def test_a_masked_status_is_never_written(type_in, tmp_path):
    """It is neither a choice nor an ignored status, and the file says that something was left out."""
    seen = (*SURVEY.labels, SurveyedLabel("<text, 16 characters>", 3, 1, masked=True), SurveyedLabel("—", 2, 0))
    result, told = type_in("--account", "maison-x", *META, survey=replace(SURVEY, labels=seen))

    assert 0 == result.exit_code, result.output
    assert ["Nouveau"] == told["ignored_statuses"]
    text = (tmp_path / "pipeline.yaml").read_text()
    assert "# Left out, for it may be somebody's data: text, 16 characters." in text
    assert "<text" not in text


CODED = replace(
    SURVEY,
    labels=(
        SurveyedLabel("Gagné", 40, 20, also_called=("S7",), past_code="S7"),
        SurveyedLabel("Nouveau", 200, 90, also_called=("S1",), past_code="S1"),
        SurveyedLabel("RDV pris", 60, 30, also_called=("S4",)),
    ),
    past_labels=("S1", "S7"),
    unexplained_past=("stages: write each under a stage: S1, S7",),
)
"""A survey of leads whose histories tell two statuses by codes alone."""


def test_a_code_of_histories_is_written_beside_its_status_where_the_person_sees_it(type_in):
    """In the list, in the summary to confirm, and in the file, ignored ones too; nothing else is left to write."""
    result, told = type_in(survey=CODED, typed=lines("", "", "", "", "", "maison-x", *END))

    assert {"appointment": ["RDV pris"], "won": ["Gagné", "S7"]} == told["stages"], result.output
    assert ["Nouveau", "S1"] == told["ignored_statuses"]
    assert "a  Gagné, S7 in histories  (40 leads" in result.output
    whole = result.output.rpartition("So this is what your statuses mean:")[2]
    assert re.search(r"won +Gagné, S7 in histories  \(", whole)
    assert re.search(r"ignored +Nouveau, S1 in histories  \(", whole)
    assert "write each" not in result.output


def test_a_code_of_histories_is_said_where_options_name_the_stages(type_in):
    """Nobody confirms a summary then."""
    result, told = type_in(*ENOUGH, survey=CODED)

    assert {"appointment": ["RDV pris"], "won": ["Gagné", "S7", "Vendu"]} == told["stages"], result.output
    assert "written beside their statuses: Gagné, S7 in histories; Nouveau, S1 in histories" in re.sub(
        r"\s+", " ", result.output
    )


@pytest.mark.parametrize("code", ["S4", "S7"])
def test_a_status_that_is_named_by_its_code_is_not_ignored_by_its_text(type_in, code):
    """A lead that has both would be read by the text."""
    result, told = type_in("--account", "m", "--stage", f"won={code}", *META, survey=CODED)
    named = {"S4": "RDV pris", "S7": "Gagné"}[code]

    assert {"won": [code]} == told["stages"], result.output
    assert named not in told["ignored_statuses"]
    assert code not in told["ignored_statuses"]


def test_what_a_code_of_histories_may_mean_is_asked_in_a_sentence_with_the_line_to_write(type_in):
    """One that is no single status's, and one that no lead has now; those that are written are not named."""
    survey = replace(CODED, past_labels=("S1", "S5", "S7", "S9"), unclear_codes={"S9": ("RDV pris", "Nouveau")})
    result, told = type_in(*ENOUGH, survey=survey)
    said = re.sub(r"\s+", " ", result.output)

    assert {"appointment": ["RDV pris"], "won": ["Gagné", "S7", "Vendu"]} == told["stages"]
    assert "so they are not written: S9 (beside RDV pris, Nouveau). Conversions" in said
    assert "and write each beside its status, such as won: [Gagné, S7, Vendu, S9]" in said
    assert "nothing shows what they mean: S5. Conversions" in said
    assert "write each under its stage, such as won: [Gagné, S7, Vendu, S5], or under ignored_statuses" in said


def test_a_code_of_histories_that_the_person_has_placed_is_not_asked_for(type_in):
    """Whoever knows it may name it."""
    survey = replace(CODED, past_labels=("S1", "S5", "S7", "S9"), unclear_codes={"S9": ("RDV pris", "Nouveau")})
    result, _ = type_in("--account", "m", "--stage", "won=Gagné,S5", "--stage", "lost=S9", *META, survey=survey)

    assert 0 == result.exit_code, result.output
    assert "Conversions reached" not in re.sub(r"\s+", " ", result.output)


def test_histories_that_no_lead_explains_are_said_as_the_survey_says_it(type_in):
    """No lead shows a code beside a text."""
    survey = replace(SURVEY, past_labels=("S1", "S7"), unexplained_past=CODED.unexplained_past)
    result, _ = type_in(*ENOUGH, survey=survey)

    assert "write each under a stage: S1, S7" in result.output
    assert "Conversions reached" not in result.output


@pytest.mark.parametrize("option", ["--stage", "--granted", "--personalization-refused"])
def test_a_mask_given_as_an_option_is_refused(type_in, option):
    """A mask is neither a label nor an answer."""
    mask = "<text, 16 characters>"
    result, told = type_in(*ENOUGH, option, f"lost={mask}" if option == "--stage" else mask)

    assert (2, None) == (result.exit_code, told)
    assert "write the text itself" in result.output


def test_a_status_that_no_lead_has_is_taken_in_quotes(type_in):
    """The leads that were read may show only some; a comma within the quotes parts nothing."""
    typed = lines("Vendu", '"Vendu", « Signé, payé », d', "-", "-", "-", "n")
    again = ("-", "-", '"Vendu", « Signé, payé », d', "-", "y", "maison-x", *END)
    result, told = type_in(survey=CODES, typed=typed + lines(*again))

    assert {"won": ["Vendu", "Signé, payé", "7"]} == told["stages"], result.output
    assert 'Vendu is neither a letter from the list nor a status there; write "Vendu" in quotes' in result.output
    assert "Vendu  (on no lead)" in result.output


@pytest.mark.parametrize("code", ["14", "S3", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"])
def test_a_bare_code_is_shown_with_what_says_its_meaning(type_in, code):
    """Oplead's own words, which are proposed by, else a lead that has it."""
    named = replace(SURVEY, labels=(SurveyedLabel(code, 9, 1, words="Devis accepté"),))
    result, told = type_in(survey=named, typed=lines("", "", "", "", "", "maison-x", *END))
    unnamed = replace(SURVEY, labels=(SurveyedLabel(code, 9, 1, example="L-42"), SurveyedLabel("Gagné", 1, 1)))
    shown, _ = type_in("--force", survey=unnamed, typed=lines("", "", "", "", "", "maison-x", *END))

    assert {"won": [code]} == told["stages"], result.output
    assert f"a  code {code}: Devis accepté  (9 leads, 1 with a click id)" in result.output
    assert f"a  code {code}  (9 leads, 1 with a click id; for example lead L-42)" in shown.output


def test_a_status_wired_to_another_stage_is_doubted_at_once(type_in):
    """As `check` would note it; Enter then asks again, and a yes keeps it."""
    wrong, right = ("-", "-", "c", "a"), ("-", "-", "a", "c")
    crossed = replace(SURVEY, labels=(SurveyedLabel("Gagné", 9, 1), SurveyedLabel("Nouveau", 8, 1)))
    crossed = replace(crossed, labels=(*crossed.labels, SurveyedLabel("Perdu", 7, 1)))
    result, told = type_in(survey=crossed, typed=lines(*wrong, "", *right, "", "maison-x", *END))

    assert {"won": ["Gagné"], "lost": ["Perdu"]} == told["stages"], result.output
    doubt = "“Perdu” reads as another stage than “won”"
    assert 2 == result.output.count(doubt)
    at_the_end = f"  {doubt}\n  “Gagné” reads as another stage than “lost”\nIs that right? yes or no [no]: "
    assert at_the_end in result.output
    _, kept = type_in("--force", survey=crossed, typed=lines(*wrong, "yes", "maison-x", *END))
    assert {"won": ["Perdu"], "lost": ["Gagné"]} == kept["stages"]


# ── consent and amount ───────────────────────────────────────────────────────────────────────────

MANY = PathWithFewValues(
    "rgpd.pub",
    {"true": 89, "oui": 96, "1": 31, "non": 20, "<text, 9 characters>": 4, "": 60},
    consent=True,
    granted=("oui", "true", "1"),
    refused=("non",),
)


def test_every_consent_answer_that_reads_as_yes_is_proposed(type_in):
    """Each is shown with its number of leads, and so are answers in neither list. A number may mean anything."""
    typed = lines("", "", "", "", "", "maison-x", "", "", "", "n", "oui, true, 1", *END[2:])
    result, told = type_in(survey=replace(SURVEY, few_values=(MANY,)), typed=typed)

    expected = {"field": "rgpd.pub", "granted": ["oui", "true", "1"], "refused": ["non"]}
    assert expected == told["consent"]["ad_user_data"], result.output
    assert "Its answers that mean yes [oui, true]: " in result.output
    assert 'rgpd.pub holds numbers: "1" ×31. Which of them mean yes?' in result.output
    assert """yes: "oui" ×96, "true" ×89, "1" ×31""" in result.output
    assert "in neither list, so not sent: <text, 9 characters> ×4, no answer ×60" in result.output


def test_no_refused_answer_is_invented(type_in):
    """A tick box has no value for no, and the file is valid without one."""
    ticked = PathWithFewValues("rgpd.pub", {"1": 200, "": 100}, consent=True, granted=("1",), refused=())
    survey, options = replace(SURVEY, few_values=(ticked,)), ("--account", "maison-x", *META)
    unsaid, _ = type_in(*options, survey=survey)
    result, told = type_in(*options, "--granted", "1", survey=survey)

    assert 2 == unsaid.exit_code  # whether 1 means yes is not guessed
    assert 0 == result.exit_code, result.output
    assert {"field": "rgpd.pub", "granted": ["1"], "refused": []} == told["consent"]["ad_user_data"]


def test_no_question_about_a_field_is_a_dead_end(type_in):
    """Each lists what may be meant, takes a path as typed, or is left out, which then is said in the file."""
    seen = (
        PathWithFewValues("reponses.pub", {"<text, 6 characters>": 250, "<text, 12 characters>": 50}, consent=False),
        PathWithFewValues("canal", {"Site web": 300}, consent=False),
    )
    amount = AmountPath("montant", 38, 2, 260, {"Gagné": 38, "RDV": 2})
    paths = (*SURVEY.paths, SurveyedPath("reponses.pub", 300, ("text",)))
    unlike = replace(SURVEY, paths=paths, few_values=seen, amounts=(amount,))
    before = ("", "", "", "", "", "maison-x")
    left_out, told = type_in(survey=unlike, typed=lines(*before, "", "-", "-", "-", "-", DATASET, NO_CONTACT, NOTHING))

    assert "a  reponses.pub  (<text, 6 characters> ×250, <text, 12 characters> ×50)" in left_out.output
    assert 'a  montant  (40 of 300: "Gagné" ×38, "RDV" ×2)' in left_out.output
    assert "-  not known yet: nothing is sent until the file names one" in left_out.output
    assert {"field": "replace-me", "granted": ["replace-me"], "refused": []} == told["consent"]["ad_user_data"]
    assert 2 == left_out.output.count("`init` left this open"), left_out.output
    assert "check: the file is right as far as it goes; 3 things to fill in" in left_out.output

    after = ("-", "-", "-", DATASET, NO_CONTACT, NOTHING)
    by_letter = lines(*before, "a", "D'accord", "-", "yes", *after)
    chosen, told = type_in("--force", survey=unlike, typed=by_letter)
    expected = {"field": "reponses.pub", "granted": ["D'accord"], "refused": []}
    assert expected == told["consent"]["ad_user_data"], chosen.output

    by_path = lines(*before, '"Mes champs.Accord pub"', "yes", "oui", "non", *after)
    typed, told = type_in("--force", survey=unlike, typed=by_path)
    assert "Mes champs.Accord pub" == told["consent"]["ad_user_data"]["field"], typed.output


def test_the_answers_of_a_consent_are_chosen_by_letter_or_left_for_later(type_in):
    """Nothing is sent until they are named."""
    before = ("", "", "", "", "", "maison-x")
    result, told = type_in(survey=SURVEY, typed=lines(*before, "", "b", "a", "yes", *END[4:]))
    assert {"field": "rgpd.pub", "granted": ["non"], "refused": ["oui"]} == told["consent"]["ad_user_data"]

    later, told = type_in("--force", survey=SURVEY, typed=lines(*before, "", "-", "-", *END[4:]))
    assert {"field": "rgpd.pub", "granted": ["replace-me"], "refused": []} == told["consent"]["ad_user_data"]
    assert "`init` left this open" in later.output, result.output


def test_a_consent_to_messages_is_not_proposed_for_advertising(type_in):
    """It is in the list; Enter does not take it."""
    news = replace(SURVEY.few_values[0], path="consents.newsletter")
    only = replace(SURVEY, few_values=(news,))
    script, _ = type_in("--account", "m", *META, survey=only)
    asked, told = type_in(survey=only, typed=lines("", "", "", "", "", "maison-x", "", "-", *END[4:]))

    assert 2 == script.exit_code
    assert "--consent-field" in script.output
    assert "a  consents.newsletter" in asked.output
    assert "replace-me" == told["consent"]["ad_user_data"]["field"], asked.output


@pytest.mark.parametrize(
    ("path", "columns", "tax"),
    [
        ("quote.totalExclTax", None, "excluded"),
        ("montant_ht", None, "excluded"),
        ("amount", {"Montant HT": "amount"}, "excluded"),
        ("quote.totalInclTax", None, "included"),
        ("net_a_payer", None, "included"),
    ],
)
def test_an_amount_whose_name_says_that_tax_is_not_in_it_is_not_proposed_as_including_it(type_in, path, columns, tax):
    """Two Enters would send it as more than it is."""
    paths = (*SURVEY.paths, SurveyedPath(path, 40, ("number",)))
    survey = replace(SURVEY, paths=paths, amounts=(AmountPath(path, 40, 0, 260),), columns=columns)
    result, told = type_in("--account", "m", *META, "--amount-field", path, survey=survey)

    assert 0 == result.exit_code, result.output
    assert {"field": path, "tax": tax} == told["conversions"][-1]["value"]


def test_an_undetermined_consent_field_must_be_given(type_in):
    """In a script it is a usage error: neither a field nor a yes is made up."""
    neither = PathWithFewValues("rgpd.pub", {"<text, 9 characters>": 300}, consent=True)
    without_yes = type_in("--account", "m", *META, survey=replace(SURVEY, few_values=(neither,)))
    without_field = type_in("--account", "m", *META, survey=replace(SURVEY, few_values=()))

    assert [(2, None), (2, None)] == [(result.exit_code, told) for result, told in (without_yes, without_field)]
    assert "--granted" in without_yes[0].output
    assert "--consent-field" in without_field[0].output


def test_a_consent_answer_that_no_lead_has_needs_confirmation(type_in):
    """Enter then means no; an answer given by an option is confirmed too."""
    typed = lines("", "", "", "", "", "maison-x", "", "", "", "oui", "non", "y", *END[4:])
    result, told = type_in("--granted", "accord", survey=SURVEY, typed=typed)

    assert ["oui"] == told["consent"]["ad_user_data"]["granted"], result.output
    assert 'yes: "accord" ×0' in result.output


def test_a_field_that_no_lead_has_needs_confirmation(type_in):
    """The question shows how many leads were read and a similar path; a no asks again."""
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING)
    after = ("included", NOTHING, NOTHING, DATASET, NO_CONTACT, NOTHING)
    result, told = type_in(survey=SURVEY, typed=lines(*before, "montantt", "", "ville", *after))

    assert "ville" == told["conversions"][1]["value"]["field"], result.output
    assert (
        'amount: none of the 300 leads that were read holds anything at montantt; did you mean "montant"?'
        in result.output
    )
    assert "amount: of 300 leads, 299 hold something at ville" in result.output
    kept, told = type_in("--force", survey=SURVEY, typed=lines(*before, "montantt", "y", *after))
    assert "montantt" == told["conversions"][1]["value"]["field"], kept.output


def test_a_field_on_the_list_is_suggested_before_one_that_is_but_spelled_alike(type_in):
    """What is listed may hold an amount; off the list, only what is almost the same is meant."""
    listed = AmountPath("amount", 40, 0, 260)
    paths = (SurveyedPath("contact", 300, ("text",)), SurveyedPath("amount", 40, ("number",)))
    french = replace(SURVEY, paths=(*SURVEY.paths[:1], *paths), amounts=(listed,))
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING)
    after = ("", "included", NOTHING, NOTHING, DATASET, NO_CONTACT, NOTHING)
    result, _ = type_in(survey=french, typed=lines(*before, "montant", "", "contacts", "", *after))
    unlisted, _ = type_in("--force", survey=replace(french, amounts=()), typed=lines(*before, "montant", "", "-", "-"))

    asked = re.findall(r"holds anything at (\w+); did you mean \"(\w+)\"", result.output)
    assert [("montant", "amount"), ("contacts", "contact")] == asked, result.output
    assert "did you mean" not in unlisted.output


def test_says_how_many_leads_hold_a_field_given_by_option(type_in):
    """A script cannot confirm, so the count is only printed."""
    one = replace(
        SURVEY, leads=1, amounts=(AmountPath("montant", 0, 1, 0),), paths=(SurveyedPath("montant", 1, ("text",)),)
    )
    result, _ = type_in("--account", "maison-x", *META, "--amount-field", "prix", survey=SURVEY)
    single, _ = type_in("--account", "maison-x", *META, "--force", survey=one)

    assert "amount: none of the 300 leads that were read holds anything at prix" in result.output
    assert "amount: of 1 lead, 1 holds something at montant; 1 cannot be read as an amount" in single.output


def test_a_less_than_sign_after_a_no_goes_back_to_what_stands_before(type_in):
    """Never into what was refused: to the field, whose answers these are, and from a field to the question before."""
    before = ("", "", "", "", "", "maison-x")
    refused = ("", "b", "a", "no", "<")
    result, told = type_in(survey=SURVEY, typed=lines(*before, *refused, "-", NOTHING, NOTHING, NOTHING, *END[-3:]))
    assert "replace-me" == told["consent"]["ad_user_data"]["field"], result.output

    path = ("rgpd", "no", "<", "maison-y")
    result, told = type_in("--force", survey=SURVEY, typed=lines(*before, *path, *END))
    assert "maison-y" == told["account"], result.output


def test_an_answer_that_means_yes_is_not_proposed_as_a_no(type_in):
    """Typed, it is refused in plain words."""
    before = ("", "", "", "", "", "maison-x")
    result, told = type_in(survey=SURVEY, typed=lines(*before, "", "b", "b", "", "", *END[4:]))

    assert {"field": "rgpd.pub", "granted": ["non"], "refused": []} == told["consent"]["ad_user_data"]
    assert "“non” is among the answers that mean yes, so it cannot mean no" in result.output
    assert 2 == result.output.count("Its answers that mean no [-]: ")


def test_an_empty_answer_where_nothing_is_proposed_says_what_to_write(type_in):
    """With what there is to write in place of an answer, if none will do."""
    unknown = replace(SURVEY, few_values=())
    result, _ = type_in(survey=unknown, typed=lines("", "", "", "", "", "", "maison-x", "", NOTHING, *END[4:]))

    assert 0 == result.exit_code, result.output
    said = "there is no proposal to take here: write an answer"
    assert [f"  {said}", f"  {said}, or - for none"] == [each for each in result.output.splitlines() if said in each]


def test_brackets_show_that_enter_answers_none(type_in):
    """As they show any other answer that Enter takes."""
    answers = ("", "", "", "", "", "maison-x", *CONSENT, "", "", "", "", "1234567890", "", "", "", DATASET, "", "")
    result, _ = type_in(survey=SURVEY, typed=lines(*answers))
    optional = ("The field that says whether ads", "What to send", "If an agency", "The id of", "Meta's", "Do you")
    asked = [line for line in result.output.splitlines() if line.startswith(optional)]

    assert (0, 7) == (result.exit_code, len(asked)), result.output
    assert [] == [line for line in asked if "[-]: " not in line]


# ── destinations ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_without_a_destination_is_not_written(type_in):
    """Conversions would go nowhere: the question is repeated, and in a script it is a usage error."""
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, NOTHING)
    again = lines(*before, "-", "-", "-", "77", "none", "-")
    result, told = type_in(survey=SURVEY, typed=again)
    assert ("77", 1) == (told["meta"]["dataset_id"], result.output.count("conversions would go nowhere")), result.output

    for none in ((), ("--google-customer-id", "", "--meta-dataset-id", "")):
        result, _ = type_in("--account", "maison-x", "--force", *none, survey=SURVEY)
        assert 2 == result.exit_code
        assert "--google-customer-id or --meta-dataset-id" in result.output
    typed = lines(*before)
    result, _ = type_in("--google-customer-id", "", *("--meta-dataset-id", ""), "--force", survey=SURVEY, typed=typed)
    assert 2 == result.exit_code


@pytest.mark.parametrize(
    ("said", "meant"),
    [("attach", "attach"), ("none", "none"), ("yes", "attach"), ("N", "none"), ("oui", "attach"), ("", "none")],
)
def test_asks_for_contact_data_with_its_benefits_and_requirements(type_in, said, meant):
    """The answer is written either way."""
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, NOTHING)
    google = ("1234567890", "-", "11", "12", "77")
    result, told = type_in(survey=SURVEY, typed=lines(*before, *google, "peut-être", said, "-"))

    assert [meant, meant] == [told[name]["contact_data"] for name in ("google_ads", "meta")], result.output
    assert "Google advises sending both" in result.output
    assert "customer data terms" in result.output
    assert "answer yes or no" in result.output


def test_contact_data_can_be_given_by_an_option(type_in):
    """Without it no contact data is sent."""
    assert "none" == type_in(*ENOUGH)[1]["google_ads"]["contact_data"]
    assert "attach" == type_in(*ENOUGH, "--contact-data", "attach", "--force")[1]["google_ads"]["contact_data"]


# ── the result ───────────────────────────────────────────────────────────────────────────────────


def test_init_ends_with_the_result_of_check(type_in, monkeypatch):
    """Values left for later are listed and do not count as errors; a complete file has nothing wrong."""
    monkeypatch.setenv("META_ACCESS_TOKEN", "EAAB")
    result, _ = type_in("--account", "maison-x", *META, survey=SURVEY)
    left, _ = type_in(*ENOUGH[:-2], "--force", survey=SURVEY)

    assert (0, True) == (result.exit_code, "check: nothing is wrong with the file" in result.output), result.output
    assert 0 == left.exit_code
    assert "the environment variable GOOGLE_ADS_KEY_FILE is not set" in left.output
    assert "check: the file is right as far as it goes; 2 things to fill in, named above" in left.output


def test_a_file_that_check_refuses_exits_with_1(type_in):
    """It is written anyway, since it can be corrected."""
    result, told = type_in(*ENOUGH, "--granted", "oui", "--refused", "OUI")

    assert (1, "maison-test") == (result.exit_code, told["account"])
    assert "this value means both granted and refused" in result.output
    assert "check: 1 thing to correct in the file, named above" in result.output


def test_spellings_of_one_label_are_merged(type_in):
    """Lists given by options may repeat a label in other capitals or accents."""
    spellings = "won=Gagné,GAGNÉ,Gagne\u0301,gagne"
    result, told = type_in("--account", "m", *META, "--stage", spellings)

    assert (0, {"won": ["Gagné"]}) == (result.exit_code, told["stages"]), result.output


def test_the_file_refers_to_a_schema_beside_it(type_in, tmp_path, monkeypatch):
    """Editors then complete keys; without a schema there the line is left out."""
    monkeypatch.chdir(tmp_path.parent)
    type_in(*ENOUGH)
    assert "$schema" not in (tmp_path / "pipeline.yaml").read_text()
    (tmp_path / "pipeline.schema.json").write_text("{}")
    type_in(*ENOUGH, "--force")

    first = (tmp_path / "pipeline.yaml").read_text().splitlines()[0]
    assert "# yaml-language-server: $schema=./pipeline.schema.json" == first


def test_the_path_prefix_comes_from_an_option_or_the_address(type_in):
    """It is written even without a survey."""
    _, said = type_in(*ENOUGH, "--base-url", "https://crm.example/x/index.html", "--path-prefix", "/api/v2")
    _, found = type_in(*ENOUGH, "--base-url", "https://crm.example/api/v2/leads", "--force")
    _, neither = type_in(*ENOUGH, "--base-url", "https://api.oplead.com/documentation/index.html", "--force")

    expected = {"token": "${OPLEAD_TOKEN}", "base_url": "https://crm.example", "path_prefix": "/api/v2"}
    assert (expected, expected, {"token": "${OPLEAD_TOKEN}"}) == (said["oplead"], found["oplead"], neither["oplead"])


def test_personalization_consent_is_shown_and_confirmed_too(type_in):
    """It has the answers of its own field."""
    typed = lines("", "", "", "", "", "maison-x", *CONSENT, *CONSENT, *END[5:])
    result, told = type_in(survey=APART_TOO, typed=typed)

    assert ["oui"] == told["consent"]["ad_personalization"]["granted"], result.output
    assert 'yes: "oui" ×200' in result.output


# ── French answers ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("typed", "meant"), [("TTC", "included"), ("ht", "excluded"), ("Included", "included")])
def test_tax_can_be_answered_in_french(type_in, typed, meant):
    """This holds at the question and for the option."""
    answers = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, "", typed, "900", NOTHING, DATASET, NO_CONTACT, "-")
    asked, told = type_in(survey=SURVEY, typed=lines(*answers))
    options = ("--account", "m", *META, "--amount-field", "montant", "--tax", typed, "--force")

    assert meant == told["conversions"][1]["value"]["tax"], asked.output
    assert meant == type_in(*options, survey=SURVEY)[1]["conversions"][1]["value"]["tax"]


@pytest.mark.parametrize("typed", ["31/08/2026", "31-8-2026", "31.08.2026", "2026-08-31"])
def test_a_date_is_read_day_first_or_year_first(type_in, typed):
    """The month is never guessed."""
    _, told = type_in(*ENOUGH, "--imported-until", typed)

    assert {date(2026, 9, 1)} == {each["since"] for each in told["conversions"]}


def test_a_date_written_month_first_is_refused(type_in):
    """Read day first, it does not exist."""
    assert 2 == type_in(*ENOUGH, "--imported-until", "08/31/2026")[0].exit_code


def test_one_conversion_action_for_two_stages_is_refused(type_in):
    """Google would count one lead twice under one action, so `check` refuses it and the question is repeated."""
    google = ("123-456-7890", NOTHING, "12", "12", "13", NOTHING)
    typed = lines("", "", "", "", "", "maison-x", *CONSENT, NOTHING, NOTHING, *google, NO_CONTACT, NOTHING)
    result, told = type_in(survey=SURVEY, typed=typed)

    assert ["12", "13"] == [str(each["google_ads"]["conversion_action"]) for each in told["conversions"]], result.output
    assert "12 is the action for appointment already" in result.output
    twice = ("--action", "won=7", "--action", "appointment=7", "--force")
    refused, _ = type_in("--account", "m", "--stage", "won=Gagné", "--google-customer-id", "1234567890", *twice)
    assert 2 == refused.exit_code


def test_the_account_itself_is_no_manager_account(type_in, capfd):
    """However its number is written; an option with it is wrong usage."""
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, NOTHING, "123-456-7890")
    after = ("11", "12", DATASET, NO_CONTACT, NOTHING)
    result, told = type_in(survey=SURVEY, typed=lines(*before, "123 456 7890", "111-222-3333", *after))
    assert "1112223333" == str(told["google_ads"]["login_customer_id"]), result.output
    assert "1234567890 is the account itself" in result.output

    refused, _ = type_in(*ENOUGH, "--google-login-customer-id", "1234567890", "--force", survey=SURVEY)
    assert 2 == refused.exit_code
    assert "--google-login-customer-id: 1234567890 is the account itself" in capfd.readouterr().err + refused.output


def test_says_where_to_find_the_id_of_a_conversion_action_once(type_in):
    """Before the first of its questions."""
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, NOTHING, "1234567890", NOTHING)
    asked, _ = type_in(survey=SURVEY, typed=lines(*before, "11", "12", DATASET, NO_CONTACT, NOTHING))

    assert 1 == asked.output.count("the number after ctId=; you may paste the whole address.\n"), asked.output


@pytest.mark.parametrize(
    ("pasted", "taken"),
    [
        ("https://ads.google.com/aw/conversions/detail?ocid=99&ctId=987654321&euid=7", "987654321"),
        ("ctId=987654321", "987654321"),
        ("https://ads.google.com/aw/conversions/detail?ctId=98x7", None),
        ("https://ads.google.com/aw/conversions/detail?ocid=99", None),
    ],
)
def test_the_id_of_a_conversion_action_is_taken_out_of_its_address(type_in, pasted, taken):
    """Or the part that names it; other numbers that the browser's address has are never guessed to be the action's."""
    result, told = type_in(*ENOUGH[:-2], "--action", f"appointment={pasted}", survey=SURVEY)

    assert (0 if taken else 2) == result.exit_code, result.output
    if taken:
        assert taken == str(told["conversions"][0]["google_ads"]["conversion_action"])


@pytest.mark.parametrize(("held", "others", "is_doubted"), [(171, 29, True), (20, 40, False), (9, 3, False)])
def test_a_status_that_most_leads_have_is_doubted_as_a_stage(type_in, held, others, is_doubted):
    """Few leads come as far as a sale; among a handful of leads nothing follows from that."""
    seen = replace(SURVEY, labels=(SurveyedLabel("En cours", held, 0), SurveyedLabel("Neuf", others, 0)))
    result, _ = type_in(survey=seen, typed=lines("-", "-", "a", "-", *([""] if is_doubted else ["n"]), "b"))
    said = f"“En cours” is the status of {held} of {held + others} leads: that is a lot for “won”"

    assert (2 if is_doubted else 0) == result.output.count(said), result.output
    assert ("Is that right? yes or no [no]:" in result.output) is is_doubted


def test_a_status_that_most_leads_have_may_be_a_loss(type_in):
    """Most are lost."""
    seen = replace(SURVEY, labels=(SurveyedLabel("Classé", 90, 0), SurveyedLabel("Neuf", 9, 0)))

    assert "that is a lot for" not in type_in(survey=seen, typed=lines("b", "-", "-", "a"))[0].output


def test_a_stage_shows_one_status_a_line(type_in):
    """A long line would break within a name."""
    result, _ = type_in(survey=SURVEY, typed=lines("-", "-", "a, c", "-"))
    shown = ("Gagné  (40 leads, 20 with a click id)", "RDV pris  (60 leads, 30 with a click id)")

    assert "  won = {}\n{:16}{}\n".format(shown[0], "", shown[1]) in result.output
    assert "  won           {}\n{:16}{}\n".format(shown[0], "", shown[1]) in result.output


def test_every_answer_is_shown_again_before_anything_is_written(type_in):
    """`<` goes back from there; a no says so."""
    whole = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, "", "", "900", "1234567890", "111-222-3333", "12", "")
    day = ("<", "31/08/2026", "yes")
    result, told = type_in(survey=SURVEY, typed=lines(*whole, DATASET, NO_CONTACT, "30/08/2026", "no", *day))
    shown = result.output.rpartition("Your answers:\n")[2].partition("Write the settings?")[0]

    assert 2 == result.output.count("Your answers:\n")
    assert "< goes back one question, Ctrl-C leaves without writing anything" in result.output
    assert {"2026-09-01"} == {str(each["since"]) for each in told["conversions"]}
    assert [
        ("appointment", "RDV pris"),
        ("won", "Gagné"),
        ("account", "maison-x"),
        ("consent", "rgpd.pub"),
        ("it says yes", "oui"),
        ("it says no", "non"),
        ("personalized ads", "not asked separately: the first consent is for both"),
        ("amount of a sale", "montant"),
        ("tax", "included (TTC)"),
        ("without an amount", "€900.00"),
        ("Google Ads customer", "123-456-7890"),
        ("manager account", "111-222-3333"),
        ("conversion actions", "appointment 12"),
        ("Meta's dataset", "77"),
        ("contact data", "not sent"),
        ("sent otherwise until", "Mon 31 Aug 2026"),
    ] == [tuple(re.split(r"\s{2,}", line.strip(), maxsplit=1)) for line in shown.splitlines()]


def test_a_dataset_id_with_punctuation_is_refused(type_in):
    """`check` refuses it in the file, so the option does too."""
    assert 2 == type_in(*ENOUGH, "--meta-dataset-id", "123-456")[0].exit_code


@pytest.mark.parametrize("survey", [SURVEY, None])
def test_warns_when_no_status_means_a_sale(type_in, survey):
    """It may be deliberate, but is the most costly slip there is."""
    said = "No status means that the sale is signed (won), so no sale will be sent."
    typed = ("--account", "m", "--stage", "appointment=RDV pris", *META)
    without, _ = type_in(*typed, survey=survey)
    whole, _ = type_in(*typed, "--stage", "won=Gagné", "--force", survey=survey)

    assert said in " ".join(without.output.split())
    assert said not in " ".join(whole.output.split())


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-08-29", "those of 2 past days included where Google and Meta still take them"),
        ("2026-08-30", "those of 1 past day included where Google and Meta still take them"),
        ("2026-08-31", ""),
    ],
)
def test_an_amount_and_a_day_are_shown_again_with_what_follows(type_in, monkeypatch, day, said):
    """As they were read; the example of a day is a past one by the clock in use, and no other day month first."""
    monkeypatch.setattr(command, "_today", lambda _look: date(2026, 9, 1))
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, "", "", "12 000 €", NOTHING, DATASET, NO_CONTACT)
    result, _ = type_in(survey=SURVEY, typed=lines(*before, day))
    shown = [line for line in result.output.splitlines() if line.startswith("  last day: ")]

    assert "  a sale without an amount is sent with €12,000.00" in result.output
    assert "by other means? If so, up to which day, as 2026-08-31 or 31/08/2026? [-]: " in result.output
    assert "do not wait for the day asked for here: they go to Meta from the first night on" in result.output
    assert [f"conversions from the next day on are sent{said and ', '}{said}"] == [
        line.partition("; ")[2] for line in shown
    ]
    assert f" {int(day[-2:])} Aug 2026;" in shown[0]


@pytest.mark.parametrize("typed", ["no", "non", "-", ""])
def test_nothing_sent_by_other_means_can_be_said_in_words(type_in, typed):
    """The question asks for a yes or no first; a mere yes leaves out the day."""
    result, told = type_in(survey=SURVEY, typed=lines("", "", "", "", "", "maison-x", *END[:-1], "yes", typed))

    assert "write a day as 2026-08-31 or 31/08/2026" in result.output
    assert [] == [each for each in told["conversions"] if "since" in each]


def test_a_day_to_come_is_doubted(type_in, monkeypatch):
    """Nothing would be sent before it, so Enter asks again; it may be meant."""
    monkeypatch.setattr(command, "_today", lambda _look: date(2026, 9, 1))
    before = ("", "", "", "", "", "maison-x", *CONSENT, NOTHING, "", "", "12 000 €", NOTHING, DATASET, NO_CONTACT)
    result, told = type_in(survey=SURVEY, typed=lines(*before, "2026-11-30", "", "2026-11-30", "yes"))

    assert 2 == result.output.count("that day is still to come: nothing is sent before the day after it")
    assert {"2026-12-01"} == {str(each["since"]) for each in told["conversions"]}


def test_a_day_after_which_undated_statuses_would_be_sent_can_be_taken_back(type_in):
    """Enter takes it back, and a day nearer to the first night may be kept."""
    places = (FieldMatch("history", None, 0), FieldMatch("status_at", None, 0))
    undated = replace(SURVEY, fields=places, few_values=(MANY,))
    typed = lines("", "", "", "", "", "maison-x", *END[:-1], "2026-08-31", "", "2026-11-30", "yes")
    result, told = type_in(survey=undated, typed=typed)

    assert {date(2026, 12, 1)} == {each["since"] for each in told["conversions"]}, result.output
    assert 2 == result.output.count("no lead says since when it has its status")
