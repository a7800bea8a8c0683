"""Named keys, drawn at the command line while the web process runs."""

import json

import pytest

from knossosd.tickets.store import Tickets
from tests.checkouts import Checkout
from tests.web.test_api import DOCUMENT, request
from tests.web.test_drop import CONTENT, drop, multipart


def keys(web: Checkout, *arguments: str) -> str:
    done = web.verb("keys", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def doors(web: Checkout, key: str) -> tuple[int, int, int]:
    """The answers to submitting, uploading and monitoring with the key."""
    bearer = f"Bearer {key}"
    body = json.dumps({"data": DOCUMENT})
    submitted = request(
        web, "POST", "/api/converter/request", body, Content_Type="application/json", Authorization=bearer
    )
    dropped = drop(web, multipart(CONTENT), token="-", kid=7, Authorization=bearer)
    return submitted[0], dropped[0], request(web, "GET", "/api/list_tasks", Authorization=bearer)[0]


@pytest.mark.parametrize(
    ("scopes", "answers"),
    [
        ((), (200, 200, 200)),
        (("submit",), (200, 403, 401)),
        (("upload",), (403, 200, 401)),
        (("monitor", "submit"), (200, 403, 200)),
    ],
)
def test_a_key_opens_the_doors_of_its_scopes(
    web: Checkout, tickets: Tickets, scopes: tuple[str, ...], answers: tuple[int, ...]
) -> None:
    name = "-".join(("key", *scopes))
    key = keys(web, "add", name, *(word for scope in scopes for word in ("--scope", scope)))
    assert doors(web, key) == answers
    assert name in keys(web, "list")
    rotated = keys(web, "rotate", name)
    assert doors(web, key) == (403, 403, 401)
    assert doors(web, rotated) == answers
    keys(web, "revoke", name)
    assert doors(web, rotated) == (403, 403, 401)
    assert key not in web.logs()


def test_a_named_key_is_an_owner_of_its_own(web: Checkout, tickets: Tickets) -> None:
    for name in ("one", "two"):
        doors(web, keys(web, "add", name))
    assert len({ticket.owner for ticket in tickets.all()}) == 2


def test_an_unknown_name_is_one_sentence(web: Checkout) -> None:
    for verb in ("rotate", "revoke"):
        done = web.verb("keys", verb, "nobody")
        assert (done.returncode, done.stderr.count("no key named nobody")) == (2, 1)
