"""How a value is spoken of when the value itself must not be stored or shown."""


def shape(value: str) -> str:
    """What a text looks like, without its content: `text, 18 characters`."""
    kind = "digits" if value.isdecimal() else "letters" if value.isalpha() else "text"
    return f"{kind}, {len(value)} character{'' if len(value) == 1 else 's'}"
