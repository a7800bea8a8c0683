"""Cutting one stream into its members."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.conversion.digest import WORTH_A_THREAD
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


@given(st.binary(max_size=200), st.lists(st.integers(0, 60), max_size=8), st.lists(st.integers(0, 1000), max_size=8))
def test_sizes_that_lie_are_noticed_or_cut_just_so(data: bytes, sizes: list[int], cuts: list[int]) -> None:
    """Whatever an archive lists: when the bytes add up, each member is the slice that its size says."""
    if sum(sizes) != len(data):
        with pytest.raises(StreamMismatch):
            digest_members(cut(data, cuts), sizes, lambda _: None)
        return
    digests = digest_members(cut(data, cuts), sizes, lambda _: None)
    ends = list(itertools.accumulate(sizes))
    expected = [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    assert [digest.sha256 for digest in digests] == [hashlib.sha256(member).hexdigest() for member in expected]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.lists(st.integers(0, 100), max_size=5))
def test_no_more_is_read_than_there_is(sizes: list[int], pieces: list[int]) -> None:
    """Sizes of terabytes cost nothing until the bytes come."""
    read: list[int] = []
    chunks = (bytes(piece) for piece in pieces)
    try:
        digest_members(chunks, sizes, read.append)
    except StreamMismatch:
        assert sum(sizes) != sum(pieces)
    assert sum(read) <= sum(pieces)


@given(st.integers(0, 3), st.integers(-2, 2), st.lists(st.integers(0, 2**20), max_size=4))
def test_large_members_are_hashed_like_small_ones(times: int, difference: int, cuts: list[int]) -> None:
    sizes = [WORTH_A_THREAD * times + max(difference, 0), 1, WORTH_A_THREAD - 1]
    data = bytes(range(251)) * (sum(sizes) // 251 + 1)
    data = data[: sum(sizes)]
    digests = digest_members(cut(data, cuts), sizes, lambda _: None)
    assert [digest.md5 for digest in digests] == [
        hashlib.md5(data[end - size : end]).hexdigest()
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True)
    ]


@given(contents, st.integers(1, 10))
def test_a_stream_that_is_too_short_or_too_long_is_noticed(members: list[bytes], difference: int) -> None:
    sizes = [len(member) for member in members]
    data = b"".join(members)
    with pytest.raises(StreamMismatch):
        digest_members([data, bytes(difference)], sizes, lambda _: None)
    with pytest.raises(StreamMismatch):
        digest_members([data], [*sizes, difference], lambda _: None)
