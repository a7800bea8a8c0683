"""What a file is, by how it begins."""

from pathlib import Path

import pytest

from knossosd.conversion.kinds import ARCHIVES, HEAD, archive_kind, keeps_its_promise
from knossosd.settings import Settings
from tests import archives

NO_ARCHIVES = {
    "empty": b"",
    "a page": b"<!DOCTYPE html><script>alert(1)</script>" + b" " * HEAD,
    "a program": b"MZ\x90\x00" + bytes(HEAD),
    "zeros": bytes(2 * HEAD),
    "a magic that is cut short": b"7z\xbc\xaf",
    "a magic that comes later": b"\n" + b"7z\xbc\xaf\x27\x1c" + bytes(HEAD),
    "text": b"BZ is not bzip, PK is not zip" * 40,
}


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


@pytest.mark.parametrize("ending", sorted(Settings().upload_extensions))
def test_what_may_be_uploaded_is_told_by_its_content(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"core.{ending}"
    if ending == "rar":
        archives.make_rar5(path, archives.PLAIN)
        assert archive_kind(head_of(archives.make_rar4(tmp_path / "old.rar", archives.PLAIN))) == "rar"
    elif ending in ("7z", "zip"):
        archives.pack(path, archives.PLAIN)
    else:
        archives.make_tar(path, archives.PLAIN, f"w:{ending}")
    assert archive_kind(head_of(path)) == ending


def test_tars_are_archives_without_a_magic_as_well(tmp_path: Path) -> None:
    assert archive_kind(head_of(archives.make_tar(tmp_path / "a.tar", archives.PLAIN))) == "tar"
    assert archive_kind(head_of(archives.make_old_tar(tmp_path / "b.tar", archives.PLAIN))) == "tar"


def test_an_empty_archive_is_an_archive(tmp_path: Path) -> None:
    assert archive_kind(head_of(archives.make_zip(tmp_path / "a.zip", {}))) == "zip"


@pytest.mark.parametrize("what", NO_ARCHIVES)
def test_nothing_else_is(what: str) -> None:
    assert archive_kind(NO_ARCHIVES[what]) is None
    assert not any(keeps_its_promise(ending, NO_ARCHIVES[what]) for ending in ARCHIVES)


def test_any_archive_may_have_the_name_of_any_other(tmp_path: Path) -> None:
    """Knossos.NET packs a tar.gz for macOS and calls it .7z."""
    assert keeps_its_promise("7z", head_of(archives.make_tar(tmp_path / "a", archives.PLAIN, "w:gz")))


def test_an_ending_that_promises_no_archive_promises_nothing() -> None:
    assert keeps_its_promise("vp", b"VPVP")
