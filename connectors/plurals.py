"""Numbers with their nouns, as English texts tell them."""


def number(count: int) -> str:
    """1,269."""
    return f"{count:,}"


def counted(count: int, one: str, several: str | None = None) -> str:
    """1 lead, 1,269 leads."""
    return f"{number(count)} {one if count == 1 else several or f'{one}s'}"
