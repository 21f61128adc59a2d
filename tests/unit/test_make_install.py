"""`make install` shows that what it installed works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="not a checkout")
@pytest.mark.parametrize(("locale", "then"), [("fr_FR.UTF-8", "Installé. Ensuite : "), ("C", "Installed. Next: ")])
def test_make_install_ends_with_the_version_and_what_to_type_next(tmp_path, locale, then):
    """By running the installed command, in the language of the terminal; nothing is installed anew here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "oplead-sync").symlink_to(Path(sys.executable).with_name("oplead-sync"))
    (tmp_path / "installed").touch()
    done = subprocess.run(
        [shutil.which("make"), "-s", "-C", str(ROOT), "install", f"VENV={tmp_path}"],
        env={"PATH": os.environ["PATH"], "LC_ALL": locale},
        capture_output=True,
        check=True,
        timeout=60,
    )
    version, following = done.stdout.decode().splitlines()

    assert version.startswith("oplead-sync ")
    assert following.startswith(f"{then}{tmp_path}/bin/oplead-sync demo")
