"""Files of ours are fetched whole or not at all, whatever happens to them meanwhile."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from knossosd.conversion.digest import digest_bytes, digest_file
from knossosd.conversion.errand import Errand
from knossosd.conversion.fetch import Fetched, fetch
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.links import LocalFiles, Shelf
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.toolbox import Toolbox
from knossosd.conversion.transfer import Wishes
from knossosd.faults import Code, InputFault
from knossosd.repo.models import PackageFile
from knossosd.settings import Settings
from tests.conversion.mirrors import World
from tests.conversion.test_pipeline import plain

__all__ = ["plain"]

CONTENT = b"the core archive"


@pytest.fixture
def world(plain: Settings) -> World:
    return World(plain)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


class Interrupted:
    """The shelf of a `mirror`, to which something happens whenever a file was found on it."""

    def __init__(self, mirror: Mirror, happens: Callable[[Path], None]) -> None:
        self._happens = happens
        self._mirror = mirror

    def owns(self, link: str) -> bool:
        return self._mirror.owns(link)

    def find(self, link: str) -> Path | None:
        found = self._mirror.find(link)
        if found:
            self._happens(found)
        return found


def ignore(*_: object) -> None:
    """Nobody watches."""


def fetched(
    world: World,
    link: str,
    *,
    folder: Path | None = None,
    shelf: Shelf | None = None,
    advance: Callable[[int, int | None], None] = ignore,
) -> Fetched:
    """What is fetched from a link, into a folder that may be on another file system."""
    tools = Toolbox.from_settings(world.settings, LocalLeases(), LocalFiles())
    if shelf:
        tools = replace(tools, shelves=(shelf,))
    file = PackageFile("core.7z", (link,), is_archive=True, dest="", expected_md5=None, expected_sha256=None)
    wishes = Wishes(expect_archive=True, advance=advance, errand=Errand(), log=ignore, ask=ignore)
    return fetch(file, folder or Path(tempfile.mkdtemp(dir=world.settings.work_path)), tools, wishes)


def upload(world: World, content: bytes = CONTENT) -> Path:
    """A file that somebody put into the mirror's folder."""
    file = world.mirror.path / "uploads" / "abc"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    world.settings.work_path.mkdir(exist_ok=True)
    return file


def link(world: World, file: Path) -> str:
    return f"{world.mirror.url}/{world.mirror.name_of(file)}"


def test_stored_content_is_held_by_a_link_and_read_once(world: World) -> None:
    name = world.publish(CONTENT)
    read: list[int] = []
    for _ in range(2):
        found = fetched(world, link(world, name), advance=lambda done, _: read.append(done))
        assert found.path.samefile(name)
        assert found.digest == digest_bytes(CONTENT)
    assert read == [len(CONTENT)]


def test_stored_content_that_changed_is_read_again(world: World) -> None:
    name = world.publish(CONTENT)
    fetched(world, link(world, name))
    name.unlink()
    name = world.publish(b"another one")
    assert fetched(world, link(world, name)).digest == digest_bytes(b"another one")


@pytest.mark.parametrize("more_links", [0, 1])
def test_what_is_not_stored_is_copied_for_somebody_may_write_it(world: World, more_links: int, tmp_path: Path) -> None:
    file = upload(world)
    for number in range(more_links):
        os.link(file, tmp_path / str(number))
    with file.open("r+b") as writer:
        found = fetched(world, link(world, file))
        writer.write(b"THE")
    assert file.read_bytes() != CONTENT
    assert found.path.read_bytes() == CONTENT
    assert found.digest == digest_bytes(CONTENT)


def test_what_cannot_be_linked_is_copied(world: World, elsewhere: Path) -> None:
    name = world.publish(CONTENT)
    if elsewhere.stat().st_dev == name.stat().st_dev:
        pytest.skip("there is only one file system")
    found = fetched(world, link(world, name), folder=elsewhere)
    assert found.path.read_bytes() == CONTENT
    assert found.digest == digest_bytes(CONTENT)


def test_a_file_that_has_just_gone_is_missing(world: World) -> None:
    for file in (upload(world), world.publish(CONTENT)):
        with pytest.raises(InputFault) as caught:
            fetched(world, link(world, file), shelf=Interrupted(world.mirror, lambda found: found.unlink()))
        assert caught.value.finding.code is Code.LOCAL_FILE_MISSING


def test_a_file_that_was_away_for_a_moment_is_fetched(world: World) -> None:
    """So it is when an upload was about to be removed, and somebody turned out to have a use for it."""
    file, looks = upload(world), []

    def happens(found: Path) -> None:
        looks.append(found)
        found.rename(found.with_name("taken")) if len(looks) == 1 else None

    class Back(Interrupted):
        def find(self, link: str) -> Path | None:
            if looks:
                file.with_name("taken").rename(file)
            return super().find(link)

    assert fetched(world, link(world, file), shelf=Back(world.mirror, happens)).digest == digest_bytes(CONTENT)


@pytest.mark.parametrize("of", ["the mirror", "the user"])
def test_a_file_that_is_written_while_it_is_read_is_read_again_and_then_left(
    world: World, of: str, tmp_path: Path
) -> None:
    file = upload(world)
    if of == "the user":
        file = file.rename(tmp_path / "core.7z")
    named = link(world, file) if of == "the mirror" else file.as_uri()
    written: list[int] = []

    def write(done: int, _: int | None) -> None:
        if len(written) < times:
            written.append(done)
            with file.open("ab") as writer:
                writer.write(b"!")

    times = 1
    found = fetched(world, named, advance=write)
    assert found.path.read_bytes() == CONTENT + b"!"
    assert found.digest == digest_file(file)
    times = 10
    with pytest.raises(InputFault) as caught:
        fetched(world, named, advance=write)
    assert caught.value.finding.code is Code.LOCAL_FILE_MISSING
    assert len(list(world.settings.work_path.glob("*/archive"))) == 1
