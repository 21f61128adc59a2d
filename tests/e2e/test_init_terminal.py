"""`init` as a person meets it: typed at a terminal, in both languages, wrong answers included."""

import pytest
from ruamel.yaml import YAML

from connectors.sandbox.oplead.gate import ADMIN_KEY
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from tests import quick
from tests.e2e.support.terminal import terminal

pytestmark = pytest.mark.timeout(300)
SERVERS = {
    "base-url": "oplead",
    "clock": "clock",
    "endpoint": "data_manager",
    "ads-api-endpoint": "google_ads",
    "graph-url": "meta",
}
IN_FRENCH = (
    ("qu’un rendez-vous est pris", "zzz"),  # no letter, no status
    ("qu’un rendez-vous est pris", "Rendez-vous, RDV pris"),
    ("qu’un devis est envoyé", ""),
    ("que la vente est signée", "Perdu"),
    ("que le lead est perdu", "Gagné"),
    ("Est-ce exact", ""),  # doubted, so Enter is no
    ("qu’un rendez-vous est pris", ""),
    ("qu’un devis est envoyé", ""),
    ("que la vente est signée", "<"),
    ("qu’un devis est envoyé", "Devis à relancer"),
    ("que la vente est signée", '"Vendu, payé", Gagné'),
    ("que le lead est perdu", ""),
    ("Est-ce exact", "peut-être"),
    ("Est-ce exact", "O"),
    ("Un nom court", ""),
    ("Un nom court", "Maison Durand"),
    ("Un nom court", "maison-durand"),
    ("servir à la publicité", "rgpd"),
    ("Le garder quand même", "n"),
    ("servir à la publicité", "a"),
    ("valent accord", "b"),
    ("valent refus", "b"),  # means yes already
    ("valent refus", "a"),
    ("Est-ce exact", "non"),
    ("valent accord", "<"),
    ("servir à la publicité", "a"),
    ("valent accord", "a"),
    ("valent refus", "a"),
    ("valent refus", "<"),
    ("valent accord", "oui, 1"),  # a number is proposed to nobody
    ("valent refus", ""),
    ("Est-ce exact", "oui"),
    ("personnalisées", "-"),
    ("montant d’une vente", '"Mes champs.Montant HT"'),
    ("Le garder quand même", ""),
    ("montant d’une vente", ""),
    ("TTC", "peut-être"),
    ("TTC", "non"),
    ("aucun montant", "neuf cents"),
    ("aucun montant", "12 500,00"),
    ("Google Ads", "12"),
    ("Google Ads", "-"),
    ("Meta", "-"),  # nothing would go anywhere
    ("Google Ads", "123-456-7890"),
    ("administrateur", ""),
    *(("action de conversion", number) for number in ("11", "11", "12", "-")),
    ("Meta", "77"),
    ("coordonnées", "attache"),
    ("coordonnées", "o"),
    ("par un autre moyen", "11/30/2026"),
    ("par un autre moyen", "31/09/2026"),
    ("par un autre moyen", "06/06/2026"),
    ("Écrire les réglages", "<"),
    ("par un autre moyen", "05/06/2026"),
    ("Écrire les réglages", "non"),
    ("Écrire les réglages", ""),
)
IN_ENGLISH = (
    ("an appointment is made", "zzz"),
    ("an appointment is made", "Rendez-vous, RDV pris"),
    ("a quote is sent", ""),
    ("the sale is signed", "Perdu"),
    ("the lead is lost", "Gagné"),
    ("Is that right", ""),
    ("an appointment is made", ""),
    ("a quote is sent", ""),
    ("the sale is signed", "<"),
    ("a quote is sent", "Devis à relancer"),
    ("the sale is signed", '"Vendu, payé", Gagné'),
    ("the lead is lost", ""),
    ("Is that right", "maybe"),
    ("Is that right", "Y"),
    ("A short name", ""),
    ("A short name", "Maison Durand"),
    ("A short name", "maison-durand"),
    ("used for advertising", "rgpd"),
    ("Keep it all the same", "n"),
    ("used for advertising", "a"),
    ("mean yes", "b"),
    ("mean no", "b"),
    ("mean no", "a"),
    ("Is that right", "no"),
    ("mean yes", "<"),
    ("used for advertising", "a"),
    ("mean yes", "a"),
    ("mean no", "a"),
    ("mean no", "<"),
    ("mean yes", "oui, 1"),
    ("mean no", ""),
    ("Is that right", "yes"),
    ("personalized", "-"),
    ("amount of a sale", '"Mes champs.Montant HT"'),
    ("Keep it all the same", ""),
    ("amount of a sale", ""),
    ("TTC", "maybe"),
    ("TTC", "no"),
    ("no amount", "nine hundred"),
    ("no amount", "12 500,00"),
    ("Google Ads", "12"),
    ("Google Ads", "-"),
    ("Meta", "-"),
    ("Google Ads", "123-456-7890"),
    ("manager account", ""),
    *(("conversion action", number) for number in ("11", "11", "12", "-")),
    ("Meta", "77"),
    ("contact data", "attache"),
    ("contact data", "y"),
    ("by other means", "05/06/2026"),  # 5 June or 6 May
    ("by other means", "31/09/2026"),
    ("by other means", "2026-06-06"),
    ("Write the settings", "<"),
    ("by other means", "2026-06-05"),
    ("Write the settings", "no"),
    ("Write the settings", ""),
)
SAID = {
    "fr_FR.UTF-8": (
        *("répondez oui ou non", "zzz n’est ni une lettre de la liste", "évoque une autre étape", "sans texte"),
        *("écrivez un jour comme 31/08/2026", "n’iraient nulle part", "devis envoyé", "Vendu, payé"),
        *("« oui » vaut déjà accord", "rien n’est proposé ici : écrivez une réponse", "oui ou non [non] :"),
        "par exemple 31/08/2026 ou 2026-08-31 ? [-] : 05/06/2026 dernier jour : ven. 5 juin 2026 ; ",
        "31/09/2026 : ce jour n’existe pas",
        "une vente sans montant part avec 12 500,00 €",
    ),
    "C.UTF-8": (
        *("answer yes or no", "zzz is neither a letter", "reads as another stage", "without words"),
        *("“oui” is among the answers that mean yes", "there is no proposal to take here"),
        "by other means? If so, up to which day, as 2026-08-31 or 31/08/2026? [-]: 05/06/2026",
        "31/09/2026: there is no such day",
    ),
}


