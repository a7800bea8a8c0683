"""What does not stay goes, as it was told before, and by the right clock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from knossosd.conversion import tidying, workspace
from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_bytes, digest_file
from knossosd.conversion.parts import PartFiles
from knossosd.conversion.store import Store
from knossosd.conversion.uploads import Uploads
from knossosd.conversion.workspace import LOCK
from knossosd.settings import CHECKOUT, Settings, load

FAST = """if True:
    import sys, time
    from pathlib import Path
    right = time.time
    time.time = lambda: right() + 10 * 366 * 86400
    from knossosd.conversion import tidying
    from knossosd.settings import load
    found = tidying.tidy(load(Path(sys.argv[1])), tuple)
    print([str(one.path) for part in found.values() for one in part])
"""
"""A sweep on a host whose clock is ten years ahead."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "settings.py"
    mirror = {"MIRROR_PATH": str(tmp_path / "mirror"), "MIRROR_URL": "https://m.example", "UPLOAD_PATH": "up"}
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in {**mirror, "CACHE_SIZE": 1}.items()))
    return load(file)


def store(settings: Settings, content: bytes) -> Path:
    """Have a content stored that nobody else holds."""
    coming = settings.work_path / "coming"
    coming.parent.mkdir(parents=True, exist_ok=True)
    coming.write_bytes(content)
    Store(settings.store_path).keep(coming, digest_bytes(content))
    coming.unlink()
    return Store(settings.store_path).place(digest_bytes(content).sha256)


def test_a_host_whose_clock_is_wrong_takes_nothing_of_the_others(settings: Settings, tmp_path: Path) -> None:
    uploads = Uploads.from_settings(settings)
    assert uploads
    store(settings, b"of a failed conversion")
    coming = settings.work_path / "upload-coming"
    coming.write_bytes(b"upload")
    uploads.publish(coming, digest_file(coming))
    (settings.work_path / "convert-just-made").mkdir()
    PartFiles.from_settings(settings).reserve("parts", 100)
    before = sorted(tmp_path.rglob("*"))
    swept = subprocess.run(
        [sys.executable, "-c", FAST, tmp_path / "settings.py"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert swept.stdout == "[]\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_what_goes_is_what_was_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed worker held is protected from the moment its work is removed: that must not drive others out."""
    monkeypatch.setattr(workspace, "GRACE", -1)
    settings = settings.model_copy(update={"store_protection": 1e9, "cache_size": 1000})
    Cache(settings.cache_path).remember("links", "x", {"long": "x" * 800})
    work = settings.work_path / "convert-killed"
    work.mkdir(parents=True)
    (work / LOCK).touch()
    os.link(store(settings, b"x" * 900), work / "archive")

    def told(found: tidying.Found) -> dict[str, list[Path]]:
        return {what: [one.path for one in part] for what, part in found.items()}

    would = told(tidying.superfluous(settings, tuple))
    assert would["pieces of abandoned work"] == [work]
    assert told(tidying.tidy(settings, tuple)) == would


def test_uploads_stay_when_nobody_knows_what_is_to_be_converted(settings: Settings) -> None:
    settings = settings.model_copy(update={"upload_lifetime": -1})
    uploads = Uploads.from_settings(settings)
    assert uploads
    coming = settings.work_path / "upload-coming"
    coming.parent.mkdir(parents=True)
    coming.write_bytes(b"upload")
    uploads.publish(coming, digest_file(coming))
    coming.unlink()
    assert tidying.superfluous(settings, None)["unused uploads"] == []
    assert tidying.tidy(settings, None)["unused uploads"] == []
    assert len(tidying.superfluous(settings, tuple)["unused uploads"]) == 1
