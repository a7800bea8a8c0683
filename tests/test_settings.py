"""Settings: whatever is wrong with them is one clear line."""

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knossosd import settings
from knossosd.settings import CHECKOUT, Settings, SettingsError, load, parse


def test_defaults_are_those_of_the_original_server() -> None:
    default = Settings()
    assert (default.result_lifetime, default.task_lifetime, default.max_content_length) == (600, 86400, 1024**3)
    assert default.upload_extensions == {"7z", "rar", "zip", "gz", "xz", "bz2"}
    assert default.api_listen == ("localhost", 8080)
    assert default.redis_url.startswith("unix://")
    assert default.work_path.parts[-2:] == ("var", ".work")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text('port = 9000\nAPI_LISTEN = ("0.0.0.0", port)\nAPI_KEYS = ("a", "b")\nUPLOAD_EXTENSIONS = {"zip"}\n')
    found = load(file)
    assert (found.api_listen, found.api_keys, found.upload_extensions) == (("0.0.0.0", 9000), ("a", "b"), {"zip"})  # noqa: S104


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"API_KYES": ("a",)}, "API_KYES is not a setting"),
        ({"API_KEYS": "abc"}, "API_KEYS"),
        ({"API_LISTEN": "localhost"}, "API_LISTEN"),
        ({"RESULT_LIFETIME": "soon"}, "RESULT_LIFETIME"),
        ({"RESULT_LIFETIME": 0}, "RESULT_LIFETIME"),
        ({"METRICS_NETWORKS": ("10.0.0.0/33",)}, "METRICS_NETWORKS: '10.0.0.0/33' does not appear to be"),
        ({"METRICS_NETWORKS": ("localhost",)}, "METRICS_NETWORKS: 'localhost' does not appear to be"),
        ({"MIRROR_PATH": "x"}, "MIRROR_PATH and MIRROR_URL must be set together"),
        ({"MIRROR_PATH": "x", "MIRROR_URL": "ftp://x"}, "MIRROR_URL: must be an http or https URL"),
        ({"UPLOAD_PATH": "uploads"}, "UPLOAD_PATH needs MIRROR_PATH"),
        ({"TRUSTED_PROXIES": ("proxy.example",)}, "TRUSTED_PROXIES: 'proxy.example' does not appear to be"),
        ({"WATCHER_ORIGINS": ("forum.example",)}, "WATCHER_ORIGINS: forum.example must be like https://forum.example"),
        ({"WATCHER_ORIGINS": ("https://forum.example/",)}, "WATCHER_ORIGINS: https://forum.example/ must be like"),
        ({"WRONG_KEYS": 0}, "WRONG_KEYS"),
        (
            {"UPLOAD_PATH": "../x", "MIRROR_PATH": "x", "MIRROR_URL": "http://x"},
            "UPLOAD_PATH: must be a folder inside MIRROR_PATH",
        ),
    ],
)
def test_what_is_wrong_is_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(values, "conf/settings.py")
    assert str(caught.value).startswith("conf/settings.py: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="MAX_MODS: must be greater than 0; A is not a setting"):
        parse({"MAX_MODS": -1, "A": 1}, "x")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from([*(name.upper() for name in Settings.model_fields), "WS_LISTEN", "X"]), values, max_size=5
    )
)
@pytest.mark.filterwarnings("ignore:WS_LISTEN")
def test_every_file_is_settings_or_one_line(given_values: dict[str, Any]) -> None:
    try:
        found = parse(given_values, "conf/settings.py")
    except SettingsError as error:
        assert str(error).startswith("conf/settings.py: ")
        assert len(str(error).splitlines()) == 1
        return
    for name, field in Settings.model_fields.items():
        if isinstance(found, Settings) and name.upper() not in given_values:
            assert getattr(found, name) == field.default
    assert hash(found) == hash(found)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["A = ", "X", "raise ", "SystemExit", "(", "\n", "1/0", "import ", '"'])).map("".join)
)
@example("raise SystemExit")
@example("\x00")
@example("(" * 1000)
def test_no_text_in_the_file_is_a_traceback(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.py")
        file.write_bytes(text.encode(errors="surrogatepass"))
        try:
            load(file)
        except SettingsError as error:
            assert len(str(error).splitlines()) == 1


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is missing: copy conf/settings\.py\.dist"):
        load(tmp_path / "settings.py")
    for text in ("API_KEYS = (", "1 / 0", "import there_is_no_such_module"):
        (tmp_path / "settings.py").write_text(text)
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            load(tmp_path / "settings.py")
        assert "\n" not in str(caught.value)


def test_ws_listen_is_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="WS_LISTEN is ignored"):
        parse({"WS_LISTEN": ("localhost", 8081)}, "x")


def test_relative_paths_start_at_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = parse({"MIRROR_PATH": "var/mirror", "MIRROR_URL": "http://x/mirror/"}, "x")
    assert found.mirror_path == CHECKOUT / "var" / "mirror"
    assert found.mirror_url == "http://x/mirror"
    assert found.work_path == CHECKOUT / "var" / "mirror" / ".work"


def test_the_environment_names_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOSSOSD_SETTINGS", "/somewhere/else.py")
    assert settings.settings_file() == Path("/somewhere/else.py")


def test_the_template_is_valid_and_names_every_setting() -> None:
    template = CHECKOUT / "conf" / "settings.py.dist"
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z_]+) = ", template.read_text(), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}
    assert load(template).upload_path == "uploads"


def test_the_template_shows_the_true_defaults() -> None:
    template = (CHECKOUT / "conf" / "settings.py.dist").read_text()
    shown = dict(re.findall(r"^# ([A-Z][A-Z_]+) = (.+)$", template, re.MULTILINE))
    for name in shown.keys() - {"REDIS", "SEVENZIP"}:
        default = Settings.model_fields[name.lower()].default
        assert eval(shown[name]) == default, name  # noqa: S307
