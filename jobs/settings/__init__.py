"""The account's YAML settings: schema, loading and validation, and compilation into rules."""

from jobs.settings.document import SettingsProblem
from jobs.settings.load import InvalidSettings, Loaded, ValidSettings, load
from jobs.settings.schema import Settings

__all__ = ["InvalidSettings", "Loaded", "Settings", "SettingsProblem", "ValidSettings", "load"]
