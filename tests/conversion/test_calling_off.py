"""A conversion that is called off ends at once and leaves nothing, whatever its threads are doing.

Everything here would go on for much longer than a test may take: hosts stay silent until somebody hangs up, time limits
are ten minutes, and a 7-Zip that stands still is woken by nobody.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from knossosd.conversion import pipeline
from knossosd.conversion.digest import digest_file
from knossosd.conversion.download import Downloader
from knossosd.conversion.errand import Check
from knossosd.conversion.guard import Guard
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.links import LocalFiles
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.observer import Cancelled, Level, Snapshot
from knossosd.conversion.pipeline import Conversion, convert
from knossosd.conversion.sevenzip import SevenZip
from knossosd.conversion.shares import MIN_SIZE
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code
from knossosd.repo.document import parse
from knossosd.repo.generated import describe_mod
from knossosd.settings import VAR, Settings
from tests import archives, hosts
from tests.conversion.test_pipeline import LIMITS, Recorder, document, leftovers, published
from tests.hosts import Host, Request

pytestmark = pytest.mark.timeout(30)

AGES = 600.0
"""Seconds, more than any test may take."""


@pytest.fixture
def patient(tmp_path: Path) -> Settings:
    """Settings with a mirror, and with time limits that no test lives to see."""
    return Settings(
        MIRROR_PATH=tmp_path / "mirror",
        MIRROR_URL="https://mirror.example/fs2",
        TRUSTED_HOSTS=("127.0.0.1", "silent.example"),
        CONNECT_TIMEOUT=AGES,
        IDLE_TIMEOUT=AGES,
        MIN_SPEED=0,
    )


class Watcher(Recorder):
    """An observer that calls the conversion off once it is `stuck`, or when it says so."""

    def __init__(self, stuck: threading.Event, line: str | None = None) -> None:
        super().__init__()
        self._stuck = stuck
        self._line = line

    def log(self, level: Level, message: str) -> None:
        super().log(level, message)
        if self._line and message.startswith(self._line):
            self._stuck.set()

    def check(self) -> None:
        if self._stuck.is_set():
            raise Cancelled


@pytest.fixture
def stuck() -> threading.Event:
    """Set when the conversion has come to where it waits for ever."""
    return threading.Event()


@pytest.fixture
def hung_up() -> threading.Event:
    """Set when the client has hung up."""
    return threading.Event()


def run(toolbox: Toolbox, observer: Recorder, *links: str, **more: Any) -> Conversion:
    files = [{"filename": f"{number}.7z", "urls": [link], **more} for number, link in enumerate(links)]
    doc = json.dumps(document(*files))
    repo = parse(doc, LIMITS, schemes=frozenset({"http", "https", "file"})).repo
    return convert(repo, toolbox=toolbox, observer=observer)


def tools(settings: Settings, leases: LocalLeases | None = None) -> Toolbox:
    return Toolbox.from_settings(settings, leases or LocalLeases(), LocalFiles())


def nothing_is_left(settings: Settings) -> None:
    assert leftovers(settings) == []
    assert published(settings) == []
    assert list((settings.mirror_path or VAR).glob(".cache/links/*/*")) == []
    assert threads("fetch", "inspect", "share", "conversion", "Timer", "read-ahead") == []
    assert [child for child in psutil.Process().children() if child.name().startswith("7zz")] == []


def threads(*names: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if any(name in thread.name for name in names)]


# Hosts


def silent(stuck: threading.Event, hung_up: threading.Event, say: bytes = b"") -> hosts.Behaviour:
    """Says that much, and then nothing until the client hangs up."""

    def behave(request: Request) -> None:
        request.wfile.write(say)
        stuck.set()
        wait_for_the_end(request.connection, hung_up)

    return behave


def wait_for_the_end(connection: socket.socket, hung_up: threading.Event) -> None:
    try:
        while connection.recv(100_000):
            pass
    except OSError:
        pass  # that is another way to hang up
    hung_up.set()


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    "say",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", HEADERS, HEADERS + bytes(50_000), ENDLESS + bytes(50_000)],
    ids=["before the headers", "in the headers", "before the body", "in the body", "in a body without a length"],
)
def test_a_host_that_has_gone_silent(
    say: bytes, host: Host, patient: Settings, stuck: threading.Event, hung_up: threading.Event
) -> None:
    observer = Watcher(stuck)
    with pytest.raises(Cancelled):
        run(tools(patient), observer, host.link("/a.7z", silent(stuck, hung_up, say)))
    assert hung_up.wait(AGES)
    assert observer.lines == ["INFO: Downloading 0.7z"]
    nothing_is_left(patient)


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that talks so with its first client."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


def test_a_host_that_is_silent_in_the_handshake(
    patient: Settings, stuck: threading.Event, hung_up: threading.Event
) -> None:
    def talk(connection: socket.socket) -> None:
        assert connection.recv(1) == b"\x16", "the client's hello"
        stuck.set()
        wait_for_the_end(connection, hung_up)

    with listening(talk) as port:
        with pytest.raises(Cancelled):
            run(tools(patient), Watcher(stuck), f"https://127.0.0.1:{port}/a.7z")
        assert hung_up.wait(AGES)
    nothing_is_left(patient)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a key and a certificate for 127.0.0.1, which this process trusts."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl that makes a certificate")
    path = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path, "-out", f"{path}.crt"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.mark.parametrize("say", [b"", HEADERS + bytes(50_000), ENDLESS + bytes(50_000)])
def test_a_host_that_has_gone_silent_behind_encryption(
    say: bytes, certificate: Path, patient: Settings, stuck: threading.Event, hung_up: threading.Event
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            assert encrypted.recv(1000).startswith(b"GET /a.7z ")
            encrypted.sendall(say)
            stuck.set()
            wait_for_the_end(encrypted, hung_up)

    with listening(talk) as port:
        with pytest.raises(Cancelled):
            run(tools(patient), Watcher(stuck), f"https://127.0.0.1:{port}/a.7z")
        assert hung_up.wait(AGES)
    nothing_is_left(patient)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets connections wait when too many are not accepted")
def test_a_host_that_does_not_take_the_connection(patient: Settings, stuck: threading.Event) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as first:
        first.connect(server.getsockname())
        observer = Watcher(stuck, "Downloading")
        observer.check = lambda: Watcher.check(observer) if is_dialling(server) else None  # type: ignore[method-assign]
        with pytest.raises(Cancelled):
            run(tools(patient), observer, f"http://127.0.0.1:{server.getsockname()[1]}/a.7z")
        nothing_is_left(patient)


def is_dialling(server: socket.socket) -> bool:
    """Whether this process waits for the server to take a connection."""
    return any(
        connection.status == psutil.CONN_SYN_SENT and connection.raddr.port == server.getsockname()[1]
        for connection in psutil.Process().net_connections("tcp4")
        if connection.raddr
    )


def test_a_name_that_nobody_resolves(patient: Settings, stuck: threading.Event, hung_up: threading.Event) -> None:
    resolved = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        stuck.set()
        resolved.wait()
        return ["127.0.0.1"]

    toolbox = resolving(tools(patient), patient, resolve)
    with listening(lambda connection: wait_for_the_end(connection, hung_up)) as port:
        with pytest.raises(Cancelled):
            run(toolbox, Watcher(stuck), f"http://silent.example:{port}/a.7z")
        nothing_is_left(patient)
        resolved.set()  # what was left behind still connects, and hangs up
        assert hung_up.wait(AGES)
    nothing_is_left(patient)


def resolving(toolbox: Toolbox, settings: Settings, resolve: Callable[[str, int], list[str]]) -> Toolbox:
    """The same tools, with other answers to look-ups."""
    downloader = Downloader.from_settings(settings, toolbox.leases)
    downloader._client = replace(downloader._client, guard=Guard(settings.trusted_hosts, resolve=resolve))
    return replace(toolbox, downloader=downloader)


def test_a_pause_between_two_rounds(host: Host, patient: Settings, stuck: threading.Event) -> None:
    link = host.link("/a.7z", hosts.says(503, Retry_After="60"))
    with pytest.raises(Cancelled):
        run(tools(patient), Watcher(stuck, "Trying again in 60 s"), link)
    nothing_is_left(patient)


CAPTCHA = b'<html><form><img src="captcha.png"><input name="code"></form></html>'


def test_somebody_who_is_asked(host: Host, patient: Settings, stuck: threading.Event) -> None:
    answered = threading.Event()

    class Asked(Watcher):
        def ask(self, image_url: str) -> str | None:
            stuck.set()
            answered.wait()
            return None

    with pytest.raises(Cancelled):
        run(tools(patient), Asked(stuck), host.link("/a.7z", hosts.says(200, CAPTCHA)))
    nothing_is_left(patient)
    answered.set()


# Leases


class Watched(LocalLeases):
    """Leases that tell when somebody waits."""

    def __init__(self, stuck: threading.Event) -> None:
        super().__init__()
        self._stuck = stuck

    def _take(self, names: Any) -> str | None:
        name = super()._take(names)
        if name is None:
            self._stuck.set()
        return name


@pytest.mark.parametrize("kind", ["link", "host", "content"])
def test_something_that_another_one_holds(
    kind: str, host: Host, patient: Settings, stuck: threading.Event, tmp_path: Path
) -> None:
    content = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    link = host.link("/a.7z", hosts.serves(content.read_bytes()))
    held = {
        "link": f"link {link}",
        "host": f"host 127.0.0.1:{host.server_port} 0",
        "content": f"content {digest_file(content).sha256}",
    }[kind]
    leases = Watched(stuck)
    settings = patient.model_copy(update={"downloads_per_host": 1})
    with leases.hold([held], busy=lambda: None, check=lambda: None):
        with pytest.raises(Cancelled):
            run(tools(settings, leases), Watcher(stuck), link)
        assert leases._held == {held}
    assert leftovers(patient) == []
    assert published(patient) == []


def test_a_mod_that_another_one_publishes(
    host: Host, patient: Settings, stuck: threading.Event, tmp_path: Path
) -> None:
    class Waiting(Mirror):
        def alone(self, mods: Collection[str], check: Check = lambda: None) -> AbstractContextManager[None]:
            def waits() -> None:
                stuck.set()
                check()

            return super().alone(mods, waits)

    content = archives.pack(tmp_path / "a.7z", archives.PLAIN)
    toolbox = tools(patient)
    assert toolbox.mirror is not None
    mirror = Waiting(toolbox.mirror.path, toolbox.mirror.url, toolbox.mirror.store, toolbox.mirror.ledger)
    with toolbox.mirror.alone(["my_mod"]), pytest.raises(Cancelled):
        run(replace(toolbox, mirror=mirror), Watcher(stuck), host.link("/a.7z", hosts.serves(content.read_bytes())))
    assert leftovers(patient) == []
    assert published(patient) == []


def test_a_description_that_takes_its_time(
    host: Host, patient: Settings, stuck: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowly(*arguments: Any) -> Any:
        stuck.set()
        go_on.wait()
        return describe_mod(*arguments)

    monkeypatch.setattr(pipeline, "describe_mod", slowly)
    link = host.link("/a.7z", hosts.serves(archives.pack(tmp_path / "a.7z", archives.PLAIN).read_bytes()))
    with pytest.raises(Cancelled):
        run(tools(patient), Watcher(stuck), link)
    assert leftovers(patient) == []
    assert published(patient) == []
    go_on.set()


# 7-Zip


def standing_still(tmp_path: Path, *when: str) -> tuple[Path, Path]:
    """A 7-Zip that stands still before it begins when its arguments have one of these, and the file that it makes
    then."""
    program, stands = tmp_path / "7zz-that-stands-still", tmp_path / "stands-still"
    cases = "".join(f'  *" {one}"*) touch {stands}; kill -STOP $$;;\n' for one in when)
    script = f'#!/bin/sh\ncase " $*" in\n{cases}esac\nexec {SevenZip().program} "$@"\n'
    program.write_text(script)
    program.chmod(0o755)
    return program, stands


@pytest.mark.parametrize("when", ["l ", "-so", "-mmt=1", "-o/"])
def test_a_7zip_that_stands_still(
    when: str, host: Host, patient: Settings, stuck: threading.Event, tmp_path: Path
) -> None:
    """In a listing, a stream, one of several streams, and while it unpacks to the disk."""
    program, stands = standing_still(tmp_path, when)
    settings = patient.model_copy(update={"sevenzip": program, "cores": 2})

    class Looking(Watcher):
        def check(self) -> None:
            if stands.exists():
                raise Cancelled

    with pytest.raises(Cancelled):
        run(tools(settings), Looking(stuck), host.link("/a.7z", hosts.serves(an_archive(tmp_path, when))))
    assert leftovers(patient) == []
    nothing_is_left_of_7zip(program)


def an_archive(tmp_path: Path, when: str) -> bytes:
    if when == "-mmt=1":  # large enough to be shared
        files = {f"{number}.bin": bytes(MIN_SIZE) for number in range(2)}
        return archives.pack(tmp_path / "shared.zip", files, "-mx=1").read_bytes()
    if when == "-o/":  # with a link, which has to be unpacked
        return archives.make_rar5(tmp_path / "a.rar", archives.PLAIN, links={"link": "MOD.INI"}).read_bytes()
    return archives.pack(tmp_path / "a.7z", archives.PLAIN).read_bytes()


def nothing_is_left_of_7zip(program: Path) -> None:
    commands = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(program) in command] == []
    assert list((program.parent / "var" / "cores").iterdir()) == []


# The disk


class Progressing(Watcher):
    """Calls the conversion off once something is downloaded, that is, read."""

    def progress(self, snapshot: Snapshot) -> None:
        if any(file.done for file in snapshot.running):
            self._stuck.set()


def huge_file(path: Path) -> Path:
    """A file that takes ages to read: holes, more of them than anybody can hash in the time of a test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, 2**42)
    return path


