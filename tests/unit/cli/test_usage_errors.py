"""Wrong usage is said in the reader's language, though Typer knows English only."""

import pytest

from connectors.language import Language, using_language
from jobs.cli.app import app

WRONG = {
    "run": "Option manquante\xa0: '--config' / '-c'.",
    "run -c x --at-once 99": "Valeur incorrecte pour '--at-once'\xa0: 64 au plus",
    "run -c x --at-once 0": "Valeur incorrecte pour '--at-once'\xa0: 1 au moins",
    "run -c x --at-once abc": "Valeur incorrecte pour '--at-once'\xa0: écrivez un nombre entier",
    "run -c x --dry-run --validate-only": "Valeur incorrecte\xa0: tapez --dry-run ou --validate-only, pas les "
    "deux\xa0: seule la seconde interroge les plateformes",
    "run --dry-run=3 -c x": "L’option '--dry-run' ne prend pas de valeur.",
    "report -c": "L’option '-c' demande une valeur.",
    "check --nope": "Option inconnue\xa0: --nope",
    "check --verbos": "Option inconnue\xa0: --verbos (options possibles\xa0: --verbose)",
    "--nope": "Option inconnue\xa0: --nope",
    "frobnicate": "Commande inconnue\xa0: 'frobnicate'.",
    "rum": "Commande inconnue\xa0: 'rum'. Vouliez-vous dire 'run'\u202f?",
    "oplead leads lst": "Commande inconnue\xa0: 'lst'. Vouliez-vous dire 'list'\u202f?",
    "explain": "Argument manquant\xa0: 'LEAD'.",
    "status -c x extra": "Argument en trop (extra)",
    "backfill -c x --from 2026-13-01": "Valeur incorrecte pour '--from'\xa0: écrivez un jour comme 31/08/2026 ou "
    "2026-08-31",
    "demo --google-transport x": "Valeur incorrecte pour '--google-transport'\xa0: 'x' n’est pas l’une des valeurs "
    "'data_manager', 'google_ads_api'.",
}


def _said(typed, capsys):
    with pytest.raises(SystemExit) as ended:
        app(typed.split(), prog_name="oplead-sync")
    assert 2 == ended.value.code
    return capsys.readouterr().err


@pytest.mark.parametrize("typed", WRONG)
def test_wrong_usage_is_said_in_french(typed, capsys):
    """Typer's sentences are known by heart: one that an upgrade changes fails here."""
    with using_language(Language.FRENCH):
        said = _said(typed, capsys)

    assert f"Erreur\xa0: {WRONG[typed]}" == said.splitlines()[-1]
    assert not any(word in said for word in ("Usage:", "Try '", "Error"))


@pytest.mark.parametrize("typed", ["run", "run -c x --at-once 99", "rum"])
def test_english_is_as_typer_says_it(typed, capsys):
    """Where the terminal speaks no French, and where the answer is for a program."""
    with using_language(Language.ENGLISH):
        english = _said(typed, capsys)
    with using_language(Language.FRENCH):
        for_program = _said(f"{typed} --json", capsys)

    assert english == for_program
    assert english.startswith("Usage: oplead-sync ")
    assert "Try 'oplead-sync " in english
