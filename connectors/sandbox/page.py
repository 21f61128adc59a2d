"""The sandbox on one page: the clock, what each platform counted, what was refused and why, and how to make trouble."""

from collections.abc import Iterable, Mapping, Sequence

from connectors.sandbox.faults import Kind
from connectors.sandbox.page_style import STYLE
from connectors.sandbox.page_tables import (
    FAULTS,
    GOOGLE,
    META,
    REFUSED,
    SERVERS,
    SWITCHES,
    Row,
    mapping_of,
    moment,
    money,
    number_of,
    rows_of,
    table,
    text,
    words_of,
)

_PLATFORMS = {"data_manager": "Data Manager", "google_ads": "Google Ads API", "meta": "Meta"}
"""The platforms that refuse, by their name in the state."""
_SECONDS = 5
"""How often a page that refreshes itself does."""
_ALIKE = ("platform", "when", "reason", "code", "subcode", "field", "action")


def render(state: Mapping[str, object]) -> str:
    """The page for a state as `GET /state.json` tells it: one HTML document that needs nothing else."""
    google = _with_people(state, rows_of(mapping_of(state.get("data_manager")).get("book")), "transaction_id")
    meta = _with_people(state, rows_of(mapping_of(state.get("meta")).get("book")), "event_id")
    every = number_of(state.get("every"))
    sections = [
        _figures(state, google, meta),
        table("Refused, and why", "Nothing has been refused.", _tally(_refused(state)), REFUSED),
        table("Accepted by Google", "Google has accepted nothing yet.", google, GOOGLE),
        table("Accepted by Meta", "Meta has accepted nothing yet.", meta, META),
        table("Faults waiting", "No fault is planted.", rows_of(state.get("faults")), FAULTS),
        _recipe(mapping_of(state.get("addresses"))),
        table("Servers", "No server is running.", _servers(state), SERVERS),
        table("Switches", "There are no switches.", _pairs(mapping_of(state.get("switches"))), SWITCHES),
    ]
    refresh = f'<meta http-equiv="refresh" content="{every}">' if every else ""
    now = moment(state.get("now"), 19)
    return _DOCUMENT.format(style=STYLE, now=now, refresh=refresh, links=_links(every), body="\n".join(sections))


def _links(every: int) -> str:
    """How to see what has happened since."""
    other = '<a href="./">stop</a>' if every else f'<a href="?every={_SECONDS}">every {_SECONDS} s</a>'
    return f'<a href="">Refresh</a> ({other})'


def _with_people(state: Mapping[str, object], book: Sequence[Row], key: str) -> list[Row]:
    """The lines with the lead behind each and its action's name, as far as they are known."""
    behind, names = mapping_of(state.get("behind")), mapping_of(state.get("names"))
    return [
        {**line, "lead": behind.get(str(line.get(key)), ""), "name": names.get(str(line.get("action")), "")}
        for line in book
    ]


_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}
<title>oplead-sync sandbox</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>Sandbox</h1>
<p class="clock"><span>It is</span> <time>{now}</time></p>
<p class="refresh">{links}</p>
<p>Oplead, Google and Meta, played on this machine: nothing leaves it. All times are UTC.</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""

_RECIPES = (
    (
        "Meta is down for its next two requests",
        """-X POST {control}/faults -d '{{"server": "meta", "kind": "status", "status": 503, "count": 2}}'""",
    ),
    (
        "Google takes the next upload, and its answer is lost",
        """-X POST {control}/faults -d '{{"server": "data_manager", "kind": "cut_after"}}'""",
    ),
    (
        "One row is refused, by its order id",
        """-X POST {control}/rulings -d '{{"google_ads": {{"ORDER ID": {{"reason": "CLICK_NOT_FOUND"}}}}}}'""",
    ),
    ("No more faults", "-X DELETE {control}/faults"),
)


def _figures(state: Mapping[str, object], google: Sequence[Row], meta: Sequence[Row]) -> str:
    counts = {name: mapping_of(mapping_of(state.get(name)).get("requests")) for name in _PLATFORMS}
    figures = {
        "leads in Oplead": mapping_of(state.get("oplead")).get("leads", 0),
        "uploads to Google": number_of(counts["data_manager"].get("ingest"))
        + number_of(counts["google_ads"].get("upload")),
        "conversions at Google": sum(not line.get("retracted") for line in google),
        "adjustments at Google": counts["google_ads"].get("adjustments", 0),
        "value at Google": _total(google),
        "uploads to Meta": counts["meta"].get("uploads", 0),
        "events at Meta": sum(number_of(line.get("accepted")) for line in meta),
        "requests refused": sum(number_of(each.get("refused")) for each in counts.values()),
        "still processing": mapping_of(state.get("data_manager")).get("processing", 0),
    }
    cards = (f"<div><dd>{text(figure)}</dd><dt>{name}</dt></div>" for name, figure in figures.items())
    return f'<dl class="figures">{"".join(cards)}</dl>'


def _total(book: Iterable[Row]) -> str:
    sums: dict[str, float] = {}
    for line in book:
        value, currency = line.get("value"), str(line.get("currency", ""))
        if isinstance(value, int | float):
            sums[currency] = sums.get(currency, 0) + value
    return " + ".join(money(total, currency) for currency, total in sums.items()) or "none"


def _refused(state: Mapping[str, object]) -> list[Row]:
    """Every platform's refusals, oldest first."""
    refused = [
        {**each, "platform": title}
        for name, title in _PLATFORMS.items()
        for each in rows_of(mapping_of(state.get(name)).get("refused"))
    ]
    return sorted(refused, key=lambda each: str(each.get("at", "")))


def _tally(refused: Sequence[Row]) -> list[Row]:
    """Refusals that are alike in one row, in the order in which each was first met."""
    tally: dict[tuple[str, ...], dict[str, object]] = {}
    for each in refused:
        key = tuple(str(each.get(name, "")) for name in _ALIKE)
        row = tally.setdefault(key, {**each, "count": 0, "examples": []})
        row["count"] = number_of(row["count"]) + 1
        row["at"] = each.get("at")
        row["examples"] = [*words_of(row["examples"]), str(each.get("transaction_id", ""))][-3:]
    return list(tally.values())


def _recipe(addresses: Mapping[str, object]) -> str:
    """How to make trouble on this very sandbox, from a terminal."""
    control = str(addresses.get("control", "http://127.0.0.1:PORT"))
    recipes = "\n\n".join(
        f"{text(f'# {title}')}\n{text(f'curl {line.format(control=control)}')}" for title, line in _RECIPES
    )
    kinds = ", ".join(Kind)
    return (
        "<section><h2>Make trouble</h2>"
        f"<p>From a terminal. A fault names a server of those below and a kind: {text(kinds)}; "
        "<code>count</code>, <code>after</code> and <code>path</code> say which requests it takes.</p>"
        f"<pre><code>{recipes}</code></pre></section>"
    )


def _servers(state: Mapping[str, object]) -> list[Row]:
    counts, addresses = mapping_of(state.get("requests")), mapping_of(state.get("addresses"))
    rows: list[Row] = [{"name": name, "count": counts[name], "url": addresses.get(name, "")} for name in counts]
    return rows[::-1]  # a table shows the last row first


def _pairs(switches: Mapping[str, object]) -> list[Row]:
    rows: list[Row] = [{"name": name, "value": value} for name, value in switches.items()]
    return rows[::-1]
