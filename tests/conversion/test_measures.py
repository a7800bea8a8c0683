"""What a conversion tells of its cost, and of what it was spared."""

from collections import Counter
from pathlib import Path

import pytest

from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.observer import TIMES, Measure
from knossosd.conversion.toolbox import Toolbox
from knossosd.settings import Settings
from tests.conversion.test_pipeline import Recorder, plain
from tests.conversion.test_twice import archive, confirms, run
from tests.hosts import Host, drops, says, serves

__all__ = ["plain"]


@pytest.fixture
def tools(plain: Settings) -> Toolbox:
    return Toolbox.from_settings(plain, LocalLeases())


def measured(tools: Toolbox, *links: str, version: str = "1.0.0") -> dict[Measure, float]:
    """What the conversion measured: sums of amounts, and of durations how many there were."""
    observer = Recorder()
    run(tools, *links, version=version, observer=observer)
    found: Counter[Measure] = Counter()
    for measure, amount in observer.measures:
        found[measure] += 1 if measure in TIMES else int(amount)
    return {measure: amount for measure, amount in found.items() if amount}


def test_what_is_new_is_downloaded_inspected_and_published(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    contents = [archive(tmp_path, letter * 1000) for letter in (b"x", b"y")]
    links = [host.link(f"/{number}.zip", serves(content)) for number, content in enumerate(contents)]
    assert measured(tools, *links) == {
        Measure.DOWNLOADING: 2,
        Measure.DOWNLOADED: sum(map(len, contents)),
        Measure.LINK_CHANGED: 2,
        Measure.CONTENT_NEW: 2,
        Measure.MANIFEST_NEW: 2,
        Measure.INSPECTING: 2,
        Measure.INSPECTED: 2000,
        Measure.PUBLISHING: 1,
        Measure.MIRRORED: sum(map(len, contents)),
    }


def test_what_is_known_costs_nothing(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    content = archive(tmp_path)
    link = host.link("/a.zip", confirms(content))
    measured(tools, link)
    again = measured(tools, link)
    assert again == {Measure.LINK_UNCHANGED: 1, Measure.MANIFEST_KNOWN: 1, Measure.PUBLISHING: 1}
    renamed = measured(tools, link, version="2.0.0")
    assert renamed == {**again, Measure.MIRRORED: len(content)}


def test_what_is_stored_already_is_not_stored_again(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    content = archive(tmp_path)
    measured(tools, host.link("/a.zip", serves(content)))
    again = measured(tools, host.link("/b.zip", serves(content)), version="2.0.0")
    assert (again[Measure.LINK_CHANGED], again[Measure.CONTENT_STORED], again[Measure.MANIFEST_KNOWN]) == (1, 1, 1)
    assert Measure.CONTENT_NEW not in again


def test_a_file_of_the_mirror_is_digested_once(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    measured(tools, host.link("/a.zip", serves(archive(tmp_path))))
    own = "https://mirror.example/fs2/my_mod/1.0.0/0.zip"
    first, second = measured(tools, own, version="2.0.0"), measured(tools, own, version="3.0.0")
    assert (first[Measure.FILE_NEW], second[Measure.FILE_KNOWN]) == (1, 1)
    assert Measure.DOWNLOADED not in first


def test_bytes_count_that_came_in_vain_and_nothing_else(host: Host, tools: Toolbox, tmp_path: Path) -> None:
    content = archive(tmp_path)
    cut_off = host.link("/a.zip", drops(content, after=100, ETag=None, Accept_Ranges=None))
    assert measured(tools, cut_off) == {Measure.DOWNLOADED: 100}
    assert measured(tools, host.link("/b.zip", says(404))) == {}


def test_an_archive_that_cannot_be_read_is_not_inspected(host: Host, tools: Toolbox) -> None:
    told = measured(tools, host.link("/a.zip", serves(b"not an archive")))
    assert set(told) == {
        *(Measure.DOWNLOADING, Measure.DOWNLOADED, Measure.LINK_CHANGED, Measure.CONTENT_NEW, Measure.MANIFEST_NEW),
    }
