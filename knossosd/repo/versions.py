"""Versions and dependency specs, read generously and written so that every client generation reads them.

Knossos.NET reads exactly three numbers with an optional prerelease; everything else silently becomes 0.0.0. Of specs
it reads one of `1.2.3`, `>=`, `<=`, `>`, `<` and `~` with a full version; `==`, `^`, `!=`, `*` and lists are never
satisfied there. The older Python clients read all that is written here.
"""

import re
from typing import NamedTuple

from semantic_version import SimpleSpec, Version
from semantic_version.base import AllOf, Always, Clause, Range

PARTIAL = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?", re.ASCII)
"""A version of one to three numbers, and what may follow them."""


class Spec(NamedTuple):
    """A dependency's version as it is written out: None means any. `widened` when it allows more than was asked."""

    text: str | None
    widened: bool


def complete_version(text: str) -> str:
    """`text` as a full version: "1" is "1.0.0". Raises ValueError when it is no version."""
    match = PARTIAL.fullmatch(text)
    try:
        return str(Version(f"{match[1]}.{match[2] or 0}.{match[3] or 0}{match[4] or ''}" if match else ""))
    except ValueError:
        raise ValueError(f'must be a version such as "1.2.3", but is "{text}"') from None


def check_spec(text: str) -> str:
    """`text` itself. Raises ValueError when it is no version spec."""
    _clause(text)
    return text


def write_spec(text: str | None) -> Spec:
    """The spec `text` in a form that every client reads, widened where none says the same.

    A bare version means exactly that version, and a bare partial version ("1.2") every version that begins so.
    """
    if text is None or text.strip() == "*":
        return Spec(None, widened=False)
    clause = _clause(text)
    if isinstance(clause, Always):
        return Spec(None, widened=False)
    if isinstance(clause, Range) and clause.operator != Range.OP_NEQ:
        return Spec(_write_range(clause), widened=False)
    if isinstance(clause, AllOf):
        return _write_interval(clause)
    return Spec(None, widened=True)


def _clause(text: str) -> Clause:
    try:
        return SimpleSpec(text.strip()).clause.simplify()
    except ValueError:
        raise ValueError(f'must be a version such as ">=1.2.3", or null for any, but is "{text}"') from None


def _write_range(clause: Range) -> str | None:
    if clause.operator == Range.OP_GTE and clause.target == Version("0.0.0"):
        return None
    operator = "" if clause.operator == Range.OP_EQ else clause.operator
    return f"{operator}{clause.target}"


def _write_interval(clause: AllOf) -> Spec:
    """Two bounds can be told to every client only as `~a.b.c`: at least a.b.c, less than the next minor version."""
    ranges = [part for part in clause.clauses if isinstance(part, Range)]
    lower = [part for part in ranges if part.operator in (Range.OP_GTE, Range.OP_GT)]
    upper = [part for part in ranges if part.operator in (Range.OP_LT, Range.OP_LTE)]
    if len(ranges) == len(clause.clauses) == 2 and lower and upper and _is_tilde(lower[0], upper[0]):
        return Spec(f"~{lower[0].target}", widened=False)
    exact = [part for part in ranges if part.operator == Range.OP_EQ]
    bounds = exact or lower or upper
    return Spec(_write_range(bounds[0]) if bounds else None, widened=True)


def _is_tilde(lower: Range, upper: Range) -> bool:
    return (
        lower.operator == Range.OP_GTE
        and upper.operator == Range.OP_LT
        and upper.target == lower.target.truncate().next_minor()
        and not upper.target.prerelease
    )
