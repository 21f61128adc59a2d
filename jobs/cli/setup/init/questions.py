"""The questions of `init`, each defined once for the command line, the interview and the settings file.

Every `--help` loads them, as options are made from them: what reads an answer is imported where it does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.days import parse_day
from connectors.language import N_, _
from connectors.stage_words import stage_in_words

Answers = dict[str, Any]
"""Answers by question name; None means explicitly none."""

NONE = "-"
"""The input for an empty answer, since Enter takes the proposal."""
PUBLIC_ADDRESS = "https://api.oplead.com"
PATH_PREFIX = "How Oplead's paths begin, as /v1; a usual one is found by itself"
YES_OR_NO = {**dict.fromkeys(("y", "yes", "o", "oui"), True), **dict.fromkeys(("n", "no", "non"), False)}
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'|«([^»]*)»|“([^”]*)”")
_PART = re.compile(r"\s*(?:\"[^\"]*\"|«[^»]*»|“[^”]*”|[^,])+")
_ACTION_IN_ADDRESS = re.compile(r"(?:^|[?&#])ctId=([0-9]+)(?![0-9A-Za-z_-])", re.IGNORECASE)
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

    question: str
    funnel_event: str | None = None
    conversion: StageConversion | None = None


STAGES: Mapping[str, StagePreset] = {
    "appointment": StagePreset(
        N_("Which statuses mean that an appointment is made?"),
        "appointment_set",
        StageConversion("appointment", "Rendez-vous pris", "Schedule", "Schedule"),
    ),
    "quote_sent": StagePreset(
        N_("Which statuses mean that a quote is sent?"),
        "quote_sent",
        StageConversion("quote", "Devis envoyé", "SubmitApplication", "SubmitApplication"),
    ),
    "won": StagePreset(
        N_("Which statuses mean that the sale is signed?"),
        "sale",
        # Meta takes a Purchase only with a value.
        StageConversion("sale", "Vente signée", "Sale", "Purchase"),
    ),
    "lost": StagePreset(N_("Which statuses mean that the lead is lost?")),
}
CONVERSIONS = {name: stage.conversion for name, stage in STAGES.items() if stage.conversion}
"""Conversions by stage; without one of these stages there is nothing to send."""


# ── parsers of answers: each raises ValueError with what to write instead ───────────────────────


def _parser_for_type(kind: str, *, without: str = "") -> Callable[[str], Any]:
    """Return a parser for a type in `jobs.settings.types`; it first takes what `without` names out of the text."""

    def read(text: str) -> Any:
        from jobs.settings import types  # noqa: PLC0415

        return types.parse_as_type(getattr(types, kind), text.replace(without, "") if without else unquoted(text))

    return read


def _parse_action_id(text: str) -> Any:
    """Parse a conversion action's id, alone or within the address of its page in Google Ads."""
    found = _ACTION_IN_ADDRESS.search(text)
    return _parser_for_type("ActionId", without=" ")(found[1] if found else text)


def _parse_day_or_no(text: str) -> Any:
    """Parse a day, or a no, which is none."""
    return None if YES_OR_NO.get(text.casefold()) is False else parse_day(text)


def unquoted(text: str) -> str:
    """Return a text without the quotes around it, which say that it is meant as it stands."""
    quoted = _QUOTED.fullmatch(text.strip())
    return next(filter(None, quoted.groups()), "").strip() if quoted else text.strip()


def split_at_commas(text: str) -> Iterator[str]:
    """Yield what stands between commas; one between quotes parts nothing."""
    yield from filter(None, map(str.strip, _PART.findall(text)))


def parse_comma_separated_labels(text: str) -> tuple[str, ...]:
    """Parse at least one label, as in `Gagné, Vendu`."""
    return require_labels(tuple(map(unquoted, split_at_commas(text))))