def test_hashing_a_file_of_the_mirror(patient: Settings, stuck: threading.Event) -> None:
    assert patient.mirror_path is not None
    huge_file(patient.mirror_path / "uploads" / "huge")
    with pytest.raises(Cancelled):
        run(tools(patient), Progressing(stuck), "https://mirror.example/fs2/uploads/huge", is_archive=False)
    assert leftovers(patient) == []
    assert published(patient) == ["uploads/huge"]


def test_copying_a_file_from_the_disk(patient: Settings, stuck: threading.Event, tmp_path: Path) -> None:
    link = huge_file(tmp_path / "huge").as_uri()
    with pytest.raises(Cancelled):
        run(tools(patient), Progressing(stuck), link, is_archive=False)
    nothing_is_left(patient)


# Others in the same process


def test_another_conversion_goes_on(host: Host, patient: Settings, tmp_path: Path) -> None:
    content = archives.pack(tmp_path / "a.7z", archives.SAMPLE).read_bytes()
    stuck, hung_up, halfway = threading.Event(), threading.Event(), threading.Event()

    def in_two_halves(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[:1000])
        halfway.set()
        assert hung_up.wait(AGES)
        request.wfile.write(content[1000:])

    class HalfwayStuck(Watcher):
        def check(self) -> None:
            if halfway.is_set():
                super().check()

    toolbox = tools(patient)
    good, silent_link = host.link("/b.7z", in_two_halves), host.link("/a.7z", silent(stuck, hung_up, HEADERS))
    outcomes: list[Conversion] = []
    other = threading.Thread(target=lambda: outcomes.append(run(toolbox, Recorder(), good)))
    other.start()
    with pytest.raises(Cancelled):
        run(toolbox, HalfwayStuck(stuck), silent_link)
    other.join()
    assert outcomes[0].errors == ()
    assert [request.path for request in host.requests].count("/b.7z") == 1


