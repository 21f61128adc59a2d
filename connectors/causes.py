"""What an error says it was caused by, however libraries have wrapped that."""

from collections.abc import Iterator


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it wraps, and so on; requests and urllib3 wrap by `args` or `reason`.

    Not what was merely being handled when it was raised (`__context__`): a call made because another one failed has
    reasons of its own, and may have sent something though that one did not.
    """
    found = [error]
    for cause in found:
        yield cause
        wrapped = (*cause.args, getattr(cause, "reason", None), cause.__cause__)
        found += [each for each in wrapped if isinstance(each, BaseException) and all(each is not old for old in found)]
