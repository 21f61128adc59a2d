"""The sandbox's page: what each platform accepted, as tables."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape

from connectors.sandbox.faults import FaultKind

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2530; --soft: #5d6878; --line: #dfe4ea; --paper: #f5f7f9; --card: #ffffff;
  --accent: #0b6b57; --alarm: #a63a24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf0; --soft: #9aa6b5; --line: #2c3542; --paper: #12171e; --card: #1a212b;
    --accent: #5fd0b3; --alarm: #f0907a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 92rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 1.5rem; }
header p { margin: 0; color: var(--soft); }
.refresh a { color: var(--accent); }
header p:last-child { flex-basis: 100%; }
h1 { margin: 0; font-size: 1.75rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 .5rem; font-size: 1.05rem; }
h2 small { color: var(--soft); font-weight: normal; margin-left: .25rem; }
section { margin-top: 2.25rem; overflow-x: auto; }
section > p { margin: 0 0 .5rem; color: var(--soft); }
.clock time { color: var(--accent); font-weight: 600; font-variant-numeric: tabular-nums; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.5rem 0 0; }
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; display: flex; flex-direction: column;
}
.figures dd {
  margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap;
}
.figures dt { color: var(--soft); font-size: .85rem; }
table {
  width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; font-size: .9rem;
}
th, td { padding: .5rem .7rem; text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 500; font-size: .8rem; white-space: nowrap; }
td { border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
td small { color: var(--soft); }
code { font: .85em ui-monospace, "Cascadia Code", Menlo, Consolas, monospace; white-space: nowrap; }
pre {
  margin: 0; padding: .8rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; font-size: .9rem; line-height: 1.6;
}
pre code { white-space: inherit; }
.reason { color: var(--alarm); font-weight: 600; }
@media (max-width: 44rem) {
  body { padding: 1.25rem .9rem 3rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr { display: block; }
  tr + tr { border-top: .4rem solid var(--paper); }
  td { display: grid; grid-template-columns: 7.5rem 1fr; gap: .75rem; padding: .4rem .9rem; }
  td > span { min-width: 0; overflow-x: auto; }
  tr td:first-child { border-top: 0; }
  td::before { content: attr(data-label); color: var(--soft); }
}
"""


SHOWN = 50
"""How many of the latest rows a table shows."""

_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"

Row = Mapping[str, object]
Cell = Callable[[Row], str]
Column = tuple[str, Cell]


