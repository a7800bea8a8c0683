"""The records of what was published: whole, and nobody's addition is lost."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from knossosd.conversion.ledger import Ledger, Published
from knossosd.repo.contents import Digest
from knossosd.settings import CHECKOUT

SHA256 = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "mirror" / ".published")


def test_a_record_is_found_as_it_was_written(ledger: Ledger) -> None:
    assert ledger.find(SHA256) is None
    assert list(ledger.all()) == []
    record = Published(SHA256, 5, "md5", ("mod/1.0.0/ä.7z",), ("https://host.example/ä.7z",), 12.5, "is damaged")
    ledger.update(SHA256, lambda _: record)
    assert ledger.find(SHA256) == record
    assert list(ledger.all()) == [record]


def test_a_record_without_names_is_removed(ledger: Ledger) -> None:
    ledger.update(SHA256, lambda new: new.with_names("a", "b"))
    ledger.update(SHA256, lambda known: known.without_names("a"))
    assert ledger.find(SHA256) == Published(SHA256, names=("b",))
    ledger.update(SHA256, lambda known: known.without_names("b", "c"))
    assert ledger.find(SHA256) is None
    ledger.update(SHA256, lambda new: new)
    assert list(ledger.all()) == []


def test_the_newest_links_come_first() -> None:
    record = Published(SHA256, urls=("a", "b")).with_urls("c", "b")
    assert record.urls == ("c", "b", "a")


@pytest.mark.parametrize(
    ("record", "fits"),
    [
        (Published("s", 1, "m"), True),
        (Published("s"), True),
        (Published("s", 2, "m"), False),
        (Published("s", 1, "n"), False),
        (Published("t"), False),
    ],
)
def test_a_content_is_the_published_one_when_all_that_is_known_agrees(record: Published, fits: bool) -> None:
    assert record.is_of(Digest(1, "m", "s")) is fits


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": "x"}', '{"sha256": "x", "names": 5, "urls": []}'])
def test_a_record_that_cannot_be_read_is_left_out_and_written_anew(ledger: Ledger, content: str) -> None:
    ledger.update(SHA256, lambda new: new.with_names("a"))
    [path] = ledger.folder.glob("??/*.json")
    path.write_text(content)
    assert ledger.find(SHA256) is None
    assert list(ledger.all()) == []
    ledger.update(SHA256, lambda new: new.with_names("b"))
    assert ledger.find(SHA256) == Published(SHA256, names=("b",))


def test_what_a_newer_version_says_as_well_costs_nothing_of_the_rest(ledger: Ledger) -> None:
    """Neither links nor names could be found out again."""
    record = Published(SHA256, 5, "md5", ("a",), ("https://host.example/a",), 12.5)
    ledger.update(SHA256, lambda _: record)
    [path] = ledger.folder.glob("??/*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "signed_by": "somebody"}))
    assert ledger.find(SHA256) == record
    assert ledger.update(SHA256, lambda known: known.with_names("b")).urls == record.urls


def test_a_change_that_fails_changes_nothing_and_lets_go(ledger: Ledger) -> None:
    ledger.update(SHA256, lambda new: new.with_names("a"))

    def fail(_: Published) -> Published:
        raise ValueError("oops")

    with pytest.raises(ValueError, match="oops"):
        ledger.update(SHA256, fail)
    ledger.update(SHA256, lambda known: known.with_names("b"))
    assert ledger.find(SHA256) == Published(SHA256, names=("a", "b"))


def add_links(folder: Path, name: str) -> None:
    """Add 25 links, one by one."""
    for number in range(25):
        link = f"{name} {number}"
        Ledger(folder).update(SHA256, lambda known, link=link: known.with_urls(link).with_names("a"))


def test_of_many_changes_at_once_none_is_lost(ledger: Ledger) -> None:
    """By the threads of this process and by other processes."""
    program = (
        "import sys; from pathlib import Path; from tests.conversion.test_ledger import add_links\n"
        "add_links(Path(sys.argv[1]), sys.argv[2])\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(ledger.folder), f"process {number}"], cwd=CHECKOUT)
        for number in range(2)
    ]

    threads = [threading.Thread(target=add_links, args=(ledger.folder, f"thread {number}")) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    record = ledger.find(SHA256)
    assert record is not None
    assert len(record.urls) == 100


def test_whoever_is_killed_in_the_middle_leaves_the_record_whole_and_free(ledger: Ledger) -> None:
    ledger.update(SHA256, lambda new: new.with_names("a"))
    program = (
        "import sys; from pathlib import Path; from knossosd.conversion.ledger import Ledger\n"
        "def change(known):\n"
        "    print('changing', flush=True)\n"
        "    sys.stdin.read()\n"
        f"Ledger(Path(sys.argv[1])).update('{SHA256}', change)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(ledger.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "changing\n"
    changed = threading.Thread(target=lambda: ledger.update(SHA256, lambda known: known.with_names("b")))
    changed.start()
    assert ledger.find(SHA256) == Published(SHA256, names=("a",))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    changed.join(30)
    assert ledger.find(SHA256) == Published(SHA256, names=("a", "b"))


def test_what_a_crash_left_of_a_record_is_written_over(ledger: Ledger) -> None:
    ledger.update(SHA256, lambda new: new.with_names("a"))
    [path] = ledger.folder.glob("??/*.json")
    path.with_suffix(".new").write_text(json.dumps({"half": "a record"})[:5])
    assert [record.names for record in ledger.all()] == [("a",)]
    ledger.update(SHA256, lambda known: known.with_names("b"))
    assert [other.name for other in path.parent.iterdir()] == [path.name]
