"""Reading a configuration file: settings with notes, or everything that is wrong with it, at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from jobs.settings.document import Document, read_document
from jobs.settings.doubts import doubtful_notes
from jobs.settings.env_file import EnvFile, read_env_file
from jobs.settings.model import Settings
from jobs.settings.pending import pending_notes
from jobs.settings.places import leaves
from jobs.settings.problems import Finding, Mark, Problem, dotted, one_line
from jobs.settings.references import References
from jobs.settings.remotes import clock_findings
from jobs.settings.semantics import fitting_findings
from jobs.settings.wording import plain_findings

LONGEST_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Valid:
    """A configuration that may run."""

    settings: Settings
    notes: tuple[Problem, ...]
    """Keys not acted on yet, and what may be a slip, in the order of the file."""
    env_file: EnvFile | None = None
    """The `.env` beside it."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A configuration that must not run, and all that is wrong with it, in the order of the file."""

    problems: tuple[Problem, ...]
    env_file: EnvFile | None = None
    """The `.env` beside it."""


Loaded = Valid | Invalid


def load(path: Path, environ: Mapping[str, str], *, secrets: bool = True) -> Loaded:
    """Read and check the whole configuration file at `path`; whatever it holds, nothing is raised.

    Args:
        path: the YAML file; relative paths in it start at its folder.
        environ: where `${VARIABLE}` is looked up first, then in `.env` beside the file; no problem or note ever
            repeats a value of either.
        secrets: whether they are looked up; who only reads the state needs none, and may have none.
    """
    try:
        text = file_text(path)
    except ValueError as error:
        return Invalid((Problem(str(path), 0, 0, "", str(error)),))
    document = read_document(text)
    env_file = read_env_file(path.parent) if secrets else None
    references = References(environ, path.parent, env_file, looks_up=secrets)
    env_file = references.used_env_file(text for _, text in leaves(document.tree))
    settings, findings = _check(document, references)
    if settings is None or findings:
        return Invalid(placed(findings, document, str(path)), env_file)
    notes = [*pending_notes(document.tree), *doubtful_notes(document.tree)]
    return Valid(settings, placed(notes, document, str(path)), env_file)


def file_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from None
    if len(content) > LONGEST_FILE_BYTES:
        raise ValueError("the file is too long for a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text; save it as UTF-8") from None


def _check(document: Document, references: References) -> tuple[Settings | None, list[Finding]]:
    tree, findings = document.tree, list(document.findings)
    if not isinstance(tree, dict):
        return None, findings or [Finding((), "write keys, each as key: value, as account: my-company")]
    settings = None
    try:
        settings = Settings.model_validate(tree, context=references)
    except ValidationError as error:
        findings += plain_findings(error, document)
    findings += fitting_findings(tree)
    findings += clock_findings(tree, references)
    return settings, findings


def placed(findings: list[Finding], document: Document, file: str) -> tuple[Problem, ...]:
    """The findings at their places in the file, in its order."""
    return tuple(sorted(set(_problems(findings, document, file))))


def _problems(findings: list[Finding], document: Document, file: str) -> Iterator[Problem]:
    for finding in findings:
        mark = finding.at or _nearest_mark(finding, document)
        yield Problem(file, mark.line, mark.column, one_line(dotted(finding.path)), one_line(finding.message))


def _nearest_mark(finding: Finding, document: Document) -> Mark:
    """The mark of the path, or of what stands around it."""
    for length in range(len(finding.path), -1, -1):
        if mark := document.marks.get(finding.path[:length]):
            return mark
    return Mark(1, 1)
