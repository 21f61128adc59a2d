"""Collect answers from options, from the survey of Oplead, or from a person, who can go back."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, product
from string import ascii_lowercase
from typing import Any, TypeVar

import typer

from connectors.language import N_, _, _n, format_integer
from connectors.survey import PathWithFewValues, Survey, SurveyedLabel
from jobs.cli.setup.init.questions import CONVERSIONS, NONE, QUESTIONS, STAGES, Answers, SetupQuestion
from jobs.exit_codes import UsageError
from jobs.reporting.console import say, value_with_count
from jobs.rules.labels import normalise_label
from jobs.settings.document import did_you_mean
from jobs.settings.unmatched import loose_field_path

BACK = "<"
"""The input that returns to the previous question."""
_HOW = N_("Enter takes what stands in brackets, {none} means that there is none, {back} goes back one question.")
_YES_OR_NO = {**dict.fromkeys(("y", "yes", "o", "oui"), True), **dict.fromkeys(("n", "no", "non"), False)}
T = TypeVar("T")


class _BackRequested(Exception):
    """Restarts the questions; earlier answers are replayed up to the one that was taken back."""


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

    def ask_until_valid(self, question: str, option: str, check: Callable[[str], T], default: str | None = None) -> T:
        """Ask until `check` accepts the answer, and return its result; `check` raises ValueError to reject.

        Raises:
            UsageError: the dialogue asks nothing and the default is missing or invalid; the message names the option.
        """
        while self.asks:
            is_known = self.place < len(self._typed)
            answer = self._typed[self.place] if is_known else _typed_answer(question, default)
            if answer == BACK:
                if self._typed:
                    self.go_back_to_question(len(self._typed) - 1)
                self.say("  " + _("this is the first question"))
                continue
            try:
                made = check(answer)
            except ValueError as error:
                self.say(f"  {error}")
                continue
            if not is_known:
                self._typed.append(answer)
            self.place += 1
            return made
        why = ""
        try:
            if default is not None:
                return check(default)
        except ValueError as error:
            why = f" ({error})"
        raise UsageError(_("nobody is there to answer: write {option}…", option=option) + why)

    def ask_yes_no(self, question: str, *, default: bool) -> bool:
        """Whether the person answers yes; always true if the dialogue asks nothing."""
        return not self.asks or self.ask_until_valid(
            _("{question} y or n", question=question), "", _yes_or_no, _("y") if default else _("n")
        )

    def go_back_to_question(self, place: int) -> None:
        """Ask the questions from `place` on again."""
        del self._typed[place:]
        raise _BackRequested


def _typed_answer(question: str, default: str | None) -> str:
    # Without a type, the prompt would take the default's, and a translated text is of a type of its own.
    typed: str = typer.prompt(question, default, type=str, show_default=bool(default))
    return typed.strip()


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in _YES_OR_NO:
        raise ValueError(_("write y or n"))
    return _YES_OR_NO[text.casefold()]


class StatusMenu:
    """Statuses to choose from by letter or by label."""

    def __init__(self, seen: Sequence[SurveyedLabel]) -> None:
        """Assign a letter to each status, skipping letters that are themselves a status."""
        self._by_label = {normalise_label(each.label): each for each in seen}
        letters = ("".join(each) for length in count(1) for each in product(ascii_lowercase, repeat=length))
        self._by_letter = dict(zip((each for each in letters if each not in self._by_label), seen, strict=False))

    def lines(self) -> Iterator[str]:
        """Yield a line for each status, with its letter and its number of leads."""
        for letter, each in self._by_letter.items():
            having = _n(
                "{count} lead, {with_click_id} with a click id",
                "{count} leads, {with_click_id} with a click id",
                each.leads,
                with_click_id=format_integer(each.with_click_id),
            )
            yield f"  {letter:>3}  {_name_of(each)}  ({having})"

    def proposed_status_letters(self, stage: str, left: Iterable[str]) -> str:
        """Return the proposal for a stage: the letters of those labels `left` that commonly mean it."""
        usual = [label for label in left if normalise_label(label) in STAGES[stage].usual_labels]
        return ", ".join(letter for letter, each in self._by_letter.items() if each.label in usual) or NONE

    def parse_chosen_labels(self, text: str) -> tuple[str, ...]:
        """Parse comma-separated letters or labels into labels, without duplicates.

        Raises:
            ValueError: an item is neither a letter nor a label.
        """
        if text == NONE:
            return ()
        whole = self._by_label.get(normalise_label(text))
        chosen = [whole] if whole else [self._find_status(part.strip()) for part in text.split(",") if part.strip()]
        if not chosen:
            raise ValueError(_("write letters, with commas between; {none} for none", none=NONE))
        return tuple(dict.fromkeys(each.label for each in chosen))

    def _find_status(self, text: str) -> SurveyedLabel:
        found = self._by_letter.get(text.casefold()) or self._by_label.get(normalise_label(text))
        if found is None:
            raise ValueError(
                _(
                    "{text} is neither a letter from the list nor a status; {none} for none, {back} to go back",
                    text=text,
                    none=NONE,
                    back=BACK,
                )
            )
        return found

    def labels_with_lead_counts(self, labels: Iterable[str]) -> str:
        """Return the labels with their numbers of leads, in one line."""
        chosen = (self._by_label[normalise_label(label)] for label in labels)
        counts = [f"{_name_of(each)}, " + _n("{count} lead", "{count} leads", each.leads) for each in chosen]
        return "; ".join(counts) or _("none")


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
            case "google_customer_id":
                self._platforms_from = self.dialogue.place
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

    def _ask(self, question: SetupQuestion, proposal: str | None) -> Any:
        default = proposal or ("" if question.optional else None)
        return self.dialogue.ask_until_valid(_(question.text), question.option_flag, question.parse_answer, default)

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
        if given is None and shown:
            stages = self._choose_stages(question, shown, masked)
        else:
            stages = self._ask_for_each_stage(question, STAGES) if given is None else given
        stages = {stage: labels for stage, labels in stages.items() if labels}
        if not stages.keys() & CONVERSIONS:
            lacking = _(
                "no status means one of {stages}: then there is nothing to send", stages=", ".join(sorted(CONVERSIONS))
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
        menu, dialogue, start = StatusMenu(shown), self.dialogue, self.dialogue.place
        if dialogue.asks:
            dialogue.say(_("These are the statuses that leads have:"), *menu.lines())
            if masked:
                hidden = _n(
                    "not shown, since it may be personal data: the status of {count} lead",
                    "not shown, since it may be personal data: the status of {count} leads",
                    sum(each.leads for each in masked),
                )
                dialogue.say(f"       {hidden}")
        chosen: dict[str, tuple[str, ...]] = {}
        left = [each.label for each in shown]
        for name, stage in STAGES.items():
            chosen[name] = dialogue.ask_until_valid(
                _("Which of them mean that {meaning}? Letters, with commas between", meaning=_(stage.meaning)),
                f"{question.option_flag} {name}=",
                question.parser_rejecting_repeated_answers(name, chosen, menu.parse_chosen_labels),
                menu.proposed_status_letters(name, left),
            )
            left = [label for label in left if label not in chosen[name]]
            if dialogue.asks:
                dialogue.say(f"  {name} = {menu.labels_with_lead_counts(chosen[name])}")
        dialogue.say(
            _("So this is what your statuses mean:"),
            *(
                f"  {name:<12} {menu.labels_with_lead_counts(labels)}"
                for name, labels in {**chosen, _("ignored"): left}.items()
            ),
        )
        if not dialogue.ask_yes_no(_("Is that right?"), default=True):
            dialogue.go_back_to_question(start)
        return chosen

    def _ask_for_each_stage(self, question: SetupQuestion, stages: Iterable[str]) -> Answers:
        """Return the answers to a question that each stage answers for itself, unless the answer is none."""
        given, answers = self.given.get(question.name, {}), Answers()
        for stage in stages:
            text = _(question.text, stage=stage, meaning=_(STAGES[stage].meaning))
            reader, default = (
                question.parser_rejecting_repeated_answers(stage, answers),
                "" if question.optional else None,
            )
            option = f"{question.option_flag} {stage}="
            answers[stage] = (
                given[stage] if stage in given else self.dialogue.ask_until_valid(text, option, reader, default)
            )
        return {stage: answer for stage, answer in answers.items() if answer}

    # ── fields and what they hold ────────────────────────────────────────────────────────────────

    def _ask_lead_path(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return a lead path, asking again for one that no lead has a value at unless the person keeps it."""
        likely = self._likely(question, answers)
        is_given = question.name in self.given
        few = self._few_values_at_path(likely) if likely and question.name == "consent_field" else None
        if few and self.dialogue.asks and not is_given:
            counts = _counts(few.values.items())
            self.dialogue.say(_("{path} looks like a consent: {answers}", path=likely, answers=counts))
        path: str | None = self.given[question.name] if is_given else self._ask(question, likely)
        while path and not self._confirm_path_has_values(question.field_of, path):
            path = self._ask(question, likely)
        return path

    def _likely(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return the likeliest field from the survey, or None; without a survey, the question's proposal."""
        survey = self.survey
        if survey is None:
            return question.proposal
        paths = [each.path for each in survey.few_values if each.consent]
        if question.name == "amount_field":
            paths = [each.path for each in survey.amounts]
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
        proposed = (", ".join(usual[0]) or None, ", ".join(usual[1]) or NONE)
        while True:
            granted = given.get(yes.name) or self._ask(yes, proposed[0])
            read = no.parser_rejecting_repeated_answers("no", {_("yes"): granted})
            refused = given.get(no.name) or self.dialogue.ask_until_valid(_(no.text), no.option_flag, read, proposed[1])
            if few is None or self._confirm_consent_answers(few, granted, refused):
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


def _name_of(seen: SurveyedLabel) -> str:
    """Return a status for display; a number is only Oplead's code for one."""
    return _("code {label}", label=seen.label) if seen.label.isdecimal() else seen.label


def _counts(answers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(value_with_count(answer, leads) for answer, leads in answers) or _("none")
