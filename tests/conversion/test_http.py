"""Outgoing requests end in time, and leave no connection open."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError

from knossosd.conversion.errand import Errand
from knossosd.conversion.guard import Guard
from knossosd.conversion.http import WebClient, host_of, on_the_way
from knossosd.conversion.observer import Cancelled
from knossosd.faults import Code, InputFault, RemoteFault
from knossosd.settings import Settings
from tests import hosts
from tests.hosts import Host, Request

pytestmark = pytest.mark.timeout(30)

AGES = 600.0


@pytest.fixture
def client() -> WebClient:
    return WebClient(Guard(["127.0.0.1"]), connect_timeout=AGES, idle_timeout=AGES, max_redirects=3)


@pytest.fixture
def quick() -> WebClient:
    """The client for webhooks, with a short time limit."""
    return WebClient.for_webhooks(Settings(TRUSTED_HOSTS=("127.0.0.1",), WEBHOOK_TIMEOUT=1))


def drips(say: bytes) -> hosts.Behaviour:
    def behave(request: Request) -> None:
        request.wfile.write(say)
        while True:
            request.wfile.write(b"x")
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 200 OK\r\nX-Header: "])
def test_the_time_for_a_webhook_is_limited_however_it_drips(say: bytes, host: Host, quick: WebClient) -> None:
    with pytest.raises(RemoteFault) as caught, quick.request("POST", host.link("/hook", drips(say)), body=b"x"):
        pytest.fail("there is no answer")
    assert caught.value.finding.code is Code.DOWNLOAD_TOO_SLOW


def test_the_time_until_the_headers_are_complete_is_limited_at_every_hop(host: Host, client: WebClient) -> None:
    host.link("/b", drips(b"HTTP/1.1 200 OK\r\nX-Header: "))
    hasty = replace(client, idle_timeout=0.5)
    with pytest.raises(RemoteFault) as caught, hasty.get(host.link("/a", hosts.says(302, Location="/b"))):
        pytest.fail("there is no answer")
    assert caught.value.finding.code is Code.DOWNLOAD_TOO_SLOW
    assert "longer than 0.5 seconds" in str(caught.value)


def test_the_body_may_take_longer_than_the_headers(host: Host, client: WebClient) -> None:
    def behave(request: Request) -> None:
        request.answer(200, Content_Length=10)
        for _ in range(10):
            request.server.stopping.wait(0.1)
            request.wfile.write(b"x")

    with replace(client, idle_timeout=0.5).request("GET", host.link("/a", behave)) as response:
        assert response.read() == b"x" * 10


def test_an_answer_to_a_webhook_that_has_no_end_is_cut_off_and_still_counts(host: Host, quick: WebClient) -> None:
    def read_all(read: Callable[[int], bytes]) -> None:
        try:
            while read(1000):
                pass
        except HTTPError:
            pass

    drip = drips(b"HTTP/1.1 200 OK\r\n\r\n")
    with quick.request("POST", host.link("/hook", drip), body=b"x") as response:
        read_all(response.read1)
        assert response.status == 200


def test_a_body_that_breaks_off_is_a_fault_of_the_host(host: Host, client: WebClient) -> None:
    link = host.link("/a", hosts.says(200, b"short", Content_Length=100))
    with pytest.raises(RemoteFault) as caught, client.request("GET", link) as response:
        response.read()
    assert caught.value.finding.code is Code.DOWNLOAD_FAILED


def test_no_request_is_made_for_an_errand_that_was_called_off(host: Host, client: WebClient) -> None:
    errand = Errand()
    errand.call_off()
    with pytest.raises(Cancelled), client.on(errand).request("GET", host.link("/a", hosts.says(200))):
        pytest.fail("it was made")
    assert host.requests == []


def test_a_connection_ends_with_its_request(host: Host, client: WebClient) -> None:
    ended = threading.Event()

    def behave(request: Request) -> None:
        request.answer(200, b"x" * 100, Content_Length=1000)
        request.connection.recv(1)
        ended.set()

    with client.request("GET", host.link("/a", behave)) as response:
        assert response.read1(100) == b"x" * 100
        assert not ended.is_set()
    assert ended.wait(AGES)


@contextmanager
def a_chain(host: Host, *hops: str) -> Iterator[str]:
    """A link that is redirected to each of the hops in turn."""
    for number, hop in enumerate(hops):
        host.link(f"/{number}", hosts.says(302, Location=hop))
    yield f"http://127.0.0.1:{host.server_port}/0"


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "evil", ["http://10.0.0.1/", "http://127.2/", "http://me@127.0.0.1/", "file:///etc/passwd", "http://[", "//[x"]
)
def test_every_hop_of_a_redirect_is_guarded(host: Host, client: WebClient, number: int, evil: str) -> None:
    hops = [*(f"/{hop}" for hop in range(1, number)), evil]
    with a_chain(host, *hops) as link, pytest.raises(InputFault) as caught, client.get(link):
        pytest.fail("it was followed")
    assert caught.value.finding.code is Code.ADDRESS_REFUSED
    assert [request.path for request in host.requests] == [f"/{hop}" for hop in range(number)]


class Names:
    """A name server that gives the `answers` one after the other, and then nothing but the last."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


def guarded(client: WebClient, names: Names) -> WebClient:
    return replace(client, guard=Guard(["127.0.0.1"], resolve=names))


