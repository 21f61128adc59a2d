"""What `exclude` accepts, and what it compiles to."""

import pytest

from jobs.rules.extraction import TEST_DOMAIN
from jobs.settings import ValidSettings
from jobs.wiring.account import compile_rules_only


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", "exclude: say what marks a test lead: email_domains, phones, names or fields; or take it out"),
        (
            "{ names: [] }",
            "exclude: say what marks a test lead: email_domains, phones, names or fields; or take it out",
        ),
        (
            "{ email_domains: ['claire@example.com'] }",
            "exclude.email_domains.0: write what stands after the @ of an address, as example.com",
        ),
        (
            "{ email_domains: 'example .com' }",
            "exclude.email_domains: write what stands after the @ of an address, as example.com",
        ),
        (
            "{ email_domains: [localhost] }",
            "exclude.email_domains.0: write what stands after the @ of an address, as example.com",
        ),
        (
            "{ phones: [06 12 34 56] }",
            "exclude.phones.0: no person has this phone number; write one as 06 12 34 56 78 or +33 6 12 34 56 78",
        ),
        (
            "{ phones: [06 12 34 56 78 / 06 12 34 56 79] }",
            "exclude.phones.0: no person has this phone number; write one as 06 12 34 56 78 or +33 6 12 34 56 78",
        ),
        ("{ names: [Jean Test, '--'] }", "exclude.names.1: a mark of test leads needs letters or digits"),
        ("{ fields: { source: [' '] } }", "exclude.fields.source.0: a mark of test leads needs letters or digits"),
        ("{ fields: { source: '-' } }", "exclude.fields.source: a mark of test leads needs letters or digits"),
    ],
)
def test_an_exclude_rule_that_marks_nobody_is_refused(complaints, written, expected):
    """A guard that matches nothing, or everything, is a slip."""
    assert [expected] == complaints(exclude=written)


def test_exclude_marks_are_compiled_in_normalised_spelling(loaded):
    """A single value needs no list, and an unquoted phone number keeps its leading zero."""
    answer = loaded(
        exclude="{ email_domains: Maison-Durand.FR, phones: 0612345678, names: Jéan TEST, fields: { source: [Démo] } }"
    )
    assert isinstance(answer, ValidSettings), answer
    extraction = compile_rules_only(answer.settings).extraction

    assert {"maison-durand.fr", TEST_DOMAIN} == extraction.exclude.email_domains
    assert {"+33612345678"} == extraction.exclude.phones
    assert {"jean test"} == extraction.exclude.names
    assert {"source": frozenset({"demo"})} == extraction.exclude.fields
    assert "source" in extraction.paths


def test_changing_exclude_makes_leads_be_read_again(loaded):
    """Both the extraction digest and the rules digest change."""
    books = [
        compile_rules_only(loaded(exclude=f"{{ names: {name} }}").settings) for name in ("Jean Test", "Jean Tests")
    ]

    assert books[0].extraction_digest != books[1].extraction_digest
    assert books[0].rules_digest != books[1].rules_digest
