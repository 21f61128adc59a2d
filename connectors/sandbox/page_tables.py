"""The tables of the sandbox's page: which columns there are, and how a cell shows what a row holds."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

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
