"""What `init` asks, each answered by an option, a proposal or a person."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from connectors.survey import FewValues, Survey, SurveyedLabel
from connectors.text import counted, number
from jobs.cli.exits import UnansweredError
from jobs.cli.init.answers import (
    STAGES,
    Answers,
    ContactData,
    Tax,
    action_apart_from,
    amount_of,
    contact_data_of,
    dataset_of,
    day_of,
    digits_of,
    each_once,
    labels_of,
    refuse_shared_labels,
    slug_of,
    some_labels_of,
    tax_of,
)
from jobs.cli.init.prompts import HOW, NONE, Dialogue, Menu, label_line
from jobs.reporting.console import times
from jobs.rules.model import normalise_label
from jobs.settings.problems import did_you_mean
from jobs.settings.scaffold import WORTH_TELLING, AmountDraft, ConsentDraft, Draft, GoogleDraft
from jobs.settings.unmatched import loose_path

T = TypeVar("T")
_SALE = "won"
_CONTACT_DATA = (
    "Hashed contact data (e-mail and phone; for Meta the name and place, too) can go beside the click id.",
    "  What it brings: more conversions are recognised. Google advises sending both; Meta matches by them, too.",
    "  What it needs: the customer data terms accepted and enhanced conversions for leads turned on, both in Google",
    "  Ads' conversion settings; Meta's terms for its dataset; and people's consent, or another lawful basis.",
)
# https://developers.google.com/google-ads/api/docs/conversions/upload-clicks recommends click ids with contact data;
# https://www.facebook.com/legal/terms/businesstools wants a lawful basis.


class Interview:
    """The questions for one first settings file."""

    def __init__(self, given: Answers, survey: Survey | None, dialogue: Dialogue) -> None:
        """Ask nothing yet.

        Args:
            given: what the options say, which is not asked.
            survey: what Oplead showed, where it was looked at.
            dialogue: puts the questions.
        """
        self._given = given
        self._survey = survey
        self._dialogue = dialogue
        self._ask = dialogue.text

    def draft(self) -> Draft:
        """Everything the first file says.

        Raises:
            UnansweredError: nobody is there, and something is lacking without which there is nothing to write.
        """
        return self._dialogue.hold(self._draft)

    def _draft(self) -> Draft:
        given, survey = self._given, self._survey
        if self._dialogue.asks:
            self._dialogue.say(HOW)
        stages, ignored = self._stages()
        account = given.account or self._ask("A short name for this account, as maison-durand", "--account", slug_of)
        consent = self._consent()
        draft = Draft(
            account=account,
            timezone=given.timezone,
            currency=given.currency,
            base_url=given.base_url,
            oplead=survey.suggestion if survey else {},
            stages=stages,
            ignored=ignored,
            left_out=tuple(each.label for each in self._seen if not _may_be_written(each)),
            consent=consent,
            personalization=self._personalization(consent),
            amount=self._amount(),
            graph_url=given.graph_url,
            clock=given.clock,
            auth=None if survey else given.auth,
            path_prefix=None if survey else given.path_prefix,
            looked_at=survey.leads if survey else 0,
        )
        google, dataset_id = self._platforms(stages)
        draft = replace(draft, google=google, dataset_id=dataset_id, contact_data=self._contact_data())
        until = "The last day whose conversions were imported by other means, as 2026-11-30 (- for none)"
        return replace(draft, imported_until=self._optional(given.imported_until, until, day_of))

    # ── statuses ─────────────────────────────────────────────────────────────────────────────────

    @property
    def _seen(self) -> Sequence[SurveyedLabel]:
        return self._survey.labels if self._survey else ()

    def _stages(self) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
        """The labels of each stage that has any, and those that were seen beside them."""
        start = self._dialogue.place
        shown = [each for each in self._seen if _may_be_written(each)]
        if self._given.stages is not None:
            stages = {stage: each_once(labels) for stage, labels in self._given.stages.items()}
        elif shown:
            stages = self._choose_stages(shown)
        else:
            stages = self._type_stages()
        stages = {stage: labels for stage, labels in stages.items() if labels}
        if not stages.keys() & WORTH_TELLING:
            lacking = f"no status means one of {', '.join(sorted(WORTH_TELLING))}: then there is nothing to tell of"
            if self._given.stages is not None or not self._dialogue.asks:
                raise UnansweredError(f"{lacking}; write --stage won=LABEL")
            self._dialogue.say(f"  {lacking}")
            self._dialogue.back_to(start)
        if _SALE not in stages:
            self._dialogue.say(f"  No status means that {STAGES[_SALE]} ({_SALE}), so no sale will be told.")
        taken = {normalise_label(label) for labels in stages.values() for label in labels}
        return stages, tuple(each.label for each in shown if normalise_label(each.label) not in taken)

    def _choose_stages(self, shown: Sequence[SurveyedLabel]) -> dict[str, tuple[str, ...]]:
        menu, dialogue, start = Menu(shown), self._dialogue, self._dialogue.place
        if dialogue.asks:
            dialogue.say("These are the statuses that leads have:", *menu.lines(), *self._not_shown())
        chosen: dict[str, tuple[SurveyedLabel, ...]] = {}
        for stage, meaning in STAGES.items():
            taken = {each.label: name for name, those in chosen.items() for each in those}
            question = f"Which of them mean that {meaning}? Letters, with commas between"
            chosen[stage] = self._ask(question, f"--stage {stage}=", _reading(menu, taken), menu.usual(stage, taken))
            if dialogue.asks:
                dialogue.say(f"  {stage} = {label_line(chosen[stage])}")
        dialogue.say("So this is what your statuses mean:", *_mapping(chosen, shown))
        if not dialogue.agrees("Is that right?", default=True):
            dialogue.back_to(start)
        return {stage: tuple(each.label for each in those) for stage, those in chosen.items()}

    def _not_shown(self) -> Iterator[str]:
        masked = [each for each in self._seen if not _may_be_written(each)]
        if masked:
            leads = counted(sum(each.leads for each in masked), "lead")
            yield f"       not shown, for it may be somebody's data: what {leads} have there"

    def _type_stages(self) -> dict[str, tuple[str, ...]]:
        typed: dict[str, tuple[str, ...]] = {}
        for stage, meaning in STAGES.items():
            question = f"Oplead's labels for: {meaning} (with commas between; {NONE} for none)"
            typed[stage] = self._ask(question, f"--stage {stage}=", _unshared(stage, dict(typed)))
        return typed

    # ── consent ──────────────────────────────────────────────────────────────────────────────────

    def _consent(self) -> ConsentDraft:
        given = self._given
        likely = next(self._consents(), None)
        if likely and self._dialogue.asks and not given.consent_field:
            self._dialogue.say(f"{likely.path} looks like a consent: {_answers(likely)}")
        question = "The field that says whether a lead's data may be used for advertising"
        proposed = likely.path if likely else None if self._survey else "leadData.consent"
        path = self._field(
            "consent",
            given.consent_field,
            lambda default: self._ask(question, "--consent-field", _path, default),
            proposed,
        )
        return self._signal(path, given.consent_granted, given.consent_refused, ("--granted", "--refused"))

    def _personalization(self, consent: ConsentDraft) -> ConsentDraft | None:
        """The second signal, where the form asks for it apart."""
        given = self._given
        apart = (each for each in self._consents() if each.path != consent.field)
        likely = next((each for each in apart if "perso" in each.path.casefold()), None)
        question = "The field that says whether ads may be made personal, where the form asks that apart (- for none)"
        path = self._field(
            "consent to personal ads",
            given.personalization_field,
            lambda default: self._optional(None, question, _path, default),
            likely.path if likely else None,
        )
        if not path:
            return None
        options = ("--personalization-granted", "--personalization-refused")
        usual = consent if self._few(path) is None else None
        return self._signal(path, given.personalization_granted, given.personalization_refused, options, usual)

    def _consents(self) -> Iterator[FewValues]:
        return (each for each in self._survey.few_values if each.consent) if self._survey else iter(())

    def _few(self, path: str) -> FewValues | None:
        seen = self._survey.few_values if self._survey else ()
        return next((each for each in seen if loose_path(each.path) == loose_path(path)), None)

    def _signal(
        self,
        path: str,
        granted: tuple[str, ...],
        refused: tuple[str, ...],
        options: tuple[str, str],
        usual: ConsentDraft | None = None,
    ) -> ConsentDraft:
        """A field with its answers: proposed is only what leads have, or else what stands for the first signal."""
        few = self._few(path)
        while True:
            yes, no = _proposed(few, usual, is_looked_at=self._survey is not None)
            said = granted or self._ask("Its answers that mean yes", options[0], some_labels_of, yes)
            denied = refused or self._ask(
                f"Its answers that mean no ({NONE} where the form knows no no)", options[1], _apart_from(said), no
            )
            signal = ConsentDraft(path, said, denied)
            if few is None or self._is_right(few, signal):
                return signal
            granted = refused = ()

    def _is_right(self, few: FewValues, signal: ConsentDraft) -> bool:
        """Whether the answers may stand, shown with how many leads have each."""
        count = {normalise_label(value): leads for value, leads in few.values.items() if value}
        listed = (signal.granted, signal.refused)
        yes, no = ([(one, count.pop(normalise_label(one), 0)) for one in answers] for answers in listed)
        others = [(value, leads) for value, leads in few.values.items() if not value or normalise_label(value) in count]
        self._dialogue.say(
            f"  yes: {_counts(yes)}", f"  no: {_counts(no)}", f"  in neither list, so not sent: {_counts(others)}"
        )
        return self._dialogue.agrees("Is that right?", default=all(leads for _, leads in (*yes, *no)))

    # ── fields ───────────────────────────────────────────────────────────────────────────────────

    def _field(self, what: str, given: str | None, ask: Callable[[str | None], T], proposed: str | None) -> T | str:
        """A path of leads, and how many hold something there; one that none does is asked about again."""
        while True:
            path = given if given is not None else ask(proposed)
            if not path or self._survey is None or self._is_held(what, str(path)):
                return path
            given = None

    def _is_held(self, what: str, path: str) -> bool:
        """Whether a path may stand."""
        survey = self._survey
        if survey is None:
            return True
        held = next((one.filled for one in survey.paths if loose_path(one.path) == loose_path(path)), 0)
        verb = "holds" if held == 1 else "hold"
        hint = _unclear(survey, path) if held else did_you_mean(path, [one.path for one in survey.paths])
        self._dialogue.say(f"  {what}: {held} of {counted(survey.leads, 'lead')} {verb} something at {path}{hint}")
        return bool(held) or self._dialogue.agrees("Keep it all the same?", default=False)

    def _amount(self) -> AmountDraft | None:
        given = self._given
        proposed = self._survey.amounts[0].path if self._survey and self._survey.amounts else None
        question = "The field with the amount of a sale (- for none)"
        path = self._field(
            "amount", given.amount_field, lambda default: self._optional(None, question, _path, default), proposed
        )
        if not path:
            return None
        tax = self._tax()
        missing = "What to send where no amount is typed within three days, as 900 (- to send nothing)"
        return AmountDraft(path, tax, self._optional(given.otherwise, missing, amount_of))

    def _tax(self) -> Tax:
        if self._given.amount_tax:
            return self._given.amount_tax
        return self._ask("Is tax in it? included (TTC) or excluded (HT)", "--tax", tax_of, "included")

    # ── platforms ────────────────────────────────────────────────────────────────────────────────

    def _platforms(self, stages: Iterable[str]) -> tuple[GoogleDraft | None, str | None]:
        """Where conversions go: one of the two at least."""
        given, start = self._given, self._dialogue.place
        google = self._google(stages)
        dataset = "Meta's dataset id (Events Manager; - for none)"
        dataset_id = self._optional(given.meta_dataset_id, dataset, dataset_of)
        if google is None and dataset_id is None:
            lacking = "neither Google Ads nor Meta is named: conversions would go nowhere"
            if not self._dialogue.asks or self._dialogue.place == start:
                raise UnansweredError(f"{lacking}; write --google-customer-id or --meta-dataset-id")
            self._dialogue.say(f"  {lacking}; name one of them")
            self._dialogue.back_to(start)
        return google, dataset_id

    def _google(self, stages: Iterable[str]) -> GoogleDraft | None:
        given = self._given
        question = "The Google Ads customer id, as 123-456-7890 (- for none)"
        customer = self._optional(given.google_customer_id, question, digits_of(10, 10))
        if not customer:
            return None
        question = "The manager account that gives access (- for none)"
        manager = self._optional(given.google_login_customer_id, question, digits_of(10, 10))
        said = given.actions or {}
        actions: dict[str, str] = {}
        for stage in (stage for stage in stages if stage in WORTH_TELLING):
            question = f"The id of the conversion action for {stage} (ctId= in its address; - for later)"
            if action := self._optional(said.get(stage), question, action_apart_from(dict(actions))):
                actions[stage] = action
        return GoogleDraft(customer, manager, actions, given.google_addresses)

    def _contact_data(self) -> ContactData:
        if self._given.contact_data:
            return self._given.contact_data
        if self._dialogue.asks:
            self._dialogue.say(*_CONTACT_DATA)
        return self._ask("Contact data beside the click id? attach or none", "--contact-data", contact_data_of, "none")

    def _optional(
        self, given: str | None, question: str, check: Callable[[str], T], default: str | None = None
    ) -> T | None:
        """An answer there may be; given as an empty one, or typed as `-`, it is none, whatever is proposed."""
        if given is not None:
            return check(given) if given else None
        return self._ask(question, "", lambda text: None if text in ("", NONE) else check(text), default or "")


def _unclear(survey: Survey, path: str) -> str:
    """How many of the amounts at a path mean none or two."""
    unclear = next((one.unreadable for one in survey.amounts if loose_path(one.path) == loose_path(path)), 0)
    return f"; {number(unclear)} cannot be read as an amount" if unclear else ""


def _may_be_written(seen: SurveyedLabel) -> bool:
    """Whether a status can stand in a settings file: neither a shape nor a text without letters or digits."""
    return not seen.masked and bool(normalise_label(seen.label))


def _reading(menu: Menu, taken: Mapping[str, str]) -> Callable[[str], tuple[SurveyedLabel, ...]]:
    return lambda text: menu.read(text, taken)


def _unshared(stage: str, others: Mapping[str, tuple[str, ...]]) -> Callable[[str], tuple[str, ...]]:
    """A check for the labels of a stage: none stands under another one."""

    def check(text: str) -> tuple[str, ...]:
        labels = () if text == NONE else each_once(some_labels_of(text))
        refuse_shared_labels({**others, stage: labels})
        return labels

    return check


def _apart_from(granted: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A check for the answers that mean no: none means yes already."""
    yes = {normalise_label(answer) for answer in granted}

    def check(text: str) -> tuple[str, ...]:
        answers = () if text in ("", NONE) else labels_of(text)
        if both := [answer for answer in answers if normalise_label(answer) in yes]:
            raise ValueError(f"{both[0]} means yes already")
        return answers

    return check


