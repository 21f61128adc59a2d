"""Collect answers from options, from the survey of Oplead, or from a person, who can go back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import typer

from connectors.language import N_, _, _n, format_integer, join_with_semicolons
from connectors.stage_words import stage_in_words, stage_meant
from connectors.survey import AmountPath, PathWithFewValues, Survey, SurveyedLabel, leaves_tax_out
from jobs.cli.setup.init.menu import Choice, Menu
from jobs.cli.setup.init.questions import (
    CONVERSIONS,
    NONE,
    QUESTIONS,
    STAGES,
    YES_OR_NO,
    Answers,
    SetupQuestion,
    require_labels,
)
from jobs.exit_codes import UsageError
from jobs.reporting.console import say, value_with_count
from jobs.rules.labels import normalise_label
from jobs.settings.document import did_you_mean
from jobs.settings.lint import lint_warnings
from jobs.settings.unmatched import loose_field_path, undated_start_in_words

BACK = "<"
"""The input that returns to the previous question."""
_HOW = N_("Enter takes what stands in brackets, {none} means that there is none, {back} goes back one question.")
_MOST_FIELDS = 12
_MOST_VALUES = 4
_NO_MENU = Menu()
T = TypeVar("T")


class _BackRequested(Exception):
    """Restarts the questions; earlier answers are replayed up to the one that was taken back."""


@dataclass(frozen=True, slots=True)
class Prompt(Generic[T]):
    """A question as it is put to a person."""

    text: str
    option: str
    """What answers it on the command line."""
    read: Callable[[str], T]
    """Reads an answer; raises ValueError with what to write instead."""
    default: str | None = None
    """What Enter answers, and what is answered where nobody is asked."""
    menu: Menu = _NO_MENU
    """What to choose from."""
    without: str = ""
    """What it means to answer none; empty if an answer is needed."""

    def lines(self) -> Iterator[str]:
        """Yield what may be answered, after an empty line."""
        if any(lines := [*self.menu.lines(self.without)]):
            yield from ("", *lines)


class Dialogue:
    """Asks a person questions at a terminal and records the answers.

    Going back restarts with one answer fewer, so the caller must ask the same questions after the same answers.
    """

    def __init__(self, *, ask: bool) -> None:
        """Set up the dialogue; if `ask` is false, it takes the defaults and asks nothing."""
        self.asks = ask
        self._typed: list[str] = []
        self.place = 0
        """The number of questions answered so far, replayed ones included."""

    def run_with_going_back(self, questions: Callable[[], T]) -> T:
        """Run the questions, restarting whenever the person goes back, and return their result."""
        while True:
            self.place = 0
            try:
                return questions()
            except _BackRequested:
                continue

    def say(self, *lines: str) -> None:
        """Print lines, except while replaying earlier answers."""
        if self.place >= len(self._typed):
            say(*lines)

    def ask(self, prompt: Prompt[T]) -> T:
        """Ask until the answer can be read, and return what it was read as.

        Raises:
            UsageError: the dialogue asks nothing and the default is missing or invalid; the message names the option.
        """
        if self.asks:
            self.say(*prompt.lines())
        while self.asks:
            is_known = self.place < len(self._typed)
            answer = self._typed[self.place] if is_known else _typed_answer(prompt.text, prompt.default)
            if answer == BACK:
                if self._typed:
                    self.go_back_to_question(len(self._typed) - 1)
                self.say("  " + _("this is the first question"))
                continue
            try:
                made = prompt.read(answer)
            except ValueError as error:
                self.say(f"  {error}")
                continue
            if not is_known:
                self._typed.append(answer)
            self.place += 1
            return made
        why = ""
        try:
            if prompt.default is not None:
                return prompt.read(prompt.default)
        except ValueError as error:
            why = f" ({error})"
        raise UsageError(_("nobody is there to answer: write {option}…", option=prompt.option) + why)

    def ask_yes_no(self, question: str, *, default: bool) -> bool:
        """Whether the person answers yes; always true if the dialogue asks nothing."""
        asked = _("{question} yes or no", question=question)
        return not self.asks or self.ask(Prompt(asked, "", _yes_or_no, _("yes") if default else _("no")))

    def go_back_to_question(self, place: int) -> None:
        """Ask the questions from `place` on again."""
        del self._typed[place:]
        raise _BackRequested


def _typed_answer(question: str, default: str | None) -> str:
    # Without a type, the prompt would take the default's, and a translated text is of a type of its own.
    typed: str = typer.prompt(question, default, type=str, show_default=bool(default))
    return typed.strip()


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in YES_OR_NO:
        raise ValueError(_("answer yes or no"))
    return YES_OR_NO[text.casefold()]


@dataclass(eq=False, repr=False)
class Interview:
    """The interview for one first settings file."""

    given: Answers
    """Answers from the options."""
    survey: Survey | None
    """The survey of Oplead; None if it was not read."""
    dialogue: Dialogue
    _platforms_from: int = field(default=0, init=False)

    def answers(self) -> Answers:
        """Return an answer, possibly None, to every question.

        Raises:
            UsageError: a required answer is missing and nobody is asked, or the options leave nothing to send.
        """
        return self.dialogue.run_with_going_back(self._answers)

    def _answers(self) -> Answers:
        if self.dialogue.asks:
            self.dialogue.say(_(_HOW, none=NONE, back=BACK))
        answers: Answers = {}
        for question in QUESTIONS:
            if question.needs and not answers[question.needs]:
                answers[question.name] = None
            elif question.name not in answers:
                answers |= self._answers_to(question, answers)
        return answers

    def _answers_to(self, question: SetupQuestion, answers: Answers) -> Answers:
        """Return the answer to a question, and to those answered together with it."""
        match question.name:
            case "stage":
                return self._stages(question)
            case "granted":
                return self._ask_consent_answers("", answers, None)
            case "personalization_granted":
                usual = (answers["granted"], answers["refused"])
                return self._ask_consent_answers("personalization_", answers, usual)
            case "action":
                stages = [stage for stage in answers["stage"] if stage in CONVERSIONS]
                return {question.name: self._ask_for_each_stage(question, stages)}
            case "tax" if question.name not in self.given and self._leaves_tax_out(answers["amount_field"]):
                return {question.name: self._ask(question, _("no"))}
            case "google_customer_id":
                self._platforms_from = self.dialogue.place
            case "imported_until":
                return {question.name: self._ask_last_imported_day(question)}
        answer = self._ask_lead_path(question, answers) if question.field_of else self._ask_with_explanation(question)
        if question.name == "meta_dataset_id" and not answer and not answers["google_customer_id"]:
            self._ask_for_a_platform_again()
        return {question.name: answer}

    def _ask_with_explanation(self, question: SetupQuestion) -> Any:
        if question.name in self.given:
            return self.given[question.name]
        if not question.is_asked:
            return question.proposal
        if self.dialogue.asks:
            self.dialogue.say(*_(question.explanation).splitlines())
        return self._ask(question, question.proposal)

    def _ask_last_imported_day(self, question: SetupQuestion) -> date | None:
        """Return the day, asking again for one after which undated statuses are sent unless the person keeps it."""
        places = self.survey.fields if self.survey else ()
        is_undated = bool(places) and not any(one.path for one in places if one.field in {"history", "status_at"})
        while True:
            day: date | None = self._ask_with_explanation(question)
            if day is None or not is_undated:
                return day
            doubt = undated_start_in_words(day + timedelta(days=1))
            advice = _("to leave it out, answer the day before the first night")
            self.dialogue.say(f"  {join_with_semicolons((doubt, advice))}")
            if question.name in self.given or self.dialogue.ask_yes_no(_("Keep it all the same?"), default=False):
                return day

    def _ask(self, question: SetupQuestion, proposal: str | None, menu: Menu | None = None) -> Any:
        choose = (menu or _NO_MENU).choose_one
        return self._put(question, proposal, lambda text: question.parse_answer(choose(text) if menu else text), menu)

    def _put(
        self, question: SetupQuestion, proposal: str | None, read: Callable[[str], Any], menu: Menu | None = None
    ) -> Any:
        # What a survey proposes is a name in Oplead, which may look like one of our messages.
        proposed = _(proposal) if proposal and proposal == question.proposal else proposal
        default = proposed or ("" if question.optional and not question.must_be_said else None)
        prompt = Prompt(_(question.text), question.option_flag, read, default, menu or _NO_MENU, _(question.without))
        return self.dialogue.ask(prompt)

    def _ask_for_a_platform_again(self) -> None:
        if not self.dialogue.asks or self.dialogue.place == self._platforms_from:
            raise UsageError(
                _(
                    "neither Google Ads nor Meta is named: conversions would go nowhere; write --google-customer-id or "
                    "--meta-dataset-id"
                )
            )
        lacking = _("neither Google Ads nor Meta is named: conversions would go nowhere; name one of them")
        self.dialogue.say(f"  {lacking}")
        self.dialogue.go_back_to_question(self._platforms_from)

    # ── statuses ─────────────────────────────────────────────────────────────────────────────────

    def _stages(self, question: SetupQuestion) -> Answers:
        """Return each stage's labels, and the statuses to ignore or to leave out as possible personal data."""
        dialogue, start, given = self.dialogue, self.dialogue.place, self.given.get("stage")
        seen = self.survey.labels if self.survey else ()
        shown = [each for each in seen if not each.masked and normalise_label(each.label)]
        masked = [each for each in seen if each not in shown]
        stages = self._choose_stages(question, shown, masked) if given is None else given
        stages = {stage: labels for stage, labels in stages.items() if labels}
        if not stages.keys() & CONVERSIONS:
            lacking = _(
                "no status means one of {stages}: then there is nothing to send",
                stages=", ".join(map(stage_in_words, sorted(CONVERSIONS))),
            )
            if given is not None or not dialogue.asks:
                raise UsageError(_("{problem}; write {option} won=LABEL", problem=lacking, option=question.option_flag))
            dialogue.say(f"  {lacking}")
            dialogue.go_back_to_question(start)
        if "won" not in stages:
            dialogue.say("  " + _("No status means that the sale is signed (won), so no sale will be sent."))
        taken = {normalise_label(label) for labels in stages.values() for label in labels}
        ignored = [each.label for each in shown if normalise_label(each.label) not in taken]
        return {question.name: stages, "ignored": ignored, "left_out": [each.label for each in masked]}

    def _choose_stages(
        self, question: SetupQuestion, shown: Sequence[SurveyedLabel], masked: Sequence[SurveyedLabel]
    ) -> Answers:
        menu, dialogue, start = (
            Menu(list(map(_status_choice, shown)), takes_others=not shown),
            self.dialogue,
            self.dialogue.place,
        )
        if dialogue.asks and shown:
            dialogue.say(_("These are the statuses that leads have:"), *menu.lines(_(question.without)))
            if masked:
                hidden = _n(
                    "not shown, since it may be personal data: the status of {count} lead",
                    "not shown, since it may be personal data: the status of {count} leads",
                    sum(each.leads for each in masked),
                )
                dialogue.say(f"       {hidden}")
        chosen: dict[str, tuple[str, ...]] = {}
        left, doubts = {each.label: each.words or each.label for each in shown}, 0
        words = dict(left)
        for name, stage in STAGES.items():
            usual = [label for label, said in left.items() if stage_meant(said) == stage_meant(name)]
            read = question.parser_rejecting_repeated_answers(
                name,
                chosen,
                partial(question.parse_answer, read=lambda text: require_labels(menu.choose_several(text))),
            )
            asked = _(question.text, question=_(stage.question))
            option = f"{question.option_flag} {name}="
            chosen[name] = dialogue.ask(Prompt(asked, option, read, menu.letters_of(usual))) or ()
            left = {label: said for label, said in left.items() if label not in chosen[name]}
            if dialogue.asks:
                dialogue.say(f"  {stage_in_words(name)} = {_names(menu, chosen[name])}")
            doubts += self._say_doubts(name, [words.get(label, label) for label in chosen[name]])
        dialogue.say(
            _("So this is what your statuses mean:"),
            *(
                f"  {name:<12}  {_names(menu, labels)}"
                for name, labels in {
                    **{stage_in_words(stage): labels for stage, labels in chosen.items()},
                    _("ignored"): tuple(left),
                }.items()
            ),
        )
        if (shown or doubts) and not dialogue.ask_yes_no(_("Is that right?"), default=not doubts):
            dialogue.go_back_to_question(start)
        return chosen

    def _say_doubts(self, stage: str, labels: Sequence[str]) -> int:
        """Say what `check` would note of a stage's labels, and return how many notes these are."""
        notes = [each.message for each in lint_warnings({"stages": {stage: [*labels]}})]
        self.dialogue.say(*(f"  {note}" for note in notes))
        return len(notes)

    def _ask_for_each_stage(self, question: SetupQuestion, stages: Iterable[str]) -> Answers:
        """Return the answers to a question that each stage answers for itself, unless the answer is none."""
        given, answers = self.given.get(question.name, {}), Answers()
        for stage in stages:
            prompt = Prompt(
                _(question.text, stage=stage_in_words(stage)),
                f"{question.option_flag} {stage}=",
                question.parser_rejecting_repeated_answers(stage, answers),
                "",
                without=_(question.without),
            )
            answers[stage] = given[stage] if stage in given else self.dialogue.ask(prompt)
        return {stage: answer for stage, answer in answers.items() if answer}

    # ── fields and what they hold ────────────────────────────────────────────────────────────────

    def _ask_lead_path(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return a lead path, asking again for one that no lead has a value at unless the person keeps it."""
        likely, menu = self._likely(question, answers), Menu(list(self._field_choices(question, answers)))
        is_given = question.name in self.given
        path: str | None = self.given[question.name] if is_given else self._ask(question, likely, menu)
        while path and not self._confirm_path_has_values(question.field_of, path):
            path = self._ask(question, likely, menu)
        return path

    def _field_choices(self, question: SetupQuestion, answers: Answers) -> Iterator[Choice]:
        """Yield the fields that may hold what a question is about, likeliest first."""
        survey = self.survey
        if survey is None:
            return
        if question.name == "amount_field":
            for amount in _amounts_of_sales_first(survey.amounts, answers)[:_MOST_FIELDS]:
                yield Choice(amount.path, _amounts_seen(amount, survey.leads))
            return
        for few in survey.few_values[:_MOST_FIELDS]:
            if few.path != answers.get("consent_field"):
                yield Choice(few.path, _counts([*few.values.items()][:_MOST_VALUES]))

    def _likely(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return the likeliest field from the survey, or None; without a survey, the question's proposal."""
        survey = self.survey
        if survey is None:
            return question.proposal
        paths = [each.path for each in survey.few_values if each.consent and not each.is_for_messages]
        if question.name == "amount_field":
            paths = [each.path for each in _amounts_of_sales_first(survey.amounts, answers)]
        elif question.name == "personalization_field":
            paths = [path for path in paths if path != answers["consent_field"] and "perso" in path.casefold()]
        return next(iter(paths), None)

    def _confirm_path_has_values(self, what: str, path: str) -> bool:
        """Print how many leads have a value at a path; return whether any has, or the person keeps the path anyway."""
        survey = self.survey
        if survey is None:
            return True
        held = next((one.filled for one in survey.paths if loose_field_path(one.path) == loose_field_path(path)), 0)
        unclear = next(
            (one.unreadable for one in survey.amounts if loose_field_path(one.path) == loose_field_path(path)), 0
        )
        hint = (
            _n("; {count} cannot be read as an amount", "; {count} cannot be read as an amount", unclear)
            if unclear
            else ""
        )
        if not held:
            hint = did_you_mean(path, [one.path for one in survey.paths])
        found = _n(
            "{what}: of {leads}, {count} holds something at {path}{hint}",
            "{what}: of {leads}, {count} hold something at {path}{hint}",
            held,
            what=_(what),
            leads=_n("{count} lead", "{count} leads", survey.leads),
            path=path,
            hint=hint,
        )
        self.dialogue.say(f"  {found}")
        return bool(held) or self.dialogue.ask_yes_no(_("Keep it all the same?"), default=False)

    def _leaves_tax_out(self, path: str) -> bool:
        """Whether the name of an amount, or the title of its column, says that tax is not in it."""
        columns = (self.survey and self.survey.columns) or {}
        return any(map(leaves_tax_out, (path, *(title for title, place in columns.items() if place == path))))

    def _few_values_at_path(self, path: str) -> PathWithFewValues | None:
        seen = self.survey.few_values if self.survey else ()
        return next((each for each in seen if loose_field_path(each.path) == loose_field_path(path)), None)

    def _ask_consent_answers(
        self, prefix: str, answers: Answers, usual: tuple[Sequence[str], Sequence[str]] | None
    ) -> Answers:
        """Return the answers of a consent field that mean yes and no.

        Proposes answers found in leads; if the survey has none for the field, the `usual` ones.
        """
        names = (f"{prefix}granted", f"{prefix}refused")
        yes, no = (question for question in QUESTIONS if question.name in names)
        few, given = self._few_values_at_path(answers[f"{prefix or 'consent_'}field"]), self.given
        if few is not None:
            usual = (few.granted, few.refused)
        elif usual is None:
            usual = ((), ()) if self.survey else (("oui",), ("non",))
        menu = Menu(list(_answer_choices(few.values if few else {})))
        read = partial(yes.parse_answer, read=lambda text: require_labels(menu.choose_several(text)))
        while True:
            granted = given[yes.name] if yes.name in given else self._put(yes, ", ".join(usual[0]) or None, read, menu)
            distinct = no.parser_rejecting_repeated_answers("no", {_("yes"): granted}, read)
            proposed = ", ".join(usual[1]) or NONE
            refused = given[no.name] if no.name in given else self._put(no, proposed, distinct, menu)
            if few is None or not granted or self._confirm_consent_answers(few, granted, refused or ()):
                return {yes.name: granted, no.name: refused}
            given = {}

    def _confirm_consent_answers(self, few: PathWithFewValues, granted: Sequence[str], refused: Sequence[str]) -> bool:
        """Print how many leads have each answer, and return whether the person confirms."""
        leads = {normalise_label(value): leads for value, leads in few.values.items() if value}
        yes, no = ([(one, leads.pop(normalise_label(one), 0)) for one in answers] for answers in (granted, refused))
        others = [(value, count) for value, count in few.values.items() if not value or normalise_label(value) in leads]
        self.dialogue.say(
            "  " + _("yes: {answers}", answers=_counts(yes)),
            "  " + _("no: {answers}", answers=_counts(no)),
            "  " + _("in neither list, so not sent: {answers}", answers=_counts(others)),
        )
        return self.dialogue.ask_yes_no(_("Is that right?"), default=all(leads for _, leads in (*yes, *no)))


def _status_choice(seen: SurveyedLabel) -> Choice:
    """Return a status to choose; of a mere code it says what Oplead calls it, or a lead that has it."""
    having = _n(
        "{count} lead, {with_click_id} with a click id",
        "{count} leads, {with_click_id} with a click id",
        seen.leads,
        with_click_id=format_integer(seen.with_click_id),
    )
    if not seen.is_code:
        return Choice(seen.label, having)
    if seen.words:
        return Choice(seen.label, having, _("code {label}: {words}", label=seen.label, words=seen.words))
    if seen.example:
        having = _("{seen}; for example lead {lead}", seen=having, lead=seen.example)
    return Choice(seen.label, having, _("code {label}", label=seen.label))


def _names(menu: Menu, labels: Iterable[str]) -> str:
    """Return statuses and on which leads they were seen, in one line."""
    return join_with_semicolons(map(str, menu.find_all(labels))) or _("none")


def _amounts_of_sales_first(amounts: Iterable[AmountPath], answers: Answers) -> list[AmountPath]:
    """Return amounts, first those that mostly sales have: a budget is there long before a sale."""
    won = set(map(normalise_label, answers["stage"].get("won", ())))

    def is_of_others(amount: AmountPath) -> bool:
        sold = sum(leads for status, leads in amount.statuses.items() if normalise_label(status) in won)
        return 2 * sold <= sum(amount.statuses.values())

    return sorted(amounts, key=is_of_others)


def _amounts_seen(amount: AmountPath, leads: int) -> str:
    """Return on how many leads, and in which statuses, there is an amount."""
    seen = _("{filled} of {leads}", filled=amount.readable + amount.unreadable, leads=format_integer(leads))
    statuses = _counts([*amount.statuses.items()][:_MOST_VALUES])
    return f"{seen}: {statuses}" if amount.statuses else seen


def _answer_choices(values: Mapping[str, int]) -> Iterator[Choice]:
    """Yield the answers that may be shown."""
    for value, leads in values.items():
        if value and not value.startswith("<"):
            yield Choice(value, _n("{count} lead", "{count} leads", leads))


def _counts(answers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(value_with_count(answer, leads) for answer, leads in answers) or _("none")
