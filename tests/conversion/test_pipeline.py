"""Whole conversions, with real archives from a real HTTP server."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.links import LocalFiles
from knossosd.conversion.observer import Cancelled, FileProgress, Level, Measure, Snapshot, Stage
from knossosd.conversion.pipeline import Conversion, convert, converting
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code
from knossosd.repo.document import DocumentLimits, parse
from knossosd.settings import Settings

LIMITS = DocumentLimits.from_settings(Settings())


class Recorder:
    """An observer that writes everything down, and calls the conversion off once `calls_off` is a prefix of a line."""

    def __init__(self, calls_off: str | None = None) -> None:
        self.files: list[str] = []
        self.lines: list[str] = []
        self.snapshots: list[Snapshot] = []
        self.ended: list[FileProgress] = []
        self.measures: list[tuple[Measure, float]] = []
        self.called_off = False
        self._calls_off = calls_off

    def log(self, level: Level, message: str) -> None:
        self.lines.append(f"{level.value}: {message}")
        self.called_off |= self._calls_off is not None and message.startswith(self._calls_off)

    def planned(self, files: Sequence[FileProgress]) -> None:
        self.files = [file.file for file in files]

    def progress(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def finished(self, file: FileProgress) -> None:
        self.ended.append(file)

    def measured(self, measure: Measure, amount: float) -> None:
        self.measures.append((measure, amount))

    def ask(self, image_url: str) -> str | None:
        return None

    def check(self) -> None:
        if self.called_off:
            raise Cancelled


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the file server serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def host(served: Path) -> Iterator[str]:
    """The URL of a file server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    """Settings with a mirror, and with quick give-ups."""
    return Settings(
        MIRROR_PATH=tmp_path / "mirror",
        MIRROR_URL="https://mirror.example/fs2",
        TRUSTED_HOSTS=("127.0.0.1",),
        DOWNLOAD_ATTEMPTS=1,
    )


def make_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def document(*files: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "my_mod",
        "title": "My Mod",
        "version": "1.0.0",
        "packages": [{"name": "Core", "files": list(files)}],
        **more,
    }


def file(host: str, name: str, **more: Any) -> dict[str, Any]:
    return {"filename": name, "urls": [f"{host}/{name}"], **more}


def run(doc: dict[str, Any], settings: Settings, observer: Recorder | None = None) -> Conversion:
    repo = parse(json.dumps(doc), LIMITS).repo
    return convert(repo, toolbox=Toolbox.from_settings(settings, LocalLeases()), observer=observer or Recorder())


def leftovers(settings: Settings) -> list[Path]:
    return list(settings.work_path.iterdir()) if settings.work_path.exists() else []


def published(settings: Settings) -> list[str]:
    assert settings.mirror_path is not None
    found = (
        path.relative_to(settings.mirror_path) for path in settings.mirror_path.glob("[!.]*/**/*") if path.is_file()
    )
    return sorted(str(path) for path in found if not path.parts[0].startswith("."))


def test_a_mod_is_converted_and_mirrored(host: str, served: Path, plain: Settings) -> None:
    members = {"mod.ini": b"[launcher]", "data/tables/x-shp.tbm": b"#Ship Classes", "data/empty.txt": b""}
    make_zip(served / "core.zip", members)
    observer = Recorder()
    outcome = run(document(file(host, "core.zip")), plain, observer)
    assert outcome.errors == ()
    assert outcome.document is not None
    [mod] = outcome.document["mods"]
    [package] = mod["packages"]
    archive = (served / "core.zip").read_bytes()
    assert package["files"] == [
        {
            "filename": "core.zip",
            "is_archive": True,
            "dest": "",
            "checksum": ["sha256", hashlib.sha256(archive).hexdigest()],
            "md5sum": hashlib.md5(archive).hexdigest(),
            "filesize": len(archive),
            "urls": [f"{host}/core.zip", "https://mirror.example/fs2/my_mod/1.0.0/core.zip"],
        }
    ]
    assert {
        entry["filename"]: (entry["archive"], entry["orig_name"], entry["checksum"], entry["md5sum"])
        for entry in package["filelist"]
    } == {
        name: ("core.zip", name, ["sha256", hashlib.sha256(content).hexdigest()], hashlib.md5(content).hexdigest())
        for name, content in members.items()
    }
    assert published(plain) == ["my_mod/1.0.0/core.zip"]
    assert (plain.mirror_path / "my_mod/1.0.0/core.zip").read_bytes() == archive  # type: ignore[operator]
    assert leftovers(plain) == []
    assert observer.files == ["core.zip"]
    assert [ended.stage for ended in observer.ended] == [Stage.DONE]
    assert "INFO: Downloading core.zip" in observer.lines


