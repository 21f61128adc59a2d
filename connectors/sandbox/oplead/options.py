"""How an Oplead takes writes and sends webhooks where its guide leaves that open; `rules.csv` says what each means."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal, get_args, get_type_hints

from connectors.sandbox.oplead.shape import Position
from connectors.sandbox.platform import require_switch_position


@dataclass(frozen=True, slots=True)
class UndocumentedBehaviour:
    """A position for every open question. Each lists its default first."""

    retry_after: Literal[True, False] = True
    unknown_fields: Literal["refused", "ignored"] = "refused"
    errors_quote: Literal[False, True] = False
    update_verb: Literal["PUT", "PATCH"] = "PUT"
    status_verb: Literal["PUT", "POST", "PATCH"] = "PUT"
    settable_statuses: Literal["all", "documented"] = "all"
    document_path: Literal["both", "document/add", "attachments"] = "both"
    document_mb: Literal[20, 10, 1] = 20
    supplier_reads: Literal["refused", "own"] = "refused"
    appointments: Literal[False, True] = False
    form_external_id: Literal["ignored", "external_id"] = "ignored"
    webhook_body: Literal["event", "lead"] = "event"
    webhook_event_id: Literal[True, False] = True
    webhook_occurred_at: Literal[True, False] = True
    webhook_signature: Literal["none", "hex", "prefixed", "base64"] = "none"
    webhook_redelivery: Literal["until_2xx", "once", "twice"] = "until_2xx"
    webhook_lag: Literal[0, 60, 3600] = 0
    documentation: Literal[
        "none",
        "openapi3_json",
        "openapi3_yaml",
        "swagger2_json",
        "swagger2_yaml",
        "with_key",
        "login",
        "external_ref",
        "bare_page",
        "elsewhere",
    ] = "none"
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105 - invented; signs nothing but invented leads
    """The signature's key: the only option that takes any text."""

    def with_option_changed(self, name: str, value: object) -> "UndocumentedBehaviour":
        """Return these options with one changed; raise ValueError if it has no such position."""
        if name != "webhook_secret":
            require_switch_position(OPTIONS, name, value)
        elif not isinstance(value, str) or not value:
            raise ValueError("webhook_secret is a text")
        return replace(self, **{name: value})  # type: ignore[arg-type]  # the position was checked above

    @property
    def option_positions(self) -> Mapping[str, Position]:
        """The position of each option."""
        return asdict(self)


OPTIONS: Final[Mapping[str, tuple[Position, ...]]] = {
    name: get_args(positions)
    for name, positions in get_type_hints(UndocumentedBehaviour).items()
    if get_args(positions)
}
"""Every position of every option but the secret, the default first."""
