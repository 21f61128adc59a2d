"""`init`: a first settings file, from the few answers that matter and what Oplead itself shows."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import typer

from connectors.errors import ConnectorError, KeyRefused
from connectors.survey import LabelSeen, Survey
from jobs.cli.accounts import WrongSettingsError
from jobs.cli.exits import Exit, UnansweredError
from jobs.cli.sandbox import typed
from jobs.cli.waiting import open_visible_clock
from jobs.ledger.files import open_privately
from jobs.reporting.terminal import counted, results
from jobs.rules.labels import normalise_label
from jobs.settings.draft import PUBLIC_ADDRESS, Amount, Consent, Draft, Google, environment_text, settings_text
from jobs.settings.problems import Problem
from jobs.settings.sketch import Look, sketch_of
from jobs.wiring import survey_of

SETTINGS_FILE, ENVIRONMENT_FILE = "pipeline.yaml", ".env.example"
STAGES: Mapping[str, str] = {
    "appointment": "an appointment is made",
    "quote_sent": "a quote is sent",
    "won": "the sale is signed",
    "lost": "the lead is lost",
}
# Said by Oplead's help pages or common in French sales: proposals, for a person to take or change.
_USUAL: Mapping[str, frozenset[str]] = {
    "appointment": frozenset({"rendez vous", "rdv", "rdv pris", "rendez vous pris", "appointment"}),
    "quote_sent": frozenset({"devis a relancer", "devis relancer", "devis envoye", "quote sent"}),
    "won": frozenset({"gagne", "vendu", "vente", "signe", "won", "sold"}),
    "lost": frozenset({"perdu", "sans suite", "abandonne", "lost"}),
}
_SAMPLE = 300
NONE = "-"
"""What is typed where a question may be answered with nothing: Enter takes the proposal."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said on the command line; None where it is asked for, and empty where there is none of it."""

    account: str | None = None
    timezone: str = "Europe/Paris"
    currency: str = "EUR"
    base_url: str = PUBLIC_ADDRESS
    clock: str | None = None
    auth: Mapping[str, str] | None = None
    """As `oplead.auth` says it."""
    stages: Mapping[str, tuple[str, ...]] | None = None
    consent_field: str | None = None
    consent_granted: tuple[str, ...] = ()
    consent_refused: tuple[str, ...] = ()
    personalization_field: str | None = None
    personalization_granted: tuple[str, ...] = ()
    personalization_refused: tuple[str, ...] = ()
    amount_field: str | None = None
    amount_tax: Literal["included", "excluded"] | None = None
    otherwise: str | None = None
    google_customer_id: str | None = None
    google_login_customer_id: str | None = None
    actions: Mapping[str, str] | None = None
    google_addresses: Mapping[str, str] = field(default_factory=dict)
    """A local stand-in's, by their keys in the file."""
    meta_dataset_id: str | None = None
    graph_url: str | None = None
    imported_until: str | None = None
    """A day as 2026-11-30."""

    def __post_init__(self) -> None:
        """Refuse what could not be written as it was said.

        Raises:
            ValueError: an option cannot be read; the message names it.
        """
        checks: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
            ("--google-customer-id", self.google_customer_id, _digits(10, 10)),
            ("--google-login-customer-id", self.google_login_customer_id, _digits(10, 10)),
            ("--otherwise", self.otherwise, _amount_of),
            ("--imported-until", self.imported_until, day_of),
        )
        for option, said, check in checks:
            try:
                if said:
                    check(said)
            except ValueError as error:
                raise ValueError(f"{option}: {error}") from None


def write_first_settings(folder: Path, told: Answers, *, force: bool, ask: bool) -> int:
    """Ask what is not told yet, write both files, and say what comes next."""
    files = [folder / SETTINGS_FILE, folder / ENVIRONMENT_FILE]
    standing = [file for file in files if file.exists()]
    if standing and not force:
        raise UnansweredError(f"{standing[0]} is there already: name another folder with --dir, or write --force")
    draft = _Interview(told, ask=ask).draft(_look(told))
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in zip(files, (settings_text(draft), environment_text(draft)), strict=True):
        with open_privately(file, "w") as written:
            written.write(text)
        results().print(f"wrote {file}", markup=False, soft_wrap=True)
    _say_what_is_ignored(draft)
    _say_what_is_next(files[0], files[1], draft)
    return Exit.DONE


