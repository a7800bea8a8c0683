"""Verifying the mirror at the command line."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from knossosd.settings import load
from tests import hosts
from tests.cli.test_app import verb
from tests.conversion.mirrors import World, damage
from tests.hosts import Host

CORE, WRONG = b"the core archive", b"THE core archive"


class Installation(World):
    """The mirror of a settings file, as the verbs see it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.file = folder / "settings.py"
        values = {
            "MIRROR_PATH": str(folder / "mirror"),
            "MIRROR_URL": "https://mirror.example",
            "TRUSTED_HOSTS": ("127.0.0.1",),
            "DOWNLOAD_ATTEMPTS": 1,
            **settings,
        }
        self.file.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
        super().__init__(load(self.file))

    def tell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return verb("verify", *arguments, settings=str(self.file))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_a_sound_mirror_is_code_0(installation: Installation) -> None:
    installation.publish(CORE)
    done = installation.tell()
    assert (done.returncode, done.stdout) == (0, "Verified 1 published files, 16 bytes: 0 damaged, 0 repaired.\n")
    assert json.loads(installation.tell("--all", "--json").stdout) == {"examined": 1, "bytes": 16, "damaged": []}


def test_what_is_damaged_is_shown_and_repaired_with_code_1(installation: Installation, host: Host) -> None:
    link = host.link("/core.7z", hosts.serves(CORE))
    name = installation.publish(CORE, "mod/1.0.0/core.7z", link)
    damage(name, WRONG)
    told = "mod/1.0.0/core.7z: its bytes are not the ones that were published"
    done = installation.tell("--no-repair")
    assert done.returncode == 1
    assert f"{told}; not repaired. Nothing was tried.\n" in done.stdout
    assert name.read_bytes() == WRONG
    done = installation.tell()
    assert done.returncode == 1
    assert f"{told}; repaired. It came from {link}.\n" in done.stdout
    assert done.stdout.endswith("1 damaged, 1 repaired.\n")
    assert installation.is_sound(CORE, name)
    assert installation.tell().returncode == 0


def test_what_stays_damaged_is_told_to_programs(installation: Installation) -> None:
    damage(installation.publish(CORE), WRONG)
    for _ in range(2):
        done = installation.tell("--json")
        assert done.returncode == 1
        [told] = json.loads(done.stdout)["damaged"]
        assert told == {
            "sha256": installation.stored(CORE).name,
            "size": 16,
            "names": ["mod/1.0.0/core.7z"],
            "damage": "its bytes are not the ones that were published",
            "repaired": False,
            "outcome": "No link is known that leads to it.",
        }


def test_a_part_is_read_unless_all_is_asked_for(tmp_path: Path) -> None:
    installation = Installation(tmp_path, VERIFY_SIZE=1)
    for number in range(3):
        installation.publish(b"%d" % number * 10, f"mod/{number}.0.0/core.7z")
    assert json.loads(installation.tell("--json").stdout)["bytes"] == 10
    assert json.loads(installation.tell("--json", "--all").stdout)["bytes"] == 30


def test_a_mirror_that_is_being_verified_is_code_1(installation: Installation) -> None:
    damage(installation.publish(CORE), WRONG)
    running = installation.verification(repair=False).run(100)
    next(running)
    done = installation.tell()
    assert (done.returncode, done.stderr.strip()) == (1, "The mirror is being verified already.")
    running.close()


def test_without_a_mirror_it_is_code_2(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("")
    done = verb("verify", settings=str(tmp_path / "settings.py"))
    assert (done.returncode, done.stderr.strip()) == (2, "The settings name no mirror that could be verified.")
