"""What config/deploy/ says, as tests read it."""

import configparser
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import typer
import yaml
from typer.core import TyperGroup

from jobs.cli.app import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "config" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
TREE = "/opt/oplead-sync"
"""Where the program is in the image."""


def instructions():
    """The Containerfile's stages, each a list of (instruction, its argument)."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages = [[]]
    for line in filter(None, text.splitlines()):
        name, argument = line.split(None, 1)
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, argument))
    return stages


def copied(stage):
    """What a stage copies from this project's folder."""
    arguments = [shlex.split(argument) for name, argument in stage if name == "COPY" and "--from" not in argument]
    return [source for words in arguments for source in words[:-1]]


def is_ignored(path):
    """Whether .dockerignore keeps a path, relative to this project's folder, from the image's builder."""
    lines = (line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines())
    parents = [str(path), *(str(parent) for parent in Path(path).parents)]
    ignored = False
    for line in filter(None, lines):
        pattern = line.lstrip("!")
        names = [each.rpartition("/")[2] for each in parents] if pattern.startswith("**/") else parents
        if not line.startswith("#") and any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
            ignored = not line.startswith("!")
    return ignored


def services():
    """The services of compose.yaml, by name."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def ours():
    """The services of compose.yaml that run this program."""
    return {name: service for name, service in services().items() if service["image"] == "oplead-sync"}


def unit(path):
    """A unit's sections; of a key that stands twice, its last line."""
    parsed = configparser.RawConfigParser(strict=False, delimiters=["="], interpolation=None)
    parsed.optionxform = str
    parsed.read_string(path.read_text())
    return parsed


def seconds(text):
    """A span as systemd and compose write it."""
    number, name = re.fullmatch(r"(\d+)(s|min|m)?", str(text)).groups()
    return int(number) * {"s": 1, None: 1, "min": 60, "m": 60}[name]


def unknown_words(arguments):
    """What of a command line this program does not understand: a command or an option."""
    found, unknown, rest = typer.main.get_command(app), [], list(arguments)
    while isinstance(found, TyperGroup) and rest:
        name = rest.pop(0)
        if name not in found.commands:
            return [name]
        found = found.commands[name]
    options = {option for parameter in found.params for option in parameter.opts}
    unknown += [word for word in rest if word.startswith("--") and word not in options]
    return unknown
