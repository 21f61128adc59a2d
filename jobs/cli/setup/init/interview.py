"""Collect answers from options, from the survey of Oplead, or from a person."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from connectors.language import N_, _, _n, format_day, format_integer, format_money, join_with_semicolons
from connectors.stage_words import stage_in_words
from connectors.survey import AmountPath, PathWithFewValues, Survey, leaves_tax_out
from jobs.cli.setup.init.dialogue import BACK, Dialogue, Prompt
from jobs.cli.setup.init.menu import Choice, Menu
from jobs.cli.setup.init.questions import (
    CONVERSIONS,
    NONE,
    QUESTIONS,
    Answers,
    SetupQuestion,
    require_labels,
)
from jobs.cli.setup.init.recap import RECAP_COLUMN, recap_lines
from jobs.cli.setup.init.statuses import StatusInterview
from jobs.exit_codes import UsageError
from jobs.reporting.console import value_with_count
from jobs.rules.labels import normalise_label
from jobs.settings.document import did_you_mean
from jobs.settings.unmatched import loose_field_path, undated_start_in_words

_HOW = N_("Enter takes what stands in brackets, {none} means that there is none, {back} goes back one question.")
_MOST_FIELDS = 12
_MOST_VALUES = 4
_ALMOST_THE_SAME = 0.8
_NO_MENU = Menu()


@dataclass(eq=False, repr=False)
class Interview:
    """The interview for one first settings file."""

    given: Answers
    """Answers from the options."""
    survey: Survey | None
    """The survey of Oplead; None if it was not read."""
    dialogue: Dialogue
    today: date
    """By the clock in use, which may be a sandbox's."""
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
        if self.dialogue.place:
            self.dialogue.say("", _("Your answers:"), *recap_lines(answers), column=RECAP_COLUMN)
            self.dialogue.ask_to_go_on(_("Write the settings?"))
        return answers

    def _answers_to(self, question: SetupQuestion, answers: Answers) -> Answers:  # noqa: C901 - a case a question
        """Return the answer to a question, and to those answered together with it."""
        match question.name:
            case "stage":
                given, seen = self.given.get("stage"), self.survey.labels if self.survey else ()
                return StatusInterview(question, given, seen, self.dialogue).answers()
            case "granted":
                return self._ask_consent_answers("", answers, None)
            case "personalization_granted":
                usual = (answers["granted"], answers["refused"])
                return self._ask_consent_answers("personalization_", answers, usual)
            case "action":
                stages = [stage for stage in answers["stage"] if stage in CONVERSIONS]
                return {question.name: self._ask_for_each_stage(question, stages)}
            case "tax":
                return {question.name: self._ask_tax(question, answers["amount_field"])}
            case "google_customer_id":
                self._platforms_from = self.dialogue.place
            case "google_login_customer_id":
                return {question.name: self._ask_manager_account(question, answers)}
            case "otherwise":
                return {question.name: self._ask_amount_instead(question, answers)}
            case "imported_until":
                return {question.name: self._ask_last_imported_day(question, answers)}
        answer = self._ask_lead_path(question, answers) if question.field_of else self._ask_with_explanation(question)
        if question.name == "meta_dataset_id" and not answer and not answers["google_customer_id"]:
            self._ask_for_a_platform_again()
        return {question.name: answer}

    def _ask_with_explanation(self, question: SetupQuestion, **values: str) -> Any:
        if question.name in self.given:
            return self.given[question.name]
        if not question.is_asked:
            return question.proposal
        if self.dialogue.asks:
            self.dialogue.say(*_(question.explanation).splitlines())
        return self._ask(question, question.proposal, None, **values)

    def _ask_tax(self, question: SetupQuestion, amount: str) -> Any:
        if question.name in self.given or not self._leaves_tax_out(amount):
            return self._ask_with_explanation(question)
        return self._ask(question, _("no"))

    def _ask_manager_account(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return the manager account; the account itself is none."""
        own = {"google_customer_id": answers["google_customer_id"]}
        read = question.parser_rejecting_repeated_answers(question.name, own)
        try:
            account: str | None = (
                read(self.given[question.name] or NONE)
                if question.name in self.given
                else self._put(question, None, read)
            )
        except ValueError as error:
            raise UsageError(f"{question.option_flag}: {error}") from None
        return account

    def _ask_amount_instead(self, question: SetupQuestion, answers: Answers) -> Decimal | None:
        """Return what to send for a sale without an amount, shown again as it was read."""
        amount: Decimal | None = self._ask_with_explanation(question)
        if amount:
            shown = format_money(amount, answers["currency"])
            self._show_again(question, _("a sale without an amount is sent with {amount}", amount=shown))
        return amount

    def _ask_last_imported_day(self, question: SetupQuestion, answers: Answers) -> date | None:
        """Return the day, asking again for one after which undated statuses are sent unless the person keeps it."""
        places, start = self.survey.fields if self.survey else (), self.dialogue.place
        is_undated = bool(places) and not any(one.path for one in places if one.field in {"history", "status_at"})
        if self.dialogue.asks and question.name not in self.given and answers["meta_dataset_id"]:
            self.dialogue.say(
                _(
                    "The stages of leads from Meta's own forms (Instant Forms) do not wait for the day asked for "
                    "here: they go to Meta from the first night on. If something else sends them too, stop it "
                    "first, or they may count twice."
                )
            )
        # No day of a month's end is read as another, month first.
        example = self.today.replace(day=1) - timedelta(days=1)
        day: date | None = self._ask_with_explanation(
            question, iso=example.isoformat(), day_first=f"{example:%d/%m/%Y}"
        )
        if day is None:
            return None
        since = day + timedelta(days=1)
        self._show_again(
            question,
            _n(
                "last day: {day}; conversions from the next day on are sent, those of {count} past day included where "
                "Google and Meta still take them",
                "last day: {day}; conversions from the next day on are sent, those of {count} past days included where "
                "Google and Meta still take them",
                (self.today - since).days,
                day=format_day(day),
            )
            if since < self.today
            else _("last day: {day}; conversions from the next day on are sent", day=format_day(day)),
        )
        if day > self.today:
            to_come = _("that day is still to come: nothing is sent before the day after it")
            self.dialogue.say(f"  {to_come}")
            if question.name not in self.given:
                self._confirm(_("Keep it all the same?"), start, default=False)
        if is_undated:
            doubt = undated_start_in_words(since)
            advice = _("to leave it out, answer the day before the first night")
            self.dialogue.say(f"  {join_with_semicolons((doubt, advice))}")
            if question.name not in self.given:
                self._confirm(_("Keep it all the same?"), start, default=False)
        return day

    def _show_again(self, question: SetupQuestion, sentence: str) -> None:
        """Say what an answer that was typed comes to."""
        if self.dialogue.asks and question.name not in self.given:
            self.dialogue.say(f"  {sentence}")

    def _confirm(self, asked: str, start: int, *options: str, default: bool) -> None:
        """Unless the person says yes, ask the questions from `start` on again, whatever these options answered."""
        if not self.dialogue.ask_yes_no(asked, default=default):
            self.given = {name: answer for name, answer in self.given.items() if name not in options}
            self.dialogue.go_back_to_question(start)

    def _ask(self, question: SetupQuestion, proposal: str | None, menu: Menu | None = None, **values: str) -> Any:
        choose = (menu or _NO_MENU).choose_one
        return self._put(
            question, proposal, lambda text: question.parse_answer(choose(text) if menu else text), menu, **values
        )

    def _put(
        self,
        question: SetupQuestion,
        proposal: str | None,
        read: Callable[[str], Any],
        menu: Menu | None = None,
        **values: str,
    ) -> Any:
        # What a survey proposes is a name in Oplead, which may look like one of our messages.
        proposed = _(proposal) if proposal and proposal == question.proposal else proposal
        default = proposed or (NONE if question.optional and not question.must_be_said else None)
        text = _(question.text, **values)
        prompt = Prompt(text, question.option_flag, read, default, menu or _NO_MENU, _(question.without))
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

    def _ask_for_each_stage(self, question: SetupQuestion, stages: Iterable[str]) -> Answers:
        """Return the answers to a question that each stage answers for itself, unless the answer is none."""
        given, answers = self.given.get(question.name, {}), Answers()
        if self.dialogue.asks and not given:
            self.dialogue.say(*_(question.explanation).splitlines())
        for stage in stages:
            prompt = Prompt(
                _(question.text, stage=stage_in_words(stage)),
                f"{question.option_flag} {stage}=",
                question.parser_rejecting_repeated_answers(stage, answers),
                NONE,
                without=_(question.without),
            )
            answers[stage] = given[stage] if stage in given else self.dialogue.ask(prompt)
        return {stage: answer for stage, answer in answers.items() if answer}

    # ── fields and what they hold ────────────────────────────────────────────────────────────────

    def _ask_lead_path(self, question: SetupQuestion, answers: Answers) -> str | None:
        """Return a lead path, asking again for one that no lead has a value at unless the person keeps it."""
        likely, menu = self._likely(question, answers), Menu(list(self._field_choices(question, answers)))
        is_given, start = question.name in self.given, self.dialogue.place
        path: str | None = self.given[question.name] if is_given else self._ask(question, likely, menu)
        if path and not self._say_how_many_hold(question.field_of, path, menu):
            self._confirm(_("Keep it all the same?"), start, question.name, default=False)
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

    def _say_how_many_hold(self, what: str, path: str, menu: Menu) -> bool:
        """Say how many leads have a value at a path; return whether any has, or there is no survey."""
        survey, spelling = self.survey, loose_field_path(path)
        if survey is None:
            return True
        held = next((one.filled for one in survey.paths if loose_field_path(one.path) == spelling), 0)
        unclear = next((one.unreadable for one in survey.amounts if loose_field_path(one.path) == spelling), 0)
        if not held:
            # A field from the list is meant, rather than one of the many others that is but spelled alike.
            others = [one.path for one in survey.paths]
            hint = did_you_mean(path, menu.answers()) or did_you_mean(path, others, cutoff=_ALMOST_THE_SAME)
            found = _n(
                "{what}: the {count} lead that was read holds nothing at {path}{hint}",
                "{what}: none of the {count} leads that were read holds anything at {path}{hint}",
                survey.leads,
                what=_(what),
                path=path,
                hint=hint,
            )
        else:
            hint = (
                _n("; {count} cannot be read as an amount", "; {count} cannot be read as an amount", unclear)
                if unclear
                else ""
            )
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
        return bool(held)

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
        names, start = (f"{prefix}granted", f"{prefix}refused"), self.dialogue.place
        yes, no = (question for question in QUESTIONS if question.name in names)
        few, given = self._few_values_at_path(answers[f"{prefix or 'consent_'}field"]), self.given
        if few is not None:
            # Whether 1 means yes only the form's maker knows.
            yes_said, no_said = ([one for one in said if not one.isdigit()] for said in (few.granted, few.refused))
            usual = yes_said, no_said
            self._say_that_numbers_may_mean_anything(few)
        elif usual is None:
            usual = ((), ()) if self.survey else (("oui",), ("non",))
        menu = Menu(list(_answer_choices(few.values if few else {})))
        read = partial(yes.parse_answer, read=lambda text: require_labels(menu.choose_several(text)))
        granted = given[yes.name] if yes.name in given else self._put(yes, ", ".join(usual[0]) or None, read, menu)
        distinct = no.parser_rejecting_repeated_answers("no", {_("yes"): granted}, read)
        proposed = ", ".join(each for each in usual[1] if each not in (granted or ())) or NONE
        refused = given[no.name] if no.name in given else self._put(no, proposed, distinct, menu)
        if few is not None and granted:
            is_seen = self._say_consent_answers(few, granted, refused or ())
            self._confirm(_("Is that right?"), start, *names, default=is_seen)
        return {yes.name: granted, no.name: refused}

    def _say_that_numbers_may_mean_anything(self, few: PathWithFewValues) -> None:
        """Say which numbers a consent field holds, if any: none of them is proposed."""
        numbers = [(value, leads) for value, leads in few.values.items() if value.isdigit()]
        if numbers and self.dialogue.asks:
            seen = _(
                "{path} holds numbers: {answers}. Which of them mean yes? Ask whoever made the form.",
                path=few.path,
                answers=_counts(numbers),
            )
            self.dialogue.say(f"  {seen}")

    def _say_consent_answers(self, few: PathWithFewValues, granted: Sequence[str], refused: Sequence[str]) -> bool:
        """Say how many leads have each answer, and return whether some have each of those named."""
        leads = {normalise_label(value): leads for value, leads in few.values.items() if value}
        yes, no = ([(one, leads.pop(normalise_label(one), 0)) for one in answers] for answers in (granted, refused))
        others = [(value, count) for value, count in few.values.items() if not value or normalise_label(value) in leads]
        self.dialogue.say(
            "  " + _("yes: {answers}", answers=_counts(yes)),
            "  " + _("no: {answers}", answers=_counts(no)),
            "  " + _("in neither list, so not sent: {answers}", answers=_counts(others)),
        )
        return all(leads for _, leads in (*yes, *no))


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
    return _("{name}: {text}", name=seen, text=statuses) if amount.statuses else seen


def _answer_choices(values: Mapping[str, int]) -> Iterator[Choice]:
    """Yield the answers that may be shown."""
    for value, leads in values.items():
        if value and not value.startswith("<"):
            yield Choice(value, _n("{count} lead", "{count} leads", leads))


def _counts(answers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(value_with_count(answer, leads) for answer, leads in answers) or _("none")
