"""Folders of evidence, as they lie on the disk."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from jobs.privacy.leaks import Planted

TEST_DOMAIN = "oplead-sync.invalid"
SETTLED = {"confirmed", "refuted"}
WRITE = {
    "fields": {
        "email": "contact.email",
        "phone": "contact.phone",
        "first_name": "contact.firstname",
        "last_name": "contact.lastname",
        "postcode": "address.postcode",
        "city": "address.city",
    }
}
"""Where the sandbox shows what a lead holds, and so takes it."""


@dataclass(frozen=True)
class Folder:
    """One folder that `evidence` has written."""

    path: Path

    @property
    def evidence(self):
        """The contents of `evidence.json`."""
        return json.loads((self.path / "evidence.json").read_text(encoding="utf-8"))

    @property
    def verdicts(self):
        """What is said of each claim."""
        return {one["claim"]: one["verdict"] for one in self.evidence["verdicts"]}

    @property
    def exchanges(self):
        """Every exchange, by its number."""
        files = sorted((self.path / "exchanges").glob("*.json"))
        return {int(file.stem): json.loads(file.read_text(encoding="utf-8")) for file in files}

    @property
    def contents(self):
        """Every byte, and the name of every file, by file."""
        files = (each for each in self.path.rglob("*") if each.is_file())
        return {str(each.relative_to(self.path)): each.name.encode() + b"\n" + each.read_bytes() for each in files}

    def found(self, planted: Planted):
        """What of what was planted is found, by file."""
        found = {name: planted.found_in(data) for name, data in self.contents.items()}
        return {name: each for name, each in found.items() if each}

    def wrong(self, right):
        """The claims whose verdict is not among those that `right` says are: what is said, and what would be."""
        said = self.verdicts
        return {
            claim: (verdict, sorted(right(claim))) for claim, verdict in said.items() if verdict not in right(claim)
        }


def serve_pages(company):
    """Have a company's sandbox serve three pages of leads, each changed at its own time."""
    hours = [timedelta(hours=number) for number in range(45)]
    company.serve(*(company.lead(n, ("En cours", company.CREATED + later)) for n, later in enumerate(hours, 1)))
    company.sandbox.oplead.set_switch("page_size", 20)


def made_by_walks(company):
    """The ids of the test leads at a company's sandbox, by their address."""
    return [lead_id for lead_id, lead in company.sandbox.oplead.leads().items() if TEST_DOMAIN in str(lead)]


def uploads_that_count(company):
    """What reached Google otherwise than to be validated, and whatever reached Meta or was counted by either."""
    return [
        *(body for body, _status in company.ingests if not body.get("validateOnly")),
        *company.posts,
        *company.counted(),
    ]
