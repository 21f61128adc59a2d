"""Settings without their comments mean the same, at the same lines."""

from hypothesis import assume, given
from hypothesis import strategies as st

from jobs.settings.document import read_document, without_comments

WRITTEN = """\
# token: sk-1
account: maison # sk-2
oplead:
  token: ${A#B} # sk-3
  note: | # sk-4
    text # not a comment

  # sk-5
  url: "a # b" # sk-6
  long: one
    two # sk-7
list: [a, # sk-8
  'it''s # in'] # sk-9
fold: >-
   x # kept
# sk-10
none: # sk-11
# sk-12"""
BARE = """\

account: maison
oplead:
  token: ${A#B}
  note: |
    text # not a comment


  url: "a # b"
  long: one
    two
list: [a,
  'it''s # in']
fold: >-
   x # kept

none:
"""
PIECES = [
    "a",
    ":",
    " ",
    "\n",
    "\n  ",
    "# c",
    " # c",
    "|",
    ">-",
    "- ",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ",",
    "&x ",
    "*x",
    "é",
]


def test_every_comment_is_gone_and_every_line_stays():
    """What only looks like a comment stays too."""
    assert BARE == without_comments(WRITTEN)
    assert read_document(WRITTEN) == read_document(BARE)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_text_without_comments_means_the_same(text):
    """Every value is what it was, at its place; and there is nothing left to take out."""
    parsed = read_document(text)
    assume(not parsed.findings)
    bare = without_comments(text)

    assert (parsed, bare) == (read_document(bare), without_comments(bare))
