"""Value types of the settings: ids, names, durations, currencies, secrets and the state's address."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from connectors.language import N_, _
from jobs.database_address import passwords_in_address, split_database_address
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.references import HOW_TO_REFER, SecretReferenceResolver, is_secret_reference
from jobs.settings.secrets_command import SecretsCommandFailedError

CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP
    LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR
    PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC
    SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF
    XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list would take 150 lines
)
_SPAN = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(d|h|min|m|s)\s*")
_UNIT = {"d": "days", "h": "hours", "min": "minutes", "m": "minutes", "s": "seconds"}
MAX_SPAN = timedelta(days=3650)
_AGE = re.compile(r"\s*([0-9]{1,4})\s*(d|months?|y)\s*")
_DAYS_OF = {"d": 1, "month": 365 / 12, "months": 365 / 12, "y": 365}


@dataclass(frozen=True, slots=True)
class PatternConstraint:
    """A constraint on text: it must fully match `pattern`, or validation and editors show `message`."""

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._match, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # The YAML language server understands `patternErrorMessage`; other tools ignore it.
        return handler(schema) | {"pattern": f"^({self.pattern})$", "patternErrorMessage": self.message}

    def _match(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(_(self.message))
        return text


def _parse_duration(value: object) -> object:
    """Parse a duration such as `3 d`, `4h` or `45 min`."""
    if isinstance(value, timedelta):
        return value
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_("write a length of time as 3 d, 4 h, 45 min or 30 s"))
    span = timedelta(**{_UNIT[match[2]]: float(match[1])})
    if span > MAX_SPAN:
        raise ValueError(_("this is longer than ten years; write a shorter time"))
    return span


Span = Annotated[timedelta, BeforeValidator(_parse_duration, json_schema_input_type=str)]
"""A duration such as `3 d`, at most ten years."""


def _parse_age(value: object) -> object:
    """Parse an age such as `14 months`, `2 y` or `400 d`."""
    if isinstance(value, timedelta):
        return value
    match = _AGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_("write a length of time as 14 months, 2 y or 400 d"))
    age = timedelta(days=round(int(match[1]) * _DAYS_OF[match[2]]))
    if age > MAX_SPAN:
        raise ValueError(_("this is longer than ten years; write a shorter time"))
    return age


Age = Annotated[timedelta, BeforeValidator(_parse_age, json_schema_input_type=str)]
"""How old something may become, such as `14 months`: a year has 365 days, and twelve months are one; at most ten."""


def parse_age(text: str) -> timedelta | None:
    """Return the age that a text says; None if it says none."""
    try:
        age = _parse_age(text)
    except ValueError:
        return None
    return age if isinstance(age, timedelta) else None


def accept_numeric_id(value: object) -> object:
    """Accept an id that YAML read as a number, such as 1234567890."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip() if isinstance(value, str) else value


def remove_google_id_hyphens(value: object) -> object:
    """Remove hyphens from a Google id: customer ids appear as 123-456-7890, and people write other ids that way."""
    return found.replace("-", "") if isinstance(found := accept_numeric_id(value), str) else found


def wrap_single_item(value: object) -> object:
    """Wrap a single item in a list, so that `Gagné` means `[Gagné]`."""
    return value if isinstance(value, list | tuple) or value is None else [value]


def parse_yaml_boolean(value: object) -> object:
    """Parse YAML 1.2's `true` and `false` in any case; `yes` and `oui` are rejected, not guessed."""
    if not isinstance(value, str):
        return value
    if value.casefold() not in {"true", "false"}:
        raise ValueError(_("write true or false"))
    return value.casefold() == "true"


def _reference_resolving_validator(
    resolve: Callable[[SecretReferenceResolver, str], object],
) -> Callable[[object, ValidationInfo], object]:
    """Return a validator that resolves text, or keeps it where no file, so no `SecretReferenceResolver`, is known."""

    def validate(value: object, info: ValidationInfo) -> object:
        return (
            resolve(info.context, value)
            if isinstance(info.context, SecretReferenceResolver) and isinstance(value, str)
            else value
        )

    return validate


