"""Cutting one stream into its members."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.conversion.members import StreamMismatch, digest_members

contents = st.lists(st.binary(max_size=50), max_size=12)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces that end at the `cuts`."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(contents, st.lists(st.integers(0, 1000), max_size=20))
def test_however_it_comes_the_members_are_the_same(members: list[bytes], cuts: list[int]) -> None:
    told: list[int] = []
    chunks = cut(b"".join(members), cuts)
    digests = digest_members(chunks, [len(member) for member in members], told.append)
    assert [(digest.size, digest.md5, digest.sha256) for digest in digests] == [
        (len(member), hashlib.md5(member).hexdigest(), hashlib.sha256(member).hexdigest()) for member in members
    ]
    assert sum(told) == sum(map(len, members))


@given(contents, st.integers(1, 10))
def test_a_stream_that_is_too_short_or_too_long_is_noticed(members: list[bytes], difference: int) -> None:
    sizes = [len(member) for member in members]
    data = b"".join(members)
    with pytest.raises(StreamMismatch):
        digest_members([data, bytes(difference)], sizes, lambda _: None)
    with pytest.raises(StreamMismatch):
        digest_members([data], [*sizes, difference], lambda _: None)
