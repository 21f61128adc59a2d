"""`oplead document add`: checks files whole before any is sent, and adds them to a lead."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import puremagic

from connectors.crm import DocumentToAttach, WriteAccepted
from connectors.language import _, _n, format_list, format_number, join_with_newlines
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext, parse_lead_id_argument
from jobs.oplead_commands.outcomes import ADMIN, write_outcome_sentence
from jobs.reporting.console import facts_grid, results_console

_MB = 1_000_000
_OFFICE = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "png": "image/png",
    "zip": "application/zip",
}
"""By extension, the types of https://aide.eldo.com/fr/knowledge/comment-ajouter-un-document-interne-à-un-lead."""
_INSIDE: Mapping[str, str] = {"docx": "word/", "xlsx": "xl/", "pptx": "ppt/"}
"""The folder that tells Office's zipped formats apart."""


def send_lead_documents(context: OpleadContext, lead_id: str, files: Sequence[Path]) -> int:
    """Check every file, show them, ask, and send one after the other, as far as Oplead takes them."""
    named = parse_lead_id_argument(lead_id)
    documents = lead_documents_from_files(files, largest_mb=context.known.settings.oplead.write.largest_document_mb)
    question = _n(
        "Add {count} document to lead {lead}?", "Add {count} documents to lead {lead}?", len(documents), lead=named
    )
    rehearsed = {"lead": named, "documents": list(map(_document_description, documents))}
    shown = facts_grid([(one.name, f"{one.media_type}, {_size(one.size)}") for one in documents])
    show = partial(results_console().print, shown)
    if not context.is_write_confirmed(question, rehearsed=rehearsed, show=show, nothing=_("Nothing was sent.")):
        return Exit.DONE
    for number, document in enumerate(documents, 1):
        with context.writer() as writer:
            receipt = context.retry_write_if_not_received(partial(writer.attach_document, named, document))
        look = _("Look at lead {lead} in Oplead before you send it again: a second copy would stay.", lead=named)
        outcome = write_outcome_sentence(receipt, _("added"), key=ADMIN, look=look)
        text = _("{name}: {text}", name=document.name, text=outcome)
        code = context.report_write(receipt, _document_description(document), text)
        if not isinstance(receipt, WriteAccepted):
            if left := len(documents) - number:
                unsent = _n("{count} document after it not sent.", "{count} documents after it not sent.", left)
                sys.stderr.write(f"{unsent}\n")
            return code
    return Exit.DONE


def lead_documents_from_files(files: Sequence[Path], *, largest_mb: int) -> list[DocumentToAttach]:
    """Return the files as documents.

    Raises:
        UsageError: one of them cannot be sent; it names every one and why.
    """
    documents, problems = [], []
    for file in files:
        try:
            documents.append(_document(file, largest_mb * _MB))
        except (ValueError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            problems.append(_("{file}: {why}", file=file, why=why))
    if len({one.path.resolve() for one in documents}) < len(documents):
        problems.append(_("a file is named twice"))
    if problems:
        raise UsageError(join_with_newlines([*problems, _("Nothing was sent.")]))
    return documents


def _document(file: Path, largest: int) -> DocumentToAttach:
    extension = file.suffix.removeprefix(".").casefold()
    if extension not in MEDIA_TYPES:
        raise ValueError(_("Oplead takes {types}", types=format_list([*MEDIA_TYPES])))
    if not file.is_file():
        raise ValueError(_("there is no such file"))
    size = file.stat().st_size
    if size == 0:
        raise ValueError(_("it is empty"))
    if size > largest:
        raise ValueError(
            _(
                "it has {size}, more than {largest} (oplead.write.largest_document_mb)",
                size=_size(size),
                largest=_size(largest),
            )
        )
    if not _content_matches_extension(extension, file):
        raise ValueError(_("its name says {extension}, and its content does not", extension=extension))
    return DocumentToAttach(file, file.name, MEDIA_TYPES[extension], size)


def _content_matches_extension(extension: str, file: Path) -> bool:
    """Whether a file's content is what its extension says."""
    with file.open("rb") as content:
        try:
            # Without its name, which would count as a hint.
            found = {one.extension for one in puremagic.magic_stream(content)}
        except (puremagic.PureError, ValueError):
            return False
    if f".{extension}" not in found:
        return False
    folder = _INSIDE.get(extension)
    if folder is None:
        return True
    try:
        with ZipFile(file) as archive:
            return any(name.startswith(folder) for name in archive.namelist())
    except BadZipFile:
        return False


def _size(size: int) -> str:
    if size >= _MB:
        return _("{size} MB", size=format_number(round(size / _MB, 1)))
    return _("{size} kB", size=max(1, size // 1024))


def _document_description(document: DocumentToAttach) -> Mapping[str, object]:
    return {"document": document.name, "media_type": document.media_type, "bytes": document.size}
