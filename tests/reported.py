"""A small ledger written by hand, and settings for it, for tests of the page's numbers."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from sqlmodel import Session

from jobs.ledger.runs import open_snapshot
from jobs.ledger.schema import ClickIdRow, Delivery, LeadRow, Run, StatusChange, Transition
from jobs.ledger.storage.database import open_engine
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.reporting.page.gather import gather
from jobs.rules.model import delivery_key
from jobs.settings import load
from jobs.wiring.account import compile_rules_only
from tests import quick

ACCOUNT = "maison-durand"
SETTINGS = """
account: maison-durand
currency: EUR
oplead: { token: "${OPLEAD_TOKEN}" }
stages: { appointment: [Rendez-vous], won: [Gagné], lost: [Perdu] }
ignored_statuses: [Nouveau]
consent: { ad_user_data: { field: consent, granted: oui, refused: non } }
google_ads: { customer_id: 123-456-7890, credentials: key.json }
meta: { dataset_id: "77", access_token: "${META_ACCESS_TOKEN}" }
conversions:
  - { id: rdv, name: Rendez-vous pris, stage: appointment, value: 60, meta: { event: Schedule },
      google_ads: { conversion_action: { id: 11, click_window_days: 30 } } }
  - { id: sale, stage: won, value: { field: amount, tax: included }, undo_when: [lost],
      google_ads: { conversion_action: 12 }, meta: { event: Purchase } }
"""
TOLD_AFTER = timedelta(hours=12)
"""How long after a change it is read, unless a test says otherwise."""
SENT = ("pending", "in_flight")
ACCEPTED = (*SENT, "submitted", "accepted")


def on(day):
    """Ten o'clock, UTC, of a day of 2026 written as `11-28`; a longer text is a time."""
    return datetime.fromisoformat(f"2026-{day}" if len(day) > 5 else f"2026-{day}T10:00").replace(tzinfo=UTC)


def settings_from(folder, text=SETTINGS, report="{ by: agency }"):
    """The settings that a file says, and their rules."""
    key = {
        "type": "service_account",
        "client_email": "a@b.example",
        "private_key": "-",
        "token_uri": "https://t.example/",
    }
    (folder / "key.json").write_text(json.dumps(key))
    file = folder / "pipeline.yaml"
    file.write_text(f"{text}\nreport: {report}\n")
    settings = load(file, {}, secrets=False).settings
    return settings, compile_rules_only(settings)


@dataclass
class WrittenLedger:
    """Rows for a ledger, added by the kind."""

    path: object
    rows: list = field(default_factory=list)
    _ids: object = field(default_factory=lambda: count(1))

    def run(self, number, at, *, command="run", exit_code=0):
        """A run that took half an hour."""
        ended = at + timedelta(minutes=30)
        self.rows.append(
            Run(
                id=number,
                account=ACCOUNT,
                command=command,
                epoch=number,
                started_at=at,
                ended_at=ended,
                exit_code=exit_code,
            )
        )

    def lead(self, name, created, *statuses, utm=(None, None, None), clicks=(), amount=None, by=None, **more):
        """A lead created on a day.

        Its statuses are (label, day) or (label, day, columns) after `nouveau`; clicks are a kind, from its creation, or
        (kind, day).
        """
        created = on(created)
        entries = [("nouveau", created, {}), *((label, on(day), dict(*rest)) for label, day, *rest in statuses)]
        facts = {"where": {}, "amounts": {} if amount is None else {"amount": amount}} | ({"by": by} if by else {})
        names = ("utm_source", "utm_medium", "utm_campaign")
        plain = {"label": entries[-1][0], "digest": "d", "seen_at": created, "fresh": False, "to_plan": False}
        plain |= {"ad_user_data": "granted", "ad_personalization": "not_asked", "facts": json.dumps(facts)}
        mine = {"account": ACCOUNT, "lead": name}
        self.rows.append(
            LeadRow(
                **{
                    "account": ACCOUNT,
                    "id": name,
                    "created_at": created,
                    **plain,
                    **dict(zip(names, utm, strict=True)),
                    **more,
                }
            )
        )
        for label, at, columns in entries:
            seen = {"origin": "reported", "date_only": False, "seen_at": at + TOLD_AFTER}
            self.rows.append(StatusChange(**mine, label=label, at=at, **seen | columns))
        for each in clicks:
            kind, day = (each, None) if isinstance(each, str) else each
            at = created if day is None else on(day)
            self.rows.append(ClickIdRow(**mine, kind=kind, value=f"{kind}-of-{name}", clicked_at=at, estimated=True))

    def conversion(self, lead, conversion, destination, moves, **columns):
        """A lead's conversion that moved as told, (run, states …) each; it stands at the last state."""
        number, before = next(self._ids), None
        _, *states = moves[-1]
        key = delivery_key(ACCOUNT, lead, conversion, destination, 1)
        plain = {"account": ACCOUNT, "lead": lead, "conversion": conversion, "destination": destination}
        row = Delivery(**{"id": number, **plain, "occurrence": 1, "key": key, "state": states[-1], **columns})
        self.rows.append(row)
        for run, *reached in moves:
            for state in reached:
                is_last = (run, state) == (moves[-1][0], states[-1])
                why = {"reason": row.reason, "code": row.code} if is_last else {"reason": "due"}
                move = {"account": ACCOUNT, "delivery": number, "run": run, "at": on("11-28"), "from_state": before}
                self.rows.append(Transition(**move, to_state=state, **why))
                before = state

    def write(self):
        """Have it all in the file."""
        engine = open_engine(quick.with_state(self.path), for_writing=True)
        with Session(engine) as session, session.begin():
            for kind in (Run, LeadRow, StatusChange, ClickIdRow, Delivery, Transition):
                session.add_all(row for row in self.rows if isinstance(row, kind))
                session.flush()
            session.add_all(self.rows)
        engine.dispose()

    @contextmanager
    def read(self):
        """Read it as `status` does."""
        engine = open_engine(self.path, for_writing=False)
        try:
            with open_snapshot(engine, SqliteState(self.path)) as session:
                yield session
        finally:
            engine.dispose()

    def gather(self, settings, book, period, now):
        """What the page says of it."""
        self.write()
        with self.read() as session:
            return gather(session, settings, book, period, now)
