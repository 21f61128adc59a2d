"""Bodies unpacked within a bound, whatever comes after their end."""

import gzip
import zlib

import pytest

from connectors.http import TooLargeError, unpacked

BODY = b'{"leads": []}'


@pytest.mark.parametrize(("packing", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_a_body_is_as_it_was(packing, pack):
    """In however many parts it comes."""
    packed = pack(BODY)

    assert BODY == unpacked([packed[:5], packed[5:]], packing, most=len(BODY))


def test_more_than_it_may_have_is_not_held():
    """The bound is that of the unpacked body."""
    with pytest.raises(TooLargeError):
        unpacked([gzip.compress(b" " * 10_000)], "gzip", most=9_999)


def test_what_follows_the_end_is_not_gathered():
    """It would count towards no bound: the first part of it ends the reading."""
    taken = []

    def parts():
        yield gzip.compress(BODY)
        for number in range(100):
            taken.append(number)
            yield b"x" * 1_000

    with pytest.raises(ValueError, match="follows"):
        unpacked(parts(), "gzip", most=1_000_000)
    assert [0] == taken


def test_a_body_that_is_cut_is_none():
    """Whatever could be read of it."""
    with pytest.raises(ValueError, match="cut short"):
        unpacked([gzip.compress(BODY)[:-5]], "gzip", most=1_000)
