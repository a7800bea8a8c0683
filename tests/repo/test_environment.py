"""Environments: the list form, the expression, and who can read them."""

import ast
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knossosd.repo.environment import check_expression
from tests.repo.builders import a_mod, a_package, one_mod, problems, warnings


def written(environment: object) -> str:
    return one_mod(a_mod(a_package(environment=environment))).packages[0].environment


def test_the_list_form_becomes_an_expression() -> None:
    conditions = [
        {"type": "os", "value": "macos"},
        {"type": "cpu_feature", "value": "sse2"},
        {"type": "cpu_feature", "value": "avx", "not": True},
    ]
    assert written(conditions) == "macosx && sse2 && !avx"
    assert written([]) == ""


@pytest.mark.parametrize(
    "expression", ["", "windows", "linux && x86_64", "X86_64 && (sse || sse2)", "!(macosx || !linux)", "  windows "]
)
def test_expressions_are_kept(expression: str) -> None:
    assert written(expression) == expression.strip()


@pytest.mark.parametrize("wrong", ["&&", "a &&", "(a", "a)", "a b", "a & b", "!", "()", "a || || b", "a, b"])
def test_expressions_that_clients_cannot_read_are_problems(wrong: str) -> None:
    assert set(problems(a_mod(a_package(environment=wrong)))) == {"packages[0].environment"}


pieces = st.lists(st.sampled_from(["windows", "avx2", "&&", "||", "!", "(", ")", " ", "&", "ä"]), max_size=20).map(
    "".join
)


@given(pieces | st.text(max_size=20))
@example("(" * 5000)
@example("!" * 5000 + "x")
@example("(" * 5000 + "x" + ")" * 5000)
def test_every_text_is_an_expression_or_is_told_why_not(text: str) -> None:
    try:
        checked = check_expression(text)
    except ValueError as error:
        assert str(error).startswith(("has ", "ends "))
        return
    words = re.sub(r"[A-Za-z0-9_.+-]+", "x", checked)
    python = " ".join(words.replace("&&", " and ").replace("||", " or ").replace("!", " not ").split())
    if 0 < len(checked) < 200:  # Python's own grammar takes no deeper ones
        ast.parse(python, mode="eval")


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "bool", "value": "x"},
        {"type": "foo", "value": "bar"},
        {"type": "os", "value": "amiga"},
        {"type": "os"},
        {"value": "windows"},
        {"type": "os", "value": "windows", "not": "yes"},
    ],
)
def test_conditions_that_make_no_sense_are_problems(condition: dict[str, object]) -> None:
    assert all(
        path.startswith("packages[0].environment[0]") for path in problems(a_mod(a_package(environment=[condition])))
    )
    assert problems(a_mod(a_package(environment=[condition])))


def test_knossos_net_cannot_read_a_negation() -> None:
    assert warnings(a_mod(a_package(environment="!windows"))) == ["environment_unreadable"]
    assert warnings(a_mod(a_package(environment="linux || macosx"))) == []


def test_an_engine_package_without_environment_is_never_installed() -> None:
    assert warnings(a_mod(type="engine")) == ["environment_missing"]
    assert warnings(a_mod(a_package(environment="windows"), type="engine")) == []
