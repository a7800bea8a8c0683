"""Making a checkout ready to run."""

import secrets
from pathlib import Path

from knossosd.cli.exits import Exit, Stop
from knossosd.settings import CHECKOUT, VAR, SettingsError, load, settings_file, socket_path

TEMPLATE = CHECKOUT / "conf" / "settings.py.dist"


def run(port: int | None) -> None:
    """Write the settings file with a freshly drawn key when there is none, and make `var/`.

    With a `port`, a fresh settings file gets it; an existing file keeps its own, so another port is refused.
    """
    try:
        socket_path("supervisor.sock")
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
    for folder in (VAR, VAR / "log"):
        folder.mkdir(mode=0o700, exist_ok=True)
    path = settings_file()
    if not path.exists():
        _write_settings(path, port or 8080)
    elif port is not None and load(path).api_listen[1] != port:
        raise Stop(Exit.INVALID, f"{path} exists and names another port: change it there.")


def announce() -> str:
    """The address and the first key of this installation, for who has just started it."""
    try:
        settings = load(settings_file())
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
    host, port = settings.api_listen
    key = settings.api_keys[0] if settings.api_keys else "(none: add one to API_KEYS)"
    return f"http://{host}:{port}\n{key}"


def _write_settings(path: Path, port: int) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("@KEY@", secrets.token_urlsafe(24)).replace("port = 8080", f"port = {port}", 1)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
