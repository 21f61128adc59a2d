"""How an upload's form is encoded."""

from urllib.parse import parse_qs, quote

from hypothesis import given
from hypothesis import strategies as st

from connectors.meta.sink import _percent_encoded, _send_form


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text('a%+ "\\é2F5'))
def test_text_is_encoded_as_pythons_own_function_does_it(text):
    """Even text that looks encoded already."""
    assert quote(text, safe="") == _percent_encoded(text)


@given(
    st.dictionaries(
        st.sampled_from(["data", "access_token"]), st.text(st.characters(exclude_categories=["Cs"])), min_size=1
    )
)
def test_a_form_is_read_as_it_was_meant(form):
    """By whoever decodes it, whatever is in it."""
    sent = _send_form(lambda *_, **options: options, "POST", "https://graph.example", headers={"A": "b"}, data=form)

    assert {"A": "b", "Content-Type": "application/x-www-form-urlencoded"} == sent["headers"]
    assert form == {name: value for name, (value,) in parse_qs(sent["data"], keep_blank_values=True).items()}


def test_a_request_without_a_form_is_made_as_it_is():
    """Its parameters travel in its address."""
    sent = _send_form(
        lambda *_, **options: options, "GET", "https://graph.example", headers={}, params={"fields": "id"}
    )

    assert {"headers": {}, "params": {"fields": "id"}} == sent
