"""An account at one invented Oplead, with the settings that a marketer's `init` wrote."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.strangers.alpha import Alpha
from tests.e2e.strangers.base import Oplead
from tests.e2e.strangers.bravo import Bravo
from tests.e2e.strangers.charlie import Charlie
from tests.e2e.strangers.delta import Delta
from tests.e2e.strangers.echo import Echo
from tests.e2e.strangers.foxtrot import Foxtrot
from tests.e2e.strangers.marketer import Marketer, NoWayOn
from tests.e2e.strangers.nova import Nova
from tests.e2e.strangers.people import population

DIALECTS = {each.__name__: each for each in (Alpha, Bravo, Charlie, Delta, Echo, Foxtrot, Nova)}
ACTIONS = {"appointment": "987654321", "won": "987654322", "quote_sent": "987654323"}
SERVERS = {"clock": "clock", "endpoint": "data_manager", "ads-api-endpoint": "google_ads", "graph-url": "meta"}


@dataclass(frozen=True)
class Account:
    """One account; `stuck` says why `init` did not come to its end."""

    company: object
    oplead: Oplead
    marketer: Marketer
    settings: Path
    stuck: str


@contextmanager
def by_init(company, dialect):
    """Serve a dialect while the block runs, with the settings that `init` writes of it."""
    oplead = dialect(population(dialect.__name__, both=dialect is not Bravo), company.clock.now)
    clicks = {
        life.gclid: {"clicked_at": life.clicked.isoformat(), "customer": company.CUSTOMER} for life in oplead.lives
    }
    company.platform.register_clicks({gclid: click for gclid, click in clicks.items() if gclid})
    company.environ["OPLEAD_TOKEN"] = oplead.KEY
    with oplead.serving():
        marketer = Marketer(oplead, google="123-456-7890", meta="1234567890", actions=ACTIONS)
        urls = company.sandbox.sandbox_server_urls
        options = [part for option, server in SERVERS.items() for part in (f"--{option}", urls[server])]
        folder = company.directory / "mine"
        try:
            code = marketer.sit_down(
                "init", "--dir", str(folder), "--base-url", oplead.url, *options, environ=company.environ
            )
            stuck = "" if code == 0 else f"init ended with {code}"
        except NoWayOn as error:
            stuck = str(error)
        (company.directory / "screen.txt").write_text(marketer.screen, encoding="utf-8")
        yield Account(company, oplead, marketer, folder / "pipeline.yaml", stuck)
