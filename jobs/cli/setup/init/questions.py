"""The questions of `init`, each defined once for the command line, the interview and the settings file.

Every `--help` loads them, as options are made from them: what reads an answer is imported where it does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.language import N_, _

Answers = dict[str, Any]
"""Answers by question name; None means explicitly none."""

NONE = "-"
"""The input for an empty answer, since Enter takes the proposal."""
PUBLIC_ADDRESS = "https://api.oplead.com"
PATH_PREFIX = "How Oplead's paths begin, as /v1; a usual one is found by itself"
_FRENCH_DAY = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_MASK = re.compile(r"<.*\d+\s\w+>")
"""The placeholder that `probe` shows for text that may be personal data."""


@dataclass(frozen=True, slots=True)
class StageConversion:
    """The conversion written for a stage."""

    id: str
    name: str
    event: str
    event_with_value: str


@dataclass(frozen=True, slots=True)
class StagePreset:
    """A stage that `init` knows."""

    meaning: str
    usual_labels: frozenset[str]
    """Labels from Oplead's help pages or common in French sales, normalised; only used as proposals."""
    funnel_event: str | None = None
    conversion: StageConversion | None = None


STAGES: Mapping[str, StagePreset] = {
    "appointment": StagePreset(
        N_("an appointment is made"),
        frozenset({"rendez vous", "rdv", "rdv pris", "rendez vous pris", "appointment"}),
        "appointment_set",
        StageConversion("appointment", "Rendez-vous pris", "Schedule", "Schedule"),
    ),
    "quote_sent": StagePreset(
        N_("a quote is sent"),
        frozenset({"devis a relancer", "devis relancer", "devis envoye", "quote sent"}),
        "quote_sent",
        StageConversion("quote", "Devis envoyé", "SubmitApplication", "SubmitApplication"),
    ),
    "won": StagePreset(
        N_("the sale is signed"),
        frozenset({"gagne", "vendu", "vente", "signe", "won", "sold"}),
        "sale",
        # Meta takes a Purchase only with a value.
        StageConversion("sale", "Vente signée", "Sale", "Purchase"),
    ),
    "lost": StagePreset(N_("the lead is lost"), frozenset({"perdu", "sans suite", "abandonne", "lost"})),
}
CONVERSIONS = {name: stage.conversion for name, stage in STAGES.items() if stage.conversion}
"""Conversions by stage; without one of these stages there is nothing to send."""


# ── parsers of answers: each raises ValueError with what to write instead ───────────────────────


def _parser_for_type(kind: str, *, without: str = "") -> Callable[[str], Any]:
    """Return a parser for a type in `jobs.settings.types`; it first takes what `without` names out of the text."""

    def read(text: str) -> Any:
        from jobs.settings import types  # noqa: PLC0415

        return types.parse_as_type(getattr(types, kind), text.replace(without, ""))

    return read


def parse_comma_separated_labels(text: str) -> tuple[str, ...]:
    """Parse at least one label, as in `Gagné, Vendu`."""
    if _MASK.search(text):
        raise ValueError(
            _("{text} only shows how long a text is: write the text itself, as Oplead shows it", text=text)
        )
    labels = tuple(label.strip() for label in text.split(",") if label.strip())
    if not labels:
        raise ValueError(_("write at least one, with commas between"))
    return labels


def parse_labels_or_none(text: str) -> tuple[str, ...]:
    """Parse labels as `parse_comma_separated_labels` does, or none."""
    return () if text in ("", NONE) else parse_comma_separated_labels(text)


def parse_distinct_labels(text: str) -> tuple[str, ...]:
    """Parse labels, possibly none, keeping the first spelling of each and dropping those without letters or digits."""
    from jobs.rules.labels import normalise_label  # noqa: PLC0415

    first: dict[str, str] = {}
    for label in parse_labels_or_none(text):
        first.setdefault(normalise_label(label), label)
    return tuple(label for normal, label in first.items() if normal)


def parse_tax_inclusion(text: str) -> str:
    """Parse whether an amount includes tax."""
    known = {"included": "included", "ttc": "included", "excluded": "excluded", "ht": "excluded"}
    if text.casefold() not in known:
        raise ValueError(_("write included (TTC) or excluded (HT)"))
    return known[text.casefold()]


def parse_amount(text: str) -> Decimal:
    """Parse a positive amount in the forms leads use, such as `3 780,00 €`."""
    from jobs.rules.extraction import read_amount  # noqa: PLC0415

    match read_amount(text):
        case Decimal() as amount:
            return amount if amount % 1 else amount.to_integral_value()
    raise ValueError(_("write an amount above 0, as 900 or 3 780,00"))