def require_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels; refuse none, and one that is the shape of a hidden text."""
    if not labels:
        raise ValueError(_("write at least one, with commas between"))
    if _MASK.search(text := ", ".join(labels)):
        raise ValueError(
            _("{text} only shows how long a text is: write the text itself, as Oplead shows it", text=text)
        )
    return labels


def parse_distinct_labels(text: str) -> tuple[str, ...]:
    """Parse labels, keeping the first spelling of each and dropping those without letters or digits."""
    from jobs.rules.labels import normalise_label  # noqa: PLC0415

    first: dict[str, str] = {}
    for label in parse_comma_separated_labels(text):
        first.setdefault(normalise_label(label), label)
    return tuple(label for normal, label in first.items() if normal)


def parse_side(yes: str, no: str, **also: str) -> Callable[[str], str]:
    """Return a parser for a choice with two sides, answered by yes or no; `also` are other words for a side."""
    words = {**{word: yes if meant else no for word, meant in YES_OR_NO.items()}, yes: yes, no: no, **also}

    def read(text: str) -> str:
        if text.casefold() not in words:
            raise ValueError(_("answer yes or no"))
        return words[text.casefold()]

    return read


def parse_amount(text: str) -> Decimal:
    """Parse a positive amount in the forms leads use, such as `3 780,00 €`."""
    from jobs.rules.extraction import read_amount  # noqa: PLC0415

    match read_amount(text):
        case Decimal() as amount:
            return amount if amount % 1 else amount.to_integral_value()
    raise ValueError(_("write an amount above 0 without words, as 900 or 3 780,00"))


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
    without: str = ""
    """What it means to answer none; empty if an answer is needed."""
    must_be_said: bool = False
    """Whether none has to be answered as such: neither Enter nor a missing option means it."""
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
    def optional(self) -> bool:
        """Whether the answer may be none."""
        return bool(self.without)

    @property
    def option_flag(self) -> str:
        """The command-line option."""
        return f"--{self.name.replace('_', '-')}"

    def parse_answer(self, text: str, read: Callable[[str], object] | None = None) -> Any:
        """Parse an answer, with `read` in place of the question's own parser.

        Raises:
            ValueError: the answer is invalid; the message says what to write.
        """
        if self.choices and text not in self.choices:
            raise ValueError(_("write one of {allowed}", allowed=", ".join(self.choices)))
        return None if self.optional and text in ("", NONE) else (read or self.read)(text)

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
                    place = stage_in_words(taken[normalise_label(one)])
                    raise ValueError(_(self.complaint, answer=one, place=place))
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


def _answers_of_consent(prefix: str = "", needs: str = "consent_field") -> Iterator[SetupQuestion]:
    yield SetupQuestion(
        f"{prefix}granted",
        N_("Its answers that agree to personalized ads") if prefix else N_("Its answers that mean yes"),
        parse_comma_separated_labels,
        needs=needs,
        without=N_("not known yet: nothing is sent until the file names one"),
        must_be_said=True,
        metavar="ANSWER,…",
    )
    yield SetupQuestion(
        f"{prefix}refused",
        N_("Its answers that refuse personalized ads") if prefix else N_("Its answers that mean no"),
        parse_comma_separated_labels,
        needs=needs,
        without=N_("none: whoever refuses leaves the field empty"),
        metavar="ANSWER,…",
        complaint=N_("“{answer}” is among the answers that mean yes, so it cannot mean no"),
    )


QUESTIONS = (
    SetupQuestion("timezone", "The zone of Oplead's times", is_asked=False, proposal="Europe/Paris"),
    SetupQuestion("currency", "The currency of all values", is_asked=False, proposal="EUR"),
    SetupQuestion(
        "base_url",
        "Oplead's address; the one of its documentation or list will do",
        is_asked=False,
        proposal=PUBLIC_ADDRESS,
    ),
    SetupQuestion("path_prefix", PATH_PREFIX, is_asked=False, without="no prefix", metavar="PATH"),
    SetupQuestion("clock", "A sandbox's clock, on this machine", is_asked=False, metavar="URL"),
    SetupQuestion(
        "auth",
        "How the key is sent; a usual way is found by itself",
        is_asked=False,
        choices=("bearer", "header", "query", "none"),
    ),
    SetupQuestion("auth_name", "The header's or query parameter's name, as X-API-KEY", is_asked=False, metavar="NAME"),
    SetupQuestion(
        "status_field",
        "The field with a lead's status, as data.etape; a usual one is found by itself",
        _parser_for_type("Path_"),
        is_asked=False,
        without="no field",
        metavar="PATH",
    ),
    SetupQuestion("auth_prefix", "What comes before the key in a header, as 'Token '", is_asked=False, metavar="TEXT"),
    SetupQuestion(
        "stage",
        N_("{question} Letters or statuses, with commas between"),
        parse_distinct_labels,
        help="A stage's labels, as won=Gagné,Vendu; repeat it",
        without=N_("none of them"),
        by_stage=True,
        metavar="STAGE=LABEL,LABEL",
        complaint=N_("“{answer}” is under {place} already: a status counts for one step only"),
    ),
    SetupQuestion(
        "account",
        N_("A short name for this account, as maison-durand"),
        _parser_for_type("Slug"),
        explanation=N_(
            "The account's name stays the same for good. Write lowercase letters without accents, digits, - and _, "
            "at most 40."
        ),
    ),
    SetupQuestion(
        "consent_field",
        N_("The field that says whether a lead's data may be used for advertising"),
        _parser_for_type("Path_"),
        proposal="leadData.consent",
        without=N_("not known yet: nothing is sent until the file names one"),
        must_be_said=True,
        field_of=N_("consent"),
        metavar="PATH",
    ),
    *_answers_of_consent(),
    SetupQuestion(
        "personalization_field",
        N_("The field that says whether ads may be personalized, where the form asks that separately"),
        _parser_for_type("Path_"),
        without=N_("not asked separately: the first consent is for both"),
        field_of=N_("consent to personalized ads"),
        metavar="PATH",
    ),
    *_answers_of_consent("personalization_", "personalization_field"),
    SetupQuestion(
        "amount_field",
        N_("The field with the amount of a sale"),
        _parser_for_type("Path_"),
        without=N_("none: sales are sent without a value"),
        field_of=N_("amount"),
        metavar="PATH",
    ),
    SetupQuestion(
        "tax",
        N_("Is tax included in it (TTC)? yes or no"),
        parse_side("included", "excluded", ttc="included", ht="excluded"),
        help="Whether tax is included in it (TTC) or excluded (HT)",
        needs="amount_field",
        proposal=N_("yes"),
        metavar="included|excluded",
    ),
    SetupQuestion(
        "otherwise",
        N_("What to send where no amount is entered within three days, as 900"),
        parse_amount,
        without=N_("nothing: such sales wait for their amount"),
        needs="amount_field",
        metavar="AMOUNT",
    ),
    SetupQuestion(
        "google_customer_id",
        N_("The Google Ads customer id, as 123-456-7890"),
        _parser_for_type("CustomerId", without=" "),
        without=N_("none: nothing is sent to Google Ads"),
    ),
    SetupQuestion(
        "google_login_customer_id",
        N_("If an agency manages your ads, the number of its manager account, as 111-222-3333"),
        _parser_for_type("CustomerId", without=" "),
        without=N_("none: the key gives access by itself"),
        needs="google_customer_id",
        complaint=N_(
            "{answer} is the account itself: write the number of the manager account above it, or - if there is none"
        ),
    ),
    SetupQuestion(
        "action",
        N_("The id of the conversion action for {stage}"),
        _parse_action_id,
        help="A stage's Google conversion action, as won=987654322; repeat it",
        without=N_("later: `check` names the line in which it is missing"),
        needs="google_customer_id",
        by_stage=True,
        metavar="STAGE=ID",
        complaint=N_("{answer} is the action for {place} already: each stage needs one of its own"),
        explanation=N_(
            "You find the id of a conversion action in Google Ads: open the action (Goals, then Conversions) and "
            "look at the address in your browser. It is the number after ctId=; you may paste the whole address."
        ),
    ),
    SetupQuestion("endpoint", "A stand-in for the Data Manager API", is_asked=False, metavar="URL"),
    SetupQuestion("ads_api_endpoint", "A stand-in for the Google Ads API", is_asked=False, metavar="URL"),
    SetupQuestion(
        "meta_dataset_id",
        N_("Meta's dataset id (Events Manager)"),
        _parser_for_type("Digits"),
        without=N_("none: nothing is sent to Meta"),
    ),
    SetupQuestion("graph_url", "A stand-in for Meta's Graph API", is_asked=False, metavar="URL"),
    SetupQuestion(
        "contact_data",
        N_("Send hashed contact data with the click id? yes or no"),
        parse_side("attach", "none"),
        help="Whether to send hashed e-mail and phone with the click id",
        proposal=N_("no"),
        metavar="attach|none",
        # Google recommends click ids with contact data:
        # https://developers.google.com/google-ads/api/docs/conversions/upload-clicks
        # Meta requires a lawful basis: https://www.facebook.com/legal/terms/businesstools
        explanation=N_(
            "Hashed contact data (e-mail and phone; for Meta name and place, too) can be sent with the click id.\n"
            "  Benefit: more conversions are matched. Google advises sending both; Meta matches by them, too.\n"
            "  Required: the customer data terms accepted and enhanced conversions for leads turned on, both in "
            "Google Ads' conversion settings; Meta's terms for its dataset; and people's consent, or another "
            "lawful basis."
        ),
    ),
    SetupQuestion(
        "imported_until",
        N_(
            "Do you already send these conversions to Google or Meta by other means? If so, up to which day, as {iso} "
            "or {day_first}?"
        ),
        _parse_day_or_no,
        help="The last day whose conversions were sent by other means, as 2026-08-31 or 31/08/2026",
        without=N_("no: what happens from the first night on is sent, nothing from before"),
        metavar="DAY",
    ),
)