def _look(told: Answers) -> Survey | None:
    """What Oplead shows, where its key is at hand."""
    token = os.environ.get("OPLEAD_TOKEN", "").strip()
    look = _where_to_look(told, token)
    if not token:
        said = "OPLEAD_TOKEN is not set, so Oplead is not asked and nothing is proposed. To have it looked at, end this"
        results().print(f"{said} (Ctrl-C), set the variable to the client admin's API key, and call `init` again.")
        return None
    clock = str(look.clock) if look.clock else None
    try:
        with (
            open_visible_clock(clock, look.oplead.rate) as time,
            survey_of(look.oplead, ZoneInfo(told.timezone), look.click_ids, time) as source,
        ):
            survey = source.survey(leads=_SAMPLE)
    except KeyRefused:
        raise UnansweredError(
            "Oplead refuses the key in OPLEAD_TOKEN: set it to the client admin's API key (gear, API, tab API Oplead), "
            "or say how Oplead wants it shown by --auth, --auth-name and --auth-prefix. Without OPLEAD_TOKEN, `init` "
            "asks Oplead nothing"
        ) from None
    except ConnectorError as error:
        results().print(f"Oplead could not be looked at: {error}", markup=False, soft_wrap=True)
        return None
    results().print(f"looked at {survey.leads} leads of {told.base_url}", markup=False, soft_wrap=True)
    for sentence in (*survey.undecided, *survey.suspicions):
        results().print(f"  {sentence}", markup=False, soft_wrap=True)
    return survey


def _where_to_look(told: Answers, token: str) -> Look:
    try:
        return sketch_of(told.base_url, token, "${OPLEAD_TOKEN}", clock=told.clock, auth=told.auth).look
    except ValueError as error:
        raise WrongSettingsError((Problem("init", 1, 1, "", str(error)),)) from None


