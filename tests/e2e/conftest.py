"""What every end-to-end test starts from: a company with a sandbox of its own."""

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import quick


def _support(name):
    """A module of `support/`, which lies in no package."""
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
    """Nights in this process compile nothing twice, and wait for no channel."""
    with quick.shared_statements(), quick.closing_channels():
        yield


@pytest.fixture(scope="session")
def companies(key_file, tmp_path_factory):
    """Makes companies: `companies(**options)`, each serving until the tests end."""
    with ExitStack() as running:

        def make(**options):
            company = _company.Company(tmp_path_factory.mktemp("company"), key=key_file, **options)
            running.enter_context(company.sandbox)
            return company

        yield make


@pytest.fixture
def company(key_file, tmp_path):
    """A company for one test."""
    company = _company.Company(tmp_path, key=key_file)
    with company.sandbox:
        yield company


_company = _support("company")
