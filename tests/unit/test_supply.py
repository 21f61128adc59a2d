"""What an installation is made of is listed whole, and nothing in it has a licence that nobody agreed to."""

import pytest

from tests import supply
from tests.supply import Package


def test_every_licence_is_known_and_allowed():
    """`make check` fails otherwise."""
    assert [] == [(package.name, licence) for package, licence, allowed in supply.licences() if not allowed]


@pytest.mark.parametrize(
    ("name", "licence", "allowed"),
    [
        ("one", "MIT", True),
        ("one", "GPL-3.0-only", False),
        ("one", "GPL-3.0-only OR MIT", True),
        ("one", "MIT AND GPL-3.0-only", False),
        ("one", "(MIT AND Apache-2.0) OR GPL-3.0-only", True),
        ("one", "LGPL-2.1-only", False),
        ("pycountry", "LGPL-2.1-only", True),
    ],
)
def test_a_licence_is_allowed_by_family_or_for_a_package(name, licence, allowed):
    """Of an `OR` one must be, of an `AND` each."""
    assert allowed is supply.is_allowed(Package(name, "1", ()), licence)


def test_a_package_that_says_no_licence_is_refused(monkeypatch):
    """Whoever reads its text adds it to the list."""
    monkeypatch.setattr(supply, "READ", {})

    assert ["capi-param-builder-python", "facebook-business"] == [
        package.name for package, _, allowed in supply.licences() if not allowed
    ]


def test_the_bill_of_materials_has_every_locked_package_with_hashes_and_who_needs_it():
    """It is the same whenever it is written, and none of its references leads nowhere."""
    bill = supply.bill_of_materials()
    purls = {package.purl for package in supply.packages()}
    needed = {ref for each in bill["dependencies"] for ref in each["dependsOn"]}

    assert bill == supply.bill_of_materials()
    assert purls == {component["bom-ref"] for component in bill["components"]}
    assert all(component["externalReferences"][0]["hashes"] for component in bill["components"])
    assert purls >= needed > {"pkg:pypi/pycountry@" + supply.distribution("pycountry").version}


def test_the_installation_is_measured_package_by_package():
    """The largest comes first."""
    found = [size for size, _ in supply.sizes()]

    assert found == sorted(found, reverse=True)
    assert found[0] > 10_000_000