# Time limits


def fails_with(outcome: Conversion, code: Code, limit: str) -> None:
    """The conversion must have failed with this code alone, and say how long it may have taken."""
    assert outcome.document is None
    [error] = outcome.errors
    assert error.code is code
    assert f"longer than {limit}" in error.message


def drips(say: bytes) -> hosts.Behaviour:
    """Says that much, and then a byte now and then, for ever."""

    def behave(request: Request) -> None:
        request.wfile.write(say)
        while True:
            request.wfile.write(b"x")
            time.sleep(0.02)

    return behave


def test_the_time_for_a_whole_conversion_is_limited(
    host: Host, patient: Settings, stuck: threading.Event, hung_up: threading.Event
) -> None:
    settings = patient.model_copy(update={"conversion_timeout": 0.3})
    missing, link = host.link("/b.7z", hosts.says(404)), host.link("/a.7z", silent(stuck, hung_up, HEADERS))
    outcome = run(tools(settings), Recorder(), missing, link)
    fails_with(outcome, Code.CONVERSION_TOO_SLOW, "0.3 seconds")
    nothing_is_left(patient)


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 200 OK\r\nX-Header: ", HEADERS, ENDLESS])
def test_the_time_for_a_download_is_limited_however_it_drips(say: bytes, host: Host, patient: Settings) -> None:
    settings = patient.model_copy(update={"download_timeout": 0.3, "idle_timeout": 10})
    outcome = run(tools(settings), Recorder(), host.link("/a.7z", drips(say)))
    fails_with(outcome, Code.DOWNLOAD_TOO_SLOW, "0.3 seconds")
    assert len(host.requests) <= 1
    nothing_is_left(patient)


