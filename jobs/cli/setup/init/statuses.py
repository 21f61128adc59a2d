"""Asks which statuses mean which stage, and what else histories call them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from connectors.language import _, _n, format_integer, join_with_semicolons
from connectors.stage_words import stage_in_words, stage_meant
from connectors.survey import Survey, SurveyedLabel
from jobs.cli.setup.init.dialogue import Dialogue, Prompt
from jobs.cli.setup.init.menu import Choice, Menu
from jobs.cli.setup.init.questions import CONVERSIONS, STAGES, Answers, SetupQuestion, require_labels
from jobs.exit_codes import UsageError
from jobs.rules.labels import normalise_label
from jobs.settings.document import to_inline_yaml
from jobs.settings.lint import lint_warnings

_STAGE = 12
"""Columns for a stage's name."""
_ENOUGH_LEADS = 20
"""Leads among which a status of most of them says something."""
Stages = Mapping[str, Sequence[str]]
"""Labels by stage."""


@dataclass(eq=False, repr=False)
class StatusInterview:
    """The part of the interview on what statuses mean."""

    question: SetupQuestion
    given: Stages | None
    """What the options answer; None if they do not."""
    seen: Sequence[SurveyedLabel]
    dialogue: Dialogue
    _shown: Sequence[SurveyedLabel] = field(init=False)
    _masked: Sequence[SurveyedLabel] = field(init=False)

    def __post_init__(self) -> None:
        """Tell the statuses that may be shown from those that may be personal data."""
        self._shown = [each for each in self.seen if not each.masked and normalise_label(each.label)]
        self._masked = [each for each in self.seen if each not in self._shown]

    def answers(self) -> Answers:
        """Return each stage's labels, and the statuses to ignore or to leave out as possible personal data.

        A code by which histories alone tell a status stands beside it.
        """
        dialogue, start = self.dialogue, self.dialogue.place
        stages = self._choose() if self.given is None else self.given
        stages = {stage: labels for stage, labels in stages.items() if labels}
        if not stages.keys() & CONVERSIONS:
            lacking = _(
                "no status means one of {stages}: then there is nothing to send",
                stages=", ".join(map(stage_in_words, sorted(CONVERSIONS))),
            )
            if self.given is not None or not dialogue.asks:
                raise UsageError(
                    _("{problem}; write {option} won=LABEL", problem=lacking, option=self.question.option_flag)
                )
            dialogue.say(f"  {lacking}")
            dialogue.go_back_to_question(start)
        if "won" not in stages:
            dialogue.say("  " + _("No status means that the sale is signed (won), so no sale will be sent."))
        ignored = [each.label for each in self._left_by(stages)]
        taken = _normalised(stages)
        written = _normalised({**stages, "ignored": ignored})
        coded = [each for each in self._shown if each.past_code and normalise_label(each.label) in written]
        coded = [each for each in coded if normalise_label(each.past_code) not in taken]
        if self.given is not None and coded:
            pairs = join_with_semicolons(map(_name, coded))
            dialogue.say(_("Histories tell codes alone, which are written beside their statuses: {pairs}", pairs=pairs))
        return {
            self.question.name: {stage: self._with_codes(labels, taken) for stage, labels in stages.items()},
            "ignored": list(self._with_codes(ignored, taken)),
            "left_out": [each.label for each in self._masked],
        }

    def _left_by(self, stages: Stages) -> Iterator[SurveyedLabel]:
        """Yield the statuses that no stage names, by their text or otherwise."""
        taken = _normalised(stages)
        for each in self._shown:
            if taken.isdisjoint(map(normalise_label, (each.label, *each.also_called))):
                yield each

    def _with_codes(self, labels: Iterable[str], taken: set[str]) -> tuple[str, ...]:
        """Return labels, each with the code by which histories tell it, unless a person has placed that."""
        codes = {
            normalise_label(each.label): each.past_code
            for each in self._shown
            if normalise_label(each.past_code) not in taken
        }
        pairs = ((label, codes.get(normalise_label(label), "")) for label in labels)
        return tuple(name for pair in pairs for name in pair if name)

    def _choose(self) -> Stages:
        question, shown, dialogue, start = self.question, self._shown, self.dialogue, self.dialogue.place
        menu = Menu(list(map(_status_choice, shown)), takes_others=not shown)
        if dialogue.asks and shown:
            dialogue.say(
                _("These are the statuses that leads have:"), *menu.lines(_(question.without)), column=Menu.COLUMN
            )
            if self._masked:
                hidden = _n(
                    "not shown, since it may be personal data: the status of {count} lead",
                    "not shown, since it may be personal data: the status of {count} leads",
                    sum(each.leads for each in self._masked),
                )
                dialogue.say(f"       {hidden}")
        chosen: dict[str, tuple[str, ...]] = {}
        words = {each.label: each.words or each.label for each in shown}
        doubts = list[str]()
        for name, stage in STAGES.items():
            left = (each.label for each in self._left_by(chosen))
            usual = [label for label in left if stage_meant(words[label]) == stage_meant(name)]
            read = question.parser_rejecting_repeated_answers(
                name,
                chosen,
                partial(question.parse_answer, read=lambda text: require_labels(menu.choose_several(text))),
            )
            asked = _(question.text, question=_(stage.question))
            option = f"{question.option_flag} {name}="
            chosen[name] = dialogue.ask(Prompt(asked, option, read, menu.letters_of(usual))) or ()
            notes = _doubts(name, [words.get(label, label) for label in chosen[name]])
            notes += _doubts_of_most_leads(name, chosen[name], shown)
            if dialogue.asks:
                dialogue.say(*_names(f"  {stage_in_words(name)} = ", menu, chosen[name]), *notes, column=_STAGE + 4)
            doubts += notes
        left_over = tuple(each.label for each in self._left_by(chosen))
        dialogue.say(
            _("So this is what your statuses mean:"),
            *(
                line
                for name, labels in {
                    **{stage_in_words(stage): labels for stage, labels in chosen.items()},
                    _("ignored"): left_over,
                }.items()
                for line in _names(f"  {name:<{_STAGE}}  ", menu, labels)
            ),
            column=_STAGE + 4,
        )
        dialogue.say(*doubts)
        if (shown or doubts) and not dialogue.ask_yes_no(_("Is that right?"), default=not doubts):
            dialogue.go_back_to_question(start)
        return chosen


