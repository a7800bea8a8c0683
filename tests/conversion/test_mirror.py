"""The mirror: names keep their content, and a failed conversion leaves no trace."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from knossosd.conversion.digest import digest_file
from knossosd.conversion.errand import Check
from knossosd.conversion.ledger import Ledger, Published
from knossosd.conversion.mirror import LOCKS, Mirror, Publication
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.store import Store
from knossosd.faults import Code, ServerFault
from knossosd.repo.contents import Digest


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(
        tmp_path / "mirror", "https://mirror.example/fs2", Store(tmp_path / "store"), Ledger(tmp_path / "ledger")
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(b"seven zip")
    return path


def publish(
    publication: Publication,
    archive: Path,
    filename: str = "core.7z",
    version: str = "1.0.0",
    urls: Sequence[str] = (),
) -> str:
    digest = digest_file(archive)
    return publication.publish(archive, digest, mod="my mod", version=version, filename=filename, urls=urls)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.is_dir() else []


def test_an_archive_gets_its_public_name_and_an_escaped_link(mirror: Mirror, archive: Path) -> None:
    with mirror.publication() as publication:
        link = publish(publication, archive, "core #1.7z")
        publication.keep()
    assert link == "https://mirror.example/fs2/my%20mod/1.0.0/core%20%231.7z"
    archive.unlink()
    assert (mirror.path / "my mod/1.0.0/core #1.7z").read_bytes() == b"seven zip"
    assert mirror.find(link) == mirror.path / "my mod/1.0.0/core #1.7z"


def test_what_is_not_kept_is_withdrawn_with_its_folders(mirror: Mirror, archive: Path) -> None:
    with mirror.publication() as publication:
        publish(publication, archive)
        assert files(mirror.path) == ["my mod", "my mod/1.0.0", "my mod/1.0.0/core.7z"]
    assert files(mirror.path) == []


def test_a_withdrawal_leaves_what_an_earlier_run_published(mirror: Mirror, archive: Path, tmp_path: Path) -> None:
    with mirror.publication() as first:
        publish(first, archive)
        first.keep()
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with mirror.publication() as second:
        publish(second, archive)
        publish(second, other)
        publish(second, other, "new.7z")
    assert files(mirror.path) == ["my mod", "my mod/1.0.0", "my mod/1.0.0/core.7z"]


def test_the_same_content_keeps_its_name_and_other_content_gets_another(
    mirror: Mirror, archive: Path, tmp_path: Path
) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_bytes(archive.read_bytes())
    other.write_bytes(b"SEVEN ZIP")
    with mirror.publication() as publication:
        names = [publish(publication, one).rsplit("/", 1)[1] for one in (archive, archive, same, other, other)]
        publication.keep()
    assert names == ["core.7z", "core.7z", "core.7z", "1_core.7z", "1_core.7z"]
    assert (mirror.path / "my mod/1.0.0/core.7z").read_bytes() == b"seven zip"


def test_only_the_last_part_of_a_file_name_counts(mirror: Mirror, archive: Path) -> None:
    with mirror.publication() as publication:
        assert publish(publication, archive, "sub/core.7z").endswith("/my%20mod/1.0.0/core.7z")


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/fs2/a.7z",
        "https://mirror.example/fs2evil/a.7z",
        "https://mirror.example/fs2/../secret",
        "https://mirror.example/fs2/%2e%2e/secret",
        "https://mirror.example/fs2/link",
        "https://mirror.example/fs2/",
        "https://mirror.example/fs2/missing.7z",
    ],
)
def test_links_that_lead_out_of_the_mirror_name_nothing(mirror: Mirror, tmp_path: Path, link: str) -> None:
    (tmp_path / "secret").write_text("secret")
    mirror.path.mkdir()
    (mirror.path / "link").symlink_to(tmp_path / "secret")
    assert mirror.find(link) is None


def test_every_content_is_stored_once(mirror: Mirror, archive: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    same.write_bytes(archive.read_bytes())
    with mirror.publication() as publication:
        publish(publication, archive)
        publish(publication, same, "other.7z", "2.0.0")
        publication.keep()
    names = [mirror.path / "my mod/1.0.0/core.7z", mirror.path / "my mod/2.0.0/other.7z"]
    assert names[0].samefile(names[1])
    assert [path.samefile(names[0]) for path in mirror.store.folder.glob("??/*")] == [True]


def test_what_is_published_is_recorded_with_its_names_and_links(mirror: Mirror, archive: Path) -> None:
    digest = digest_file(archive)
    before = time.time()
    with mirror.publication() as publication:
        publish(publication, archive, urls=["https://a.example/core.7z", "https://b.example/core.7z"])
        publication.keep()
    first = mirror.ledger.find(digest.sha256)
    assert first is not None
    assert first.verified >= before
    with mirror.publication() as publication:
        publish(publication, archive, version="2.0.0", urls=["https://c.example/core.7z", "https://a.example/core.7z"])
        publication.keep()
    assert mirror.ledger.find(digest.sha256) == Published(
        digest.sha256,
        digest.size,
        digest.md5,
        names=("my mod/1.0.0/core.7z", "my mod/2.0.0/core.7z"),
        urls=("https://c.example/core.7z", "https://a.example/core.7z", "https://b.example/core.7z"),
        verified=first.verified,
    )


def test_what_is_withdrawn_is_recorded_no_more(mirror: Mirror, archive: Path) -> None:
    digest = digest_file(archive)
    with mirror.publication() as first:
        publish(first, archive)
    assert list(mirror.ledger.all()) == []
    with mirror.publication() as first:
        publish(first, archive)
        first.keep()
    with mirror.publication() as second:
        publish(second, archive)
        publish(second, archive, "other.7z")
    [record] = mirror.ledger.all()
    assert (record.sha256, record.names) == (digest.sha256, ("my mod/1.0.0/core.7z",))


def test_a_record_that_cannot_be_written_is_our_fault_and_nothing_is_published(mirror: Mirror, archive: Path) -> None:
    mirror.ledger.folder.write_text("in the way")
    with mirror.publication() as publication:
        with pytest.raises(ServerFault) as caught:
            publish(publication, archive)
        assert caught.value.finding.code is Code.MIRROR_FAILED
    assert files(mirror.path) == []


def test_a_content_that_is_replaced_while_it_is_published_is_published_as_what_replaced_it(
    mirror: Mirror, archive: Path, tmp_path: Path
) -> None:
    """A verification finds it damaged just then, after the conversion took it and before that gave it its name."""
    digest, sound = digest_file(archive), tmp_path / "sound"
    sound.write_bytes(archive.read_bytes())

    class Replaced(Store):
        def keep(self, file: Path, digest: Digest, check: Check = lambda: None) -> None:
            super().keep(file, digest, check)
            if sound.exists():
                sound.replace(self.place(digest.sha256))

    with replace(mirror, store=Replaced(mirror.store.folder)).publication() as publication:
        publish(publication, archive)
        target = mirror.path / "my mod/1.0.0/core.7z"
        assert mirror.store.shares(target, digest.sha256)
        assert target.samefile(archive)


def test_a_file_that_was_published_by_other_means_becomes_a_link(mirror: Mirror, archive: Path) -> None:
    old = mirror.path / "my mod/1.0.0/core.7z"
    old.parent.mkdir(parents=True)
    old.write_bytes(archive.read_bytes())
    with mirror.publication() as publication:
        publish(publication, archive)
    assert old.samefile(archive)
    assert files(mirror.path) == ["my mod", "my mod/1.0.0", "my mod/1.0.0/core.7z"]


def test_a_mirror_that_cannot_be_written_is_our_fault(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "file").write_text("")
    with Mirror(
        tmp_path / "file", "https://mirror.example", Store(tmp_path / "store"), Ledger(tmp_path / "ledger")
    ).publication() as publication:
        with pytest.raises(ServerFault) as caught:
            publish(publication, archive)
        assert caught.value.finding.code is Code.MIRROR_FAILED


def call_off() -> None:
    raise Cancelled


def test_who_publishes_a_mod_waits_for_who_does_as_long_as_somebody_wants_it(mirror: Mirror) -> None:
    with mirror.alone(["one", "two"]):
        with pytest.raises(Cancelled), mirror.alone(["two", "three"], call_off):
            pytest.fail("both publish it")
        with mirror.alone(["three"], call_off):
            pass
    with mirror.alone(["one", "two"], call_off):
        pass


def test_mods_that_share_a_lock_are_published_together_and_locks_do_not_pile_up(mirror: Mirror) -> None:
    for begin in (0, LOCKS):
        with mirror.alone([f"mod {number}" for number in range(begin, begin + 2 * LOCKS)], call_off):
            assert len(files(mirror.ledger.folder)) <= LOCKS


def test_a_mirror_that_cannot_be_locked_is_our_fault(mirror: Mirror) -> None:
    mirror.ledger.folder.write_text("in the way")
    with pytest.raises(ServerFault) as caught, mirror.alone(["mod"]):
        pytest.fail("it was locked")
    assert caught.value.finding.code is Code.MIRROR_FAILED


def test_a_name_of_other_means_is_compared_only_as_long_as_somebody_waits(mirror: Mirror, archive: Path) -> None:
    published = mirror.path / "my mod" / "1.0.0" / "core.7z"
    published.parent.mkdir(parents=True)
    published.write_bytes(archive.read_bytes())

    with pytest.raises(Cancelled), mirror.publication(call_off) as publication:
        publish(publication, archive)
    assert files(mirror.path) == ["my mod", "my mod/1.0.0", "my mod/1.0.0/core.7z"]