def parse_day(text: str) -> date:
    """Parse a day as 2026-11-30, or in French notation as 30/11/2026."""
    french = _FRENCH_DAY.fullmatch(text)
    try:
        return date(int(french[3]), int(french[2]), int(french[1])) if french else date.fromisoformat(text)
    except ValueError:
        raise ValueError(_("write a day as 2026-11-30 or 30/11/2026")) from None


# ── the questions ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SetupQuestion:
    """One question about the settings file."""

    name: str
    """Determines the option `--name` and the template's placeholder `{name}`."""
    text: str
    """The prompt in the interview."""
    read: Callable[[str], object] = str
    help: str = ""
    """The option's help, if it differs from `text`."""
    is_asked: bool = True
    """Whether the interview asks it; if not, only the option answers it."""
    optional: bool = False
    """Whether the answer may be none."""
    needs: str = ""
    """Name of another question; this one is skipped if that has no answer."""
    proposal: str | None = None
    """The default if the survey has nothing better; the answer if the question is not asked."""
    field_of: str = ""
    """What the named lead field holds; if set, the answer is checked against the leads that were read."""
    explanation: str = ""
    """Lines printed before the prompt."""
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    by_stage: bool = False
    """Whether each stage has its own answer, as in `--name won=ANSWER`."""
    complaint: str = ""
    """The error for an answer given to two stages, or to both yes and no."""

    @property
    def option_flag(self) -> str:
        """The command-line option."""
        return f"--{self.name.replace('_', '-')}"

    def parse_answer(self, text: str) -> Any:
        """Parse an answer.

        Raises:
            ValueError: the answer is invalid; the message says what to write.
        """
        if self.choices and text not in self.choices:
            raise ValueError(_("write one of {allowed}", allowed=", ".join(self.choices)))
        return None if self.optional and text in ("", NONE) else self.read(text)

    def parser_rejecting_repeated_answers(
        self, stage: str, others: Mapping[str, Any], parse: Callable[[str], Any] | None = None
    ) -> Callable[[str], Any]:
        """Return a parser for the answer of `stage` that rejects anything already among the answers of `others`."""
        from jobs.rules.labels import normalise_label  # noqa: PLC0415

        def read(text: str) -> Any:
            answer = (parse or self.parse_answer)(text)
            taken = {normalise_label(one): name for name in others for one in _answer_as_tuple(others[name])}
            for one in _answer_as_tuple(answer):
                if taken.get(normalise_label(one), stage) != stage:
                    raise ValueError(_(self.complaint, answer=one, place=taken[normalise_label(one)]))
            return answer

        return read

    def parse_answers_by_stage(self, texts: list[str]) -> dict[str, Any]:
        """Parse answers by stage, one text a stage, as in `won=Gagné,Vendu`."""
        answers: dict[str, Any] = {}
        for text in texts:
            stage, sign, rest = (part.strip() for part in text.partition("="))
            if not sign or stage not in STAGES:
                raise ValueError(_("write {stages}=…, as won=Gagné: {text}", stages="|".join(STAGES), text=text))
            answers[stage] = self.parser_rejecting_repeated_answers(stage, answers)(rest)
        return answers


def answers_given(options: Mapping[str, Any]) -> Answers:
    """Parse the options into answers; an empty option counts only for an optional question.

    Raises:
        ValueError: an option is invalid; the message names it.
    """
    answers: Answers = {}
    for question in QUESTIONS:
        text = options[question.name]
        try:
            if text or (question.optional and text is not None):
                answers[question.name] = (
                    question.parse_answers_by_stage if question.by_stage else question.parse_answer
                )(text)
        except ValueError as error:
            raise ValueError(f"{question.option_flag}: {error}") from None
    return answers