def test_without_a_mirror_the_given_links_stay_and_nothing_is_kept(host: str, served: Path, tmp_path: Path) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"x"})
    settings = Settings(TRUSTED_HOSTS=("127.0.0.1",))
    toolbox = Toolbox.from_settings(settings, LocalLeases())
    assert toolbox.mirror is None
    outcome = run(document(file(host, "core.zip")), settings)
    assert outcome.document is not None
    assert outcome.document["mods"][0]["packages"][0]["files"][0]["urls"] == [f"{host}/core.zip"]


def test_all_faults_are_told_at_once_and_nothing_stays(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "good.zip", {"mod.ini": b"x"})
    make_zip(served / "empty.zip", {})
    (served / "text.zip").write_text("This is no archive.")
    names = ("good.zip", "empty.zip", "text.zip", "missing.zip")
    observer = Recorder()
    outcome = run(document(*(file(host, name) for name in names)), plain, observer)
    assert outcome.document is None
    assert {(error.file, error.code) for error in outcome.errors} == {
        ("empty.zip", Code.ARCHIVE_EMPTY),
        ("text.zip", Code.ARCHIVE_UNREADABLE),
        ("missing.zip", Code.DOWNLOAD_FAILED),
    }
    assert all((error.mod, error.package) == ("my_mod", "Core") and error.message for error in outcome.errors)
    assert sum(line.startswith("ERROR: ") for line in observer.lines) == 3
    assert published(plain) == []
    assert leftovers(plain) == []
    assert {(ended.file, ended.stage) for ended in observer.ended} == {
        ("good.zip", Stage.DONE),
        *((name, Stage.FAILED) for name in names[1:]),
    }


def test_an_archive_that_cannot_be_mirrored_has_failed(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"x"})
    assert plain.mirror_path
    (plain.mirror_path / "my_mod").mkdir(parents=True)
    (plain.mirror_path / "my_mod/1.0.0").write_text("This is no folder.")
    observer = Recorder()
    outcome = run(document(file(host, "core.zip")), plain, observer)
    assert [error.code for error in outcome.errors] == [Code.MIRROR_FAILED]
    assert [ended.stage for ended in observer.ended] == [Stage.DONE, Stage.FAILED]


def test_a_failed_run_leaves_an_earlier_good_run_alone(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"x"})
    assert run(document(file(host, "core.zip")), plain).document
    assert run(document(file(host, "core.zip"), file(host, "missing.zip")), plain).document is None
    assert published(plain) == ["my_mod/1.0.0/core.zip"]


def test_files_that_cannot_lie_together_fail_and_are_not_published(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "a.zip", {"data": b"a file"})
    make_zip(served / "b.zip", {"data/x.txt": b"needs a folder"})
    outcome = run(document(file(host, "a.zip"), file(host, "b.zip")), plain)
    assert [error.code for error in outcome.errors] == [Code.PATH_CONFLICT]
    assert outcome.document is None
    assert published(plain) == []


def test_mods_of_one_document_keep_their_own_folders(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"x"})
    mods = [document(file(host, "core.zip"), id=f"mod_{n}", version=f"1.{n}.0") for n in range(3)]
    outcome = run({"mods": mods}, plain)
    assert outcome.document is not None
    assert [mod["id"] for mod in outcome.document["mods"]] == ["mod_0", "mod_1", "mod_2"]
    assert published(plain) == [f"mod_{n}/1.{n}.0/core.zip" for n in range(3)]


def test_a_link_below_the_mirror_is_read_from_its_folder(served: Path, plain: Settings) -> None:
    assert plain.mirror_path is not None
    (plain.mirror_path / "uploads").mkdir(parents=True)
    make_zip(plain.mirror_path / "uploads" / "abc", {"mod.ini": b"x"})
    link = "https://mirror.example/fs2/uploads/abc"
    outcome = run(document({"filename": "core.zip", "urls": [link]}), plain)
    assert outcome.document is not None
    [entry] = outcome.document["mods"][0]["packages"][0]["files"]
    assert entry["urls"] == ["https://mirror.example/fs2/my_mod/1.0.0/core.zip"]
    assert published(plain) == ["my_mod/1.0.0/core.zip", "uploads/abc"]


