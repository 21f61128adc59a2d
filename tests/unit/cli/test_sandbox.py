"""A folder holds one open sandbox."""

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from connectors.sandbox.oplead.shape import ApiShape, drawn_shape
from jobs.cli.demo.sandbox import InventedLeadsSpec, read_invented_leads_spec, serve_sandbox_for_block
from jobs.exit_codes import UsageError
from jobs.ledger.storage.lock import LeaseHeldError

FEW = InventedLeadsSpec(leads=5)


def test_a_sandbox_never_overwrites_an_accounts_settings(tmp_path):
    """It refuses to start in the folder of an account."""
    (tmp_path / "pipeline.yaml").write_text("account: maison-durand")
    with (
        pytest.raises(UsageError, match="is no sandbox's and would be written over"),
        serve_sandbox_for_block(tmp_path, FEW),
    ):
        pass

    assert "account: maison-durand" == (tmp_path / "pipeline.yaml").read_text()


def test_a_second_sandbox_in_one_folder_is_refused(tmp_path):
    """It would rewrite the settings of the first and lose its state."""
    with (
        serve_sandbox_for_block(tmp_path, FEW),
        pytest.raises(LeaseHeldError, match="open here already"),
        serve_sandbox_for_block(tmp_path, FEW),
    ):
        pass

    with serve_sandbox_for_block(tmp_path, FEW) as stage:
        assert stage.settings.exists()


def test_a_shape_is_read_from_a_file_and_kept(tmp_path):
    """An axis without a line keeps its default, and reopening the sandbox keeps the shape."""
    written = tmp_path / "shape.yaml"
    written.write_text("pagination: after_id\npage_size: 50\nlist_has_details: false\n")
    with serve_sandbox_for_block(tmp_path / "box", read_invented_leads_spec(7, 5, str(written))) as stage:
        first = stage.sandbox.oplead.shape

    with serve_sandbox_for_block(tmp_path / "box", FEW) as stage:
        resumed = stage.sandbox.oplead

    assert ApiShape(pagination="after_id", page_size=50, list_has_details=False) == first == resumed.shape
    assert resumed.shows_shape


@pytest.mark.parametrize("text", ["pagination: letters", "colour: red", "- page", "pagination: [", None])
def test_an_invalid_shape_file_is_refused(tmp_path, text):
    """It has an unknown axis or position, is no YAML or does not exist."""
    written = tmp_path / "shape.yaml"
    if text is not None:
        written.write_text(text)

    with pytest.raises(ValueError, match=r"shape\.yaml|axis|pagination"):
        read_invented_leads_spec(7, 5, str(written))


def test_a_drawn_shape_is_kept_and_hidden_from_the_settings(tmp_path):
    """A later switch of one axis is kept too."""
    cast = InventedLeadsSpec(leads=5, shape=3)
    with serve_sandbox_for_block(tmp_path, cast) as stage:
        drawn = stage.sandbox.oplead.shape
        stage.sandbox.oplead.set_switch("page_size", 50)

    with serve_sandbox_for_block(tmp_path, FEW) as stage:
        resumed = stage.sandbox.oplead
        told = YAML(typ="safe").load(stage.settings)["oplead"]

    assert drawn_shape(3) == drawn
    assert replace(drawn, page_size=50) == resumed.shape
    assert not resumed.shows_shape
    assert {"token", "base_url"} == set(told)
