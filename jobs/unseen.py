"""Tells amounts that no lead has, so that a wrong path sends no wrong money."""

from dataclasses import replace

from sqlmodel import Session

from jobs.ledger import samples
from jobs.rulebook import Rulebook
from jobs.rules.facts import Route
from jobs.rules.silence import FEWEST_LEADS


def doubting(session: Session, book: Rulebook) -> Rulebook:
    """The same rules, by which nothing goes out for want of an amount that no lead has where the settings look for it.

    Where only few leads have reached a conversion's stage, they may well have no amount yet.
    """
    paths = {route.field_value.path for route in book.routes if route.field_value is not None}
    absent = {path for path in paths if not samples.amount_stands(session, book.account, path)}
    return replace(book, routes=tuple(_doubting(session, route, absent) for route in book.routes)) if absent else book


def _doubting(session: Session, route: Route, absent: set[str]) -> Route:
    value, labels = route.field_value, None if route.on_creation else route.labels
    if value is None or value.path not in absent:
        return route
    reached = samples.reached(session, route.account, labels, enough=FEWEST_LEADS)
    return replace(route, field_value=replace(value, never_seen=reached == FEWEST_LEADS))
