"""The mirror is verified, bit by bit and again and again, and what is damaged is told and repaired."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from knossosd.conversion.archive import Inspection
from knossosd.conversion.digest import digest_bytes
from knossosd.conversion.examination import examine
from knossosd.conversion.ledger import Published
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.store import Store
from knossosd.conversion.verification import UnderWay
from knossosd.settings import CHECKOUT, DAY, Settings
from tests import hosts
from tests.conversion.mirrors import World, damage, outcomes
from tests.hosts import Host, Request, serves

CORE = b"the core archive"
WRONG = b"THE core archive"
"""Other bytes, and as many."""

BYTES = "its bytes are not the ones that were published"
MISSING = "it is missing in the store"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        Settings(
            MIRROR_PATH=tmp_path / "mirror",
            MIRROR_URL="https://mirror.example",
            TRUSTED_HOSTS=("127.0.0.1",),
            DOWNLOAD_ATTEMPTS=1,
            IDLE_TIMEOUT=5,
        )
    )


def test_a_sound_mirror_is_read_and_nothing_is_told(world: World) -> None:
    world.publish(CORE)
    world.mirror.ledger.update(digest_bytes(CORE).sha256, lambda known: Published(known.sha256, names=known.names))
    before = world.mirror.ledger.now()
    assert world.verify() == []
    assert world.record(CORE).verified >= before
    assert (world.record(CORE).size, world.record(CORE).md5) == (len(CORE), digest_bytes(CORE).md5)
    assert world.read == [(world.stored(CORE), CORE)]  # once, whatever names it has


def test_an_empty_mirror_is_sound(world: World) -> None:
    assert world.verify() == []


def test_every_name_of_a_damaged_content_is_replaced_by_the_sound_one(world: World, host: Host) -> None:
    link = host.link("/core.7z", serves(CORE))
    names = [world.publish(CORE, "mod/1.0.0/core.7z", link), world.publish(CORE, "other/2.0.0/x.7z")]
    upload = world.mirror.path / "uploads" / digest_bytes(CORE).sha256  # has no record, and is a name like any other
    upload.parent.mkdir()
    os.link(names[0], upload)
    damage(names[0], WRONG)
    told = world.verify()
    known = ("mod/1.0.0/core.7z", "other/2.0.0/x.7z", f"uploads/{upload.name}")
    assert outcomes(told) == [(known, BYTES, True)]
    assert str(told[0]) == f"{', '.join(known)}: {BYTES}; repaired. It came from {link}."
    assert world.is_sound(CORE, *names, upload)
    assert world.stored(CORE).stat().st_mode & 0o777 == 0o444
    assert world.leftovers() == []
    assert world.verify() == []


@pytest.mark.parametrize("repair", [True, False])
def test_what_the_damaged_content_was_found_to_hold_is_forgotten(world: World, host: Host, repair: bool) -> None:
    """Somebody may have read the damaged bytes in its place, also while it was repaired."""
    digest, other, found = digest_bytes(CORE), digest_bytes(b"sound"), Inspection((), ())
    world.manifests.keep(other, "x.7z", "reader", found)
    world.publish(b"sound", "mod/1.0.0/x.7z")

    def reads(request: Request) -> None:
        assert world.manifests.find(digest, "core.7z", "reader") is None
        world.manifests.keep(digest, "core.7z", "reader", found)
        request.answer(200, CORE)

    damage(world.publish(CORE, "mod/1.0.0/core.7z", host.link("/core.7z", reads)), WRONG)
    world.manifests.keep(digest, "core.7z", "reader", found)
    assert [told.outcome.is_repaired for told in world.verify(repair=repair)] == [repair]
    assert world.manifests.find(digest, "core.7z", "reader") is None
    assert world.manifests.find(other, "x.7z", "reader") == found


def test_a_conversion_that_holds_the_damaged_content_keeps_what_it_holds(world: World, host: Host) -> None:
    name = world.publish(CORE, "mod/1.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    held = world.settings.work_path / "held"
    os.link(name, held)
    damage(name, WRONG)
    assert len(world.verify()) == 1
    assert held.read_bytes() == WRONG
    assert world.is_sound(CORE, name)


@pytest.mark.parametrize("wrong", [WRONG, b"", CORE[:-1], CORE + b"!"])
def test_whatever_is_wrong_with_the_bytes_is_found(world: World, host: Host, wrong: bytes) -> None:
    name = world.publish(CORE, "mod/1.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    damage(name, wrong)
    assert outcomes(world.verify()) == [(("mod/1.0.0/core.7z",), BYTES, True)]
    assert world.is_sound(CORE, name)


def test_only_the_very_content_is_accepted_and_every_link_is_tried(world: World, host: Host) -> None:
    links = [
        host.link("/replaced.7z", serves(WRONG)),
        host.link("/gone.7z", hosts.says(404)),
        host.link("/endless.7z", hosts.never_ends),
        host.link("/cut.7z", serves(CORE[:-1])),
    ]
    name = world.publish(CORE, "mod/1.0.0/core.7z", *links)
    damage(name, WRONG)
    [told] = world.verify()
    assert not told.outcome.is_repaired
    for link in links:
        assert link in told.outcome.how
    assert name.read_bytes() == WRONG
    world.publish(CORE, "mod/2.0.0/core.7z", *links, host.link("/good.7z", serves(CORE)))
    world.stored(CORE).unlink()
    damage(world.mirror.path / "mod/2.0.0/core.7z", WRONG)
    assert [told.outcome.is_repaired for told in world.verify()] == [True]
    assert world.is_sound(CORE, name, world.mirror.path / "mod/2.0.0/core.7z")
    assert world.leftovers() == []


def test_what_a_link_gives_instead_is_not_remembered(world: World, host: Host) -> None:
    link = host.link("/core.7z", serves(WRONG))
    damage(world.publish(CORE, "mod/1.0.0/core.7z", link), WRONG)
    world.verify()
    assert not world.settings.cache_path.exists()
    assert list(world.mirror.store.folder.glob("??/*")) == []


def test_what_cannot_be_repaired_is_told_every_time(world: World) -> None:
    name = world.publish(CORE)
    damage(name, WRONG)
    for size in (float("inf"), 1, 0):
        [told] = world.verify(size)
        assert outcomes([told]) == [(("mod/1.0.0/core.7z",), BYTES, False)]
        assert told.outcome.how
    assert name.read_bytes() == WRONG


def test_nobody_takes_a_damaged_content_from_the_store(world: World, tmp_path: Path) -> None:
    damage(world.publish(CORE), WRONG)
    world.verify()
    assert not world.mirror.store.take(digest_bytes(CORE), tmp_path / "taken")


def test_without_repair_it_is_only_told(world: World, host: Host) -> None:
    name = world.publish(CORE, "mod/1.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    damage(name, WRONG)
    assert outcomes(world.verify(repair=False)) == [(("mod/1.0.0/core.7z",), BYTES, False)]
    assert world.stored(CORE).samefile(name)
    assert host.requests == []
    assert outcomes(world.verify()) == [(("mod/1.0.0/core.7z",), BYTES, True)]


def test_a_conversion_that_brings_the_content_again_makes_it_whole(world: World) -> None:
    """Nobody knows a link, so it stays damaged until somebody publishes the same archive anew."""
    name = world.publish(CORE)
    damage(name, WRONG)
    world.verify()
    again = world.publish(CORE, "mod/2.0.0/core.7z")
    assert outcomes(world.verify()) == [(("mod/1.0.0/core.7z", "mod/2.0.0/core.7z"), BYTES, True)]
    assert world.is_sound(CORE, name, again)
    assert world.verify() == []


def test_what_is_missing_in_the_store_is_told_and_put_back(world: World) -> None:
    names = [world.publish(CORE), world.publish(CORE, "mod/2.0.0/core.7z")]
    world.stored(CORE).unlink()
    assert outcomes(world.verify(repair=False)) == [(("mod/1.0.0/core.7z", "mod/2.0.0/core.7z"), MISSING, False)]
    assert outcomes(world.verify()) == [(("mod/1.0.0/core.7z", "mod/2.0.0/core.7z"), MISSING, True)]
    assert world.is_sound(CORE, *names)
    assert world.verify() == []


def test_a_mirror_that_was_copied_without_its_store_gets_it_back(world: World) -> None:
    """Every name is a file of its own then; one of them is damaged."""
    names = [world.publish(CORE, f"mod/{number}.0.0/core.7z") for number in range(3)]
    world.stored(CORE).unlink()
    for name, content in zip(names, (WRONG, CORE, CORE), strict=True):
        name.unlink()
        name.write_bytes(content)
    [told] = world.verify()
    assert told.outcome.is_repaired
    assert world.is_sound(CORE, *names)


def test_what_is_gone_with_its_last_name_is_published_no_more(world: World) -> None:
    for name in (world.publish(CORE), world.publish(CORE, "mod/2.0.0/core.7z")):
        assert world.record(CORE)
        name.unlink()
    assert world.verify() == []
    assert list(world.mirror.ledger.all()) == []


def test_a_name_that_was_removed_by_hand_is_no_damage(world: World) -> None:
    world.publish(CORE).unlink()
    world.publish(CORE, "mod/2.0.0/core.7z")
    assert world.verify() == []
    assert world.record(CORE).names == ("mod/2.0.0/core.7z",)


@pytest.mark.parametrize("in_the_way", ["folder", "link"])
def test_a_name_that_is_no_file_any_more_is_no_damage(world: World, in_the_way: str) -> None:
    world.publish(CORE).unlink()
    folder = world.mirror.path / "mod" / "1.0.0"
    if in_the_way == "folder":
        folder.rmdir()
        folder.write_text("a file now")
    else:
        (folder / "core.7z").symlink_to("elsewhere")
    assert world.verify() == []


def test_a_name_that_was_overwritten_by_a_file_of_its_own_is_told_and_replaced(world: World) -> None:
    names = [world.publish(CORE), world.publish(CORE, "mod/2.0.0/core.7z")]
    names[0].unlink()
    names[0].write_bytes(WRONG)
    [told] = world.verify()
    assert (told.content.damage, told.outcome.is_repaired) == (BYTES, True)
    assert world.is_sound(CORE, *names)


@pytest.mark.parametrize("is_recorded", [True, False])
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_name_that_another_content_got_is_let_alone(world: World, is_recorded: bool, is_stored: bool) -> None:
    """Somebody removed a release by hand, and the modder published another one under its name. What the record of the
    first still says of the name counts no more, as long as anything tells whose it is."""
    world.publish(CORE).unlink()
    world.publish(CORE, "mod/2.0.0/core.7z")
    name = world.publish(WRONG)
    other = digest_bytes(WRONG)
    if not is_recorded:
        world.mirror.ledger.update(other.sha256, lambda known: Published(known.sha256))
    if not is_stored:
        world.stored(WRONG).unlink()
    told = world.verify()
    if is_recorded or is_stored:
        assert name.read_bytes() == WRONG
        assert [one.content.sha256 for one in told] == ([] if is_stored else [other.sha256])
        assert world.record(CORE).names == ("mod/2.0.0/core.7z",)
    else:
        assert [one.content.sha256 for one in told] == [digest_bytes(CORE).sha256]


def test_what_was_published_before_there_were_records_gets_one(world: World) -> None:
    names = [world.publish(CORE), world.publish(CORE, "mod/2.0.0/core.7z")]
    world.mirror.ledger.update(digest_bytes(CORE).sha256, lambda known: Published(known.sha256))
    assert list(world.mirror.ledger.all()) == []
    before = world.mirror.ledger.now()
    assert world.verify() == []
    record = world.record(CORE)
    assert record.verified >= before
    digest = digest_bytes(CORE)
    assert (record.size, record.md5, record.urls) == (digest.size, digest.md5, ())
    assert record.names == tuple(world.mirror.name_of(name) for name in names)


def test_what_was_damaged_before_there_were_records_is_told_until_it_is_whole(world: World) -> None:
    name = world.publish(CORE)
    world.mirror.ledger.update(digest_bytes(CORE).sha256, lambda known: Published(known.sha256))
    damage(name, WRONG + b"!")
    for _ in range(2):
        [told] = world.verify()
        assert (told.content.names, told.content.size, told.outcome.is_repaired) == (
            ("mod/1.0.0/core.7z",),
            None,
            False,
        )
    world.publish(CORE, "mod/2.0.0/core.7z")
    assert [told.outcome.is_repaired for told in world.verify()] == [True]
    assert world.is_sound(CORE, name)


def test_contents_that_nobody_published_are_not_read(world: World) -> None:
    name = world.publish(CORE)
    os.link(world.stored(CORE), world.settings.work_path / "held by a conversion")
    name.unlink()
    world.mirror.ledger.update(digest_bytes(CORE).sha256, lambda known: Published(known.sha256))
    assert world.verify() == []
    assert world.read == []


def test_what_cannot_be_read_is_damaged(world: World, host: Host) -> None:
    name = world.publish(CORE, "mod/1.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    verification = world.verification()
    before = Path(name).stat().st_ino

    def broken_disk(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    verification.reader.digest = broken_disk  # type: ignore[method-assign, assignment]
    [told] = verification.run(1)
    assert told.content.damage == "it cannot be read: Input/output error"
    assert told.outcome.is_repaired
    assert name.stat().st_ino != before
    assert world.is_sound(CORE, name)


def test_what_changes_while_it_is_read_has_its_turn_again(world: World) -> None:
    name = world.publish(CORE)
    verification = world.verification()
    verification.reader._rest = lambda _: damage(name, WRONG)
    assert list(verification.run(100)) == []
    assert verification.examined == 0
    assert [told.content.damage for told in world.verify()] == [BYTES]


# Which turn a content has.


def contents(world: World, number: int) -> list[bytes]:
    """So many published contents of ten bytes, the first verified the longest ago."""
    found = [b"%010d" % index for index in range(number)]
    for index, content in enumerate(found):
        world.publish(content, f"mod/{index}.0.0/core.7z")
        world.mirror.ledger.update(
            digest_bytes(content).sha256,
            lambda known, index=index: Published(known.sha256, 10, known.md5, known.names, (), index + 1.0),
        )
    return found


def turns(world: World, size: float) -> list[bytes]:
    """What is read of a mirror with so many bytes allowed."""
    world.read.clear()
    world.verify(size)
    return [content for _, content in world.read]


def test_what_was_not_verified_for_the_longest_time_is_read_first(world: World) -> None:
    found = contents(world, 5)
    assert turns(world, 20) == found[:2]
    assert turns(world, 15) == found[2:4]
    assert turns(world, 1) == found[4:]
    assert turns(world, 1) == found[:1]
    assert turns(world, 0) == []


def test_what_a_wrong_clock_has_stamped_has_its_turn_all_the_same(world: World) -> None:
    """Else everything else would be read again and again before it, for years."""
    found = contents(world, 4)
    stamped, next_year = digest_bytes(found[2]).sha256, world.mirror.ledger.now() + 366 * DAY
    world.mirror.ledger.update(stamped, lambda known: replace(known, verified=next_year))
    assert turns(world, 10) == [found[2]]
    assert world.record(found[2]).verified < next_year
    assert turns(world, 20) == found[:2]


def test_what_has_no_record_and_what_a_look_shows_to_be_damaged_comes_before(world: World) -> None:
    found = contents(world, 5)
    world.mirror.ledger.update(digest_bytes(found[4]).sha256, lambda known: Published(known.sha256))
    damage(world.stored(found[3]), b"short")
    assert set(turns(world, 15)) == {found[4], b"short"}


def test_what_stays_damaged_takes_half_of_the_bytes_at_most(world: World) -> None:
    found = contents(world, 8)
    for content in found[:6]:
        damage(world.stored(content), b"x" * 10)
    assert len(world.verify()) == 6
    read = []
    for _ in range(3):
        told = world.verify(40)
        assert len(told) == 6
        assert sum("not read again" in one.outcome.how for one in told) == 4
        read += world.read[-4:]
    assert sorted(content for _, content in read) == [*sorted(found[6:] * 3), *[b"x" * 10] * 6]
    assert len({path for path, content in read if content == b"x" * 10}) == 6


# At once, and to an untimely end.


def test_only_one_verifies_a_mirror_at_a_time(world: World) -> None:
    damage(world.publish(CORE), WRONG)
    running = world.verification().run(100)
    next(running)
    program = (
        "import sys; from pathlib import Path; from tests.conversion.mirrors import World\n"
        "from knossosd.conversion.verification import UnderWay; from knossosd.settings import Settings\n"
        "try:\n"
        "    World(Settings(MIRROR_PATH=Path(sys.argv[1]), MIRROR_URL='https://mirror.example')).verify()\n"
        "except UnderWay:\n"
        "    print('busy')\n"
    )
    other = [sys.executable, "-c", program, str(world.mirror.path)]
    assert subprocess.run(other, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout == "busy\n"
    with pytest.raises(UnderWay):
        world.verify()
    running.close()
    assert len(world.verify()) == 1


def test_a_verification_that_is_called_off_tells_what_it_found(world: World) -> None:
    found = contents(world, 5)
    damage(world.stored(found[0]), b"x" * 10)

    def check() -> None:
        if len(world.read) == 3:
            raise Cancelled

    world.check = check
    [told] = world.verify()
    assert told.content.names == ("mod/0.0.0/core.7z",)
    assert len(world.read) == 3
    world.check = lambda: None
    assert turns(world, 25)[1:] == found[2:4]


def test_a_repair_that_is_called_off_leaves_nothing(world: World, host: Host) -> None:
    def last_request(request: hosts.Request) -> None:
        world.errand.call_off()
        hosts.drips(request)

    names = [
        world.publish(content, f"mod/{index}.0.0/core.7z", host.link(f"/{index}.7z", last_request))
        for index, content in enumerate((b"a" * 1_000_000, b"b" * 1_000_000))
    ]
    for name in names:
        damage(name, WRONG)

    told = world.verify()
    assert [one.outcome.how for one in told] == ["There was no time for that."] * 2
    assert world.leftovers() == []
    assert len(host.requests) == 1


def test_a_verification_that_is_killed_leaves_nothing_half_done(world: World, host: Host) -> None:
    content = b"a" * 1_000_000
    names = [world.publish(content, f"mod/{index}.0.0/x.7z", host.link("/x.7z", hosts.drips)) for index in range(3)]
    damage(names[0], WRONG)
    program = (
        "import sys; from pathlib import Path; from tests.conversion.mirrors import World\n"
        "from knossosd.settings import Settings\n"
        "World(Settings(MIRROR_PATH=Path(sys.argv[1]), MIRROR_URL='https://mirror.example',\n"
        "               TRUSTED_HOSTS=('127.0.0.1',))).verify()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(world.mirror.path)], cwd=CHECKOUT)
    while not host.requests:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [name.read_bytes() for name in names] == [WRONG] * 3
    host.link("/x.7z", serves(content))
    assert [told.outcome.is_repaired for told in world.verify()] == [True]
    assert world.is_sound(content, *names)


def test_the_usual_limits_of_downloads_hold(world: World, host: Host) -> None:
    link = host.link("/core.7z", hosts.stays_silent)
    world = World(world.settings.model_copy(update={"idle_timeout": 0.2}))
    damage(world.publish(CORE, "mod/1.0.0/core.7z", link), WRONG)
    [told] = world.verify()
    assert "took longer than 0.2 seconds" in told.outcome.how


def test_a_name_that_is_withdrawn_before_it_is_replaced_stays_away(world: World, host: Host) -> None:
    """The conversion that published it fails just after it was found damaged, and another one takes the name."""
    name = world.publish(CORE, "mod/2.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    archive = world.settings.work_path / "archive"
    archive.write_bytes(CORE)
    with world.mirror.publication() as failing:
        for filename in ("core.7z", "gone.7z"):
            failing.publish(archive, digest_bytes(CORE), mod="mod", version="1.0.0", filename=filename)
        damage(name, WRONG)
        record = world.record(CORE)
        found = examine(record, world.mirror, world.verification().reader)
        assert found.names == ("mod/1.0.0/core.7z", "mod/1.0.0/gone.7z", "mod/2.0.0/core.7z")
    taken = world.publish(b"another archive", "mod/1.0.0/core.7z")
    assert world.repair().repair(record, found).is_repaired
    assert world.is_sound(CORE, name)
    assert taken.read_bytes() == b"another archive"
    assert not (world.mirror.path / "mod/1.0.0/gone.7z").exists()
    assert world.verify() == []


def test_a_name_that_was_changed_by_hand_before_it_is_replaced_is_let_alone(world: World, host: Host) -> None:
    name = world.publish(CORE, "mod/2.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    changed = world.publish(CORE, "mod/1.0.0/core.7z")
    damage(name, WRONG)
    record = world.record(CORE)
    found = examine(record, world.mirror, world.verification().reader)
    changed.unlink()
    world.publish(b"another archive", "mod/1.0.0/core.7z")
    outcome = world.repair().repair(record, found)
    assert outcome == (False, "These names were changed meanwhile: mod/1.0.0/core.7z.")
    assert world.is_sound(CORE, name)
    assert changed.read_bytes() == b"another archive"
    assert world.verify() == []
    assert world.record(CORE).names == ("mod/2.0.0/core.7z",)


def test_a_name_that_is_published_while_the_content_is_repaired_is_sound(world: World, host: Host) -> None:
    """The conversion took the damaged content before, and gives it a name at the worst moments."""
    name = world.publish(CORE, "mod/0.0.0/core.7z", host.link("/core.7z", serves(CORE)))
    damage(name, WRONG)
    archives = [world.settings.work_path / f"archive {number}" for number in range(3)]
    for archive in archives:
        os.link(name, archive)

    def publish(number: int) -> None:
        with world.mirror.publication() as publication:
            publication.publish(
                archives[number], digest_bytes(CORE), mod="mod", version=f"{number + 1}.0.0", filename="core.7z"
            )
            publication.keep()

    class Interrupted(Store):
        def restore(self, file: Path, sha256: str) -> None:
            publish(0)
            super().restore(file, sha256)
            publish(1)

    found = examine(world.record(CORE), world.mirror, world.verification().reader)
    repair = world.repair()
    repair._mirror = replace(world.mirror, store=Interrupted(world.mirror.store.folder))
    assert repair.repair(world.record(CORE), found).is_repaired
    publish(2)
    assert world.is_sound(CORE, name, *(world.mirror.path / f"mod/{number}.0.0/core.7z" for number in (1, 2, 3)))


def test_while_names_come_and_go_and_contents_are_damaged_everything_gets_whole(world: World, host: Host) -> None:
    contents = [b"%d" % number * 100_000 for number in range(3)]
    links = [host.link(f"/{number}.7z", serves(content)) for number, content in enumerate(contents)]
    done, told = threading.Event(), []

    def convert(worker: int) -> None:
        for turn in range(25):
            number = turn % len(contents)
            archive = world.settings.work_path / f"{worker}-{turn}"
            archive.write_bytes(contents[number])
            with world.mirror.publication() as publication:
                publication.publish(
                    archive,
                    digest_bytes(contents[number]),
                    mod=f"mod{worker}",
                    version=f"{turn // 6}.0.0",
                    filename=f"{number}.7z",
                    urls=[links[number]],
                )
                if turn % 4:
                    publication.keep()
            archive.unlink()

    def verify() -> None:
        while not done.is_set():
            with suppress(UnderWay):
                told.extend(world.verification().run(1_000_000))

    def rot() -> None:
        number = 0
        while not done.wait(0.02):
            number += 1
            with suppress(FileNotFoundError):
                damage(world.stored(contents[number % 3]), b"rotten" * number)

    world.settings.work_path.mkdir(parents=True)
    converters = [threading.Thread(target=convert, args=(worker,)) for worker in range(3)]
    others = [threading.Thread(target=target) for target in (verify, verify, rot)]
    for thread in [*converters, *others]:
        thread.start()
    for thread in converters:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    world.verify()
    assert world.verify() == []
    assert told
    names = list(world.mirror.names())
    assert names
    for name in names:
        assert any(world.is_sound(content, name) for content in contents if world.stored(content).exists()), name
    recorded = {name for record in world.mirror.ledger.all() for name in record.names}
    assert recorded == {world.mirror.name_of(name) for name in names}
    assert world.leftovers() == []