def test_a_file_of_this_machine_is_read_only_when_asked_for(tmp_path: Path, plain: Settings) -> None:
    make_zip(tmp_path / "core.zip", {"mod.ini": b"x"})
    link = (tmp_path / "core.zip").as_uri()
    doc = json.dumps(document({"filename": "core.zip", "urls": [link]}))
    repo = parse(doc, LIMITS, schemes=frozenset({"http", "https", "file"})).repo
    refused = convert(repo, toolbox=Toolbox.from_settings(plain, LocalLeases()), observer=Recorder())
    assert [error.code for error in refused.errors] == [Code.ADDRESS_REFUSED]
    allowed = convert(repo, toolbox=Toolbox.from_settings(plain, LocalLeases(), LocalFiles()), observer=Recorder())
    assert allowed.document is not None
    [entry] = allowed.document["mods"][0]["packages"][0]["files"]
    assert entry["urls"] == ["https://mirror.example/fs2/my_mod/1.0.0/core.zip"]
    assert (tmp_path / "core.zip").exists()


def test_an_upload_that_is_gone_is_told_and_not_asked_for(plain: Settings) -> None:
    gone = "https://mirror.example/fs2/uploads/abc"
    outcome = run(document({"filename": "core.zip", "urls": [gone]}), plain)
    assert [error.code for error in outcome.errors] == [Code.LOCAL_FILE_MISSING]


def test_a_plain_file_needs_no_archive(host: str, served: Path, plain: Settings) -> None:
    (served / "core.vp").write_bytes(b"VPVP" + bytes(100))
    outcome = run(document(file(host, "core.vp", is_archive=False, dest="data")), plain)
    assert outcome.document is not None
    [entry] = outcome.document["mods"][0]["packages"][0]["filelist"]
    assert (entry["filename"], entry["archive"]) == ("data/core.vp", "core.vp")
    assert entry["md5sum"] == hashlib.md5((served / "core.vp").read_bytes()).hexdigest()
    assert Code.NOT_AN_ARCHIVE in {warning.code for warning in outcome.warnings}


def test_changed_content_under_an_old_checksum_is_a_warning(host: str, served: Path, plain: Settings) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"x"})
    good = hashlib.sha256((served / "core.zip").read_bytes()).hexdigest()
    right = run(document(file(host, "core.zip", checksum=["sha256", good])), plain)
    wrong = run(document(file(host, "core.zip", checksum=["sha256", "0" * 64])), plain)
    assert Code.CHECKSUM_CHANGED not in {warning.code for warning in right.warnings}
    assert Code.CHECKSUM_CHANGED in {warning.code for warning in wrong.warnings}
    assert wrong.document is not None


def test_a_conversion_that_is_called_off_stops_everywhere(host: str, served: Path, plain: Settings) -> None:
    for number in range(20):
        make_zip(served / f"{number}.zip", {"mod.ini": b"x"})
    observer = Recorder(calls_off="Inspecting")
    with pytest.raises(Cancelled):
        run(document(*(file(host, f"{number}.zip") for number in range(20))), plain, observer)
    assert leftovers(plain) == []
    assert published(plain) == []
    assert threading.active_count() < 10


@pytest.mark.parametrize(("raised", "kept"), [(Cancelled, False), (ConnectionError, True)])
def test_what_is_called_off_when_all_is_done_is_withdrawn_and_what_nobody_knows_of_stays(
    raised: type[Exception], kept: bool, host: str, served: Path, plain: Settings
) -> None:
    make_zip(served / "core.zip", {"mod.ini": b"core"})
    repo = parse(json.dumps(document(file(host, "core.zip"))), LIMITS).repo
    toolbox = Toolbox.from_settings(plain, LocalLeases())

    def refuse() -> None:
        with converting(repo, toolbox=toolbox, observer=Recorder()) as outcome:
            assert outcome.document is not None
            assert published(plain) == ["my_mod/1.0.0/core.zip"]
            raise raised

    with pytest.raises(raised):
        refuse()
    assert published(plain) == (["my_mod/1.0.0/core.zip"] if kept else [])
    assert run(document(file(host, "core.zip")), plain).document is not None  # nobody holds the mod any more


def test_a_package_without_files_is_fine(host: str, served: Path, plain: Settings) -> None:
    doc = document()
    doc["packages"][0]["dependencies"] = [{"id": "FSO", "version": ">=23.0.0"}]
    outcome = run(doc, plain)
    assert outcome.document is not None
    assert outcome.document["mods"][0]["packages"][0]["files"] == []