def test_the_time_for_a_download_is_limited_in_a_look_up(patient: Settings) -> None:
    resolved = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        resolved.wait()
        return []

    settings = patient.model_copy(update={"download_timeout": 0.3})
    outcome = run(resolving(tools(settings), settings, resolve), Recorder(), "http://silent.example/a.7z")
    fails_with(outcome, Code.DOWNLOAD_TOO_SLOW, "0.3 seconds")
    resolved.set()


def test_the_time_for_a_download_is_limited_while_somebody_is_asked(host: Host, patient: Settings) -> None:
    answered = threading.Event()

    class Asked(Recorder):
        def ask(self, image_url: str) -> str | None:
            answered.wait()
            return None

    settings = patient.model_copy(update={"download_timeout": 0.3})
    outcome = run(tools(settings), Asked(), host.link("/a.7z", hosts.says(200, CAPTCHA)))
    fails_with(outcome, Code.DOWNLOAD_TOO_SLOW, "0.3 seconds")
    answered.set()


@pytest.mark.parametrize("when", ["l ", "-so", "-mmt=1", "-o/"])
def test_the_time_for_reading_an_archive_is_limited(when: str, host: Host, patient: Settings, tmp_path: Path) -> None:
    program, _ = standing_still(tmp_path, when)
    settings = patient.model_copy(update={"sevenzip": program, "cores": 2, "inspect_timeout": 1})
    outcome = run(tools(settings), Recorder(), host.link("/a.7z", hosts.serves(an_archive(tmp_path, when))))
    fails_with(outcome, Code.ARCHIVE_TOO_SLOW, "1 second")
    assert leftovers(patient) == []
    nothing_is_left_of_7zip(program)


