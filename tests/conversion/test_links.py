"""Which links are ours and which players get."""

from pathlib import Path

import pytest

from knossosd.conversion.ledger import Ledger
from knossosd.conversion.links import LocalFiles, elsewhere, on_shelf, public_links
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.store import Store

MIRROR = "https://mirror.example/fs2"


def test_the_mirror_comes_last_and_other_places_of_it_go() -> None:
    links = ["https://a.example/core.7z", f"{MIRROR}/uploads/abc", f"{MIRROR}2/core.7z", "file:///tmp/core.7z"]
    assert public_links(links, mirror_url=MIRROR, mirrored=f"{MIRROR}/mod/1.0.0/core.7z") == (
        "https://a.example/core.7z",
        f"{MIRROR}2/core.7z",
        f"{MIRROR}/mod/1.0.0/core.7z",
    )


@pytest.mark.parametrize("host", ["www.mediafire.com", "mediafire.com", "app.box.com", "www.freespacemods.net"])
def test_links_to_download_pages_are_left_out(host: str) -> None:
    assert public_links([f"https://{host}/file/abc"], mirror_url=None, mirrored=None) == ()


def test_a_name_that_only_ends_like_a_page_host_is_kept() -> None:
    link = "https://notmediafire.com/core.7z"
    assert public_links([link], mirror_url=None, mirrored=None) == (link,)


def test_the_first_link_that_names_a_file_of_ours_is_read_from_disk(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, MIRROR, Store(tmp_path / ".store"), Ledger(tmp_path / ".published"))
    (tmp_path / "a b.7z").touch()
    links = ["https://a.example/x.7z", f"{MIRROR}/missing.7z", f"{MIRROR}/a%20b.7z"]
    assert on_shelf(links, [mirror]) == tmp_path / "a b.7z"
    assert on_shelf(links[:2], [mirror]) is None
    assert on_shelf(links, []) is None


def test_links_of_ours_are_never_asked_for(tmp_path: Path) -> None:
    links = ["https://a.example/x.7z", f"{MIRROR}/missing.7z", "file:///x.7z", f"{MIRROR}2/y.7z"]
    assert elsewhere(
        links, [Mirror(tmp_path, MIRROR, Store(tmp_path / ".store"), Ledger(tmp_path / ".published")), LocalFiles()]
    ) == [
        links[0],
        links[3],
    ]


def test_file_links_are_read_only_where_local_files_are_a_shelf(tmp_path: Path) -> None:
    archive = tmp_path / "my mod.7z"
    archive.touch()
    assert on_shelf([archive.as_uri()], [LocalFiles()]) == archive
    assert (
        on_shelf(
            [archive.as_uri()], [Mirror(tmp_path, MIRROR, Store(tmp_path / ".store"), Ledger(tmp_path / ".published"))]
        )
        is None
    )
    assert on_shelf([(tmp_path / "missing").as_uri()], [LocalFiles()]) is None