def _mapping(chosen: Mapping[str, Sequence[SurveyedLabel]], shown: Sequence[SurveyedLabel]) -> Iterator[str]:
    """Every stage with its statuses, and what is left."""
    taken = {each.label for those in chosen.values() for each in those}
    for stage, those in chosen.items():
        yield f"  {stage:<12} {label_line(those)}"
    yield f"  {'ignored':<12} {label_line([each for each in shown if each.label not in taken])}"


def _answers(few: FewValues) -> str:
    return _counts(list(few.values.items()))


def _counts(answers: Sequence[tuple[str, int]]) -> str:
    return ", ".join(times(answer, leads) for answer, leads in answers) or "none"


def _proposed(few: FewValues | None, usual: ConsentDraft | None, *, is_looked_at: bool) -> tuple[str | None, str]:
    """The answers to propose: of a field that was looked at only those that leads have."""
    if few is not None:
        return ", ".join(few.granted) or None, ", ".join(few.refused) or NONE
    if usual is not None:
        return ", ".join(usual.granted), ", ".join(usual.refused) or NONE
    return (None, NONE) if is_looked_at else ("oui", "non")


def _path(text: str) -> str:
    """A dotted path.

    Raises:
        ValueError: it cannot be one.
    """
    if not text or any(letter.isspace() or letter in "[]<>" for letter in text):
        raise ValueError("write the field's place in a lead, with dots, as leadData.consent")
    return text
