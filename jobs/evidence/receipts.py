"""What a platform's receipt says of the rows that were sent, and of nothing else."""

from connectors.records import Outcome, OutcomeClass, Receipt, Refused, RowOutcomes

_OF_A_ROW = frozenset({OutcomeClass.FIX_DATA, OutcomeClass.EXPIRED})


def refused_for_a_row(receipt: Receipt) -> Outcome | None:
    """Return the platform's refusal if it is about a row, and not the account, the action, the token or the pace."""
    match receipt:
        case Refused(outcome, unasked=False) if outcome.kind in _OF_A_ROW:
            return outcome
    return None


def took_all(receipt: Receipt) -> bool:
    """Return whether every row was taken, or found good."""
    return isinstance(receipt, RowOutcomes) and all(one.kind is OutcomeClass.DONE for one in receipt.outcomes)
