"""The locks hold everything that is needed and nothing else, so that pip has nothing to resolve.

Read from the metadata of what is installed, for Python 3.11 and 3.13. What a lock has for other systems only is not
installed here; its own requirements are read where the suite runs on that Python or system.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME, FLEET = "requirements.lock", "requirements-fleet.lock"
BUILD, DEVELOPMENT = "requirements-build.lock", "requirements-dev.lock"
LOCKS = (RUNTIME, FLEET, BUILD, DEVELOPMENT)
PYTHONS = ("3.11", "3.13")
SYSTEMS = {"linux": "posix", "darwin": "posix", "win32": "nt"}


def roots(lock: str) -> Iterator[Requirement]:
    """The requirements in pyproject.toml that a lock answers."""
    if lock != BUILD:
        yield from map(Requirement, PROJECT["project"]["dependencies"])
    if lock == FLEET:
        yield from map(Requirement, PROJECT["project"]["optional-dependencies"]["fleet"])
    for group in {BUILD: ["build"], DEVELOPMENT: ["build", "dev"]}.get(lock, []):
        yield from (Requirement(line) for line in PROJECT["dependency-groups"][group] if isinstance(line, str))


def locked(lock: str) -> dict[str, Requirement]:
    """The lines of a lock, by package."""
    lines = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    pins = [Requirement(re.sub(r"--hash=\S+", "", line)) for line in lines if re.match(r"[a-z0-9]", line)]
    return {canonicalize_name(pin.name): pin for pin in pins}


def environment(python: str, system: str = "linux") -> dict[str, str]:
    """The environment in which markers are evaluated."""
    full = f"{python}.0"
    here = dict(default_environment())
    return here | {
        "python_version": python,
        "python_full_version": full,
        "implementation_version": full,
        "sys_platform": system,
        "os_name": SYSTEMS[system],
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
    }


def holds(requirement: Requirement, where: dict[str, str], extras: Iterable[str] = ()) -> bool:
    """Whether a requirement applies in an environment, for one of the extras asked for."""
    return requirement.marker is None or any(
        requirement.marker.evaluate(where | {"extra": extra}) for extra in ("", *extras)
    )


def requirements_of(name: str) -> list[Requirement]:
    """The requirements of an installed package; none for one that is not for this Python or system."""
    try:
        return [Requirement(line) for line in distribution(name).requires or ()]
    except PackageNotFoundError:
        return []


def reached(lock: str, where: dict[str, str]) -> tuple[set[str], list[str]]:
    """Every package that the roots lead to, and what the lock lacks."""
    pins, seen, lacking = locked(lock), set[tuple[str, frozenset[str]]](), list[str]()
    asked = [(requirement, "pyproject.toml") for requirement in roots(lock) if holds(requirement, where)]
    while asked:
        requirement, by = asked.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        pin = pins.get(name)
        version = next(iter(pin.specifier)).version if pin else None
        if pin is None or not holds(pin, where) or not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{by} asks for {requirement}, the lock has {pin}")
        elif (name, extras) not in seen:
            seen.add((name, extras))
            asked += [(each, name) for each in requirements_of(name) if holds(each, where, extras)]
    return {name for name, _ in seen}, lacking


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_closed_under_requirements(lock, python):
    """Extras count: pip would look beyond the lock for them as soon as an index has a newer release."""
    _, lacking = reached(lock, environment(python))

    assert lacking == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_unused_package(lock):
    """A package is used if any supported system needs it."""
    needed = {
        name for python in PYTHONS for system in SYSTEMS for name in reached(lock, environment(python, system))[0]
    }

    assert locked(lock).keys() - needed == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_entry_pins_one_version_with_hashes(lock):
    """`--require-hashes` refuses any other entry."""
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text[text.index("\n" + next(iter(locked(lock)))) + 1 :])

    assert all(re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ ", block) for block in blocks)
    assert all("--hash=sha256:" in block for block in blocks)
    assert len(locked(lock)) == len(blocks)


def test_the_locks_agree():
    """The versions tested are those that run."""
    runtime, fleet, build, development = map(locked, LOCKS)

    assert runtime | build == {name: development[name] for name in runtime | build}
    assert runtime == {name: fleet[name] for name in runtime}
    assert fleet.items() >= {name: pin for name, pin in development.items() if name in fleet}.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_installed_versions_match_the_lock(lock):
    """They match exactly."""
    here = dict(default_environment())
    pins = {name: pin for name, pin in locked(lock).items() if holds(pin, here)}

    assert {name: str(pin.specifier) for name, pin in pins.items()} == {
        name: f"=={distribution(name).version}" for name in pins
    }


def test_users_get_no_test_tools():
    """`make demo`, `make install` and a fleet leave pytest and the linters out."""
    tools = {"pytest", "mypy", "ruff", "hypothesis", "uv"}

    assert tools.isdisjoint(locked(RUNTIME).keys() | locked(FLEET).keys() | locked(BUILD).keys())


def test_one_company_gets_no_database_driver():
    """PostgreSQL and the fleet's queue are an extra."""
    assert {"psycopg", "procrastinate"} <= locked(FLEET).keys()
    assert {"psycopg", "procrastinate"}.isdisjoint(locked(RUNTIME))


def test_the_makefile_never_lets_pip_resolve():
    """Each install takes exactly what it is given."""
    makefile = (ROOT / "Makefile").read_text()
    names = re.findall(r"^(PIP|FILL) = (.*)$", makefile, re.MULTILINE)
    calls = re.findall(r"^\t\$\((?:PIP|FILL)\) (.*)$", makefile, re.MULTILINE)
    for name, how in names:
        assert "--no-deps" in how
        makefile = makefile.replace(f"{name} = {how}", "")

    assert 2 == len(names)
    assert calls
    assert all(re.search("--require-hashes|--no-build-isolation|--no-index", call) for call in calls)
    for call in re.findall(r"^\t.*pip (?:install|wheel) .*$", makefile, re.MULTILINE):
        assert "--no-deps" in call
        assert re.search("--require-hashes|--no-build-isolation", call)


def test_no_lock_names_an_index():
    """Each user chooses the index to install from."""
    assert not any(re.search(r"https?://|--index|--find-links", (ROOT / lock).read_text()) for lock in LOCKS)
