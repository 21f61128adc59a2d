"""Which of the webhooks' secrets goes where, as the installed command says it."""

import json

import pytest

HELD = {"HOOK": "h" * 32, "PROVIDER": "p" * 32, "FORMER": "f" * 32, "OVER": "o" * 32}
WEBHOOKS = {
    "secret": "${HOOK}",
    "provider_secret": "${PROVIDER}",
    "accept_former": [{"secret": "${FORMER}", "until": "2999-01-01"}, {"secret": "${OVER}", "until": "2020-01-01"}],
}
SUBSCRIPTIONS = "${HOOK} goes into the address of Oplead's subscriptions, never into `provider.url`"
FIRST = "if the sender signs, write `signature` first; else, if it can send a header, `secret_header`"
OTHERS = (
    "${PROVIDER} goes into the address in leads' `provider.url`, never into a subscription",
    "${FORMER} is still taken until Tue 1 Jan 2999",
    "${OVER} was taken until Wed 1 Jan 2020, and is no more: take it out of `accept_former`",
)


@pytest.mark.parametrize(
    ("more", "own"),
    [
        pytest.param({}, (FIRST, SUBSCRIPTIONS), id="in an address"),
        pytest.param(
            {"secret_header": "X-Hook"},
            ("${HOOK} goes into the header X-Hook, never into `provider.url`",),
            id="in a header",
        ),
        pytest.param(
            {"signature": {"secret": "${SIGNS}", "header": "X-Signature"}}, (SUBSCRIPTIONS,), id="with a signature"
        ),
    ],
)
def test_check_says_which_secret_goes_where_and_none_of_them(company, more, own):
    """By the variables' names; what others cannot read is recommended first, unless it is written."""
    company.settings["webhooks"] = WEBHOOKS | more
    company.environ |= HELD | {"SIGNS": "s" * 32}

    code, out, err = company.command("check")
    said = json.loads(company.command("check", "--json")[1])["webhooks"]

    assert 0 == code, out + err
    assert len(own) + len(OTHERS) == len(said)
    for sentence, wanted in zip(said, (*own, *OTHERS), strict=True):
        assert sentence.endswith(wanted)
        assert f"webhooks: {sentence}" in out
    assert not any(secret in out for secret in HELD.values())


def test_check_says_nothing_of_webhooks_that_nobody_set_up(company):
    """Without a receiver, there is no secret."""
    _, out, _ = company.command("check")

    assert "webhooks:" not in out
