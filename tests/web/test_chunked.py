"""Uploads in parts."""

import hashlib
import http.client
import json
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from knossosd.conversion.digest import digest_file
from knossosd.conversion.parts import PartFiles
from knossosd.finishing import Finisher
from knossosd.settings import MIB, Settings
from knossosd.tickets import chunked as records
from knossosd.tickets.chunked import Chunked, ChunkedUploads
from knossosd.tickets.quota import UploadQuota
from tests.checkouts import KEY, Checkout
from tests.web.test_drop import MAGIC, uploads

CONTENT = MAGIC + bytes(range(256)) * (40 * 4096) + b"end"
"""Three parts, the last one shorter."""

SHA256 = hashlib.sha256(CONTENT).hexdigest()
PART = records.PART_SIZE


@pytest.fixture
def finisher(web: Checkout, redis_client: redis.Redis, settings: Settings) -> Finisher:
    """What upkeep would do, done when a test wants it."""
    mirror = {"mirror_path": web.folder / "var" / "mirror", "mirror_url": f"{web.url}/mirror"}
    settings = settings.model_copy(update=mirror)
    quota = UploadQuota(redis_client, None)
    found = Finisher.from_settings(settings, ChunkedUploads(redis_client, settings), quota, lambda: None)
    assert found
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(web: Checkout) -> Iterator[None]:
    """Whatever an upload came to, no file of it stays."""
    yield
    parts = web.folder / "var" / "mirror" / ".parts"
    assert list(parts.rglob("*")) == []


class Client:
    """One connection to the server, and what is sent over it."""

    def __init__(self, web: Checkout) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
        self.token = KEY
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        if isinstance(body, dict):
            body, headers = json.dumps(body), {"Content-Type": "application/json", **headers}
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        self.connection.request(method, f"/api/chunked{path}", body, headers)
        response = self.connection.getresponse()
        self.headers = dict(response.getheaders())
        text = response.read()
        return response.status, json.loads(text) if text else None

    def begin(self, content: bytes = CONTENT, **fields: Any) -> Any:
        """Begin, and go on with the token of the upload."""
        self.token = KEY
        status, answer = self.ask("POST", "", {"filename": "core.7z", "size": len(content), **fields})
        assert status == 200, answer
        self.token = answer["token"]
        return answer

    def send(self, upload: Any, number: int, content: bytes = CONTENT, sha256: str | None = None) -> tuple[int, Any]:
        data = content[number * PART : (number + 1) * PART]
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        return self.ask("PUT", f"/{upload['id']}/parts/{number}?sha256={sha256}", data)

    def give_up(self, upload: Any) -> None:
        assert self.ask("DELETE", f"/{upload['id']}") == (200, {"error": False})


@pytest.fixture
def client(web: Checkout) -> Iterator[Client]:
    client = Client(web)
    yield client
    client.connection.close()


def test_a_file_comes_in_parts_in_any_order_and_gets_its_link(
    web: Checkout, client: Client, finisher: Finisher
) -> None:
    upload = client.begin()
    assert (upload["parts"], upload["part_size"], upload["state"]) == (3, PART, "OPEN")
    for number in (2, 0, 1):
        assert number in client.ask("GET", f"/{upload['id']}")[1]["missing"]
        assert client.send(upload, number) == (200, {"error": False, "part": number})
    assert client.ask("POST", f"/{upload['id']}/finish")[1]["state"] == "FINISHING"
    finisher.run()
    status, answer = client.ask("GET", f"/{upload['id']}")
    assert (status, answer["state"], answer["sha256"]) == (200, "DONE", SHA256)
    assert answer["url"] == f"{web.url}/mirror/uploads/{SHA256}"
    assert (web.folder / "var" / "mirror" / "uploads" / SHA256).read_bytes() == CONTENT
    assert client.ask("POST", f"/{upload['id']}/finish")[1]["url"] == answer["url"]
    client.give_up(upload)
    assert SHA256 in uploads(web)


def test_parts_may_come_again_and_side_by_side(web: Checkout, finisher: Finisher) -> None:
    first = Client(web)
    upload = first.begin()

    def send(number: int) -> int:
        client = Client(web)
        client.token = first.token
        return client.send(upload, number % 3)[0]

    with ThreadPoolExecutor(9) as threads:
        assert list(threads.map(send, range(9))) == [200] * 9
    first.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    assert first.ask("GET", f"/{upload['id']}")[1]["sha256"] == SHA256
    first.give_up(upload)


