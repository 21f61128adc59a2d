"""What is told here is about files."""

import pytest


@pytest.fixture
def database():
    """Where the state lies."""
    return "sqlite"
