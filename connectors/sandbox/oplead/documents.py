"""The documents Oplead takes, recognised by their first bytes and, for Office files, by what their archive holds."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from connectors.sandbox.oplead.bodies import Part
from connectors.sandbox.oplead.gate import RefusedError
from connectors.sandbox.oplead.leads.rendering import Fields

MEGABYTE: Final = 1_000_000
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What the Office files of before 2007 begin with."""
_SIGNATURES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "pdf": (b"%PDF-",),
    "xls": (_OLE,),
    "ppt": (_OLE,),
    "doc": (_OLE,),
    "jpg": (b"\xff\xd8\xff",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "xlsx": (b"PK\x03\x04",),
    "pptx": (b"PK\x03\x04",),
    "docx": (b"PK\x03\x04",),
}
_FOLDERS: Final = {"xlsx": "xl/", "pptx": "ppt/", "docx": "word/"}
"""The folder that each kind of Office archive has."""


def parse_uploaded_document(parts: list[Part], largest_mb: int) -> Fields:
    """Return name, type, size and SHA-256 of the one file in a multipart body; nothing else of it is kept."""
    if len(parts) != 1 or parts[0].name != "file" or not parts[0].filename:
        raise RefusedError(400, "the body has one part, a file, and it is called file")
    name, content = PurePosixPath(parts[0].filename.replace("\\", "/")).name, parts[0].content
    if len(content) > largest_mb * MEGABYTE:
        raise RefusedError(413, f"a document has at most {largest_mb} MB")
    if not content:
        raise RefusedError(422, "the document is empty")
    extension = name.rpartition(".")[2].lower()
    if not _matches_extension(extension, content):
        raise RefusedError(415, "a document is a pdf, xls(x), ppt(x), doc(x), jpg, gif, png or zip, as its name says")
    return {"name": name, "type": extension, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _matches_extension(extension: str, content: bytes) -> bool:
    """Return whether the content is what the extension says."""
    if not content.startswith(_SIGNATURES.get(extension, ())):
        return False
    if extension not in _FOLDERS:
        return True
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.startswith(_FOLDERS[extension]) for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError):
        return False
