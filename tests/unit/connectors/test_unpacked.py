"""Bodies are decompressed within a size limit, whatever follows their end."""

import gzip
import zlib

import pytest

from connectors.http import TooLargeError, decompress_body

BODY = b'{"leads": []}'


@pytest.mark.parametrize(("packing", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_decompresses_a_body_received_in_parts(packing, pack):
    """It may be gzip, deflate or uncompressed."""
    packed = pack(BODY)

    assert BODY == decompress_body([packed[:5], packed[5:]], packing, most=len(BODY))


def test_a_body_over_the_size_limit_is_refused():
    """The limit applies to the decompressed body."""
    with pytest.raises(TooLargeError):
        decompress_body([gzip.compress(b" " * 10_000)], "gzip", most=9_999)


def test_data_after_the_end_stops_the_reading():
    """It would count towards no limit, so its first part raises."""
    taken = []

    def parts():
        yield gzip.compress(BODY)
        for number in range(100):
            taken.append(number)
            yield b"x" * 1_000

    with pytest.raises(ValueError, match="follows"):
        decompress_body(parts(), "gzip", most=1_000_000)
    assert [0] == taken


def test_a_truncated_body_is_refused():
    """What could be read of it is dropped."""
    with pytest.raises(ValueError, match="cut short"):
        decompress_body([gzip.compress(BODY)[:-5]], "gzip", most=1_000)
