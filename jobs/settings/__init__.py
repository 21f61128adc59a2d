"""What marketing's YAML says: its shape, how it is read, and what it means for a run."""

from jobs.settings.load import Invalid, Loaded, Valid, load
from jobs.settings.problems import SettingsProblem
from jobs.settings.schema import Settings

__all__ = ["Invalid", "Loaded", "Settings", "SettingsProblem", "Valid", "load"]
