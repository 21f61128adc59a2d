"""The `oplead` section: how the source of leads may be described."""

import pytest

KEY = "a key must not stand in this file: it is oplead.token, and oplead.auth says how it is passed"
OURS = "oplead-sync sets this header; take it out (oplead.auth says how the token is passed)"
TWICE = "another setting writes this parameter already; leave it to that one"
ONE_LEAD = "write the path of one lead, with {id} once where its id goes, as /leads/{id}"
TIME = "write iso, date, epoch_s, epoch_ms, or a day as %d/%m/%Y, with %H:%M:%S after it where times are taken"
REFERENCE = "a ${VARIABLE} stands only for a secret or the credentials; write the value itself"


def section(written):
    """The `oplead` section with this in it."""
    return f"{{ token: '${{OPLEAD_TOKEN}}', {written} }}"


@pytest.mark.parametrize(
    ("written", "path", "expected"),
    [
        (
            "auth: { style: header, name: 'X API KEY' }",
            "auth.name",
            "a header's name has letters, digits and hyphens, as X-API-KEY",
        ),
        ("auth: { prefix: 'Clé ' }", "auth.prefix", "write plain text without accents, as Key"),
        ("extra_headers: { authorization: Basic abc }", "extra_headers.authorization", OURS),
        ("extra_headers: { Host: example.org }", "extra_headers.Host", OURS),
        ("auth: { style: header, name: X-Me }, extra_headers: { x-me: abc }", "extra_headers.x-me", OURS),
        ("extra_headers: { X-Api-Key: abc }", "extra_headers.X-Api-Key", KEY),
        ("extra_headers: { Cookie: abc }", "extra_headers.Cookie", KEY),
        ("extra_headers: { X-Tenant: '${TENANT}' }", "extra_headers.X-Tenant", REFERENCE),
        (
            "extra_headers: { X Tenant: abc }",
            "extra_headers.X Tenant",
            "a header's name has letters, digits and hyphens, as X-Tenant",
        ),
        (
            "extra_headers: { X-Tenant: 'Régie' }",
            "extra_headers.X-Tenant",
            "a header's value is plain text on one line, no accents",
        ),
        ("extra_query: { access_token: abc }", "extra_query.access_token", KEY),
        ("auth: { style: query, name: k }, extra_query: { k: abc }", "extra_query.k", KEY),
        ("extra_query: { tenant: '${TENANT}' }", "extra_query.tenant", REFERENCE),
        ("pagination: { style: page }, extra_query: { page: 2 }", "extra_query.page", TWICE),
        ("since_filter: { param: from, until_param: to }, extra_query: { to: 2027-01-01 }", "extra_query.to", TWICE),
        ("lead_path: /leads", "lead_path", ONE_LEAD),
        ("lead_path: '/leads/{id}/{id}'", "lead_path", ONE_LEAD),
        ("leads_path: leads", "leads_path", "write the list's path, as /leads"),
        ("since_filter: { param: from, format: isoo }", "since_filter.format", TIME),
        ("since_filter: { param: from, format: '%d/%m' }", "since_filter.format", TIME),
        ("since_filter: { param: from, format: '%Y %m %d %B' }", "since_filter.format", TIME),
        ("max_requests: 0", "max_requests", "write a number above 0"),
        ("in_flight: 17", "in_flight", "write 16 at most"),
    ],
)
def test_an_unusable_oplead_setting_is_refused_with_advice(complaints, *, written, path, expected):
    """Each gives one sentence at its own place."""
    assert [f"oplead.{path}: {expected}"] == complaints(oplead=section(written))


@pytest.mark.parametrize(
    "written",
    [
        "leads_path: /crm/all-leads, lead_path: '/lead-{id}/full'",
        "extra_headers: { X-Tenant: durand, Accept: application/vnd.api+json }",
        "extra_query: { archived: 1, page: 1, sort: created_at }",
        "since_filter: { param: from, until_param: to, format: '%d/%m/%Y %H:%M' }",
        "since_filter: { param: from, format: '%Y%m%d' }",
        "pagination: { style: page, total: meta.count }, in_flight: 1, max_requests: 500",
    ],
)
def test_usable_oplead_settings_are_accepted(complaints, written):
    """Each case satisfies a rule that the refused ones break."""
    assert [] == complaints(oplead=section(written))