@dataclass(frozen=True, slots=True)
class _Interview:
    """The questions, each answered by an option, a proposal or a person."""

    told: Answers
    ask: bool

    def draft(self, survey: Survey | None) -> Draft:
        """Everything the first file says."""
        told = self.told
        stages, ignored = self._stages(survey.labels if survey else ())
        return Draft(
            account=told.account or self._text("A short name for this account, as maison-durand", "--account", _slug),
            timezone=told.timezone,
            currency=told.currency,
            base_url=told.base_url,
            oplead=survey.suggestion if survey else {},
            stages=stages,
            ignored=ignored,
            consent=(consent := self._consent(survey)),
            personalization=self._personalization(survey, consent),
            amount=self._amount(survey),
            google=self._google(stages),
            dataset_id=self._optional(
                told.meta_dataset_id, "Meta's dataset id (Events Manager; - for none)", _digits(1, 20)
            ),
            graph_url=told.graph_url,
            clock=told.clock,
            auth=None if survey else told.auth,
            looked_at=survey.leads if survey else 0,
            imported_until=self._day(
                "The last day whose conversions were imported by other means, as 2026-11-30 (- for none)"
            ),
        )

    def _stages(self, seen: Sequence[LabelSeen]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
        labels = [each.label for each in seen]
        if self.told.stages is not None:
            stages = dict(self.told.stages)
        elif seen:
            stages = self._choose_stages(seen)
        else:
            stages = self._type_stages()
        stages = {stage: chosen for stage, chosen in stages.items() if chosen}
        taken = {normalise_label(label) for chosen in stages.values() for label in chosen}
        return stages, tuple(label for label in labels if normalise_label(label) not in taken)

    def _choose_stages(self, seen: Sequence[LabelSeen]) -> dict[str, tuple[str, ...]]:
        console = results()
        if self.ask:
            console.print("These are the statuses that leads have:")
            for number, each in enumerate(seen, start=1):
                line = f"  {number:>3}  {each.label}  ({each.leads} leads, {each.with_click_id} with a click id)"
                console.print(line, markup=False, soft_wrap=True)
        chosen = {}
        taken: dict[int, str] = {}
        for stage, meaning in STAGES.items():
            usual = [str(n) for n, each in enumerate(seen, 1) if normalise_label(each.label) in _USUAL[stage]]
            question = f"Which of them mean that {meaning}? Numbers, with commas between; 0 for none"
            check = _not_twice(_numbers(len(seen)), taken)
            answer = self._text(question, f"--stage {stage}=", check, default=", ".join(usual) or "0")
            numbers = [int(n) for n in answer.split(",") if n.strip() not in ("", "0")]
            taken |= dict.fromkeys(numbers, stage)
            chosen[stage] = tuple(seen[number - 1].label for number in numbers)
        return chosen

    def _type_stages(self) -> dict[str, tuple[str, ...]]:
        typed: dict[str, tuple[str, ...]] = {}

        def check(text: str) -> str:
            refuse_shared_labels({**typed, stage: labels_of(text)})
            return text

        for stage, meaning in STAGES.items():
            question = f"Oplead's labels for: {meaning} (with commas between; {NONE} for none)"
            answer = self._text(question, f"--stage {stage}=", check)
            typed[stage] = () if answer == NONE else labels_of(answer)
        return typed

    def _consent(self, survey: Survey | None) -> Consent:
        told = self.told
        likely = next((each for each in survey.few_values if each.consent), None) if survey else None
        if likely and self.ask and not told.consent_field:
            answers = ", ".join(f"{value or '(none)'} × {count}" for value, count in likely.values.items())
            results().print(f"{likely.path} looks like a consent: {answers}", markup=False, soft_wrap=True)
        proposed = likely.path if likely else "leadData.consent"
        path = told.consent_field or self._text(
            "The field that says whether a lead's data may be used for advertising", "--consent-field", default=proposed
        )
        return Consent(
            path,
            told.consent_granted or labels_of(self._text("Its answers that mean yes", "--granted", default="oui")),
            told.consent_refused or labels_of(self._text("Its answers that mean no", "--refused", default="non")),
        )

    def _personalization(self, survey: Survey | None, consent: Consent) -> Consent | None:
        """The second signal, where the form asks for it apart."""
        told = self.told
        seen = [each for each in survey.few_values if each.consent and each.path != consent.field] if survey else []
        likely = next((each for each in seen if "perso" in each.path.casefold()), None)
        path = self._optional(
            told.personalization_field,
            "The field that says whether ads may be made personal, where the form asks that apart (- for none)",
            str.strip,
            likely.path if likely else "",
        )
        if not path:
            return None
        yes, no = (", ".join(answers) for answers in (consent.granted, consent.refused))
        return Consent(
            path,
            told.personalization_granted
            or labels_of(self._text("Its answers that mean yes", "--personalization-granted", default=yes)),
            told.personalization_refused
            or labels_of(self._text("Its answers that mean no", "--personalization-refused", default=no)),
        )

    def _amount(self, survey: Survey | None) -> Amount | None:
        told = self.told
        proposed = survey.amounts[0].path if survey and survey.amounts else ""
        path = self._optional(
            told.amount_field, "The field with the amount of a sale (- for none)", str.strip, proposed
        )
        if not path:
            return None
        tax = told.amount_tax or self._text("Is tax in it? included or excluded", "--tax", _tax, default="included")
        otherwise = self._optional(
            told.otherwise,
            "What to send where no amount is typed within three days, as 900 (- to send nothing)",
            _amount_of,
        )
        return Amount(path, _tax(tax), Decimal(otherwise) if otherwise else None)

    def _google(self, stages: Iterable[str]) -> Google | None:
        told = self.told
        customer = self._optional(
            told.google_customer_id, "The Google Ads customer id, as 123-456-7890 (- for none)", _digits(10, 10)
        )
        if not customer:
            return None
        manager = self._optional(
            told.google_login_customer_id, "The manager account that gives access (- for none)", _digits(10, 10)
        )
        said = told.actions or {}
        actions = {}
        for stage in (stage for stage in stages if stage != "lost"):
            question = f"The id of the conversion action for {stage} (ctId= in its address; - for later)"
            if action := self._optional(said.get(stage), question, _digits(1, 20)):
                actions[stage] = action
        return Google(_digits(10, 10)(customer), manager, actions, told.google_addresses)

    def _text(
        self, question: str, option: str, check: Callable[[str], str] = str, *, default: str | None = None
    ) -> str:
        """An answer there must be."""
        if not self.ask:
            if default is None:
                raise UnansweredError(f"nobody is there to answer: write {option}…")
            return check(default)
        while True:
            answer = typer.prompt(question, default=default)
            try:
                return check(str(answer).strip())
            except ValueError as error:
                results().print(f"  {error}", markup=False)

    def _optional(self, told: str | None, question: str, check: Callable[[str], str], default: str = "") -> str | None:
        """An answer there may be; told as an empty one, or typed as `-`, it is none, whatever is proposed."""
        if told is not None:
            return told or None
        if not self.ask:
            return default or None
        answer = self._text(question, "", lambda text: "" if text in ("", NONE) else check(text), default=default)
        return answer or None

    def _day(self, question: str) -> date | None:
        answer = self._optional(self.told.imported_until, question, lambda text: day_of(text).isoformat())
        return date.fromisoformat(answer) if answer else None


def labels_of(text: str) -> tuple[str, ...]:
    """`Gagné, Vendu` as its labels."""
    return tuple(label.strip() for label in text.split(",") if label.strip())


def pairs_of(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`won=Gagné,Vendu` as what stands before and after the sign.

    Raises:
        ValueError: one has no sign, or an unknown stage before it.
    """
    for text in texts:
        name, sign, rest = text.partition("=")
        if not sign or name.strip() not in STAGES:
            raise ValueError(f"write {'|'.join(STAGES)}=…, as won=Gagné: {text}")
        yield name.strip(), rest.strip()


def day_of(text: str) -> date:
    """A day as 2026-11-30.

    Raises:
        ValueError: it is none; the message says how to write one.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("write a day as 2026-11-30") from None


def refuse_shared_labels(stages: Mapping[str, Sequence[str]]) -> None:
    """See that no label stands in two stages.

    Raises:
        ValueError: one does; the message names both.
    """
    taken: dict[str, str] = {}
    for stage, labels in stages.items():
        for label in labels:
            if taken.setdefault(normalise_label(label), stage) != stage:
                raise ValueError(f"{label} is under {taken[normalise_label(label)]} already: a lead has one stage")


def _slug(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", text):
        raise ValueError("small letters without accents, digits, - and _, 40 at most")
    return text


def _digits(least: int, most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        digits = text.replace("-", "").replace(" ", "")
        if not digits.isascii() or not digits.isdecimal() or not least <= len(digits) <= most:
            raise ValueError(f"write {least} digits" if least == most else "write digits only")
        return digits

    return check


def _numbers(most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not all(part.strip().isdecimal() and int(part) <= most for part in text.split(",")):
            raise ValueError(f"write numbers from 1 to {most}, with commas between")
        return text

    return check


def _not_twice(check: Callable[[str], str], taken: Mapping[int, str]) -> Callable[[str], str]:
    """The same check, and no number that stands under another stage."""

    def checked(text: str) -> str:
        answer = check(text)
        for part in answer.split(","):
            if stage := taken.get(int(part)):
                raise ValueError(f"{int(part)} is under {stage} already: a lead has one stage")
        return answer

    return checked


def _tax(text: str) -> Literal["included", "excluded"]:
    match text:
        case "included" | "excluded":
            return text
    raise ValueError("write included or excluded")


def _amount_of(text: str) -> str:
    try:
        amount = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise ValueError("write a number, as 900") from None
    if not amount.is_finite() or amount <= 0:
        raise ValueError("write a number above 0")
    return f"{amount:f}"


def _say_what_is_ignored(draft: Draft) -> None:
    """Name what nobody was asked about."""
    if draft.ignored:
        said = f"ignored_statuses: {', '.join(draft.ignored)}. No stage has them, and they were seen on"
        seen = f"{said} {counted(draft.looked_at, 'lead')} only: look through them."
        results().print(seen, markup=False, soft_wrap=True)


def _say_what_is_next(settings: Path, environment: Path, draft: Draft) -> None:
    console = results()
    command, file = typed(), str(settings)
    copied = environment.with_name(".env")
    steps = [
        f"copy {environment} to {copied}, chmod 600 {copied}, and fill in {', '.join(draft.variables)}",
        f"{command} probe --config {file}            what Oplead answers, what looks wrong in it, what to write of it",
        f"{command} check --config {file}            what is missing still, by line",
        f"{command} check --live --config {file}     what Oplead, Google and Meta say",
        f"{command} run --dry-run --config {file}    what a night would send",
        f"{command} run --first-run --config {file}  the first night; --first-run this once and never again",
    ]
    console.print("Next:")
    for number, step in enumerate(steps, start=1):
        console.print(f"  {number}. {step}", markup=False, soft_wrap=True)


def is_interactive() -> bool:
    """Whether a person sits at this terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()
