"""The account's YAML settings: schema, loading and validation, and compilation into rules."""

from jobs.settings.document import SettingsProblem
from jobs.settings.load import Invalid, Loaded, Valid, load
from jobs.settings.schema import Settings

__all__ = ["Invalid", "Loaded", "Settings", "SettingsProblem", "Valid", "load"]
