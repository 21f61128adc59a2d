"""Fixtures for every end-to-end test: a company with its own sandbox."""

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import postgresql, quick


def _support(name):
    """Load a module of `support/`, which belongs to no package."""
    spec = importlib.util.spec_from_file_location(f"e2e_{name}", Path(__file__).parent / "support" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def key_file():
    """The text of a service account's key file."""
    return quick.key_file()


@pytest.fixture(scope="session", autouse=True)
def _quick_nights():
    """Runs in this process do not wait for channels to close."""
    with quick.closing_channels():
        yield


@pytest.fixture(scope="session")
def companies(key_file, tmp_path_factory):
    """Make companies with `companies(**options)`; each sandbox serves until the session ends."""
    with ExitStack() as running:

        def make(**options):
            company = _company.Company(tmp_path_factory.mktemp("company"), key=key_file, **options)
            running.enter_context(company.sandbox)
            return company

        yield make


@pytest.fixture
def state_in():
    """Where the company's state lies; a test that is repeated on PostgreSQL is parametrised with "database" too."""
    return "file"


@pytest.fixture
def company(key_file, tmp_path, state_in):
    """A company with a sandbox for one test."""
    company = _company.Company(tmp_path, key=key_file)
    with company.sandbox, ExitStack() as stack:
        if state_in == "database":
            company.use_database(stack.enter_context(postgresql.server().database(like="deployed")))
        yield company


@pytest.fixture
def fleet(company):
    """A fleet without accounts, deployed; each of its accounts will have one lead that signed."""
    from tests.e2e.support.fleet import Fleet  # noqa: PLC0415 - only where there is a server

    with postgresql.server().database() as url:
        company.serve(company.lead(1, ("Gagné", company.START)))
        made = Fleet(company, url)
        made.done("deploy")
        yield made


_company = _support("company")
