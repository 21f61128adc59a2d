"""What a refusal is allowed to say."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.oplead.writing.receipts import safe_reason
from tests import suite

WORDS = st.text("abcdefghijklmnopqrstuvwxyzéèàçôABCDEÉ'-", min_size=3, max_size=12).filter(
    lambda word: any(map(str.isalpha, word))
)
FRAMES = ("{} is not valid", "value {!s} is unknown here", "there is already {}, see {}", "{}: taken by {}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "no such status"}, "no such status"),
        ({"message": "the body is not valid", "code": "INVALID_BODY"}, "the body is not valid; INVALID_BODY"),
        ({"errors": {"leadData.externalID": ["too long"]}}, "leadData.externalID: too long"),
        ({"errors": [{"message": "one"}, {"detail": "two"}]}, "one; two"),
        ({"error": {"message": "inside"}}, "inside"),
        ({"message": "a\x1b[31mb\u202ec"}, "a[31mbc"),
        ({"message": "there is one: Marie Durand, marie@example.com, 06.12.34.56.78"}, "there is one: …"),
        ({"message": "Marie Durand is known"}, "… is known"),
        ({"message": "x" * 500}, "x" * 199 + "…"),
        ({"message": 5, "other": "text"}, ""),
        ("text", ""),
        (None, ""),
        ({"message": "@"}, ""),
    ],
)
def test_a_reason_is_what_the_answer_says_without_data(body, said):
    """From the usual names, in plain text, short; anybody's name, address and number masked."""
    assert said == safe_reason(body, ())


def folded(text):
    """A text without case and accents."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


@given(st.lists(WORDS, min_size=2, max_size=2), st.sampled_from(FRAMES), st.sampled_from((str, str.upper, folded)))
@settings(max_examples=suite.examples(60, 500), deadline=None)
def test_a_reason_repeats_no_word_that_was_sent(sent, frame, spelt):
    """In whatever case and with or without accents it comes back."""
    reason = safe_reason({"message": frame.format(*map(spelt, sent))}, sent)
    words = {folded(word) for text in sent for word in re.findall(r"[^\W_]+", text)}

    assert not words & {folded(word) for word in re.findall(r"[^\W_]+", reason)}, reason


def test_a_number_that_was_sent_in_another_form_is_masked():
    """A telephone number is written in many ways."""
    sent = ["+33 6 12 34 56 78"]

    for spelt in ("06 12 34 56 78", "0612345678", "06.12.34.56.78", "33612345678"):
        assert "number … is taken" == safe_reason({"message": f"number {spelt} is taken"}, sent)
