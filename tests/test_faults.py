"""How faults tell what they tell."""

import pytest

from knossosd.faults import time_in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (0.5, "0.5 seconds"),
        (90, "90 seconds"),
        (130, "2.2 minutes"),
        (300, "5 minutes"),
        (9000, "2.5 hours"),
        (86400, "24 hours"),
    ],
)
def test_a_time_is_told_in_the_unit_that_people_use(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words
