"""Whether a sandbox's clock may rule: only where every address the account uses is on this machine."""

from collections.abc import Iterator
from contextlib import suppress

from pydantic import AnyUrl, TypeAdapter, ValidationError

from jobs.settings.addresses import Address, is_local
from jobs.settings.document import Tree
from jobs.settings.model import GoogleAds, Meta, Oplead
from jobs.settings.places import find, items, text_at, value_at
from jobs.settings.problems import Finding, Path, dotted
from jobs.settings.references import References
from jobs.settings.service_account import token_address
from jobs.settings.shapes import Strict

_ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)


def clock_findings(tree: Tree, references: References) -> Iterator[Finding]:
    """A finding where `clock` stands beside a remote of the real world, which a false `now` must not reach.

    An address that cannot be read has a finding of its own already and none here.
    """
    if value_at(tree, ("clock",)) is None:
        return
    away = [name for name, address in _remotes(tree, references) if not is_local(address)]
    if away:
        names = ", ".join(away)
        yield Finding(
            ("clock",),
            f"a sandbox's clock is for local servers only, and these are not on this machine: {names}",
        )


def _remotes(tree: Tree, references: References) -> Iterator[tuple[str, AnyUrl]]:
    """The account's addresses by name, the real platforms' where none is given."""
    places: list[tuple[Path, str, str]] = [
        ((), "clock", ""),
        (("oplead",), "base_url", _default(Oplead, "base_url")),
    ]
    for path, _ in items((("google_ads",), value_at(tree, ("google_ads",)))):
        places.append((path, "endpoint", _default(GoogleAds, "endpoint")))
        places.append((path, "ads_api_endpoint", _default(GoogleAds, "ads_api_endpoint")))
    for path, _ in items((("meta",), value_at(tree, ("meta",)))):
        places.append((path, "graph_url", _default(Meta, "graph_url")))
    for path, key, default in places:
        with suppress(ValidationError):
            yield (
                dotted((*path, key)),
                _ADDRESS.validate_python(text_at(value_at(tree, path), key) or default),
            )
    for path, credentials in find(tree, "google_ads.*.credentials"):
        with suppress(ValueError):
            if isinstance(credentials, str):
                yield (
                    f"token_uri in the key file of {dotted(path)}",
                    token_address(references.path(credentials)),
                )


def _default(model: type[Strict], key: str) -> str:
    return str(model.model_fields[key].default)
