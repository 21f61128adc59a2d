"""Exports a sandbox's leads to files, as somebody might do in Oplead: in several dialects of CSV, or as a workbook."""

import csv
import io
import os
import re
import unicodedata
from datetime import datetime

from openpyxl import Workbook

TITLES = {
    "id": "ID",
    "createdAt": "Date de création",
    "updatedAt": "Dernière modification",
    "status": "Statut",
    "statusDate": "Date statut",
    "leadData.externalID": "Identifiant externe",
    "leadData.consent": "Consentement pub",
    "leadData.adPersonalization": "Personnalisation",
    "leadData.utm_source": "utm_source",
    "leadData.utm_medium": "utm_medium",
    "leadData.utm_campaign": "utm_campaign",
    "contact.firstname": "Prénom",
    "contact.lastname": "Nom",
    "contact.email": "E-mail",
    "contact.phone": "Téléphone",
    "contact.mobile": "Portable",
    "address.postcode": "Code postal",
    "address.city": "Ville",
    "address.country": "Pays",
    "amount": "Montant TTC",
    "channel": "Canal",
    "agency": "Agence",
}
"""The title of each column, by what it holds; a lead's other fields are not exported."""
COLUMNS = {title: place for place, title in TITLES.items()}
"""`source.columns` for these titles."""
DIALECTS = {
    "French Excel": {"encoding": "cp1252", "delimiter": ";", "dates": "french"},
    "UTF-8": {"encoding": "utf-8", "delimiter": ","},
    "UTF-8 with a mark": {"encoding": "utf-8-sig", "delimiter": ";", "dates": "french"},
    "UTF-16": {"encoding": "utf-16", "delimiter": "\t"},
}
_DATES = ("createdAt", "updatedAt", "statusDate")
_WALL_CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def value_at(lead, place):
    """The value at a dotted place, or nothing."""
    for name in place.split("."):
        lead = lead.get(name) if isinstance(lead, dict) else None
    return lead


def rows_of(leads, titles=None):
    """The titles, and the values of each lead."""
    titles = TITLES if titles is None else titles
    return [list(titles.values()), *([value_at(lead, place) for place in titles] for lead in leads)]


def csv_bytes(leads, *, encoding="utf-8", delimiter=";", dates="iso", titles=None):
    """The leads as a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    header, *rows = rows_of(leads, titles)
    writer.writerow(header)
    writer.writerows([[_written(value, dates) for value in row] for row in rows])
    written = text.getvalue()
    if encoding == "cp1252":  # which has no combining accents, and one kind of space that does not break
        written = unicodedata.normalize("NFC", written).replace("\u202f", "\u00a0")
    return written.encode(encoding)


def _written(value, dates):
    if dates == "french" and isinstance(value, str) and _WALL_CLOCK.fullmatch(value):
        return f"{datetime.fromisoformat(value):%d/%m/%Y %H:%M:%S}"
    return value


def xlsx_bytes(leads, titles=None):
    """The leads as a workbook, with times as Excel keeps them."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Leads")
    header, *rows = rows_of(leads, titles)
    sheet.append(header)
    for row in rows:
        sheet.append([_cell(value) for value in row])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _cell(value):
    if isinstance(value, str) and _WALL_CLOCK.fullmatch(value):
        return datetime.fromisoformat(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def put(path, content, at):
    """Write a file that was last modified at this time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def leads_of(company):
    """The leads that a company's Oplead has now, as its API serves them."""
    platform = company.sandbox.oplead
    return [lead for lead in platform.leads().values() if isinstance(lead, dict)]
