"""What was answered to `init`, in words, before anything is written."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from connectors.language import N_, _, format_day, format_money
from connectors.stage_words import stage_in_words
from jobs.cli.setup.init.questions import QUESTIONS, Answers

RECAP_COLUMN = 28
"""Where answers begin."""
_NAMES = {
    "account": N_("account"),
    "consent_field": N_("consent"),
    "granted": N_("it says yes"),
    "refused": N_("it says no"),
    "personalization_field": N_("personalized ads"),
    "personalization_granted": N_("it says yes"),
    "personalization_refused": N_("it says no"),
    "amount_field": N_("amount of a sale"),
    "tax": N_("tax"),
    "otherwise": N_("without an amount"),
    "google_customer_id": N_("Google Ads customer"),
    "google_login_customer_id": N_("manager account"),
    "action": N_("conversion actions"),
    "meta_dataset_id": N_("Meta's dataset"),
    "contact_data": N_("contact data"),
    "imported_until": N_("sent otherwise until"),
}
_SIDES = {
    "included": N_("included (TTC)"),
    "excluded": N_("excluded (HT)"),
    "attach": N_("sent hashed with the click id"),
    "none": N_("not sent"),
}


def recap_lines(answers: Answers) -> Iterator[str]:
    """Yield a line for each question that was answered, none included."""
    for stage, labels in answers["stage"].items():
        yield _line(stage_in_words(stage), ", ".join(labels))
    for question in QUESTIONS:
        if question.name in _NAMES and not (question.needs and not answers[question.needs]):
            answer = answers[question.name]
            shown = (
                _(question.without)
                if answer in (None, ()) or answer == {}
                else _in_words(question.name, answer, answers)
            )
            yield _line(_(_NAMES[question.name]), shown)


def _in_words(name: str, answer: object, answers: Answers) -> str:
    match answer:
        case str() if name in ("google_customer_id", "google_login_customer_id"):
            return f"{answer[:3]}-{answer[3:6]}-{answer[6:]}"  # as Google Ads shows it
        case date():
            return format_day(answer)
        case Decimal():
            return format_money(answer, answers["currency"])
        case dict():
            return ", ".join(f"{stage_in_words(stage)} {action}" for stage, action in answer.items())
        case tuple():
            return ", ".join(answer)
    return _(_SIDES[str(answer)]) if name in ("tax", "contact_data") else str(answer)


def _line(name: str, answer: str) -> str:
    return f"  {name:<{RECAP_COLUMN - 4}}  {answer}"
