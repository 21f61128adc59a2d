"""What the image holds, made as its recipe says but for the engine, and run as it would be: by nobody, read-only."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.recipes import ROOT, TREE, copied, instructions, is_ignored

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1200), pytest.mark.xdist_group("runtime tree")]
NOBODY = ("unshare", "--user", "--map-user=10001", "--map-group=10001")
"""Runs a program by a user without a name, whom a file's owner's missing rights hold back as well."""
NEEDS = pytest.mark.skipif(
    subprocess.run([*NOBODY, "true"], check=False, capture_output=True, timeout=10).returncode != 0,
    reason="this machine lets nobody be another user",
)


@pytest.fixture(scope="module")
def tree():
    """The folder that the image's first stage makes from what it copies, without the right to write to it."""
    # Not pytest's folder: its name would be part of every path, and the tree is not small.
    with tempfile.TemporaryDirectory(prefix="oplead-tree-") as name:
        folder = Path(name)
        (_, build, _) = instructions()
        (source := folder / "source").mkdir()
        for path in copied(build):
            _copy(path, source)
        made = folder / "tree"
        for line in [argument for name, argument in build if name == "RUN"]:
            command = [*line.replace(TREE, str(made)).split(), f"PYTHON={sys.executable}"]
            done = subprocess.run(
                command, check=False, cwd=source, capture_output=True, text=True, timeout=900, umask=0o077
            )
            assert 0 == done.returncode, done.stdout + done.stderr
        # The program must not find by chance what it was made from.
        shutil.rmtree(source)
        subprocess.run(["/bin/chmod", "-R", "a-w", made], check=True, timeout=60)
        yield made
        subprocess.run(["/bin/chmod", "-R", "u+w", made], check=True, timeout=60)


def _copy(path, target):
    def left_out(folder, names):
        return [each for each in names if is_ignored(str((Path(folder) / each).relative_to(ROOT)))]

    if (ROOT / path).is_dir():
        shutil.copytree(ROOT / path, target / path, ignore=left_out)
    else:
        shutil.copy(ROOT / path, target / path)


@pytest.fixture
def run(tree, tmp_path):
    """Run a command of the tree's, by nobody, from a folder that it may write to."""

    def run(*arguments):
        environ = {"PATH": f"{tree}/bin:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
        command = [*NOBODY, "oplead-sync", *arguments]
        return subprocess.run(
            command, check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300
        )

    return run


def test_every_user_may_run_it_whatever_the_umask_of_who_made_it(tree):
    """Workers are no root, and a careful root's files are root's alone."""
    found = [path for path in (tree, *tree.rglob("*")) if not path.is_symlink()]
    modes = {path: (path.stat().st_mode, 0o055 if path.is_dir() else 0o044) for path in found}

    assert [] == [path for path, (mode, wanted) in modes.items() if mode & wanted != wanted]


@NEEDS
def test_it_plays_whole_nights_without_writing_to_its_tree(tree, run):
    """Every library that a night needs is there, and whole."""
    version, demo = run("--version"), run("demo", "--nights", "2", "--leads", "100")

    assert re.fullmatch(r"oplead-sync \d+\.\d+\.\d+\n", version.stdout), version.stderr
    assert 0 == demo.returncode, demo.stdout + demo.stderr
    assert [] == [path for path in tree.rglob("*.db*") if path.is_file()]


@NEEDS
def test_it_checks_settings(run, tmp_path):
    """Without secrets, of which the image has none, it says which are missing."""
    settings = tmp_path / "pipeline.yaml"
    settings.write_text((ROOT / "config" / "pipeline.example.yaml").read_text())
    checked = run("check", "--config", "pipeline.yaml")

    assert 2 == checked.returncode, checked.stderr
    assert "OPLEAD_TOKEN" in checked.stdout + checked.stderr


@NEEDS
def test_it_can_reach_postgresql(run, tmp_path):
    """The driver is there: what fails is the address, which may answer later."""
    settings = tmp_path / "pipeline.yaml"
    text = (ROOT / "config" / "pipeline.example.yaml").read_text()
    settings.write_text(re.sub(r"^state:.*", "state: postgresql://127.0.0.1:1/none", text, flags=re.MULTILINE))
    told = run("status", "--config", "pipeline.yaml")

    assert 75 == told.returncode, told.stderr
    assert "the server cannot be reached" in told.stdout + told.stderr


def test_it_holds_nothing_that_installs_compiles_or_tests(tree):
    """What an intruder could use is not there, and neither is our suite."""
    packages = {path.name for path in next(tree.glob("lib/python*/site-packages")).iterdir()}
    programs = {path.name for path in (tree / "bin").iterdir()}

    assert set() == {"pip", "setuptools", "hatchling", "pytest", "tests", "mypy"} & packages
    assert set() == {name for name in programs if re.match(r"pip|gcc|cc|make|uv$", name)}
    assert {"procrastinate", "psycopg", "jobs", "connectors"} <= packages


def test_it_is_compiled_for_good(tree):
    """Nothing is compiled anew at a start, whatever a copy makes of files' dates."""
    ours = [
        path for folder in ("jobs", "connectors") for path in tree.glob(f"lib/python*/site-packages/{folder}/**/*.py")
    ]
    kinds = {next((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")).read_bytes()[4] for path in ours}

    assert {0b01} == kinds  # by the source's hash, unchecked: https://peps.python.org/pep-0552/


@pytest.mark.parametrize("page", ["docs/fleet-operations.md", "docs/fr/fleet-operations.md"])
def test_it_is_as_large_as_the_docs_say(tree, page):
    """A dependency that weighs must be noticed."""
    (said,) = re.findall(r"`/opt/oplead-sync`, (\d+)\sM[Bo]", (ROOT / page).read_text(encoding="utf-8"))
    used = sum(path.lstat().st_blocks * 512 for path in tree.rglob("*")) / 2**20

    assert int(said) * 0.9 < used < int(said) * 1.1