def _answer_as_tuple(answer: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return answer if isinstance(answer, tuple) else (answer,) if answer else ()


def _answers_of_consent(prefix: str = "", needs: str = "") -> Iterator[SetupQuestion]:
    no = N_("Its answers that mean no (- if there are none)")
    yield SetupQuestion(
        f"{prefix}granted",
        N_("Its answers that mean yes"),
        parse_comma_separated_labels,
        needs=needs,
        metavar="ANSWER,…",
    )
    both = N_("{answer} means {place} already")
    yield SetupQuestion(f"{prefix}refused", no, parse_labels_or_none, needs=needs, metavar="ANSWER,…", complaint=both)


QUESTIONS = (
    SetupQuestion("timezone", "The zone of Oplead's times", is_asked=False, proposal="Europe/Paris"),
    SetupQuestion("currency", "The currency of all values", is_asked=False, proposal="EUR"),
    SetupQuestion(
        "base_url",
        "Oplead's address; the one of its documentation or list will do",
        is_asked=False,
        proposal=PUBLIC_ADDRESS,
    ),
    SetupQuestion("path_prefix", PATH_PREFIX, is_asked=False, optional=True, metavar="PATH"),
    SetupQuestion("clock", "A sandbox's clock, on this machine", is_asked=False, metavar="URL"),
    SetupQuestion(
        "auth",
        "How the key is sent; a usual way is found by itself",
        is_asked=False,
        choices=("bearer", "header", "query", "none"),
    ),
    SetupQuestion("auth_name", "The header's or query parameter's name, as X-API-KEY", is_asked=False, metavar="NAME"),
    SetupQuestion("auth_prefix", "What comes before the key in a header, as 'Token '", is_asked=False, metavar="TEXT"),
    SetupQuestion(
        "stage",
        N_("Oplead's labels for: {meaning} (with commas between; - for none)"),
        parse_distinct_labels,
        help="A stage's labels, as won=Gagné,Vendu; repeat it",
        by_stage=True,
        metavar="STAGE=LABEL,LABEL",
        complaint=N_("{answer} is under {place} already: a lead has one stage"),
    ),
    SetupQuestion("account", N_("A short name for this account, as maison-durand"), _parser_for_type("Slug")),
    SetupQuestion(
        "consent_field",
        N_("The field that says whether a lead's data may be used for advertising"),
        _parser_for_type("Path_"),
        proposal="leadData.consent",
        field_of=N_("consent"),
        metavar="PATH",
    ),
    *_answers_of_consent(),
    SetupQuestion(
        "personalization_field",
        N_("The field that says whether ads may be personalized, where the form asks that separately (- for none)"),
        _parser_for_type("Path_"),
        optional=True,
        field_of=N_("consent to personalized ads"),
        metavar="PATH",
    ),
    *_answers_of_consent("personalization_", needs="personalization_field"),
    SetupQuestion(
        "amount_field",
        N_("The field with the amount of a sale (- for none)"),
        _parser_for_type("Path_"),
        optional=True,
        field_of=N_("amount"),
        metavar="PATH",
    ),
    SetupQuestion(
        "tax",
        N_("Is tax included in it? included (TTC) or excluded (HT)"),
        parse_tax_inclusion,
        needs="amount_field",
        proposal="included",
        metavar="included|excluded",
    ),
    SetupQuestion(
        "otherwise",
        N_("What to send where no amount is entered within three days, as 900 (- to send nothing)"),
        parse_amount,
        optional=True,
        needs="amount_field",
        metavar="AMOUNT",
    ),
    SetupQuestion(
        "google_customer_id",
        N_("The Google Ads customer id, as 123-456-7890 (- for none)"),
        _parser_for_type("CustomerId", without=" "),
        optional=True,
    ),
    SetupQuestion(
        "google_login_customer_id",
        N_("The manager account that gives access (- for none)"),
        _parser_for_type("CustomerId", without=" "),
        optional=True,
        needs="google_customer_id",
    ),
    SetupQuestion(
        "action",
        N_("The id of the conversion action for {stage} (ctId= in its address; - for later)"),
        _parser_for_type("ActionId", without=" "),
        help="A stage's Google conversion action, as won=987654322; repeat it",
        optional=True,
        needs="google_customer_id",
        by_stage=True,
        metavar="STAGE=ID",
        complaint=N_("{answer} is the action for {place} already: each stage needs one of its own"),
    ),
    SetupQuestion("endpoint", "A stand-in for the Data Manager API", is_asked=False, metavar="URL"),
    SetupQuestion("ads_api_endpoint", "A stand-in for the Google Ads API", is_asked=False, metavar="URL"),
    SetupQuestion(
        "meta_dataset_id",
        N_("Meta's dataset id (Events Manager; - for none)"),
        _parser_for_type("Digits"),
        optional=True,
    ),
    SetupQuestion("graph_url", "A stand-in for Meta's Graph API", is_asked=False, metavar="URL"),
    SetupQuestion(
        "contact_data",
        N_("Contact data with the click id? attach or none"),
        help="Whether to send hashed e-mail and phone with the click id",
        proposal="none",
        choices=("attach", "none"),
        # Google recommends click ids with contact data:
        # https://developers.google.com/google-ads/api/docs/conversions/upload-clicks
        # Meta requires a lawful basis: https://www.facebook.com/legal/terms/businesstools
        explanation=N_(
            "Hashed contact data (e-mail and phone; for Meta name and place, too) can be sent with the click id.\n"
            "  Benefit: more conversions are matched. Google advises sending both; Meta matches by them, too.\n"
            "  Required: the customer data terms accepted and enhanced conversions for leads turned on, both in\n"
            "  Google Ads' conversion settings; Meta's terms for its dataset; and people's consent, or another\n"
            "  lawful basis."
        ),
    ),
    SetupQuestion(
        "imported_until",
        N_("The last day whose conversions were imported by other means, as 2026-11-30 (- for none)"),
        parse_day,
        optional=True,
        metavar="DAY",
    ),
)
