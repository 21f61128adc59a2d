"""Nova: as Alpha, without a specification; its histories tell a status's code alone, its leads code and text."""

from tests.e2e.strangers.alpha import STATUSES, Alpha


class Nova(Alpha):
    """`"statusHistory": [{"statusIdentifier": "STA_7", "date": …}]`, `"status": {"identifier": "STA_7", "name": …}`."""

    PAST = {state: code for state, (code, *_) in STATUSES.items()}  # noqa: RUF012 - never changed

    def open(self, asked):
        """Nothing is to be had without the key."""

    def lead(self, life):
        """One lead."""
        told = super().lead(life)
        told["statusHistory"] = [
            {"statusIdentifier": entry["status"]["identifier"], "date": entry["date"]}
            for entry in told["statusHistory"]
        ]
        return told
