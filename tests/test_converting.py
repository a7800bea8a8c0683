"""The border between a conversion and the ticket's end: what a worker records, whatever goes wrong around it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.mirror import Publication
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.toolbox import Toolbox
from knossosd.converting import Converter
from knossosd.faults import Code
from knossosd.settings import Settings
from knossosd.tickets.ending import cancel
from knossosd.tickets.store import Tickets
from tests import archives, hosts
from tests.checkouts import a_document
from tests.tickets.steps import claimed, found

Submit = Callable[[], int]


@pytest.fixture
def converter(redis_client: redis.Redis, settings: Settings) -> Converter:
    return Converter(Tickets(redis_client, settings), Toolbox.from_settings(settings, LocalLeases()))


@pytest.fixture
def document(host: hosts.Host, tmp_path: Path) -> str:
    content = archives.pack(tmp_path / "core.7z", archives.SAMPLE).read_bytes()
    return json.dumps(a_document(host.link("/core.7z", hosts.serves(content))))


def test_what_was_recorded_holds_whatever_happens_then(
    converter: Converter, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller has to see to the webhook, now and not when upkeep looks next."""

    def keep(_: Publication) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Publication, "keep", keep)
    receipt = converter.tickets.create(document, title="", webhook="https://site.example/")
    with claimed(converter.tickets, receipt) as execution:
        outcome, ended = converter.conclude(execution)
    assert outcome.result
    assert ended.delivery == found(converter.tickets, receipt).ending
    assert found(converter.tickets, receipt).success


def test_what_came_too_late_leaves_nothing(converter: Converter, document: str, settings: Settings) -> None:
    receipt = converter.tickets.create(document, title="")
    execution = claimed(converter.tickets, receipt)
    assert cancel(converter.tickets, found(converter.tickets, receipt))
    with pytest.raises(Cancelled):
        converter.conclude(execution)
    assert settings.mirror_path
    assert list(settings.mirror_path.glob("my_mod/*/*")) == []


def test_a_document_that_is_not_taken_any_more_fails_with_that_reason(converter: Converter) -> None:
    receipt = converter.tickets.create("{", title="")
    with claimed(converter.tickets, receipt) as execution:
        outcome, _ = converter.conclude(execution)
    assert [error.code for error in outcome.errors] == [Code.NOT_JSON]
