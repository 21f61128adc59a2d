"""The datasets the sandbox's Meta knows, the token of each, and the secret of the app behind each token."""

from collections.abc import Mapping

TOKENS: Mapping[str, str] = {
    "1234567890": "EAAsandboxmaisondemo7c1f0b94de25a86370bd4ce1f98a2065d3b7e41c90fa",
    "2345678901": "EAAsandboxother52d90ea7b6c3184fa09e7d25c16b8f3340a7d91e6c58bb02f",
}
"""Dataset id → the one access token that opens it. Invented."""

APP_SECRETS: Mapping[str, str] = {
    "1234567890": "0c6d1e5fa8b24973a1d0e7c5b9f38264",
    "2345678901": "9b3f7a20c4d85e16f0a92b7d63c1e845",
}
"""Dataset id → the secret of the app its token belongs to: a proof, where one is sent, must be made with it."""

NAMES: Mapping[str, str] = {"1234567890": "Maison Démo", "2345678901": "Autre Maison"}
"""Dataset id → what Events Manager calls it."""