def test_a_part_that_comes_damaged_is_not_taken(client: Client) -> None:
    upload = client.begin()
    status, answer = client.send(upload, 1, sha256="0" * 64)
    assert (status, answer["code"]) == (422, "upload_damaged")
    status, answer = client.ask("POST", f"/{upload['id']}/finish")
    assert (status, answer["missing"]) == (409, [0, 1, 2])
    client.give_up(upload)


def test_a_part_that_breaks_off_is_missing_and_may_be_sent_again(web: Checkout, client: Client) -> None:
    upload = client.begin()
    other = Client(web)
    sha256 = hashlib.sha256(CONTENT[:PART]).hexdigest()
    other.connection.putrequest("PUT", f"/api/chunked/{upload['id']}/parts/0?sha256={sha256}")
    other.connection.putheader("Authorization", f"Bearer {client.token}")
    other.connection.putheader("Content-Length", str(PART))
    other.connection.endheaders(CONTENT[: 3 * MIB])
    other.connection.close()
    assert 0 in client.ask("GET", f"/{upload['id']}")[1]["missing"]
    assert client.send(upload, 0)[0] == 200
    assert client.ask("GET", f"/{upload['id']}")[1]["missing"] == [1, 2]
    client.give_up(upload)


def test_another_content_takes_the_place_of_a_part(client: Client, finisher: Finisher) -> None:
    upload = client.begin()
    other = bytes(reversed(CONTENT))
    for number, content in ((0, CONTENT), (1, other), (2, CONTENT), (1, CONTENT)):
        assert client.send(upload, number, content)[0] == 200
    client.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    assert client.ask("GET", f"/{upload['id']}")[1]["sha256"] == SHA256
    client.give_up(upload)


def test_parts_that_the_disk_damaged_are_asked_for_again(client: Client, finisher: Finisher) -> None:
    upload = client.begin()
    for number in range(3):
        client.send(upload, number)
    finisher.files.write(upload["id"], PART + 5, b"rot")
    client.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    answer = client.ask("GET", f"/{upload['id']}")[1]
    assert (answer["state"], answer["missing"], answer["errors"][0]["code"]) == ("OPEN", [1], "upload_damaged")
    assert client.send(upload, 1)[0] == 200
    client.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    assert client.ask("GET", f"/{upload['id']}")[1]["sha256"] == SHA256
    client.give_up(upload)