def test_a_name_that_changes_its_address_gains_nothing(host: Host, client: WebClient) -> None:
    """The first answer may be used, and only once; what the next hop is told is looked up and checked anew."""
    names = Names("127.0.0.1", "10.0.0.1")
    again = f"http://rebinding.example:{host.server_port}/"
    host.link("/", hosts.says(302, Location=again))
    with pytest.raises(InputFault) as caught, guarded(client, names).get(again):
        pytest.fail("it was followed")
    assert "10.0.0.1" in caught.value.finding.message
    assert names.asked == ["rebinding.example"] * 2
    assert len(host.requests) == 1


def test_the_host_is_told_the_name_of_the_link(host: Host, client: WebClient) -> None:
    host.link("/", hosts.says(200))
    with guarded(client, Names("127.0.0.1")).request("GET", f"http://Files.Example:{host.server_port}/") as response:
        assert response.status == 200
    assert host.requests[0].headers["Host"] == f"files.example:{host.server_port}"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_no_proxy_is_taken_from_the_environment(
    host: Host, client: WebClient, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosts.running_host() as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.server_port}")
        with client.request("GET", host.link("/", hosts.says(200))) as response:
            assert response.status == 200
        assert proxy.requests == []


SECRETS = {"Cookie": "session=7", "Authorization": "Basic eA==", "If-None-Match": '"v1"'}


def test_credentials_do_not_follow_a_redirect_to_somebody_else(host: Host, client: WebClient) -> None:
    with hosts.running_host() as other:
        other.link("/", hosts.says(302, Location=host.link("/back", hosts.says(200))))
        with client.get(
            host.link("/", hosts.says(302, Location=f"http://127.0.0.1:{other.server_port}/")), headers=SECRETS
        ):
            pass
        asked = [host.requests[0], other.requests[0], host.requests[1]]
    assert [request.headers.get("Cookie") for request in asked] == ["session=7", None, None]
    assert [request.headers.get("Authorization") for request in asked] == ["Basic eA==", None, None]
    assert [request.headers.get("If-None-Match") for request in asked] == ['"v1"'] * 3


def test_credentials_stay_with_those_who_gave_them(host: Host, client: WebClient) -> None:
    host.link("/again", hosts.says(200))
    with client.get(host.link("/", hosts.says(302, Location="/again")), headers=SECRETS):
        pass
    assert [request.headers["Cookie"] for request in host.requests] == ["session=7"] * 2


@pytest.mark.parametrize(
    ("target", "is_same"),
    [
        ("https://files.example/b", True),
        ("https://FILES.example.:443/", True),
        ("http://files.example/a", False),
        ("https://files.example:8443/a", False),
        ("https://evil.files.example/a", False),
    ],
)
def test_who_gave_credentials_is_a_scheme_a_host_and_a_port(target: str, is_same: bool) -> None:
    assert ("Cookie" in on_the_way(SECRETS, "https://files.example/a", target)) == is_same


class SecureHost:
    """Speaks TLS with a certificate for `files.example`, and says over it what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=files.example"
        named = ["-addext", "subjectAltName=DNS:files.example", "-keyout", key, "-out", self.certificate]
        subprocess.run(["openssl", "req", *options.split(), *named], check=True, capture_output=True)
        self.asked_for: list[str | None] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._context.sni_callback = lambda _socket, name, _context: self.asked_for.append(name)

    @contextmanager
    def running(self) -> Iterator[int]:
        """Answers one connection; the block is given the port."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            answering = threading.Thread(target=self._answer, args=(server,))
            answering.start()
            yield server.getsockname()[1]
            answering.join()

    def _answer(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError), self._context.wrap_socket(connection, server_side=True) as secure:
            head = secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecureHost:
    host = SecureHost(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(host.certificate))
    return host


def test_tls_is_spoken_with_the_name_of_the_link(secure: SecureHost, client: WebClient) -> None:
    tricked = guarded(client, Names("127.0.0.1"))
    with secure.running() as port, tricked.request("GET", f"https://files.example:{port}/") as response:
        assert f"Host: files.example:{port}".encode() in response.read()
    assert secure.asked_for == ["files.example"]


def test_a_certificate_of_another_name_is_refused(secure: SecureHost, client: WebClient) -> None:
    tricked = guarded(client, Names("127.0.0.1"))
    with (
        secure.running() as port,
        pytest.raises(RemoteFault) as caught,
        tricked.request("GET", f"https://other.example:{port}/"),
    ):
        pytest.fail("it was taken")
    assert "certificate" in caught.value.finding.message


@pytest.mark.parametrize(
    ("link", "host"),
    [
        ("http://Files.Example/a.7z", "files.example"),
        ("https://files.example./b.7z", "files.example"),
        ("http://files.example:80/", "files.example"),
        ("https://FILES.example.:443/", "files.example"),
        ("https://files.example:80/", "files.example:80"),
        ("https://m\u00fcnchen.example/", "xn--mnchen-3ya.example"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080"),
    ],
)
def test_a_host_is_the_same_however_it_is_spelled(link: str, host: str) -> None:
    assert host_of(link) == host


@pytest.mark.parametrize(
    "link", ["http://files example/", "http://[files]/", "http://files.example:0/", "ftp://files/"]
)
def test_a_link_to_no_host_is_refused(link: str, client: WebClient) -> None:
    for ask in (host_of, lambda link: client.request("GET", link).__enter__()):
        with pytest.raises(InputFault) as caught:
            ask(link)
        assert caught.value.finding.code is Code.ADDRESS_REFUSED
