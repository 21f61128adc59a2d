"""The list of what platforms receive is the encoders' own, and holds every field of it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from connectors.language import Language
from connectors.meta import encode as meta

SCRIPT = Path(__file__).parents[2] / "docs" / "data_sent.py"


@pytest.fixture
def data_sent():
    """The script beside the pages, loaded anew."""
    described = importlib.util.spec_from_file_location("data_sent_under_test", SCRIPT)
    module = importlib.util.module_from_spec(described)
    sys.modules[described.name] = module
    described.loader.exec_module(module)
    yield module
    del sys.modules[described.name]


@pytest.fixture
def with_meta_field(monkeypatch):
    """Have Meta's encoder send one field more."""
    encode = meta.encode

    def add(**more):
        monkeypatch.setattr(meta, "encode", lambda event: json.dumps(json.loads(encode(event)) | more).encode())

    return add


def test_every_field_of_every_message_is_explained_in_both_languages(data_sent):
    """Each encoder was asked with every click id and hash that it takes."""
    listed = {
        (message, language): [row[0] for row in data_sent.rows(message, language)]
        for message in data_sent.MESSAGES
        for language in Language
    }

    assert {"`user_data.em`", "`user_data.fbc`", "`user_data.lead_id`"} < set(listed["meta events", Language.FRENCH])
    assert {"`adIdentifiers.wbraid`"} < set(listed["data_manager events", Language.ENGLISH])
    assert {"`user_identifiers.hashed_email`"} < set(listed["ads_api events", Language.ENGLISH])


def test_a_new_field_fails_until_it_is_explained(data_sent, with_meta_field):
    """The message names it."""
    with_meta_field(client_ip_address="192.0.2.1")

    with pytest.raises(LookupError, match=r"meta events: .*: client_ip_address"):
        list(data_sent.rows("meta events", Language.ENGLISH))


def test_contact_data_sent_in_clear_would_show(data_sent, with_meta_field):
    """The form is read from the values, and nothing but hashes passes for one."""
    before = {row[0]: row[2] for row in data_sent.rows("meta events", Language.ENGLISH)}
    with_meta_field(user_data={"em": "jean@example.fr"})
    data_sent.MESSAGES["meta events"][1].clear()
    data_sent.MESSAGES["meta events"][1].update(_explained(data_sent))
    after = {row[0]: row[2] for row in data_sent.rows("meta events", Language.ENGLISH)}

    assert ("SHA-256", "clear") == (before["`user_data.em`"], after["`user_data.em`"])


def _explained(data_sent):
    """An explanation of each field that is sent now."""
    sent = [dict(data_sent.leaves(fields)) for fields in data_sent.MESSAGES["meta events"][0]()]
    text = data_sent.Text("x", "x")
    always = set.intersection(*map(set, sent))
    return {path: data_sent.Why(text, text, None if path in always else text) for each in sent for path in each}
