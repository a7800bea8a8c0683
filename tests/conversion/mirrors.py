"""A mirror with published contents, and what may happen to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knossosd.conversion.cache import Cache
from knossosd.conversion.digest import digest_bytes
from knossosd.conversion.errand import Errand
from knossosd.conversion.examination import Reader
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.ledger import Published
from knossosd.conversion.manifests import Manifests
from knossosd.conversion.mirror import Mirror
from knossosd.conversion.repair import Repair
from knossosd.conversion.verification import Damage, Verification
from knossosd.conversion.workspace import workspace
from knossosd.settings import Settings


def nothing() -> None:
    """A check that nobody calls off."""


@dataclass
class World:
    """The mirror of the `settings`."""

    settings: Settings
    check: Callable[[], None] = nothing
    errand: Errand = field(default_factory=Errand)
    read: list[tuple[Path, bytes]] = field(default_factory=list)
    """The files that verifications read, in order, and what was in them then."""

    def __post_init__(self) -> None:
        found = Mirror.from_settings(self.settings)
        assert found is not None
        self.mirror = found
        self.manifests = Manifests(Cache(self.settings.cache_path))

    def publish(self, content: bytes, name: str = "mod/1.0.0/core.7z", *urls: str) -> Path:
        """Publish the content as a conversion does; returns the file with its public name."""
        mod, version, filename = name.split("/")
        with workspace(self.settings.work_path) as folder, self.mirror.publication() as publication:
            (folder / "archive").write_bytes(content)
            link = publication.publish(
                folder / "archive", digest_bytes(content), mod=mod, version=version, filename=filename, urls=urls
            )
            publication.keep()
        return self.mirror.path / link.removeprefix(f"{self.mirror.url}/")

    def verification(self, repair: bool = True) -> Verification:
        """A verification that notes what it reads."""
        reader, read = Reader(self.check, lambda _: None), self.read
        digest = reader.digest

        def noting(path, seal):  # type: ignore[no-untyped-def]
            read.append((path, path.read_bytes()))
            return digest(path, seal)

        reader.digest = noting  # type: ignore[method-assign]
        return Verification(self.mirror, self.manifests, reader, self.repair() if repair else None)

    def repair(self) -> Repair:
        return Repair.from_settings(self.settings, self.mirror, LocalLeases(), self.errand)

    def verify(self, size: float = float("inf"), repair: bool = True) -> list[Damage]:
        return list(self.verification(repair).run(size))

    def record(self, content: bytes) -> Published:
        found = self.mirror.ledger.find(digest_bytes(content).sha256)
        assert found is not None
        return found

    def stored(self, content: bytes) -> Path:
        """Where the content is stored, if it is."""
        return self.mirror.store.place(digest_bytes(content).sha256)

    def is_sound(self, content: bytes, *names: Path) -> bool:
        """Whether all these are links of the stored content, which is what was published."""
        stored = self.stored(content)
        return stored.read_bytes() == content and all(stored.samefile(name) for name in names)

    def leftovers(self) -> list[Path]:
        """What must not be left: work in progress, and hidden files among the public ones."""
        hidden = list(self.mirror.path.glob("[!.]*/**/.*"))
        return [*self.settings.work_path.iterdir(), *hidden]


def damage(file: Path, content: bytes) -> None:
    """Write into a file behind everybody's back, so all its names have other bytes."""
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()
    file.chmod(0o444)


def outcomes(damages: Sequence[Damage]) -> list[tuple[tuple[str, ...], str, bool]]:
    """What is told: names, what is wrong, and whether it was repaired."""
    return [(one.content.names, one.content.damage, one.outcome.is_repaired) for one in damages]
