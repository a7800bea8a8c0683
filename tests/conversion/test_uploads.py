"""Uploads that no mod published go, and no others."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from knossosd.conversion.digest import digest_bytes
from knossosd.conversion.disposable import Disposable
from knossosd.conversion.store import Store
from knossosd.conversion.uploads import Uploads
from knossosd.settings import DAY, Settings

URL = "https://mirror.example/uploads"
CONTENT = b"an archive"
DIGEST = digest_bytes(CONTENT)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    """The uploads of a mirror, eight days later."""
    folder = tmp_path / "mirror" / "uploads"
    folder.mkdir(parents=True)
    (tmp_path / "work").mkdir()
    store = Store(tmp_path / "store")
    return Uploads(folder, URL, store, tmp_path / "work", 7 * DAY, lambda: time.time() + 8 * DAY)


def upload(uploads: Uploads, content: bytes = CONTENT) -> Path:
    """Upload as `knossosd.web.drop` does."""
    coming, digest = uploads.work_path / "upload-coming", digest_bytes(content)
    coming.write_bytes(content)
    assert uploads.publish(coming, digest) == f"{URL}/{digest.sha256}"
    coming.unlink()
    return uploads.folder / digest.sha256


def nothing() -> list[str]:
    """No document is to be converted."""
    return []


def paths(disposables: list[Disposable]) -> list[Path]:
    return [one.path for one in disposables]


def test_an_old_upload_that_no_mod_published_goes_from_the_store_as_well(uploads: Uploads) -> None:
    one = upload(uploads)
    assert [(found.path, found.size) for found in uploads.superfluous(nothing)] == [(one, len(CONTENT))]
    assert one.exists()
    assert paths(uploads.trim(nothing)) == [one]
    assert not one.exists()
    assert list(uploads.store.folder.glob("??/*")) == []
    assert list(uploads.work_path.iterdir()) == []


def test_a_young_upload_stays(uploads: Uploads) -> None:
    upload(uploads)
    assert replace(uploads, clock=time.time).trim(nothing) == []
    assert replace(uploads, lifetime=9 * DAY).trim(nothing) == []


def test_an_upload_is_young_again_when_it_is_of_use(uploads: Uploads, tmp_path: Path) -> None:
    """What counts is not the age of its content: it may have been stored long before."""
    one = upload(uploads)
    os.utime(one, (0, 0))
    assert replace(uploads, clock=time.time).trim(nothing) == []


def test_an_upload_that_was_published_stays(uploads: Uploads, tmp_path: Path) -> None:
    one = upload(uploads)
    os.link(one, tmp_path / "mirror" / "core.7z")
    assert uploads.superfluous(nothing) == []
    assert uploads.trim(nothing) == []
    assert one.exists()


def test_an_upload_that_a_running_conversion_holds_stays(uploads: Uploads, tmp_path: Path) -> None:
    one = upload(uploads)
    os.link(one, tmp_path / "work" / "archive")
    assert uploads.trim(nothing) == []
    (tmp_path / "work" / "archive").unlink()
    assert paths(uploads.trim(nothing)) == [one]


def test_an_upload_that_was_never_stored_goes_and_another_file_of_its_content_stays(
    uploads: Uploads, tmp_path: Path
) -> None:
    """As the original server kept them: the mods that it published have a copy of their own."""
    one = uploads.folder / DIGEST.sha256
    one.write_bytes(CONTENT)
    published = tmp_path / "mirror" / "core.7z"
    published.write_bytes(CONTENT)
    uploads.store.keep(published, DIGEST)
    assert paths(uploads.trim(nothing)) == [one]
    assert uploads.store.shares(published, DIGEST.sha256)


def test_whatever_else_lies_in_the_folder_is_let_alone(uploads: Uploads, tmp_path: Path) -> None:
    (uploads.folder / "notes.txt").write_text("the operator's")
    (uploads.folder / ("a" * 64)).mkdir()
    (uploads.folder / ("b" * 64)).symlink_to(tmp_path / "elsewhere")
    assert uploads.trim(nothing) == []
    assert len(list(uploads.folder.iterdir())) == 3


def test_without_uploads_there_is_nothing_to_do(uploads: Uploads, tmp_path: Path) -> None:
    assert Uploads.from_settings(Settings()) is None
    assert replace(uploads, folder=tmp_path / "missing").trim(nothing) == []


def test_a_conversion_that_comes_at_the_last_moment_finds_its_upload_again(uploads: Uploads, tmp_path: Path) -> None:
    """It has taken its link after the upload was found to be of no use."""
    one = upload(uploads)

    def comes() -> list[str]:
        for aside in uploads.work_path.iterdir():
            os.link(aside, tmp_path / "archive")
        return []

    assert uploads.trim(comes) == []
    assert one.samefile(tmp_path / "archive")
    assert uploads.store.shares(one, DIGEST.sha256)
    assert list(uploads.work_path.iterdir()) == []


def test_an_upload_that_a_document_names_stays_until_that_is_converted(uploads: Uploads) -> None:
    one = upload(uploads)
    other = upload(uploads, b"another archive")
    document = json.dumps({"urls": [f"{URL}/{DIGEST.sha256}"], "checksum": f"{other.name}0"})
    assert paths(uploads.superfluous(lambda: [document])) == [other]
    assert paths(uploads.trim(lambda: [document])) == [other]
    assert paths(uploads.trim(nothing)) == [one]


def test_an_upload_that_is_submitted_at_the_last_moment_comes_back(uploads: Uploads) -> None:
    one = upload(uploads)
    looks = iter([[], [f'"{URL}/{one.name}"']])
    assert uploads.trim(lambda: next(looks)) == []
    assert one.read_bytes() == CONTENT
    assert uploads.store.shares(one, DIGEST.sha256)
    assert list(uploads.work_path.iterdir()) == []


def test_nothing_is_lost_when_the_documents_cannot_be_read(uploads: Uploads) -> None:
    one = upload(uploads)
    looks = iter([[]])
    with pytest.raises(StopIteration):
        uploads.trim(lambda: next(looks))
    assert one.read_bytes() == CONTENT
    assert list(uploads.work_path.iterdir()) == []


def test_many_at_once_remove_every_upload_once(uploads: Uploads) -> None:
    expected = {upload(uploads, f"{number}".encode()) for number in range(50)}
    removed: list[Disposable] = []
    threads = [threading.Thread(target=lambda: removed.extend(uploads.trim(nothing))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(removed) == 50
    assert set(paths(removed)) == expected
    assert list(uploads.folder.iterdir()) == []
    assert list(uploads.store.folder.glob("??/*")) == []
    assert list(uploads.work_path.iterdir()) == []


def test_uploads_that_come_back_while_they_are_removed_are_whole(uploads: Uploads) -> None:
    """The same file is uploaded over and over, and removed over and over: at any end, its name has its content."""
    done, removed = threading.Event(), []

    def tidy() -> None:
        while not done.is_set():
            removed.extend(uploads.trim(nothing))

    tidiers = [threading.Thread(target=tidy) for _ in range(2)]
    for thread in tidiers:
        thread.start()
    for _ in range(200):
        upload(uploads)
    done.set()
    for thread in tidiers:
        thread.join()
    assert removed
    one = upload(uploads)
    assert one.read_bytes() == CONTENT
    assert paths(uploads.trim(nothing)) == [one]
    assert list(uploads.work_path.iterdir()) == []
