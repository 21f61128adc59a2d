"""Which leads are tests, by what the settings say they look like; judged before anything is hashed or stored."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.contact import clean_phones, tidy
from connectors.records import Contact, Lead
from jobs.rules.labels import normalise_label

_DOMAIN = re.compile(r"@([^\s@;,|/<>()\"]+)")
"""What follows an @, whether or not it is an address somebody could have: a test's often is none."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What test leads look like, each in the spelling it is compared in."""

    email_domains: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    """In E.164."""
    names: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A path and its normalised values."""

    def covers(self, lead: Lead) -> bool:
        """Whether any of it is the lead's."""
        contact = lead.contact
        return (
            not self.email_domains.isdisjoint(_domains(contact))
            or not self.phones.isdisjoint(_phones(contact) if self.phones else ())
            or not self.names.isdisjoint(_names(contact))
            or any(
                normalise_label(str(lead.fields[path])) in values
                for path, values in self.fields.items()
                if path in lead.fields
            )
        )


def domain(text: str) -> str:
    """An e-mail domain as it is compared: exactly, but for case."""
    return tidy(text).casefold().strip(" .")


def _domains(contact: Contact) -> Iterator[str]:
    yield from (domain(found) for email in contact.emails for found in _DOMAIN.findall(tidy(email)))


def _phones(contact: Contact) -> tuple[str, ...]:
    return clean_phones(contact.phones, country=contact.country)


def _names(contact: Contact) -> Iterator[str]:
    """The whole name, in either order; a first or last name alone only where the lead has no other."""
    names = [name for name in (contact.first_name, contact.last_name) if name and normalise_label(name)]
    yield normalise_label(" ".join(names))
    yield normalise_label(" ".join(reversed(names)))
