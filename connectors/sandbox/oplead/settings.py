"""The platform's own settings: its marketing channels, custom fields and user profiles, all invented."""

from collections.abc import Mapping, Sequence
from typing import Final

CUSTOM_FIELDS: Final = {
    "consent": "Consentement publicitaire",
    "adPersonalization": "Annonces personnalisées",
    "projet": "Projet",
    "budget": "Budget",
    "delai": "Délai",
}
"""The label of each custom field, by the name it has in `leadData`."""

SETTINGS: Final[Mapping[str, Sequence[Mapping[str, object]]]] = {
    "marketing-channels": [
        {"identifier": "CNL_SITE", "name": "Site web", "category": "Active channel"},
        {"identifier": "CNL_TEL", "name": "Téléphone", "category": "Active channel"},
        {"identifier": "CNL_SALON", "name": "Salon", "category": "Passive channel"},
        {"identifier": "CNL_META", "name": "Meta", "category": "Not specified"},
    ],
    "custom-fields": [
        {"identifier": name, "label": label, "type": "text", "mandatory": False}
        for name, label in CUSTOM_FIELDS.items()
    ],
    "user-profiles": [
        {"identifier": "ADMIN", "name": "Administrateur"},
        {"identifier": "AGENCY", "name": "Responsable d'agence"},
        {"identifier": "SALES", "name": "Commercial"},
    ],
}
"""What each page under `/settings/` lists."""
