"""Which names of files in archives are refused, and what Windows makes of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.repo.portable import is_plain, is_portable, on_windows, why_refused

REFUSED = {
    "": "no name",
    "./": "no name",
    "/etc/passwd": "leading out",
    "../up": "leading out",
    "a/../../up": "leading out",
    "C:/drive": "leading out",
    "a\\b": "leading out",
    "a/...": "dots or spaces",
    "data/ /a": "dots or spaces",
    "mod.ini:hidden": "colon",
    "data/ab:c": "colon",
    "a\nb": "no text",
    "a\x7fb": "no text",
    "a\x85b": "no text",
    "a\ud800b": "no text",
    "exe.\u202egnp.scr": "no text",
    "con": "device",
    "data/NUL.txt": "device",
    "aux/a.txt": "device",
    "Com1 .pof": "device",
    "lpt\u00b9": "device",
    "conout$": "device",
    "a" * 256: "too long",
    "\u00e9" * 128: "too long",
    "a/" * 120 + "a": "too long",
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_leads_elsewhere_is_refused(path: str) -> None:
    assert REFUSED[path] in str(why_refused(path, 240))
    assert not is_plain(path, 240)


@pytest.mark.parametrize(
    "path",
    ["mod.ini", "./mod.ini", "data//a.txt", "data/a b (1) [x].txt", "data/.hidden", "..a", "a..b", "console.txt",
     "com10", "data/comma.txt", "nullify/a", "\u00dcml\u00e4ut \u2713.txt", "a/" * 119 + "ab", "\U0001f680" * 60],
)  # fmt: skip
def test_what_works_everywhere_is_accepted(path: str) -> None:
    assert why_refused(path, 240) is None
    assert is_portable(path.removeprefix("./"))


def test_length_counts_as_on_windows() -> None:
    assert why_refused("a/" + "\U0001f680" * 60, 121) == "too long"
    assert why_refused("a/" + "\U0001f680" * 60, 122) is None


@pytest.mark.parametrize("path", ["a?.txt", 'a"b', "a<b", "a>b", "a|b", "a*", "a.", "a ", "a./b", "a /b"])
def test_what_windows_changes_is_told(path: str) -> None:
    assert why_refused(path, 240) is None
    assert not is_portable(path)
    assert not is_plain(path, 240)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Data/A.txt", "data/a.TXT"), ("\u00e9", "e\u0301"), ("\u00c9", "e\u0301"), ("a.", "a"), ("a ", "A"), ("a?", "a_"),
     ("a./b", "a/b"), ("\u00df", "SS")],
)  # fmt: skip
def test_twins_are_spelled_the_same(one: str, other: str) -> None:
    assert on_windows(one) == on_windows(other)


@given(st.text(alphabet="aAn/. :conulpt1$-\\?*\n\u00e9", max_size=12))
def test_the_short_cut_says_nothing_else_than_the_rule(path: str) -> None:
    if is_plain(path, 240):
        assert why_refused(path, 240) is None
        assert is_portable(path)
        assert not path.startswith("/")
        assert path == "/".join(part for part in path.split("/") if part not in ("", "."))
