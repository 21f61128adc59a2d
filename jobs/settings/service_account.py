"""What a Google service account's key file must be, checked before any run depends on it.

Its fields: https://cloud.google.com/iam/docs/keys-create-delete
"""

import json
from pathlib import Path

from pydantic import AnyUrl, TypeAdapter, ValidationError

from jobs.settings.addresses import Address

_NEEDED = ("client_email", "private_key", "token_uri")
_ADDRESS: TypeAdapter[AnyUrl] = TypeAdapter(Address)
LONGEST_KEY_FILE_BYTES = 65_536


def token_address(path: Path) -> AnyUrl:
    """The address where a service account's key file says tokens are given.

    Raises:
        ValueError: this is no usable key file; the message says what is wrong and holds nothing of the file.
    """
    fields = _fields(path)
    if fields.get("type") != "service_account":
        raise ValueError('the key file is not a service account\'s: its "type" must be "service_account"')
    for name in _NEEDED:
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(f'the key file has no "{name}"; download a new key of the service account')
    try:
        return _ADDRESS.validate_python(fields["token_uri"])
    except ValidationError:
        raise ValueError('the key file\'s "token_uri" must be an https address (http only on this machine)') from None


def _fields(path: Path) -> dict[str, object]:
    try:
        if not path.is_file():
            raise ValueError("no key file stands at the path given; check the path and who may read it")
        with path.open("rb") as file:
            content = file.read(LONGEST_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the key file cannot be read ({error.strerror})") from None
    try:
        fields = json.loads(content) if len(content) <= LONGEST_KEY_FILE_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("the key file is not the JSON file that Google gives for a service account")  # noqa: TRY004 - pydantic reports ValueError only
    return fields