# Signals

WORKER = """
import signal, sys, threading
from pathlib import Path
from knossosd import settings
settings.VAR = Path(sys.argv[1]) / "var"
from tests.conversion import test_calling_off as tests

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
signal.signal(signal.SIGINT, interrupt)
config = settings.Settings(MIRROR_PATH=Path(sys.argv[1]) / "mirror", MIRROR_URL="https://mirror.example/fs2",
    TRUSTED_HOSTS=("127.0.0.1",), CONNECT_TIMEOUT=600, IDLE_TIMEOUT=600, SEVENZIP=Path(sys.argv[2]))
try:
    tests.run(tests.tools(config), tests.Recorder(), *sys.argv[3:])
except KeyboardInterrupt:
    print("interrupted", tests.threads("fetch", "inspect", "conversion"), tests.leftovers(config))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_worker(
    number: signal.Signals,
    host: Host,
    patient: Settings,
    stuck: threading.Event,
    hung_up: threading.Event,
    tmp_path: Path,
) -> None:
    """The main thread is interrupted, while one archive is read and another one downloaded."""
    program, stands = standing_still(tmp_path, "l ")
    links = [
        host.link("/a.7z", silent(stuck, hung_up, HEADERS)),
        host.link("/b.7z", hosts.serves(an_archive(tmp_path, "l "))),
    ]
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(program), *links]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not (stuck.is_set() and stands.exists()):
        time.sleep(0.01)
    worker.send_signal(number)
    said, _ = worker.communicate()
    assert (said, worker.returncode) == ("interrupted [] []\n", 0)
    assert hung_up.wait(AGES)
    assert published(patient) == []
    nothing_is_left_of_7zip(program)
