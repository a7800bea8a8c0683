"""The board: snapshots of the whole, a few times a second at most."""

from collections.abc import Sequence

import pytest

from knossosd.conversion.board import INTERVAL, Board
from knossosd.conversion.observer import FileProgress, Level, Measure, Snapshot, Stage


class Recorder:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.planned_files: list[str] = []
        self.snapshots: list[Snapshot] = []
        self.ended: list[FileProgress] = []

    def log(self, level: Level, message: str) -> None:
        raise AssertionError("the board does not log")

    def planned(self, files: Sequence[FileProgress]) -> None:
        self.planned_files = [file.file for file in files]

    def progress(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def finished(self, file: FileProgress) -> None:
        self.ended.append(file)

    def measured(self, measure: Measure, amount: float) -> None:
        raise AssertionError("the board does not measure")

    def ask(self, image_url: str) -> str | None:
        raise AssertionError("the board does not ask")

    def check(self) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_many_changes_make_few_snapshots(recorder: Recorder, clock: Clock) -> None:
    track = Board(recorder, clock).track("mod", "package", "a.7z")
    track.begin(Stage.DOWNLOADING)
    for done in range(1000):
        track.advance(done, 1000)
    assert len(recorder.snapshots) == 1
    clock.now += INTERVAL
    track.advance(1000, 1000)
    assert len(recorder.snapshots) == 2


def test_progress_grows_through_the_stages_to_one(recorder: Recorder, clock: Clock) -> None:
    board = Board(recorder, clock)
    track = board.track("mod", "package", "a.7z")
    for stage in (Stage.DOWNLOADING, Stage.INSPECTING):
        for done in (0, 50, 100):
            clock.now += INTERVAL
            if done == 0:
                track.begin(stage)
            else:
                track.advance(done, 100)
    clock.now += INTERVAL
    track.end(Stage.DONE)
    fractions = [snapshot.fraction for snapshot in recorder.snapshots]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert recorder.ended[0].stage is Stage.DONE


def test_only_running_archives_stand_in_a_snapshot_with_their_rate(recorder: Recorder, clock: Clock) -> None:
    board = Board(recorder, clock)
    running, _waiting, done = (board.track("mod", "package", name) for name in ("a.7z", "b.7z", "c.7z"))
    done.end(Stage.DONE)
    running.begin(Stage.DOWNLOADING)
    clock.now += 2
    running.advance(420, 1000)
    snapshot = recorder.snapshots[-1]
    assert [file.file for file in snapshot.running] == ["a.7z"]
    assert snapshot.running[0].rate == 210
    assert snapshot.text == " 42% a.7z"
    assert snapshot.fraction == pytest.approx((0.42 * 0.5 + 0 + 1) / 3, abs=0.001)


def test_the_rate_is_that_of_the_last_seconds(recorder: Recorder, clock: Clock) -> None:
    track = Board(recorder, clock).track("mod", "package", "a.7z")
    track.begin(Stage.DOWNLOADING)
    done = 0
    for speed, seconds in ((1000, 60), (10, 6)):
        for _ in range(seconds):
            clock.now += 1
            done += speed
            track.advance(done, 100_000)
        assert track.progress.rate == speed
    clock.now += 1
    track.advance(500, 100_000)  # it begins again, elsewhere
    assert track.progress.rate == 0
    clock.now += 1
    track.advance(1200, 100_000)
    assert track.progress.rate == 700


def test_an_unknown_total_counts_as_no_progress(recorder: Recorder, clock: Clock) -> None:
    track = Board(recorder, clock).track("mod", "package", "a.7z")
    track.begin(Stage.DOWNLOADING)
    clock.now += INTERVAL
    track.advance(12345, None)
    assert recorder.snapshots[-1].text == "  0% a.7z"


def test_all_archives_are_told_before_the_first_begins(recorder: Recorder, clock: Clock) -> None:
    board = Board(recorder, clock)
    for name in ("a.7z", "b.7z"):
        board.track("mod", "package", name)
    board.opened()
    assert recorder.planned_files == ["a.7z", "b.7z"]


def test_an_archive_that_is_mirrored_runs_once_more_and_ends_once(recorder: Recorder, clock: Clock) -> None:
    track = Board(recorder, clock).track("mod", "package", "a.7z")
    track.end(Stage.DONE)
    clock.now += INTERVAL
    track.begin(Stage.MIRRORING)
    shown = recorder.snapshots[-1]
    assert (shown.fraction, [file.stage for file in shown.running]) == (1, [Stage.MIRRORING])
    clock.now += INTERVAL
    track.rest()
    assert recorder.snapshots[-1].running == ()
    assert [file.stage for file in recorder.ended] == [Stage.DONE]
