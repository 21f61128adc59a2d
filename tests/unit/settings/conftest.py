"""A valid configuration to break, one section at a time."""

import json

import pytest

from jobs.settings import InvalidSettings, load

ENVIRON = {
    "OPLEAD_TOKEN": "tok-5a1d",
    "DATABASE": "postgresql://fleet:tok-d4ba@db/fleet",
    "META_ACCESS_TOKEN": "tok-77e0",
    "WEBHOOK_SECRET": "tok-0c5e-0c5e-0c5e-0c5e",
    "NOTIFY_URL": "jsons://hooks.example.com/tok-91c3",
    "PING_URL": "https://ping.example.com/tok-44b2",
    "NOT_A_SERVICE": "https://hooks.example.com/tok-91c3",
    "NOT_AN_ADDRESS": "ping.example.com",
    "PLAIN_HTTP": "http://ping.example.com/tok-44b2",
    "LOCAL_PING": "http://127.0.0.1:8000/ping/tok-44b2",
}
SECTIONS = {
    "account": "maison-durand",
    "currency": "EUR",
    "oplead": "{ token: '${OPLEAD_TOKEN}' }",
    "stages": "{ appointment: [Rendez-vous, RDV pris], won: [Gagné], lost: Perdu }",
    "consent": "{ ad_user_data: { field: leadData.consent, granted: oui, refused: non } }",
    "google_ads": "{ customer_id: 123-456-7890, credentials: key.json }",
    "conversions": "[{ id: sale, stage: won, google_ads: { conversion_action: 12 } }]",
}


@pytest.fixture(autouse=True)
def key_file(tmp_path):
    """A service account's key file beside the configuration; call it to change its fields."""

    def write(**fields):
        key = {
            "type": "service_account",
            "client_email": "job@project.iam.example",
            "private_key": "-----BEGIN PRIVATE KEY-----",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        path = tmp_path / "key.json"
        path.write_text(json.dumps(key | fields), encoding="utf-8")
        return path

    write()
    return write


@pytest.fixture
def loaded(tmp_path):
    """Load a configuration whose sections are replaced by the YAML given; None leaves one out."""

    def load_with(*, secrets=True, **changes):
        sections = SECTIONS | changes
        text = "\n".join(f"{name}: {value}" for name, value in sections.items() if value is not None)
        path = tmp_path / "pipeline.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, ENVIRON, secrets=secrets)

    return load_with


@pytest.fixture
def complaints(loaded):
    """The problems of a broken configuration, as `path: message`."""

    def complain(**changes):
        answer = loaded(**changes)
        problems = answer.problems if isinstance(answer, InvalidSettings) else ()
        return [f"{problem.path}: {problem.message}" for problem in problems]

    return complain