def test_what_is_not_what_was_announced_fails_and_leaves_nothing(client: Client, finisher: Finisher) -> None:
    content = MAGIC + b"another"
    upload = client.begin(content, sha256=SHA256)
    client.send(upload, 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    answer = client.ask("GET", f"/{upload['id']}")[1]
    assert (answer["state"], answer["errors"][0]["code"]) == ("FAILED", "upload_damaged")
    assert client.begin(content, sha256=SHA256)["id"] != upload["id"]
    client.give_up(client.begin(content, sha256=SHA256))


def test_who_lost_the_id_finds_the_upload_by_the_checksum(client: Client) -> None:
    upload = client.begin(sha256=SHA256)
    client.send(upload, 1)
    again = client.begin(sha256=SHA256.upper())
    assert (again["id"], again["token"], again["missing"]) == (upload["id"], upload["token"], [0, 2])
    client.give_up(upload)
    fresh = client.begin(sha256=SHA256)
    assert (fresh["id"] != upload["id"], fresh["missing"]) == (True, [0, 1, 2])
    client.give_up(fresh)


def test_many_who_begin_the_same_file_at_once_get_one_upload(web: Checkout) -> None:
    def begin(_: int) -> Any:
        return Client(web).begin(sha256=SHA256)

    with ThreadPoolExecutor(8) as threads:
        found = {(answer["id"], answer["token"]) for answer in threads.map(begin, range(8))}
    [(upload, token)] = found
    client = Client(web)
    client.token = token
    client.give_up({"id": upload})


def test_an_upload_whose_files_are_gone_begins_anew(client: Client, finisher: Finisher) -> None:
    content = MAGIC + b"gone"
    sha256 = hashlib.sha256(content).hexdigest()
    upload = client.begin(content, sha256=sha256)
    finisher.files.discard(upload["id"])
    assert client.send(upload, 0, content)[0] == 409
    fresh = client.begin(content, sha256=sha256)
    assert fresh["id"] != upload["id"]
    client.give_up(fresh)


def test_an_upload_waits_for_a_disk_that_is_not_there(client: Client, finisher: Finisher) -> None:
    """The host that finishes it may be one where the mirror is not mounted."""
    content = MAGIC + b"elsewhere"
    upload = client.begin(content)
    assert client.send(upload, 0, content)[0] == 200
    client.ask("POST", f"/{upload['id']}/finish")
    elsewhere = finisher.files.folder.rename(finisher.files.folder.with_name("elsewhere"))
    finisher.run()
    assert client.ask("GET", f"/{upload['id']}")[1]["state"] == "FINISHING"
    elsewhere.rename(finisher.files.folder)
    finisher.run()
    assert client.ask("GET", f"/{upload['id']}")[1]["state"] == "DONE"


def test_a_file_that_was_uploaded_already_need_not_be_sent_unless_it_is_gone(
    web: Checkout, client: Client, finisher: Finisher
) -> None:
    content = MAGIC + b"once more"
    sha256 = hashlib.sha256(content).hexdigest()
    client.send(upload := client.begin(content, sha256=sha256), 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    finisher.run()
    again = client.begin(content, sha256=sha256)
    assert (again["state"], again["url"]) == ("DONE", f"{web.url}/mirror/uploads/{sha256}")
    (web.folder / "var" / "mirror" / "uploads" / sha256).unlink()
    fresh = client.begin(content, sha256=sha256)
    assert (fresh["state"], fresh["missing"]) == ("OPEN", [0])
    client.give_up(fresh)


def test_what_is_no_archive_is_refused_with_the_first_part(client: Client) -> None:
    page = b"<!DOCTYPE html>" * 100
    upload = client.begin(page)
    status, answer = client.send(upload, 0, page)
    assert (status, answer["code"]) == (415, "archive_unreadable")
    client.give_up(upload)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"filename": "core.exe"}, 400),
        ({"filename": ""}, 400),
        ({"filename": "a" * 300 + ".7z"}, 400),
        ({"filename": "\ud800.7z"}, 400),
        ({"filename": "a\nb.7z"}, 400),
        ({"size": 0}, 400),
        ({"size": -1}, 400),
        ({"size": "1e3"}, 400),
        ({"size": 10**15}, 413),
        ({"sha256": "abc"}, 400),
        ({"size": "9" * 5000}, 400),
    ],
)
def test_what_cannot_be_taken_is_refused_at_once(client: Client, fields: dict[str, Any], status: int) -> None:
    assert client.ask("POST", "", {"filename": "core.7z", "size": 5, **fields})[0] == status


def test_without_a_key_nothing_begins_and_without_the_token_nothing_goes_on(client: Client) -> None:
    client.token = "wrong"
    assert client.ask("POST", "", {"filename": "core.7z", "size": 5})[0] == 403
    upload = client.begin(MAGIC)
    token, client.token = client.token, KEY
    assert client.ask("GET", f"/{upload['id']}")[0] == 403
    assert client.send(upload, 0, MAGIC)[0] == 403
    assert client.ask("POST", f"/{upload['id']}/finish")[0] == 403
    assert client.ask("DELETE", f"/{upload['id']}")[0] == 403
    client.token = token
    client.give_up(upload)
    assert client.ask("GET", f"/{upload['id']}")[0] == 404
    assert client.ask("GET", "/0123456789abcdef")[0] == 404
    assert client.ask("GET", f"/{upload['id']}:parts")[0] == 404


@pytest.mark.parametrize("number", [-1, 3, 10**30])
def test_there_are_no_other_parts(client: Client, number: int) -> None:
    upload = client.begin()
    assert client.ask("PUT", f"/{upload['id']}/parts/{number}?sha256={'0' * 64}", b"x")[0] == 404
    client.give_up(upload)


def test_a_part_has_its_length_and_its_checksum(client: Client) -> None:
    upload = client.begin()
    path = f"/{upload['id']}/parts/2"
    assert client.ask("PUT", f"{path}?sha256={'0' * 64}", b"x")[0] == 400
    assert client.ask("PUT", f"{path}?sha256=short", b"x")[0] == 400
    client.give_up(upload)


def test_nobody_else_on_the_machine_gets_to_what_came_so_far(web: Checkout, client: Client) -> None:
    upload = client.begin()
    [folder] = (web.folder / "var" / "mirror" / ".parts").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    client.give_up(upload)


