"""Making a checkout ready to run."""

import secrets
from pathlib import Path

from knossosd import privileges
from knossosd.cli.exits import Exit, Stop
from knossosd.settings import CHECKOUT, SettingsError, load, settings_file, socket_path

TEMPLATE = CHECKOUT / "conf" / "settings.py.dist"


def run(port: int | None) -> None:
    """Write the settings file with a freshly drawn key when there is none, make `var/`, and close both to others.

    With a `port`, a fresh settings file gets it; an existing file keeps its own, so another port is refused.
    """
    path = settings_file()
    try:
        socket_path("supervisor.sock")
        if not path.exists():
            _write_settings(path, port or 8080)
        settings = load(path)
        privileges.make_var(settings)
        privileges.close_secrets(settings)
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
    if port is not None and settings.api_listen[1] != port:
        raise Stop(Exit.INVALID, f"{path} exists and names another port: change it there.")


def announce() -> str:
    """Three lines for who starts this installation: its address, its first key, and the user that root has to become.

    In place of the user stands `-` when it runs as who starts it, and `root` when that is root and nobody meant it.
    """
    try:
        settings = load(settings_file())
        user = privileges.successor(settings.run_as)
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
    host, port = settings.api_listen
    key = settings.api_keys[0] if settings.api_keys else "(none: add one to API_KEYS)"
    as_whom = user.pw_name if user else "root" if privileges.stays_root(settings) else "-"
    return f"http://{host}:{port}\n{key}\n{as_whom}"


def _write_settings(path: Path, port: int) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("@KEY@", secrets.token_urlsafe(24)).replace("port = 8080", f"port = {port}", 1)
    with privileges.open_private(path) as file:
        file.write(text)
