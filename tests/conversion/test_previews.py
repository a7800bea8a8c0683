"""Uploads are looked into before they are converted, and not twice."""

from pathlib import Path

import pytest

from knossosd.conversion.digest import digest_bytes
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.manifests import Manifests, reader_of
from knossosd.conversion.previews import Previews
from knossosd.conversion.store import Store
from knossosd.conversion.toolbox import Toolbox
from knossosd.repo.contents import Digest
from knossosd.settings import Settings
from tests import archives


@pytest.fixture
def toolbox(settings: Settings) -> Toolbox:
    return Toolbox.from_settings(settings, LocalLeases())


@pytest.fixture
def previews(settings: Settings) -> Previews:
    found = Previews.from_settings(settings)
    assert found is not None
    return found


def upload(settings: Settings, content: bytes) -> Digest:
    """Upload as `knossosd.web.drop` does."""
    assert settings.mirror_path is not None
    digest = digest_bytes(content)
    folder = settings.mirror_path / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    settings.work_path.mkdir(parents=True, exist_ok=True)
    coming = settings.work_path / "upload-coming"
    coming.write_bytes(content)
    Store(settings.store_path).keep(coming, digest)
    coming.replace(folder / digest.sha256)
    coming.unlink(missing_ok=True)
    return digest


def test_a_preview_tells_what_an_upload_holds(
    settings: Settings, previews: Previews, toolbox: Toolbox, tmp_path: Path
) -> None:
    digest = upload(settings, archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes())
    assert previews.find(digest.sha256) is None
    previews.make(digest.sha256, "core.7z", toolbox)
    preview = previews.find(digest.sha256)
    assert preview is not None
    assert preview["files"] == len(archives.SAMPLE)
    assert preview["size"] == sum(len(content) for content in archives.SAMPLE.values())
    assert preview["mod_inis"] == ["mod.ini"]
    assert "data/" in preview["top"]
    assert preview["warnings"] == []
    assert list(settings.work_path.iterdir()) == []


def test_what_was_previewed_is_known_to_its_conversion(
    settings: Settings, previews: Previews, toolbox: Toolbox, tmp_path: Path
) -> None:
    digest = upload(settings, archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes())
    previews.make(digest.sha256, "core.7z", toolbox)
    reader = reader_of(toolbox.archive_tools.sevenzip)
    inspection = Manifests(toolbox.memory.cache).find(digest, "core.7z", reader)
    assert inspection is not None
    assert {member.path for member in inspection.members} == set(archives.SAMPLE)


@pytest.mark.parametrize(
    ("content", "code"), [(b"7z\xbc\xaf\x27\x1c" + b"nonsense" * 50, "archive_unreadable"), (b"", "archive_empty")]
)
def test_an_upload_that_cannot_be_read_says_why(
    settings: Settings, previews: Previews, toolbox: Toolbox, content: bytes, code: str
) -> None:
    digest = upload(settings, content)
    previews.make(digest.sha256, "core.7z", toolbox)
    preview = previews.find(digest.sha256)
    assert preview is not None
    assert preview["error"]["code"] == code
    previews.forget(digest.sha256)
    assert previews.find(digest.sha256) is None


def test_who_asks_again_before_it_is_made_has_nothing_read_twice(
    settings: Settings, previews: Previews, toolbox: Toolbox
) -> None:
    """Every question is a message in the queue of the conversions, and a broken archive is read in vain each time."""
    assert settings.mirror_path is not None
    digest = upload(settings, b"7z\xbc\xaf\x27\x1c" + b"nonsense" * 50)
    previews.make(digest.sha256, "core.7z", toolbox)
    (settings.mirror_path / "uploads" / digest.sha256).unlink()
    previews.make(digest.sha256, "core.7z", toolbox)
    preview = previews.find(digest.sha256)
    assert preview is not None
    assert preview["error"]["code"] == "archive_unreadable", "nobody looked whether the upload is still there"


def test_an_upload_that_went_meanwhile_says_so(previews: Previews, toolbox: Toolbox) -> None:
    previews.make("0" * 64, "core.7z", toolbox)
    preview = previews.find("0" * 64)
    assert preview is not None
    assert preview["error"]["code"] == "local_file_missing"


@pytest.mark.parametrize("name", ["0" * 64, "../uploads", "", "core.7z", "A" * 64])
def test_nothing_else_is_an_upload(settings: Settings, previews: Previews, name: str) -> None:
    upload(settings, b"content")
    assert not previews.uploads.has(name)
    assert previews.uploads.has(digest_bytes(b"content").sha256)


def test_without_uploads_there_are_no_previews(valkey: str) -> None:
    assert Previews.from_settings(Settings(REDIS=valkey)) is None
