"""Who is told when a human is needed, from when on, and what watches that nights take place at all."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyUrl, BeforeValidator, Field, PositiveInt, SecretStr, TypeAdapter, ValidationInfo
from pydantic import ValidationError as Wrong

from jobs.settings.addresses import is_local
from jobs.settings.references import References
from jobs.settings.shapes import Like, Secret, Span, Strict

_URL: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl)


def _known_to_apprise(address: SecretStr, info: ValidationInfo) -> SecretStr:
    if _is_left_alone(info):
        return address
    from connectors.notices import is_address  # noqa: PLC0415 - it loads a hundred services

    if not is_address(address.get_secret_value()):
        raise ValueError(
            "the address found here is none that messages can be sent to: write it as apprise does, a mailbox as "
            "mailtos://user:password@host?to=someone@host, a webhook as jsons://host/path, Slack as slack://…; "
            "https://github.com/caronc/apprise/wiki lists them all"
        )
    return address


def _asked_for(address: SecretStr, info: ValidationInfo) -> SecretStr:
    if _is_left_alone(info):
        return address
    try:
        url = _URL.validate_python(address.get_secret_value())
    except Wrong:
        url = None
    if url is None or not url.host or not (url.scheme == "https" or (url.scheme == "http" and is_local(url))):
        raise ValueError(
            "the address found here cannot be asked for: write the one that your monitor shows, as "
            "https://hc-ping.com/your-id (plain http is for this machine only)"
        )
    return address


def _is_left_alone(info: ValidationInfo) -> bool:
    """Whether what is read is a reference still, and no address."""
    return isinstance(info.context, References) and not info.context.looks_up


def _metrics_file(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.endswith(".prom") or not value.isprintable():
        raise ValueError("write the path of a file whose name ends in .prom: the node exporter reads no other")
    return info.context.folder / value if isinstance(info.context, References) else value


NotifyAddress = Annotated[Secret, AfterValidator(_known_to_apprise)]
PingAddress = Annotated[Secret, AfterValidator(_asked_for)]
MetricsFile = Annotated[Path, BeforeValidator(_metrics_file, json_schema_input_type=str)]
Percentage = Annotated[str, Like(r"[0-9]{1,2} ?%", "write a percentage below 100, as 5 %")]


class NotifyWhen(Strict):
    """When someone is told: thresholds, each with a default."""

    rejected_above: Percentage = "5 %"
    """More than this share of what a platform settled tonight was rejected …"""
    rejected_at_least: PositiveInt = 5
    """… and so many at least."""
    silent_above: PositiveInt = 5
    """Nothing was sent tonight, where half of the last 14 nights sent so many at least."""
    acceptance_drop: Annotated[int, Field(ge=1, le=100)] = 20
    """The share accepted is so many points under what it usually is."""
    expires_within: Span = timedelta(days=3)
    """How long before they expire someone is told of conversions that cannot be sent."""
    ends_within: Span = timedelta(days=60)
    """How long before it ends someone is told of an interface's version."""

    @property
    def rejected_share(self) -> Fraction:
        """`rejected_above` as a share of one."""
        return Fraction(int(self.rejected_above.removesuffix("%").strip()), 100)
