"""What may stand under `exclude`, and what it becomes."""

import pytest

from jobs.settings import Valid
from jobs.wiring import rules_alone


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
def test_what_marks_nobody_is_refused(complaints, written, expected):
    """A guard that guards nothing, or everything, is a slip."""
    assert [expected] == complaints(exclude=written)


def test_marks_are_compiled_in_the_spelling_they_are_compared_in(loaded):
    """One thing may stand without its list, and a phone keeps its zero."""
    answer = loaded(
        exclude="{ email_domains: Maison-Durand.FR, phones: 0612345678, names: Jéan TEST, fields: { source: [Démo] } }"
    )
    assert isinstance(answer, Valid), answer
    extraction = rules_alone(answer.settings).extraction

    assert {"maison-durand.fr"} == extraction.exclude.email_domains
    assert {"+33612345678"} == extraction.exclude.phones
    assert {"jean test"} == extraction.exclude.names
    assert {"source": frozenset({"demo"})} == extraction.exclude.fields
    assert "source" in extraction.paths


def test_a_changed_exclude_has_leads_read_again(loaded):
    """The digests of what is read and of what is decided are others."""
    books = [rules_alone(loaded(exclude=f"{{ names: {name} }}").settings) for name in ("Jean Test", "Jean Tests")]

    assert books[0].extraction_digest != books[1].extraction_digest
    assert books[0].rules_digest != books[1].rules_digest
