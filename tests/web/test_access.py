"""Which requests come from pages of other sites."""

import pytest

from knossosd.web.access import is_foreign

HOST = {"HTTP_HOST": "mods.example:8080"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"HTTP_ORIGIN": "http://mods.example:8080"},
        {"HTTP_ORIGIN": "https://MODS.example:8080"},
        {"HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://what.the.proxy.calls.itself.example"},
    ],
)
def test_our_own_pages_and_programs_are_not_foreign(said: dict[str, str]) -> None:
    assert not is_foreign(HOST | said)


@pytest.mark.parametrize(
    "said",
    [
        {"HTTP_ORIGIN": "http://mods.example"},
        {"HTTP_ORIGIN": "http://mods.example:8080.evil.example"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": ""},
        {"HTTP_ORIGIN": "http://["},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "http://mods.example:8080"},
    ],
)
def test_everybody_else_is(said: dict[str, str]) -> None:
    assert is_foreign(HOST | said)
