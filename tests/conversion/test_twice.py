"""Nothing is done twice: known archives are neither transferred nor read again, and of many at once only one works."""

import gzip
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from knossosd.conversion import gathering
from knossosd.conversion.archive import Inspection
from knossosd.conversion.cache import Record
from knossosd.conversion.digest import digest_bytes
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.pipeline import Conversion, convert
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code
from knossosd.repo.document import parse
from knossosd.settings import Settings
from tests import archives
from tests.conversion.mirrors import damage
from tests.conversion.test_pipeline import LIMITS, Recorder, document, plain
from tests.hosts import Host, Request, serves

__all__ = ["plain"]


@pytest.fixture
def tools(plain: Settings) -> Toolbox:
    return Toolbox.from_settings(plain, LocalLeases())


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the archives that were really read."""
    names: list[str] = []
    real: Callable[..., Inspection] = gathering.inspect

    def inspect(path: Path, name: str, **more: object) -> Inspection:
        names.append(name)
        return real(path, name, **more)

    monkeypatch.setattr(gathering, "inspect", inspect)
    return names


def archive(tmp_path: Path, content: bytes = b"x", name: str = "a.zip") -> bytes:
    return archives.make_zip(tmp_path / name, {"mod.ini": content}).read_bytes()


def run(tools: Toolbox, *links: str, version: str = "1.0.0", observer: Recorder | None = None) -> Conversion:
    files = [{"filename": f"{number}.zip", "urls": [link]} for number, link in enumerate(links)]
    repo = parse(json.dumps(document(*files, version=version)), LIMITS).repo
    return convert(repo, toolbox=tools, observer=observer or Recorder())


def confirms(content: bytes, etag: str = '"v1"') -> Callable[[Request], None]:
    def behave(request: Request) -> None:
        if request.headers.get("If-None-Match") == etag:
            request.answer(304, Content_Length=None)
        else:
            request.answer(200, content, ETag=etag)

    return behave


def filelist(conversion: Conversion) -> object:
    assert conversion.document is not None, conversion.errors
    return conversion.document["mods"][0]["packages"][0]["filelist"]


def bytes_sent(host: Host) -> int:
    return sum(request.sent == 200 for request in host.requests)


def test_a_new_version_with_the_same_archive_transfers_and_reads_nothing(
    host: Host, tools: Toolbox, tmp_path: Path, inspected: list[str]
) -> None:
    link = host.link("/a.zip", confirms(archive(tmp_path)))
    first, observer = run(tools, link), Recorder()
    second = run(tools, link, version="2.0.0", observer=observer)
    assert filelist(second) == filelist(first)
    assert (bytes_sent(host), inspected) == (1, ["0.zip"])
    assert "INFO: 0.zip is still the file that was fetched before" in observer.lines
    assert "INFO: 0.zip was inspected before" in observer.lines
    assert tools.mirror is not None
    assert (tools.mirror.path / "my_mod/1.0.0/0.zip").samefile(tools.mirror.path / "my_mod/2.0.0/0.zip")


def test_the_same_content_from_another_link_is_not_read_again(
    host: Host, tools: Toolbox, tmp_path: Path, inspected: list[str]
) -> None:
    content = archive(tmp_path)
    first = run(tools, host.link("/a.zip", serves(content)))
    second = run(tools, host.link("/b.zip", serves(content)), version="2.0.0")
    assert filelist(first) == filelist(second)
    assert (bytes_sent(host), inspected) == (2, ["0.zip"])


def test_without_the_cache_everything_is_done_and_remembered(
    host: Host, tools: Toolbox, tmp_path: Path, inspected: list[str]
) -> None:
    link = host.link("/a.zip", confirms(archive(tmp_path)))
    run(tools, link)
    run(tools.starting_over(), link)
    assert (bytes_sent(host), len(inspected)) == (2, 2)
    run(tools, link)
    assert (bytes_sent(host), len(inspected)) == (2, 2)


def test_a_sound_download_wins_over_a_damaged_file_in_the_store(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    content = archives.make_tar(tmp_path / "a.tar", {"mod.ini": b"x" * 5000}).read_bytes()
    link = host.link("/a.tar", confirms(content))
    first = filelist(run(tools, link))
    damage(tools.memory.store.place(digest_bytes(content).sha256), content.replace(b"xx", b"xX", 1))
    assert filelist(run(tools.starting_over(), link, version="2.0.0")) == first
    assert tools.mirror is not None
    assert (tools.mirror.path / "my_mod/2.0.0/0.zip").read_bytes() == content
    assert filelist(run(tools, link, version="3.0.0")) == first


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("links", lambda record: record["validators"].update(size=3)),
        ("links", lambda record: record.pop("fetched")),
        ("links", lambda record: record.update(digest=None)),
        ("manifests", lambda record: record.pop("name")),
        ("manifests", lambda record: record.update(members=[["mod.ini"]])),
        ("manifests", lambda record: record.update(warnings=[{"code": "of another version", "message": ""}])),
        ("files", lambda record: record.pop("seal")),
        ("files", lambda record: record["digest"].update(crc=3)),
    ],
)
def test_a_record_of_another_shape_is_no_record(
    host: Host, tools: Toolbox, tmp_path: Path, kind: str, change: Callable[[Record], object]
) -> None:
    link = host.link("/a.zip", confirms(archive(tmp_path)))
    links = (link, "https://mirror.example/fs2/my_mod/1.0.0/0.zip")
    first = filelist(run(tools, link))
    assert filelist(run(tools, links[kind == "files"])) == first
    [file] = tools.memory.cache.folder.glob(f"{kind}/*/*")
    right = file.read_text()
    record = json.loads(right)
    change(record)
    file.write_text(json.dumps(record))
    assert filelist(run(tools, links[kind == "files"])) == first
    assert json.loads(file.read_text()).keys() == json.loads(right).keys()


def test_another_7zip_reads_archives_anew(
    host: Host, tools: Toolbox, plain: Settings, tmp_path: Path, inspected: list[str]
) -> None:
    link, program = host.link("/a.zip", confirms(archive(tmp_path))), tmp_path / "7zz"
    run(tools, link)
    real = tools.archive_tools.sevenzip.program
    program.write_text(f'#!/bin/sh\n[ "$1" = i ] && echo "7-Zip (z) 99.01" || exec {real} "$@"\n')
    program.chmod(0o755)
    other = Toolbox.from_settings(plain.model_copy(update={"sevenzip": program}), LocalLeases())
    run(other, link)
    assert len(inspected) == 2
    run(other, link)
    assert (bytes_sent(host), len(inspected)) == (1, 2)


def test_when_all_is_forgotten_all_is_done_again(
    host: Host, tools: Toolbox, tmp_path: Path, inspected: list[str]
) -> None:
    link = host.link("/a.zip", confirms(archive(tmp_path)))
    run(tools, link)
    tools.memory.clear()
    run(tools, link)
    assert (bytes_sent(host), len(inspected)) == (2, 2)


def test_a_file_that_gets_its_name_from_the_archive_is_read_again_under_another(host: Host, tools: Toolbox) -> None:
    link = host.link("/a", confirms(gzip.compress(b"one file")))
    [first] = filelist(run(tools, link))  # type: ignore[misc]
    again = parse(json.dumps(document({"filename": "other.gz", "urls": [link]})), LIMITS).repo
    [second] = filelist(convert(again, toolbox=tools, observer=Recorder()))  # type: ignore[misc]
    assert (first["orig_name"], second["orig_name"]) == ("0", "other")


def test_of_two_conversions_at_once_one_downloads_and_reads(
    host: Host, tools: Toolbox, tmp_path: Path, inspected: list[str]
) -> None:
    content, waited = archive(tmp_path), threading.Event()

    class Waiting(Recorder):
        def log(self, level, message):  # type: ignore[no-untyped-def]
            super().log(level, message)
            if message.startswith("Another conversion is downloading"):
                waited.set()

    def slow(request: Request) -> None:
        assert waited.wait(20)
        request.answer(200, content)

    link = host.link("/a.zip", slow)
    observers = [Waiting(), Waiting()]
    outcomes: list[Conversion] = []
    threads = [
        threading.Thread(target=lambda one=one: outcomes.append(run(tools, link, observer=one))) for one in observers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert filelist(outcomes[0]) == filelist(outcomes[1])
    assert (bytes_sent(host), inspected) == (1, ["0.zip"])


def test_one_link_twice_in_a_document_is_fetched_once(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    content = archive(tmp_path)

    def patient(request: Request) -> None:
        request.server.stopping.wait(0.3)
        request.answer(200, content)

    link = host.link("/a.zip", patient)
    outcome = run(tools, link, link)
    assert not outcome.errors
    assert bytes_sent(host) == 1


@pytest.mark.parametrize("names", [["127.0.0.1"], ["localhost", "LOCALHOST", "LocalHost"]])
def test_a_host_is_not_asked_for_too_much_at_once(
    names: list[str], host: Host, plain: Settings, tmp_path: Path
) -> None:
    limits = {"downloads_per_host": 2, "files_at_once": 8, "trusted_hosts": ("127.0.0.1", "localhost")}
    tools = Toolbox.from_settings(plain.model_copy(update=limits), LocalLeases())
    at_once: list[int] = []
    busy: set[int] = set()

    def behave(request: Request) -> None:
        busy.add(id(request))
        at_once.append(len(busy))
        request.server.stopping.wait(0.05)
        busy.discard(id(request))
        request.answer(200, archive(tmp_path, request.path.encode(), request.path[1:]))

    observer = Recorder()
    links = [host.link(f"/{number}.zip", behave) for number in range(8)]
    spelled = [link.replace("127.0.0.1", name) for link, name in zip(links, cycle(names), strict=False)]
    outcome = run(tools, *spelled, observer=observer)
    assert [error.code for error in outcome.errors] == []
    assert max(at_once) <= 2
    assert any(f"Waiting for other downloads from {names[0]}" in line for line in observer.lines)


def test_good_archives_of_a_failed_conversion_are_remembered_and_bad_ones_are_not(
    host: Host, tools: Toolbox, tmp_path: Path
) -> None:
    good = host.link("/good.zip", confirms(archive(tmp_path)))
    bad = host.link("/bad.zip", serves(b"no archive at all" * 100))
    failed = run(tools, good, bad)
    assert [error.code for error in failed.errors] == [Code.ARCHIVE_UNREADABLE]
    assert tools.mirror is not None
    assert not (tools.mirror.path / "my_mod").exists()
    assert (
        len([path for path in tools.memory.cache.files() if path.is_relative_to(tools.memory.cache.folder / "links")])
        == 1
    )
    assert [one.size for one in tools.memory.contents()] == [os.stat(tmp_path / "a.zip").st_size]  # noqa: PTH116
    assert run(tools, good).document is not None
    assert bytes_sent(host) == 2


def test_a_conversion_that_fails_withdraws_nothing_that_another_one_found(
    host: Host, tools: Toolbox, tmp_path: Path
) -> None:
    """The other one comes just between publishing and the failure, and from a process that knows no leases of ours."""
    link = host.link("/a.zip", serves(archive(tmp_path)))
    alone = threading.Lock()
    found: list[Conversion] = []
    other = threading.Thread(target=lambda: found.append(run(replace(tools, leases=LocalLeases()), link)))

    class Failing(Recorder):
        def check(self) -> None:
            with alone:
                published = tools.mirror and (tools.mirror.path / "my_mod/1.0.0/0.zip").exists()
                if published and not self.called_off:
                    other.start()
                    other.join(1)  # which is more than it takes, unless it waits
                    self.called_off = True
            super().check()

    with pytest.raises(Cancelled):
        run(tools, link, observer=Failing())
    other.join()
    assert found[0].document is not None
    assert tools.mirror is not None
    assert (tools.mirror.path / "my_mod/1.0.0/0.zip").exists()


def test_a_file_of_the_mirror_is_digested_again_only_when_it_changed(tools: Toolbox, tmp_path: Path) -> None:
    assert tools.mirror is not None
    upload = tools.mirror.path / "uploads/abc"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(archive(tmp_path, b"one"))
    link = "https://mirror.example/fs2/uploads/abc"
    first = filelist(run(tools, link))
    assert filelist(run(tools, link)) == first
    upload.unlink()
    upload.write_bytes(archive(tmp_path, b"two"))
    assert filelist(run(tools, link, version="2.0.0")) != first