def table(title: str, empty: str, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A section with its rows, latest first; on a narrow screen each row becomes a card."""
    if not rows:
        return f"<section><h2>{title}</h2><p>{empty}</p></section>"
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in columns)
    latest = rows[-SHOWN:][::-1]
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{name}"><span>{cell(row)}</span></td>' for name, cell in columns) + "</tr>"
        for row in latest
    )
    note = f"<p>The latest {SHOWN} of {len(rows)}.</p>" if len(rows) > SHOWN else ""
    return (
        f"<section><h2>{title} <small>{len(rows)}</small></h2>{note}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def text(value: object) -> str:
    """Anything as text that holds no markup, and nothing that steers a terminal or turns a line around."""
    return escape("".join(each for each in str(value) if each.isprintable() or each in _SPACES))


def moment(at: object, length: int = 16) -> str:
    """An ISO time as people write it: to the minute, or longer."""
    return text(str(at or "–").replace("T", " ")[:length])


def money(value: object, currency: object) -> str:
    """An amount with thin spaces between thousands; a dash where there is none."""
    if not isinstance(value, int | float):
        return "–"
    grouped = f"{value:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}").removesuffix(".00")
    return f"{grouped}\N{NO-BREAK SPACE}{currency}"


def mapping_of(value: object) -> Mapping[str, object]:
    """The object that stands there, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows_of(value: object) -> list[Row]:
    """The objects of the list that stands there."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def words_of(value: object) -> list[str]:
    """The list that stands there, as text."""
    return [str(each) for each in value] if isinstance(value, list) else []


def number_of(value: object) -> int:
    """The number that stands there, or 0."""
    return value if isinstance(value, int) else 0


def _plain(name: str) -> Cell:
    return lambda row: text(row.get(name, ""))


def _code(name: str) -> Cell:
    return lambda row: f"<code>{text(row[name])}</code>" if row.get(name) else "–"


def _moment(name: str) -> Cell:
    return lambda row: moment(row.get(name))


def _value(row: Row) -> str:
    if row.get("retracted"):
        return f"retracted <small>was {text(money(row.get('first_value'), row.get('currency', '')))}</small>"
    now = text(money(row.get("value"), row.get("currency", "")))
    if row.get("first_value", row.get("value")) == row.get("value"):
        return now
    return f"{now} <small>was {text(money(row.get('first_value'), ''))}</small>"


def _again(row: Row) -> str:
    told = {
        "replays": "replayed",
        "changed_replays": "changed on replay",
        "restatements": "restated",
        "ignored": "ignored",
    }
    counts = [f"{text(row[name])} × {word}" for name, word in told.items() if row.get(name)]
    return "<br>".join(counts) or "–"


def _counted(row: Row) -> str:
    times = number_of(row.get("accepted"))
    return text(times) if times == 1 else f'<strong class="reason">{text(times)}</strong>'


def _click(row: Row) -> str:
    return text(row.get("click_kind", "")) + ("" if row.get("matched") else " <small>no click known</small>")


def _action(row: Row) -> str:
    number = text(row.get("action", ""))
    return f"{text(row['name'])} <small>{number}</small>" if row.get("name") else number


def _api(row: Row) -> str:
    name = str(row.get("api", "data_manager"))
    return text({"data_manager": "Data Manager", "google_ads": "Google Ads API"}.get(name, name))


def _reason(row: Row) -> str:
    words = str(row.get("reason", "")).removeprefix("PROCESSING_ERROR_REASON_").replace("_", " ").capitalize()
    if "code" in row:  # Meta's errors are numbers
        words = f"Error {row['code']}" + (f" / {row['subcode']}" if row.get("subcode") else "")
    return f'<strong class="reason">{text(words)}</strong>'


def _stage(row: Row) -> str:
    return "in processing" if row.get("when") == "processing" else "at once"


def _examples(row: Row) -> str:
    found = [each for each in words_of(row.get("examples")) if each]
    return "<br>".join(f"<code>{text(each)}</code>" for each in found) or _code("field")(row)


def _kind(row: Row) -> str:
    return " ".join(text(each) for each in (row.get("kind", ""), row.get("status")) if each)


GOOGLE: Sequence[Column] = (
    ("Lead", _code("lead")),
    ("Conversion", _action),
    ("By", _api),
    ("Happened", _moment("event_time")),
    ("Value", _value),
    ("Known by", _click),
    ("Sent again", _again),
    ("Accepted", _moment("accepted_at")),
    ("Transaction", _code("transaction_id")),
)
META: Sequence[Column] = (
    ("Lead", _code("lead")),
    ("Conversion", _plain("event_name")),
    ("As", _plain("profile")),
    ("Happened", _moment("event_time")),
    ("Value", _value),
    ("Known by", _plain("click_kind")),
    ("Counted", _counted),
    ("Sent again", _again),
    ("Accepted", _moment("accepted_at")),
    ("Event id", _code("event_id")),
)
REFUSED: Sequence[Column] = (
    ("Reason", _reason),
    ("By", _plain("platform")),
    ("Times", _plain("count")),
    ("When", _stage),
    ("Action", _plain("action")),
    ("Latest", _examples),
    ("At", _moment("at")),
)
SERVERS: Sequence[Column] = (
    ("Server", _plain("name")),
    ("Requests", _plain("count")),
    ("Address", _code("url")),
)
FAULTS: Sequence[Column] = (
    ("Server", _plain("server")),
    ("Kind", _kind),
    ("Left", _plain("count")),
    ("After", _plain("after")),
    ("Path", _code("path")),
)
SWITCHES: Sequence[Column] = (("Switch", _code("name")), ("Position", _plain("value")))


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
    kinds = ", ".join(FaultKind)
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


_SIGNS = re.compile(r"[^A-Za-z0-9_-]+")
_DOT = "."


def leads_behind(known_by: Mapping[str, Iterable[str]], leads: Mapping[str, object]) -> dict[str, str]:
    """The lead behind each conversion that can be told, by the conversion's id.

    Args:
        known_by: click ids and hashes that each conversion was sent with.
        leads: every lead's JSON, by its id; None where deleted.
    """
    marks = {mark: lead_id for lead_id, lead in leads.items() for mark in _marks(lead)}
    found = {key: next((marks[each] for each in _tails(ids) if each in marks), "") for key, ids in known_by.items()}
    return {key: lead_id for key, lead_id in found.items() if lead_id}


def _tails(ids: Iterable[str]) -> Iterator[str]:
    """Each id, and the click id at the end of Meta's fb.1.TIME.ID."""
    for each in ids:
        yield each
        yield each.rpartition(_DOT)[2]


def _marks(document: object) -> Iterator[str]:
    """What tells a lead: every word of its texts, and its e-mail addresses as they are hashed."""
    match document:
        case str() if "@" in document:
            yield hashlib.sha256(document.strip().lower().encode()).hexdigest()
        case str() | int():
            yield from filter(None, _SIGNS.split(str(document)))
        case dict():
            for value in document.values():
                yield from _marks(value)
        case list():
            for value in document:
                yield from _marks(value)
