"""What users rely on is documented: a setting, route, command, event or code that is not fails here."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import bottle
import pytest

from knossosd.cli.app import app as command_line
from knossosd.faults import Code
from knossosd.settings import CHECKOUT, Settings
from knossosd.web import metrics
from knossosd.web.metrics import Described
from knossosd.web.sections import Section

DOCS = CHECKOUT / "docs"


def text(*names: str) -> str:
    return "\n".join((CHECKOUT / name).read_text() for name in names)


LARGEST_PICTURE = 150_000


def test_every_picture_is_small_and_shown() -> None:
    pages = [CHECKOUT / "README.md", *DOCS.glob("*.md")]
    shown = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())
    }
    pictures = set((DOCS / "screenshots").iterdir())
    assert shown == pictures
    assert all(0 < picture.stat().st_size < LARGEST_PICTURE for picture in pictures)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is(name: str) -> None:
    field = Settings.model_fields[name]
    assert f"| `{name.upper()}` | {field.description} | " in text("docs/settings.md")


def test_no_setting_is_documented_that_there_is_not() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` ", text("docs/settings.md"), re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("code", Code)
def test_every_code_is_documented(code: Code) -> None:
    assert f"| `{code.value}` | " in text("docs/faults.md")


@pytest.mark.parametrize("code", Code)
def test_every_code_is_used(code: Code) -> None:
    sources = [path.read_text() for path in (CHECKOUT / "knossosd").rglob("*.py") if path.name != "faults.py"]
    assert any(f"Code.{code.name}" in source for source in sources)


def test_every_route_is_documented(routes: list[bottle.Route]) -> None:
    documented = text("docs/api.md")
    for route in routes:
        path = re.sub(r"<(\w+)(:\w+)?>", r"<\1>", route.rule)
        assert path in documented, f"{route.method} {path}"


def verbs() -> Iterator[str]:
    for command in command_line.registered_commands:
        yield command.name or command.callback.__name__
    for group in command_line.registered_groups:
        for command in group.typer_instance.registered_commands:
            yield f"{group.name} {command.name or command.callback.__name__}"


@pytest.mark.parametrize("verb", list(verbs()))
def test_every_command_is_documented(verb: str) -> None:
    assert f"`{verb}`" in text("docs/operations.md")


@pytest.mark.parametrize(
    "event",
    [
        "log_message",
        "progress",
        "files",
        "file",
        "captcha",
        "captcha_over",
        "task_status",
        "done",
        "user_ready",
        "captcha_response",
    ],
)
def test_every_event_is_documented(event: str) -> None:
    assert f"| `{event}` | " in text("docs/api.md")


@pytest.mark.parametrize("event", [*Section, "you", "trouble"])
def test_every_event_of_the_monitor_is_documented(event: str) -> None:
    assert f"| `{event}` | " in text("docs/api.md")


METRIC = re.compile(r"^\| `(knossosd_\w+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)


def told(described: Described, counters: Collection[Described]) -> tuple[str, str, str]:
    """The metric as Prometheus sees it, and as a table has it."""
    labels = ", ".join(f"`{label}`" for label in described.labels)
    return f"knossosd_{described.name}{'_total' if described in counters else ''}", described.help, labels


def test_every_metric_is_documented_as_it_is_and_no_other() -> None:
    described = [value for value in vars(metrics).values() if isinstance(value, Described)]
    expected = {told(one, metrics.COUNTERS) for one in (*described, *metrics.COUNTERS)}
    assert len(expected) == len(described) + len(metrics.COUNTERS)
    assert set(METRIC.findall(text("docs/metrics.md"))) == expected


def expressions(part: Any) -> Iterator[str]:
    """Every query in a part of the dashboard."""
    if isinstance(part, dict):
        yield from (part[name] for name in ("expr", "definition") if name in part)
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from expressions(inner)


def test_the_dashboard_shows_every_metric_and_none_that_there_is_not() -> None:
    names = {name for name, *_ in METRIC.findall(text("docs/metrics.md"))}
    durations = {f"knossosd_stage_duration_seconds_{part}" for part in ("bucket", "sum", "count")}
    dashboard = json.loads(text("docs/grafana.json"))
    shown = {name for one in expressions(dashboard) for name in re.findall(r"\bknossosd_\w+", one)}
    assert shown == names - {"knossosd_stage_duration_seconds"} | durations


def test_the_dashboard_asks_for_labels_that_there_are() -> None:
    known = {label for _, _, labels in METRIC.findall(text("docs/metrics.md")) for label in re.findall(r"\w+", labels)}
    for one in expressions(json.loads(text("docs/grafana.json"))):
        assert one.count("(") == one.count(")")
        for asked in re.findall(r"by \(([^)]*)\)", one):
            assert {label.strip() for label in asked.split(",")} <= known | {"le"}, one
        for asked in re.findall(r"(\w+)=~?\"", one):
            assert asked in known | {"instance"}, one


def test_no_panel_of_the_dashboard_hides_another() -> None:
    panels = json.loads(text("docs/grafana.json"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = Counter(
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    )
    assert set(taken.values()) == {1}
    assert {x for x, _ in taken} == set(range(24))


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)#:]+)\)", path.read_text())


@pytest.mark.parametrize("path", [CHECKOUT / "README.md", *DOCS.glob("*.md")], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    missing: list[Any] = [link for link in links(path) if not (path.parent / link).exists()]
    assert missing == []


def test_every_test_that_holds_a_promise_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", text("docs/security.md")))
    assert named
    assert {name for name in named if not (CHECKOUT / name).is_file()} == set()


def test_every_promise_names_its_tests() -> None:
    promises = text("docs/security.md").partition("## Outgoing requests")[2]
    rows = [row for row in promises.splitlines() if row.startswith("| ") and row != "| promise | tests |"]
    assert [row for row in rows if "`tests/" not in row.rsplit("|", 2)[1]] == []


def test_every_dependency_is_pinned_with_its_reason() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (CHECKOUT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert re.fullmatch(r"[\w.-]+==[\w.]+ +# .{10,}", line), line
