"""Where a package runs: a boolean expression such as `windows && (avx2 || x86_64)`.

Older documents wrote a list of conditions. The Python clients evaluate the expression; Knossos.NET only looks for the
names in it, so it misreads every negation.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

OS_NAMES = {"macos": "macosx"}
"""The list form's name of an operating system where the expression has another."""

TOKEN = re.compile(r"\s*(?:(&&|\|\||[!()])|([A-Za-z0-9_.+-]+))")


class Condition(NamedTuple):
    """One condition of the list form: `value` is the name of a CPU feature or an operating system."""

    value: str
    negated: bool


def from_conditions(conditions: Iterable[Condition]) -> str:
    """The expression that says that all `conditions` hold."""
    return " && ".join(("!" if negated else "") + OS_NAMES.get(value, value) for value, negated in conditions)


def check_expression(text: str) -> str:
    """`text` itself, stripped. Raises ValueError unless it is empty or an expression of names, &&, ||, ! and ()."""
    tokens = _tokens(text.strip())
    try:
        is_whole = not tokens or _expression(tokens, 0) == len(tokens)
    except RecursionError:
        raise ValueError("has too many brackets inside each other") from None
    if not is_whole:
        raise ValueError(f"has something out of place: {text.strip()}")
    return text.strip()


def is_read_by_all(expression: str) -> bool:
    """Whether Knossos.NET, which only looks for names, reads the expression as it is meant."""
    return "!" not in expression


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f'has a character that does not belong there: "{text[position:].strip()[:1]}"')
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


def _expression(tokens: list[str], position: int) -> int:
    """Each of these functions reads its part of the grammar and returns the position behind it."""
    position = _operand(tokens, position)
    while position < len(tokens) and tokens[position] in ("&&", "||"):
        position = _operand(tokens, position + 1)
    return position


def _operand(tokens: list[str], position: int) -> int:
    while position < len(tokens) and tokens[position] == "!":
        position += 1
    if position >= len(tokens):
        raise ValueError("ends where a name is missing")
    if tokens[position] == "(":
        position = _expression(tokens, position + 1)
        if position >= len(tokens) or tokens[position] != ")":
            raise ValueError("has a bracket that is not closed")
    elif tokens[position] in ("&&", "||", ")"):
        raise ValueError(f'has a "{tokens[position]}" where a name is missing')
    return position + 1
