"""One folder holds one open sandbox."""

import pytest

from jobs.cli.demo.stage import Cast, staged
from jobs.ledger.lease import LeaseHeldError

FEW = Cast(leads=5)


def test_a_second_sandbox_in_one_folder_is_refused(tmp_path):
    """It would rewrite the settings of the first and lose its state."""
    with staged(tmp_path, FEW), pytest.raises(LeaseHeldError, match="open here already"), staged(tmp_path, FEW):
        pass

    with staged(tmp_path, FEW) as stage:
        assert stage.settings.exists()