def _a_persons_phone(text: str) -> str:
    from connectors.contact import clean_phones  # noqa: PLC0415 - the numbering plans of the world are slow to load

    if len(clean_phones([text], country=None)) != 1:
        raise ValueError(_("no person has this phone number; write one as 06 12 34 56 78 or +33 6 12 34 56 78"))
    return text


def _require_known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError(_("there is no currency of this code; for euros write EUR"))
    return code


Secret = Annotated[
    SecretStr,
    BeforeValidator(_reference_resolving_validator(SecretReferenceResolver.secret)),
    Field(json_schema_extra={"pattern": r"^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.+)$"}),
]
KeyFile = Annotated[
    Path, BeforeValidator(_reference_resolving_validator(SecretReferenceResolver.key_file), json_schema_input_type=str)
]
_Hyphened = BeforeValidator(remove_google_id_hyphens, json_schema_input_type=str | int)
CustomerId = Annotated[
    str,
    _Hyphened,
    PatternConstraint(r"[0-9]{10}", N_("write the ten digits Google Ads shows at the top right, as 123-456-7890")),
]
DIGITS = r"[0-9]{1,20}"
"""A platform's id."""
ActionId = Annotated[
    str,
    _Hyphened,
    PatternConstraint(
        DIGITS,
        N_("write the number after ctId= in the conversion action's address in Google Ads; AW-… names a tag"),
    ),
]
Digits = Annotated[
    str,
    BeforeValidator(accept_numeric_id, json_schema_input_type=str | int),
    PatternConstraint(DIGITS, N_("write the id, digits only")),
]
Currency = Annotated[
    str,
    PatternConstraint(r"[A-Z]{3}", N_("write the currency's three capital letters, as EUR")),
    AfterValidator(_require_known_currency),
]
Slug = Annotated[
    str,
    PatternConstraint(
        r"[a-z0-9][a-z0-9_-]{0,39}",
        N_("write a name of lowercase letters without accents, digits, - and _, at most 40, not beginning with - or _"),
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=200)]
EmailDomain = Annotated[
    str,
    PatternConstraint(r"[^\s@,;/]+\.[^\s@,;/.]+", N_("write what stands after the @ of an address, as example.com")),
]
Phone = Annotated[Text, AfterValidator(_a_persons_phone)]
_PATH = r"[^\s.\[\]]+( [^\s.\[\]]+)*(\.[^\s.\[\]]+( [^\s.\[\]]+)*)*"
_PLACE = N_("write the field's place in a lead, with dots, as leadData.consent")
Path_ = Annotated[str, PatternConstraint(_PATH, _PLACE)]
"""A dotted path into a lead, such as `leadData.consent`."""
WrittenPath = Annotated[str, PatternConstraint(rf"{_PATH}(\[\])?", _PLACE)]
"""A path at which something is written: a list, if it ends in `[]`."""
Several = BeforeValidator(wrap_single_item, json_schema_input_type=str | list[str])
OneOrMore = Annotated[tuple[Text, ...], Several, Field(min_length=1)]
Paths = Annotated[tuple[Path_, ...], Several, Field(min_length=1)]
StageNames = Annotated[tuple[Slug, ...], Several]
YesNo = Annotated[bool, BeforeValidator(parse_yaml_boolean, json_schema_input_type=bool)]


T = TypeVar("T")


def parse_as_type(kind: type[T], text: str) -> T:
    """Read a text as one of these types.

    Raises:
        ValueError: it is none; the message says what to write.
    """
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


class Strict(BaseModel):
    """An immutable model that rejects unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # pydantic's own `use_attribute_docstrings` reads the sources whenever a model is loaded.
        written = handler(schema)
        for key, shown in handler.resolve_ref_schema(written).get("properties", {}).items():
            if meaning := meaning_of_setting(cls, key):
                shown["description"] = meaning
        return written


SQLITE = "sqlite:///"
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")


@dataclass(frozen=True, slots=True)
class StateFile:
    """An account's state is a SQLite file of its own."""

    path: Path

    @property
    def folder(self) -> Path:
        """The folder of what lies beside the state, such as the inbox of webhooks."""
        return self.path.parent


