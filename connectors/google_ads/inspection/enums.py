"""Members of the vendor's enums, as they are written."""


def member_name(member: object) -> str:
    """A member's name; a value newer than the library is a bare number, and stays one."""
    return str(getattr(member, "name", member))
