"""The sandbox on one page: the clock, what each server saw, what was counted, what was refused and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from connectors.sandbox.page_style import STYLE

SHOWN = 50
"""How many of the latest rows a table shows."""

Row = Mapping[str, object]
Column = tuple[str, Callable[[Row], str]]


def render(state: Mapping[str, object]) -> str:
    """The page for a state as `GET /state.json` tells it: one HTML document that needs nothing else."""
    google = _mapping(state.get("data_manager"))
    book, refused = _rows(google.get("book")), _rows(google.get("refused"))
    sections = [
        _figures(state, google, book),
        _table("Refused, and why", "Nothing has been refused.", _tally(refused), _REFUSED),
        _table("Accepted", "Nothing has been accepted yet.", book, _BOOK),
        _table("Faults waiting", "No fault is planted.", _rows(state.get("faults")), _FAULTS),
        _table("Servers", "No server is running.", _servers(state), _SERVERS),
        _table("Switches", "There are no switches.", _pairs(_mapping(state.get("switches"))), _SWITCHES),
    ]
    return _DOCUMENT.format(style=STYLE, now=_time(state.get("now"), 19), body="\n".join(sections))


_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>oplead-sync sandbox</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>Sandbox</h1>
<p class="clock"><span>It is</span> <time>{now}</time></p>
<p>Oplead and Google, played on this machine: nothing leaves it. All times are UTC.</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def _figures(state: Mapping[str, object], google: Mapping[str, object], book: Sequence[Row]) -> str:
    counts = _mapping(google.get("requests"))
    figures = {
        "leads in Oplead": _mapping(state.get("oplead")).get("leads", 0),
        "uploads to Google": counts.get("ingest", 0),
        "requests refused": counts.get("refused", 0),
        "still processing": google.get("processing", 0),
        "conversions": len(book),
        "value": _money(book),
    }
    cards = (f"<div><dd>{_text(figure)}</dd><dt>{name}</dt></div>" for name, figure in figures.items())
    return f'<dl class="figures">{"".join(cards)}</dl>'


def _money(book: Iterable[Row]) -> str:
    sums: dict[str, float] = {}
    for line in book:
        value, currency = line.get("value"), str(line.get("currency", ""))
        if isinstance(value, int | float):
            sums[currency] = sums.get(currency, 0) + value
    return " + ".join(_amount(total, currency) for currency, total in sums.items()) or "none"


def _amount(value: object, currency: str) -> str:
    if not isinstance(value, int | float):
        return "–"
    return (
        f"{value:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}").removesuffix(".00") + f"\N{NO-BREAK SPACE}{currency}"
    )


def _tally(refused: Sequence[Row]) -> list[Row]:
    """Refusals that are alike in one row, the latest first."""
    tally: dict[tuple[str, ...], dict[str, object]] = {}
    for each in refused:
        key = tuple(str(each.get(name, "")) for name in ("when", "reason", "field", "action"))
        row = tally.setdefault(key, {**each, "count": 0, "examples": []})
        row["count"] = _number(row["count"]) + 1
        row["at"] = each.get("at")
        row["examples"] = [*_rows_of_text(row["examples"]), str(each.get("transaction_id", ""))][-3:]
    return list(tally.values())


def _servers(state: Mapping[str, object]) -> list[Row]:
    counts, addresses = _mapping(state.get("requests")), _mapping(state.get("addresses"))
    return [{"name": name, "count": counts[name], "url": addresses.get(name, "")} for name in counts]


def _pairs(switches: Mapping[str, object]) -> list[Row]:
    return [{"name": name, "value": value} for name, value in switches.items()]


def _table(title: str, empty: str, rows: Sequence[Row], columns: Sequence[Column]) -> str:
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


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: _text(row.get(name, ""))


def _code(name: str) -> Callable[[Row], str]:
    return lambda row: f"<code>{_text(row[name])}</code>" if row.get(name) else "–"


def _moment(name: str) -> Callable[[Row], str]:
    return lambda row: _time(row.get(name))


def _value(row: Row) -> str:
    now = _text(_amount(row.get("value"), str(row.get("currency", ""))))
    if row.get("first_value") == row.get("value"):
        return now
    return f"{now} <small>was {_text(_amount(row.get('first_value'), ''))}</small>"


def _again(row: Row) -> str:
    told = {"replays": "replayed", "changed_replays": "changed on replay", "restatements": "restated"}
    counts = [f"{_text(row[name])} × {word}" for name, word in told.items() if row.get(name)]
    return "<br>".join(counts) or "–"


def _click(row: Row) -> str:
    return _text(row.get("click_kind", "")) + ("" if row.get("matched") else " <small>no click known</small>")


def _reason(row: Row) -> str:
    words = str(row.get("reason", "")).removeprefix("PROCESSING_ERROR_REASON_")
    return f'<strong class="reason">{_text(words.replace("_", " ").capitalize())}</strong>'


def _stage(row: Row) -> str:
    return "at once" if row.get("when") == "submit" else "in processing"


def _examples(row: Row) -> str:
    found = [each for each in _rows_of_text(row.get("examples")) if each]
    return "<br>".join(f"<code>{_text(each)}</code>" for each in found) or _code("field")(row)


def _kind(row: Row) -> str:
    return " ".join(_text(each) for each in (row.get("kind", ""), row.get("status")) if each)


_BOOK: Sequence[Column] = (
    ("Transaction", _code("transaction_id")),
    ("Action", _plain("action")),
    ("Happened", _moment("event_time")),
    ("Value", _value),
    ("Known by", _click),
    ("Sent again", _again),
    ("Accepted", _moment("accepted_at")),
)
_REFUSED: Sequence[Column] = (
    ("Reason", _reason),
    ("Times", _plain("count")),
    ("When", _stage),
    ("Action", _plain("action")),
    ("Latest", _examples),
    ("At", _moment("at")),
)
_SERVERS: Sequence[Column] = (
    ("Server", _plain("name")),
    ("Requests", _plain("count")),
    ("Address", _code("url")),
)
_FAULTS: Sequence[Column] = (
    ("Server", _plain("server")),
    ("Kind", _kind),
    ("Left", _plain("count")),
    ("After", _plain("after")),
    ("Path", _code("path")),
)
_SWITCHES: Sequence[Column] = (("Switch", _code("name")), ("Position", _plain("value")))


def _time(moment: object, length: int = 16) -> str:
    """A moment as people write it: to the minute, or longer."""
    return _text(str(moment or "–").replace("T", " ")[:length])


def _text(value: object) -> str:
    return escape(str(value))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Row]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _rows_of_text(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
