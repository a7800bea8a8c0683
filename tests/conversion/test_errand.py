"""Whoever waits for something hears at once that the errand was called off."""

import threading
from collections.abc import Callable, Iterator

import pytest

from knossosd.conversion.errand import Errand, checked
from knossosd.conversion.observer import Cancelled


class TooLate(Exception):
    """The time is over."""


@pytest.fixture
def errand() -> Errand:
    return Errand()


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What comes only when the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Do something in another thread."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_an_errand_goes_on_until_it_is_called_off(errand: Errand) -> None:
    errand.check()
    errand.call_off()
    with pytest.raises(Cancelled):
        errand.check()


def test_the_first_reason_counts(errand: Errand) -> None:
    errand.call_off(TooLate)
    errand.call_off()
    with pytest.raises(TooLate):
        errand.check()


def test_a_pause_ends_when_the_errand_is_called_off(errand: Errand, elsewhere: Callable[..., None]) -> None:
    elsewhere(errand.call_off)
    with pytest.raises(Cancelled):
        errand.pause(threading.TIMEOUT_MAX)


def test_who_waits_is_woken_and_who_comes_too_late_does_not_wait(
    errand: Errand, elsewhere: Callable[..., None]
) -> None:
    woken = threading.Event()
    with errand.waking(woken.set):
        elsewhere(errand.call_off)
        woken.wait()
    with pytest.raises(Cancelled), errand.waking(woken.set):
        pytest.fail("it waits")


def test_who_waits_no_more_is_not_woken(errand: Errand) -> None:
    woken = threading.Event()
    with errand.waking(woken.set):
        pass
    errand.call_off()
    assert not woken.is_set()


def test_what_is_done_apart_comes_back(errand: Errand) -> None:
    assert errand.apart(lambda: threading.current_thread().name) == "apart"
    with pytest.raises(ZeroDivisionError):
        errand.apart(lambda: 1 / 0)


def test_what_is_done_apart_is_left_behind(
    errand: Errand, never: threading.Event, elsewhere: Callable[..., None]
) -> None:
    begun, discarded = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        never.wait()
        return "too late"

    elsewhere(lambda: (begun.wait(), errand.call_off()))
    with pytest.raises(Cancelled):
        errand.apart(work, discard=lambda result: discarded.set() if result == "too late" else None)
    never.set()
    assert discarded.wait(60)


def test_a_part_is_called_off_with_the_whole(errand: Errand) -> None:
    with errand.limited(1000, TooLate) as part, part.limited(1000, TooLate) as smaller:
        errand.call_off()
        for one in (part, smaller):
            with pytest.raises(Cancelled):
                one.check()


def test_a_part_ends_when_its_time_is_over_and_the_whole_goes_on(errand: Errand) -> None:
    with errand.limited(0, TooLate) as part, pytest.raises(TooLate):
        part.check()
    with errand.limited(0.01, TooLate) as part, pytest.raises(TooLate):
        part.pause(threading.TIMEOUT_MAX)
    errand.check()


def test_nothing_of_a_part_goes_on_behind_its_block(errand: Errand) -> None:
    with errand.limited(threading.TIMEOUT_MAX * 2, TooLate) as part:
        part.check()
    with pytest.raises(Cancelled):
        part.check()
    errand.check()
    assert [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)] == []


def test_things_come_as_long_as_it_may_go_on(errand: Errand) -> None:
    things = checked(range(5), errand.check)
    assert [next(things), next(things)] == [0, 1]
    errand.call_off()
    with pytest.raises(Cancelled):
        next(things)
