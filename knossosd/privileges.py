"""As whom the programs run, and what nobody else on this machine may read.

Archives and documents come from strangers, so nothing that reads them should be root. Whatever root starts becomes the
user that `RUN_AS` names before it does anything else, and without that says loudly that it did not. `RUN_AS = "root"`
says that it is meant.

    python -m knossosd.privileges PROGRAM …     run a program as that user; launch.sh starts over with it
"""

import logging
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from knossosd.settings import CHECKOUT, VAR, Settings, SettingsError, current, settings_file

log = logging.getLogger(__name__)

STAYS_ROOT = "privileges were not dropped, everything runs as root: name a user in RUN_AS"

CLOSED, PASSABLE = 0o700, 0o711
"""Modes of folders: for the owner alone, and for others who know a name inside to go through."""

PRIVATE, SHARED = 0o600, 0o640
ANYBODY = 0o007
"""The bits of a mode that are for everybody else. A group may be let in on purpose."""


def begin(settings: Settings) -> None:
    """What every program begins with: closes `var/`, and becomes the user that it should run as.

    Raises `SettingsError` when that user cannot work here.
    """
    make_var(settings)
    if stays_root(settings):
        log.warning("%s", STAYS_ROOT)
    for path in exposed():
        log.warning("everybody on this machine can read %s: chmod 600 it", path)
    drop(settings)


def drop(settings: Settings) -> None:
    """Become the user of `RUN_AS` for good, if we are root and it is another one. Raises `SettingsError`."""
    user = successor(settings.run_as)
    if user is None:
        return
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    for place in (Path(os.__file__), CHECKOUT / "knossosd" / "__init__.py"):
        if not os.access(place, os.R_OK):
            raise SettingsError(f"RUN_AS: {user.pw_name} cannot read {place}: put it where everybody gets to")
    for folder in (settings.mirror_path, *VAR.glob("*/")):
        if folder and folder.exists() and not os.access(folder, os.W_OK):
            raise SettingsError(_not_theirs(user, folder))


def successor(run_as: str | None) -> pwd.struct_passwd | None:
    """The user that root has to become; None when we are not root, or stay it. Raises `SettingsError`."""
    if os.geteuid() != 0 or run_as is None:
        return None
    try:
        user = pwd.getpwnam(run_as)
    except KeyError:
        raise SettingsError(f"RUN_AS: there is no user {run_as}") from None
    return user if user.pw_uid else None


def user_name() -> str:
    """As whom this process runs."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # containers have users without names
        return str(os.geteuid())


def stays_root(settings: Settings) -> bool:
    """Whether everything runs as root, and nobody said that it should."""
    return os.geteuid() == 0 and settings.run_as is None


def make_var(settings: Settings) -> None:
    """Make `var/` and `var/log/`, or close them to others, but for a mirror inside. Raises `SettingsError`."""
    user = successor(settings.run_as)
    has_mirror = settings.mirror_path is not None and settings.mirror_path.is_relative_to(VAR)
    for folder, mode in ((VAR, PASSABLE if has_mirror else CLOSED), (VAR / "log", CLOSED)):
        if not folder.exists():
            folder.mkdir(mode)
            if user:
                os.chown(folder, user.pw_uid, user.pw_gid)
        status = folder.stat()
        if user and status.st_uid != user.pw_uid:
            raise SettingsError(_not_theirs(user, VAR))
        if status.st_mode & 0o777 != mode and status.st_uid == os.geteuid():
            folder.chmod(mode)


def exposed() -> list[Path]:
    """The files with keys that everybody on this machine can read or write."""
    return [path for path in _secrets() if path.stat().st_mode & ANYBODY]


def close_secrets(settings: Settings) -> None:
    """Let only their owner read the files with keys that are ours, and the group of the user that root becomes."""
    user = successor(settings.run_as)
    for path in _secrets():
        status = path.stat()
        if user and status.st_uid != user.pw_uid:
            os.chown(path, -1, user.pw_gid)
            path.chmod(SHARED)
        elif status.st_mode & ANYBODY and status.st_uid == os.geteuid():
            path.chmod(status.st_mode & 0o777 & ~ANYBODY)


def open_private(path: Path, run_as: str | None = None) -> IO[str]:
    """Open a text file for writing that only whoever the programs run as may read, also when root makes it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    file = os.fdopen(os.open(path, flags, PRIVATE), "w", encoding="utf-8")
    if user := successor(run_as):
        os.fchown(file.fileno(), user.pw_uid, user.pw_gid)
    return file


def _secrets() -> Iterator[Path]:
    for path in (settings_file(), settings_file().with_name("keys.json")):
        if path.is_file() and not path.is_symlink():
            yield path


def _not_theirs(user: pwd.struct_passwd, place: Path) -> str:
    return f"RUN_AS: {place} does not belong to {user.pw_name}: chown -R {user.pw_name} {place}"


if __name__ == "__main__":
    try:
        drop(current())
    except SettingsError as error:
        sys.exit(str(error))
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