def test_an_upload_that_is_being_finished_takes_no_part_and_may_be_given_up(
    web: Checkout, client: Client, finisher: Finisher
) -> None:
    content = MAGIC + b"closed"
    upload = client.begin(content)
    client.send(upload, 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    assert client.send(upload, 0, MAGIC + b"_ late")[0] == 409
    finisher.run()
    assert client.ask("GET", f"/{upload['id']}")[1]["sha256"] == hashlib.sha256(content).hexdigest()
    client.give_up(upload)
    content = MAGIC + b"given up"
    upload = client.begin(content)
    client.send(upload, 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    client.give_up(upload)
    finisher.run()
    assert hashlib.sha256(content).hexdigest() not in uploads(web)
    assert finisher.chunked.finishing() == []


def test_the_outcome_can_be_waited_for(web: Checkout, client: Client, finisher: Finisher) -> None:
    content = MAGIC + b"waited for"
    upload = client.begin(content)
    client.send(upload, 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    client.connection.request(
        "GET", f"/api/chunked/{upload['id']}?wait=20", headers={"Authorization": f"Bearer {client.token}"}
    )
    finisher.run()
    assert json.loads(client.connection.getresponse().read())["state"] == "DONE"
    client.give_up(upload)


def test_whoever_finishes_may_be_killed_at_any_step(web: Checkout, client: Client, finisher: Finisher) -> None:
    content = MAGIC + b"killed"
    upload = client.begin(content)
    client.send(upload, 0, content)
    client.ask("POST", f"/{upload['id']}/finish")
    found = finisher.chunked.get(upload["id"])
    assert found
    with finisher.files.sealed(upload["id"]) as file:  # sealed, and published, and no more
        finisher.run()
        assert client.ask("GET", f"/{upload['id']}")[1]["state"] == "FINISHING", "who has it is not disturbed"
        sha256 = hashlib.sha256(content)
        finisher.uploads.publish(file, digest_file(file))
    finisher.run()
    answer = client.ask("GET", f"/{upload['id']}")[1]
    assert (answer["state"], answer["sha256"]) == ("DONE", sha256.hexdigest())
    assert sha256.hexdigest() in uploads(web)
    client.give_up(upload)


def test_pages_of_other_sites_may_upload_and_see_what_went_wrong(client: Client) -> None:
    for method, path in (("OPTIONS", ""), ("OPTIONS", "/a/parts/1"), ("GET", "/a"), ("POST", ""), ("PATCH", "/a")):
        client.token = "none"
        client.connection.request(method, f"/api/chunked{path}")
        response = client.connection.getresponse()
        response.read()
        assert response.getheader("Access-Control-Allow-Origin") == "*", (method, path, response.status)
    client.connection.request("OPTIONS", "/api/chunked")
    response = client.connection.getresponse()
    response.read()
    assert response.getheader("Access-Control-Allow-Methods") == "GET, POST, PUT, DELETE, OPTIONS"
    assert response.getheader("Access-Control-Allow-Headers") == "Authorization, Content-Type"


def test_no_upload_stands_in_the_log_with_its_token(web: Checkout, client: Client) -> None:
    upload = client.begin()
    client.send(upload, 2)
    client.give_up(upload)
    assert f"/api/chunked/{upload['id']}/parts/2" in web.logs()
    assert upload["token"] not in web.logs()


def test_what_nobody_goes_on_with_is_swept(tmp_path: Path) -> None:
    later = PartFiles(tmp_path, 60, lambda: time.time() + 100)
    upload = Chunked.begin("somebody", "core.7z", MIB)
    later.reserve(upload.id, upload.size)
    young = PartFiles(tmp_path, 200, lambda: time.time() + 100)
    assert young.sweep() == []
    [found] = later.abandoned()
    assert found.size >= MIB, "the room was taken before anything was written"
    assert [one.path for one in later.sweep()] == [found.path]
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_tens_of_gigabytes_has_a_bounded_number_of_parts() -> None:
    for size in (1, PART, PART + 1, 50 * 1024**3, 4096 * PART, 4096 * PART + 1, 10**12):
        upload = Chunked.begin("somebody", "core.7z", size)
        assert upload.parts <= records.MAX_PARTS
        assert sum(upload.length_of(number) for number in range(upload.parts)) == size
        assert all(0 < upload.length_of(number) <= upload.part_size for number in (0, upload.parts - 1))
