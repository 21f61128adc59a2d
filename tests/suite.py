"""How much is tested: each promise once by `make test`, or everything there is by `make test-all`."""

import pytest

IS_WHOLE = True
"""Whether everything is tested, as `make test-all` does; set before tests are loaded."""


def examples(few, many):
    """How many examples a test invents: few for `make test`, many where everything is tested."""
    return many if IS_WHOLE else few


def mostly_exhaustive(values, *kept):
    """Values as parameters, all but those kept left to `make test-all`."""
    return [value if value in kept else pytest.param(value, marks=pytest.mark.exhaustive) for value in values]