LOOKS_WRONG = {"fr_FR.UTF-8": "Ce qui semble faux", "C.UTF-8": "What looks wrong"}


@pytest.mark.parametrize(("locale", "played"), [("fr_FR.UTF-8", IN_FRENCH), ("C.UTF-8", IN_ENGLISH)])
def test_init_is_played_whole_at_a_terminal(tmp_path, locale, played):
    """Every question takes a typed answer, says of a wrong one what to write, and leads on to the right file.

    No word is broken at the terminal's width but those of a path or a command.
    """
    with Sandbox(quick.with_key(tmp_path / "sandbox"), InventedLeads.generate(7, 120)) as sandbox:
        servers = [
            part for option, name in SERVERS.items() for part in (f"--{option}", sandbox.sandbox_server_urls[name])
        ]
        environ = {"LC_ALL": locale, "OPLEAD_TOKEN": ADMIN_KEY}
        with terminal("init", "--dir", str(tmp_path / "mine"), *servers, environ=environ, columns=100) as shown:
            for question, typed in played:
                shown.answer(question, typed)
            code = shown.end()

    told = YAML(typ="safe", pure=True).load((tmp_path / "mine" / "pipeline.yaml").read_text(encoding="utf-8"))
    assert 0 == code, shown.screen
    said = " ".join(shown.screen.split())
    assert [] == [words for words in (*SAID[locale], "maison-durand") if words not in said], shown.screen
    assert [] == [line for line in shown.screen.splitlines() if len(line) > 100 and str(tmp_path) not in line]
    assert "_Translated" not in shown.screen
    # It answers no question, so it comes after the last one.
    assert shown.screen.index(LOOKS_WRONG[locale]) > shown.screen.rindex(played[-1][0])
    assert {
        "appointment": ["RDV pris", "Rendez-vous"],
        "quote_sent": ["Devis à relancer"],
        "won": ["Vendu, payé", "Gagné"],
        "lost": ["Sans suite", "Perdu"],
    } == told["stages"]
    assert {"field": "leadData.consent", "granted": ["oui", "1"], "refused": ["non"]} == told["consent"]["ad_user_data"]
    assert {"field": "amount", "tax": "excluded", "otherwise": 12500} == told["conversions"][2]["value"]
    assert ["11", "12"] == [str(each["google_ads"]["conversion_action"]) for each in told["conversions"][:2]]
    assert ["attach", "attach"] == [told[name]["contact_data"] for name in ("google_ads", "meta")]
    assert {"2026-06-06"} == {str(each["since"]) for each in told["conversions"]}