@dataclass(frozen=True, slots=True)
class StateDatabaseAddress:
    """An account's state is in a PostgreSQL database, beside that of other accounts."""

    url: SecretStr
    folder: Path
    """The folder of what lies beside the state: that of the settings."""

    @property
    def secrets(self) -> Iterator[str]:
        """What of the address must not be shown."""
        url = self.url.get_secret_value()
        yield url
        yield from passwords_in_address(url)


def state_address(
    state: str | None, *, account: str, references: SecretReferenceResolver
) -> StateFile | StateDatabaseAddress:
    """Return where an account's state lies; the default is the file `ACCOUNT.db` beside the settings.

    A relative path starts at the settings' folder, not at the working directory: otherwise a run started from elsewhere
    would open an empty ledger and send everything again.

    Raises:
        ValueError: `state` names neither a SQLite file nor a PostgreSQL database.
    """
    folder = references.folder
    if state is None:
        place = (folder / f"{account}.db").resolve()
        if _is_no_place(place):
            raise ValueError(
                _(
                    "unless you name it, the state lies beside the settings, and none can be at {path}; write  state: "
                    "sqlite:///PATH  with the path of a file elsewhere, as sqlite:////var/lib/oplead-sync/{name}",
                    path=place,
                    name=place.name,
                )
            )
        return StateFile(place)
    if is_secret_reference(state):
        return StateDatabaseAddress(SecretStr(_referred_url(state, references)), folder)
    if _POSTGRESQL.match(state):
        if split_database_address(state).password is not None:
            raise ValueError(_("a password must not be written out here: {how_to_refer}", how_to_refer=_(HOW_TO_REFER)))
        return StateDatabaseAddress(SecretStr(_database_url(state)), folder)
    path = state.removeprefix(SQLITE)
    if path == state or path.endswith("/") or not path.strip():
        raise ValueError(
            _(
                "write sqlite:/// and the path of a file, as sqlite:///state/account.db; of a PostgreSQL database, the "
                "variable that holds its address, as {reference}",
                reference="${OPLEAD_SYNC_DATABASE}",
            )
        )
    if path.startswith(":memory:") or not path.isprintable() or set(path) & set("?#%"):
        raise ValueError(_("the ledger is a plain file: take :memory:, ?, # and % out of its path"))
    place = (folder / path).resolve()
    _refuse_place(place, folder)
    return StateFile(place)


_OF_THE_SYSTEM = ("/etc", "/proc", "/sys")


def _refuse_place(path: Path, folder: Path) -> None:
    """Refuse a state where none can be: it would be written over a device, the system's files or the settings.

    Raises:
        ValueError: `path` is such a place.
    """
    if _is_no_place(path):
        raise ValueError(_("no state can be at {path}: write the path of a file of its own", path=path))
    if path.parent == folder.resolve() and (path.suffix in {".yaml", ".yml"} or path.name == ".env"):
        raise ValueError(_("{path} holds settings, not a state: write the path of a file of its own", path=path))


def _is_no_place(path: Path) -> bool:
    is_special = path.exists() and not path.is_file() and not path.is_dir()
    # Below /dev there are folders like any other, in memory.
    is_special |= path.parent == Path("/dev")
    return is_special or any(path.is_relative_to(each) for each in _OF_THE_SYSTEM)


def _referred_url(reference: str, references: SecretReferenceResolver) -> str:
    """Return the address behind a reference, or the reference if it is unknown where settings are only read.

    A state is read without any other secret, so its address is looked up all the same.
    """
    try:
        return _database_url(replace(references, looks_up=True, reads_own=True).secret(reference))
    except SecretsCommandFailedError:
        raise
    except ValueError:
        if references.looks_up:
            raise
        return reference


def _database_url(text: str) -> str:
    if not _POSTGRESQL.match(text):
        raise ValueError(_("this is no address of a PostgreSQL database; it begins with postgresql://"))
    split_database_address(text)
    return text
