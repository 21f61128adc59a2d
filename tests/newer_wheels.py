"""Writes a newer, empty release of everything in the locks into a folder: an index as it will be one day.

`PIP_FIND_LINKS=FOLDER make install` must not take one of them.
"""

import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "9999"


def write(folder: Path, package: str) -> None:
    """Write one wheel without content."""
    name = re.sub(r"[-.]+", "_", package)
    info = f"{name}-{VERSION}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "".join(f"{info}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")),
    }
    with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def main(folder: Path) -> None:
    """Write them all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lock.read_text() for lock in ROOT.glob("requirements*.lock"))
    for package in sorted(set(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*\])?==", text, re.MULTILINE))):
        write(folder, package)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
