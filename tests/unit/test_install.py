"""What an installation sheds of its libraries is what nothing here loads; every other test runs without it."""

import re
import subprocess
from pathlib import Path

from connectors.google_ads.ads_api.client import VERSION
from connectors.language import Language

ROOT = Path(__file__).parents[2]


def test_an_installation_keeps_what_is_loaded_of_each_library(tmp_path):
    """The version of the Google Ads API that is called, and the formats of each language spoken."""
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    kept = {f"google/ads/googleads/{VERSION}/x.py", "google/ads/googleads/client.py", "babel/locale-data/root.dat"}
    kept |= {f"babel/locale-data/{language}.dat" for language in Language} | {
        "phonenumbers/data/region_FR.py",
        "phonenumbers/geodata/locale.py",
    }
    shed = {"google/ads/googleads/v1/x.py", "babel/locale-data/de_AT.dat", "phonenumbers/geodata/data0.py"}
    shed |= {"pycountry/locales/de/x.mo", "examples/x.py"}
    for name in kept | shed:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    subprocess.run(["make", f"VENV={tmp_path}", "shed"], cwd=ROOT, check=True, capture_output=True, timeout=60)  # noqa: S607

    assert kept == {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}


def test_an_installation_keeps_nothing_that_installs(tmp_path):
    """Python's own pip and setuptools may have known holes: pip works from elsewhere, and is gone when it is done."""
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["make", "-n", f"VENV={venv}", "develop"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    steps = [line for line in done.stdout.splitlines() if re.search(r" -m venv |/pip |build/tools", line)]
    tools = [re.search(r"rm -r|venv|pip", line)[0] for line in steps if "build/tools" in line]

    assert [True] == ["--without-pip" in line for line in steps if line.endswith(str(venv))]
    assert ["venv", "pip", "pip", "rm -r"] * 2 == tools
    assert not [line for line in steps if "/pip " in line and not line.startswith("build/tools/bin/pip --python ")]
