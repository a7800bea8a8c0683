"""What 7-Zip lists, as data."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.conversion.listing import Entry, ListingTooLong, parse_listing

HEAD = ["", "7-Zip (z) 26.03 (x64)", "", "Listing archive: a.7z", "", "--", "Path = a.7z", "Type = 7z", ""]


def printed(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def listed(*lines: str) -> list[Entry]:
    return parse_listing([printed(*HEAD, "----------", *lines)]).entries


def test_entries_of_every_kind() -> None:
    entries = listed(
        *["Path = data", "Size = 0", "Attributes = D drwxr-xr-x", "Encrypted = -", ""],
        *["Path = zip folder", "Folder = +", "Size = 0", "Attributes = ", ""],
        *["Path = file = odd", "Folder = -", "Size = 12", "Attributes = A -rw-r--r--", "Encrypted = +", ""],
        *["Path = link", "Size = 4", "Attributes =  lrwxrwxrwx", ""],
        *["Path = rar link", "Size = 4", "Symbolic Link = ../x", ""],
        *["Path = stream:x", "Size = 4", "Alternate Stream = +", ""],
        *["Path = device", "Size = 0", "Attributes =  crw-r--r--", ""],
        *["Size = ", "Packed Size = ", ""],
    )
    assert [(one.path, one.size, one.is_folder, one.is_encrypted, one.is_special) for one in entries] == [
        ("data", 0, True, False, False),
        ("zip folder", 0, True, False, False),
        ("file = odd", 12, False, True, False),
        ("link", 4, False, False, True),
        ("rar link", 4, False, False, True),
        ("stream:x", 4, False, False, True),
        ("device", 0, False, False, True),
        ("", None, False, False, False),
    ]


def test_comments_cannot_pretend_to_be_entries() -> None:
    entries = listed("Path = a", "Size = 1", "Comment = ", "{", "", "Path = evil", "Size = 9", "", "}", "CRC = 1", "")
    assert [(one.path, one.size) for one in entries] == [("a", 1)]


def test_the_innermost_type_counts_and_a_split_is_seen() -> None:
    head = ["--", "Path = a.001", "Type = Split", "----", "Path = a", "--", "Path = a", "Type = 7z"]
    listing = parse_listing([printed(*head, "----------")])
    assert (listing.type, listing.is_split) == ("7z", True)
    assert parse_listing([printed("--", "Type = Rar5", "Multivolume = +", "----------")]).is_split
    assert not parse_listing([printed("--", "Type = Rar5", "Multivolume = -", "----------")]).is_split


def test_remarks_are_kept() -> None:
    head = ["--", "Path = a", "Type = zip", "ERRORS:", "Unexpected end of archive", "WARNINGS:", "odd"]
    listing = parse_listing([printed(*head, "Physical Size = 2", "----------")])
    assert listing.remarks == ["Unexpected end of archive", "odd"]


def test_what_stands_behind_the_last_entry_is_no_entry() -> None:
    assert [one.path for one in listed("Path = a", "Size = 1", "", "", "Errors: 1")] == ["a"]
    assert [one.path for one in listed("Path = a", "Size = 1")] == ["a"]


def test_solid_archives_and_their_blocks_are_seen() -> None:
    assert parse_listing([printed("--", "Type = 7z", "Solid = +", "----------")]).is_solid
    assert not parse_listing([printed("--", "Type = 7z", "Solid = -", "----------")]).is_solid
    assert [
        one.block for one in listed("Path = a", "Size = 1", "Block = 3", "", "Path = b", "Size = 0", "Block = ")
    ] == [
        "3",
        "",
    ]


def test_a_comment_of_the_archive_cannot_pretend_to_be_entries() -> None:
    head = [*HEAD, "Comment = ", "{", "", "----------", "Path = evil", "Size = 9", "", "}", ""]
    listing = parse_listing([printed(*head, "----------", "Path = a", "Size = 1", "")])
    assert [one.path for one in listing.entries] == ["a"]


def test_a_listing_can_be_followed_while_it_grows() -> None:
    seen = []
    head = printed(*HEAD, "----------")
    first, second = printed("Path = a", "Size = 1", ""), printed("Path = b", "Size = 2", "")
    whole = parse_listing(
        [head, first, second], lambda listing: seen.append((listing.type, [one.path for one in listing.entries]))
    )
    assert ("7z", ["a"]) in seen
    assert seen[-1] == ("7z", [one.path for one in whole.entries]) == ("7z", ["a", "b"])


def test_a_listing_that_is_too_long_is_not_read_to_its_end() -> None:
    def endless(piece: bytes) -> Iterator[bytes]:
        yield printed(*HEAD, "----------")
        while True:
            yield piece

    for piece in (b"Path = a\nSize = 0\n\n", b"Path = " + b"a" * 100_000 + b"\nSize = 0\n\n", b"a" * 100_000, b"{\n"):
        with pytest.raises(ListingTooLong):
            parse_listing(endless(piece * (200_000 // len(piece))), max_entries=1000)


def test_a_comment_that_never_ends_is_no_entry() -> None:
    assert [one.path for one in listed("Path = a", "Size = 1", "", "{", "Path = evil", "Size = 9", "")] == ["a"]


def test_a_comment_may_be_long_and_full_of_beginnings() -> None:
    """Its author says how long that takes, so it must not take the square of it."""
    comment = ["Comment = ", "{", *["{"] * 200_000, "Path = evil", "Size = 9", "}"]
    text = printed(*HEAD, *comment, "----------", "Path = a", "Size = 1", *comment, "Block = 0", "")
    pieces = [text[start : start + 1000] for start in range(0, len(text), 1000)]
    for listing in (parse_listing([text]), parse_listing(pieces)):
        assert [(one.path, one.size, one.block) for one in listing.entries] == [("a", 1, "0")]


@given(st.data())
def test_output_comes_in_any_pieces(data: st.DataObject) -> None:
    entry = ["Path = ä", "Size = 1", "Comment = ", "{", "", "Path = evil", "Size = 9", "}", "Block = 0", ""]
    text = printed(*HEAD, "----------", *entry, *entry, "", "Errors: 1")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    assert parse_listing(pieces) == parse_listing([text])
    assert [(one.path, one.size, one.block) for one in parse_listing(pieces).entries] == [("ä", 1, "0")] * 2


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"{", b"}", b"", b"Path = a", b"Size = 1"]), max_size=40))
def test_no_output_breaks_the_parser(lines: list[bytes]) -> None:
    parse_listing([b"\n".join(lines)])
    parse_listing([printed(*HEAD, "----------"), b"\n".join(lines)])


names = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\x85\u2028\u2029"), min_size=1, max_size=20
)
entries = st.lists(
    st.builds(
        Entry,
        names,
        st.integers(0, 2**63) | st.none(),
        st.booleans(),
        st.booleans(),
        st.just(False),
        st.sampled_from(["", "0"]),
    ),
    max_size=8,
)
comments = st.lists(
    st.sampled_from(["{", "", "Path = evil", "Size = 9", "----------", "} ", "Attributes = D"]), max_size=6
)


def printed_entry(entry: Entry, comment: list[str]) -> list[str]:
    size = "" if entry.size is None else entry.size
    return [
        *[f"Path = {entry.path}", f"Size = {size}", f"Folder = {'+' if entry.is_folder else '-'}"],
        *[
            f"Encrypted = {'+' if entry.is_encrypted else '-'}",
            "Comment = ",
            "{",
            *comment,
            "}",
            f"Block = {entry.block}",
            "",
        ],
    ]


@given(entries, comments)
def test_what_was_printed_is_read(expected: list[Entry], comment: list[str]) -> None:
    """Whatever names and comments say, the entries are those of the archive."""
    assert listed(*(line for entry in expected for line in printed_entry(entry, comment))) == expected
