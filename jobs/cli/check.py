"""`check`: whether configuration files may run, without asking any platform."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.cli.accounts import WrongSettingsError, load_account
from jobs.cli.exits import Exit
from jobs.reporting.terminal import results
from jobs.settings import Settings


def check_files(files: Sequence[Path]) -> int:
    """Print everything that is wrong with each file, or what it will do without saying so."""
    console = results()
    code = Exit.DONE
    for file in files:
        try:
            loaded = load_account(file)
        except WrongSettingsError as wrong:
            code = Exit.CONFIGURATION
            for problem in wrong.problems:
                console.print(str(problem), markup=False, soft_wrap=True)
            continue
        console.print(f"{file}: this may run", markup=False, soft_wrap=True)
        for note in loaded.notes:
            console.print(f"  note: {note}", markup=False, soft_wrap=True)
        for assumption in assumptions(loaded.settings):
            console.print(f"  assumed: {assumption}", markup=False, soft_wrap=True)
    return code


def assumptions(settings: Settings) -> Iterator[str]:
    """What a run takes for granted because the settings do not say it, a sentence each."""
    for conversion in settings.conversions:
        google = conversion.google_ads
        if google is not None and settings.google_ads and google.conversion_action.click_window_days is None:
            # https://support.google.com/google-ads/answer/3123169: 1 to 90 days, chosen per conversion action
            yield (
                f"{conversion.id}: the click window of conversion action {google.conversion_action.id} is taken as "
                "90 days; if Google Ads shows another, write it as click_window_days"
            )
        if conversion.since is None:
            yield f"{conversion.id}: counts from the first run that sees it; older changes are not sent (see `since`)"
        if conversion.value is None:
            yield f"{conversion.id}: is sent without a value"
    if settings.consent.missing == "assume_granted":
        yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"