def past_statuses_not_written(survey: Survey | None, answers: Answers) -> Iterator[str]:
    """Yield what is missing where histories tell codes that nothing explains, and what to write."""
    if survey is None or not survey.has_codes_in_histories:
        return
    placed = _normalised({**answers["stage"], "ignored": answers["ignored"]})
    unclear = {code: texts for code, texts in survey.unclear_codes.items() if normalise_label(code) not in placed}
    known = {*placed, *map(normalise_label, unclear)}
    stage, labels = next((stage, labels) for stage, labels in answers["stage"].items() if stage in CONVERSIONS)
    if unclear:
        beside = (_("{code} (beside {texts})", code=code, texts=", ".join(texts)) for code, texts in unclear.items())
        yield _(
            "Leads do not show which one status each of these codes in histories means, so they are not written: "
            "{codes}. Conversions reached under them are missing, or have the time of the night that sees them: ask "
            "Oplead what they mean, and write each beside its status, such as {line}",
            codes=join_with_semicolons(beside),
            line=_line(stage, labels, next(iter(unclear))),
        )
    if unknown := [label for label in survey.past_labels if normalise_label(label) not in known]:
        yield _(
            "Histories tell statuses that no lead has now, so nothing shows what they mean: {codes}. Conversions "
            "reached under them are missing: write each under its stage, such as {line}, or under ignored_statuses.",
            codes=", ".join(unknown),
            line=_line(stage, labels, unknown[0]),
        )


def _line(stage: str, labels: Sequence[str], code: str) -> str:
    return f"{stage}: {to_inline_yaml([*labels, code])}"


def _normalised(stages: Stages) -> set[str]:
    return {normalise_label(label) for labels in stages.values() for label in labels}


def _status_choice(seen: SurveyedLabel) -> Choice:
    """Return a status to choose; of a mere code it says what Oplead calls it, or a lead that has it."""
    if seen.with_click_id == seen.leads:
        having = _n("{count} lead, with a click id", "{count} leads, all with a click id", seen.leads)
    elif not seen.with_click_id:
        having = _n("{count} lead, without a click id", "{count} leads, none with a click id", seen.leads)
    else:
        having = _n(
            "{count} lead, {with_click_id} with a click id",
            "{count} leads, {with_click_id} with a click id",
            seen.leads,
            with_click_id=format_integer(seen.with_click_id),
        )
    if seen.is_code and not seen.words and seen.example:
        having = _("{seen}; for example lead {lead}", seen=having, lead=seen.example)
    return Choice(seen.label, having, _name(seen))


def _name(seen: SurveyedLabel) -> str:
    """Return what a status is called on screen, and by which code histories tell it, if by one."""
    name = seen.label
    if seen.is_code and seen.words:
        name = _("code {label}: {words}", label=seen.label, words=seen.words)
    elif seen.is_code:
        name = _("code {label}", label=seen.label)
    return _("{label}, {code} in histories", label=name, code=seen.past_code) if seen.past_code else name


def _doubts(stage: str, labels: Sequence[str]) -> list[str]:
    """Return a line for each note that `check` would make of a stage's labels."""
    return [f"  {each.message}" for each in lint_warnings({"stages": {stage: [*labels]}})]


def _doubts_of_most_leads(stage: str, labels: Iterable[str], seen: Sequence[SurveyedLabel]) -> list[str]:
    """Return a line for each status that most leads have: few come as far as an appointment, a quote or a sale."""
    leads = sum(each.leads for each in seen)
    if stage not in CONVERSIONS or leads < _ENOUGH_LEADS:
        return []
    return [
        "  "
        + _n(
            "“{label}” is the status of {held} of {count} lead: that is a lot for “{stage}”",
            "“{label}” is the status of {held} of {count} leads: that is a lot for “{stage}”",
            leads,
            label=each.words or each.label,
            held=format_integer(each.leads),
            stage=stage_in_words(stage),
        )
        for each in seen
        if each.label in labels and 2 * each.leads > leads
    ]


def _names(head: str, menu: Menu, labels: Iterable[str]) -> list[str]:
    """Return statuses and on which leads they were seen, one a line, the first behind `head`."""
    first, *rest = [*map(str, menu.find_all(labels))] or [_("none")]
    return [head + first, *(" " * (_STAGE + 4) + each for each in rest)]
