"""What an installation is made of: `python tests/supply.py licences`, `sizes`, or `sbom FILE`.

Read from the locks and from the metadata of what is installed, so that neither needs the internet. Licences are those
of a fleet, which has everything; sizes and the bill of materials are those of one company's installation.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
FLEET_LOCK = ROOT / "requirements-fleet.lock"

ALLOWED = {
    *("MIT", "MIT-0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "Unlicense"),
    "MPL-2.0",  # asks for changed files only, and we change none
    "LicenseRef-Meta-Platform",  # to be used with Meta's own services, as we do
}
"""Licences that any package may have, by their SPDX names."""
ALLOWED_FOR = {
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "psycopg-pool": "LGPL-3.0-only",
    "pycountry": "LGPL-2.1-only",
}
"""Weak copyleft: allowed for packages that are installed beside ours, whole and replaceable, and imported only."""

SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""SPDX names of what older packages write."""
READ = {
    "capi-param-builder-python": "LicenseRef-Meta-Platform",
    "facebook-business": "LicenseRef-Meta-Platform",
}
"""Packages that only enclose a text, which a human has read."""


@dataclass(frozen=True)
class Package:
    """A package of the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def installed(self) -> Distribution | None:
        """Its metadata; None for one that is not for this Python or system."""
        try:
            return distribution(self.name)
        except PackageNotFoundError:
            return None


def packages(lock: Path = LOCK) -> list[Package]:
    """Everything in a lock, by name."""
    found = re.finditer(r"^([\w.-]+)==([^\s;]+)(.*?)(?=^\S|\Z)", lock.read_text(), re.MULTILINE | re.DOTALL)
    return [Package(each[1], each[2], tuple(re.findall(r"sha256:(\w+)", each[3]))) for each in found]


# ── licences ─────────────────────────────────────────────────────────────────────────────────────


def licence_of(package: Package) -> str | None:
    """A package's licence as an SPDX expression, or None if it says none that is known."""
    if package.name in READ:
        return READ[package.name]
    metadata = package.installed.metadata if package.installed else {}
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if "License ::" in each]
    said = [(metadata.get("License") or "").partition("\n")[0].strip(), *classifiers]
    return next((name for name in (SPELLINGS.get(each, each) for each in said) if name in ALLOWED), None)


def is_allowed(package: Package, licence: str) -> bool:
    """Whether a package may have this licence: one of an `OR`, each of an `AND`."""
    choices = [choice.split(" AND ") for choice in licence.split(" OR ")]
    known = ALLOWED | {ALLOWED_FOR.get(package.name, "")}
    return any(known.issuperset(part.strip("() ") for part in choice) for choice in choices)


def licences() -> Iterator[tuple[Package, str, bool]]:
    """Each installed package, its licence, and whether that is allowed."""
    for package in packages(FLEET_LOCK):
        if package.installed:
            licence = licence_of(package)
            yield package, licence or "unknown", licence is not None and is_allowed(package, licence)


# ── the bill of materials ────────────────────────────────────────────────────────────────────────


def bill_of_materials() -> Mapping[str, object]:
    """The lock as CycloneDX 1.6: versions, hashes, licences and who needs whom. The same lock gives the same bill."""
    every = packages()
    purls, ours = {package.name: package.purl for package in every}, distribution("oplead-sync")
    project = {"type": "application", "bom-ref": "oplead-sync", "name": "oplead-sync", "version": ours.version}
    project["licenses"] = [{"expression": "MIT"}]
    graph = [{"ref": "oplead-sync", "dependsOn": sorted(purls[name] for name in _asked(ours))}]
    for package in every:
        needed = [purls[name] for name in _asked(package.installed) if name in purls]
        graph.append({"ref": package.purl, "dependsOn": sorted(set(needed))})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, LOCK.read_text())}",
        "version": 1,
        "metadata": {"component": project},
        "components": [_component(package) for package in every],
        "dependencies": graph,
    }


def _component(package: Package) -> Mapping[str, object]:
    hashes = [{"alg": "SHA-256", "content": each} for each in package.hashes]
    shown = {"type": "library", "bom-ref": package.purl, "name": package.name, "version": package.version}
    licence = licence_of(package) if package.installed else None
    return {
        **shown,
        "purl": package.purl,
        **({"licenses": [{"expression": licence}]} if licence else {}),
        "externalReferences": [{"type": "distribution", "url": package.purl, "hashes": hashes}],
    }


def _asked(installed: Distribution | None) -> Iterator[str]:
    for line in (installed.requires or ()) if installed else ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────


def sizes() -> list[tuple[int, Package]]:
    """The bytes of each installed package on disk, compiled files included, the largest first."""
    found = [(_size(package.installed), package) for package in packages() if package.installed]
    return sorted(found, key=lambda each: each[0], reverse=True)


def _size(installed: Distribution) -> int:
    paths = [Path(str(installed.locate_file(file))) for file in installed.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; 1 if a licence is not allowed."""
    match arguments:
        case ["licences"]:
            refused = [package for package, _licence, allowed in licences() if not allowed]
            for package, licence, _allowed in licences():
                print(f"{package.name} {package.version}: {licence}")
            for package in refused:
                print(f"{package.name}: this licence is not allowed (tests/supply.py)", file=sys.stderr)
            return int(bool(refused))
        case ["sizes"]:
            for size, package in sizes():
                print(f"{size / 1e6:8.1f} MB  {package.name} {package.version}")
            return 0
        case ["sbom", str(file)]:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(json.dumps(bill_of_materials(), indent=2) + "\n", encoding="utf-8")
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
