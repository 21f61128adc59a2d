"""`values suggest`: estimates what a lead in each stage is worth from the leads on record."""

from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path

from jobs.account.files import presentation_of_account, reading_settings
from jobs.account.state import open_view
from jobs.exit_codes import Exit
from jobs.ledger.leads.stage_histories import lead_histories_since_stages
from jobs.plan.expected_values import LOOKS_BACK, all_leads_known_since, lead_outcomes_known_until
from jobs.reporting.console import results_console
from jobs.reporting.presentation import print_json
from jobs.reporting.values_report import CampaignLeadValue, StageValueSuggestion, ValueSuggestions, print_values
from jobs.rules.expected_value import LeadOutcome, StageValueEstimate, by_campaign, estimate
from jobs.settings.compile import cohorts_to_estimate, find_sale_conversion, sale_criteria


def suggest_values(file: Path, *, since: date | None, json_wanted: bool) -> int:
    """Print what leads in each stage are worth, or how much is missing to tell."""
    with reading_settings(file, json_wanted=json_wanted) as settings:
        cohorts = cohorts_to_estimate(settings)
        with open_view(settings) as view:
            until = lead_outcomes_known_until(view.session, settings.account, now=view.now)
            start = until - LOOKS_BACK if since is None else datetime.combine(since, time(), settings.zone)
            start = all_leads_known_since(view.session, settings.account, start)
            found = lead_histories_since_stages(
                view.session, settings.account, list(cohorts.values()), sale_criteria(settings), since=start
            )
        conversions = {conversion.id: conversion for conversion in settings.conversions}
        suggestions = ValueSuggestions(
            account=settings.account,
            currency=settings.currency,
            until=until,
            sale=find_sale_conversion(settings).id,
            stages=tuple(
                StageValueSuggestion(
                    stage=conversions[name].stage if name in conversions else name,
                    conversion=name if name in conversions else None,
                    value=estimate(histories, until=until),
                    campaigns=_of_campaigns(histories, until),
                )
                for name, histories in zip(cohorts, found, strict=True)
            ),
        )
        if json_wanted:
            print_json(suggestions)
            return Exit.DONE
        print_values(results_console(), presentation_of_account(settings, file), suggestions)
        return Exit.DONE


def _of_campaigns(histories: Sequence[LeadOutcome], until: datetime) -> tuple[CampaignLeadValue, ...]:
    """Return the campaigns with enough leads and sales; the others are too many to list."""
    values = ((name, estimate(group, until=until)) for name, group in by_campaign(histories).items())
    return tuple(CampaignLeadValue(name, value) for name, value in values if isinstance(value, StageValueEstimate))
