"""Links, as strangers write them."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from knossosd.repo.urls import check_link, join_link

SCHEMES = frozenset({"file", "http", "https"})

hosts = st.sampled_from(
    ["host.example", "HOST.example.", "münchen.example", "127.0.0.1", "0x7f.1", "[::1]", "[2001:DB8::]"]
)
odd_hosts = st.sampled_from(
    [
        "[::1]ä",
        "[fe80::1%25lo]",
        "a" * 70,
        "ä" * 70,
        "host.example\\",
        "host。example",
        "\uff11.0.0.1",
        "",
        ".",
        "x..y",
        "*",
    ]
)
ports = st.sampled_from(["", "", ":", ":80", ":8080", ":0", ":65536", ":٣", ":-1", ":8a", ":80:80"])
users = st.sampled_from(["", "", "", "me@", "me:secret@", ":@", "@", "evil.example\\@", "a%40b@"])
ends = st.sampled_from(
    ["", "/", "\\", "?", "#", "/a b", "/ä?ö#ü", "/%41%zz", "/../..", "//", "/@x", "?@x", "#@x", "\\@x"]
)
schemes = st.sampled_from(["http://", "https://", "HTTP://", " http://"])
odd_schemes = st.sampled_from(["http:/", "http:", "//", "file://", "file:", "ftp://"])


def written(scheme: st.SearchStrategy[str], host: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("".join, st.tuples(scheme, users, host, ports, ends | st.text(max_size=10)))


likely = written(schemes, hosts | odd_hosts)
links = likely | written(odd_schemes, hosts) | st.text(max_size=30)

REASONS = ("is not a link", "must be a link", "must not contain", "has a host name")


@given(links)
@example("file:x")
@example("http://[::1]ä/")
@example("http://ä:80ä/")
@example("http://host.example/\ud800")
def test_a_link_is_refused_with_a_reason_or_can_be_written_anywhere(link: str) -> None:
    try:
        escaped = check_link(link, SCHEMES)
    except ValueError as error:
        assert str(error).startswith(REASONS)
        return
    assert escaped.isascii()
    assert escaped.isprintable()
    assert " " not in escaped
    assert check_link(escaped, SCHEMES) == escaped


@given(likely)
def test_who_checks_a_link_and_who_asks_it_read_the_same_host(link: str) -> None:
    """Two readings of one link are how others were led astray."""
    try:
        asked, checked = parse_url(check_link(link)), urlsplit(check_link(link))
    except ValueError:  # which is also what urllib3 raises
        return
    assert (asked.auth, checked.username) == (None, None)
    assert (asked.host or "").strip("[]").replace("%25", "%") == (checked.hostname or "").replace("%25", "%")
    assert asked.port == checked.port
    assert asked.scheme == checked.scheme


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_file_name_stays_one_part_of_a_link(filename: str) -> None:
    link = join_link("https://host.example/files", filename)
    assert check_link(link) == link
    assert link.startswith("https://host.example/files/")


@pytest.mark.parametrize(
    "link", ["http://host.example/a\r\nX: y", "http://host.example\r\nX: y/", "http://host\t.example/"]
)
def test_nothing_is_smuggled_into_a_request(link: str) -> None:
    with pytest.raises(ValueError, match=r"must not contain control characters|is not a link"):
        check_link(link)
