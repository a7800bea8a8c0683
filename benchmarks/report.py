"""How results are shown: a table on the terminal, and a plot in a PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

WIDTH = 200
"""Columns of the widest table."""

Row = Mapping[str, float | str]
"""The figures of one case, by their headings."""


def print_table(title: str, rows: Mapping[str, Row]) -> None:
    """Print a row for each named case; whole numbers are printed as such, others with two digits."""
    table = Table(title=title)
    headings = list(next(iter(rows.values())))
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, figures in rows.items():
        table.add_row(name, *(_cell(figures[heading]) for heading in headings))
    Console(width=WIDTH).print(table)


def draw_bars(path: Path, title: str, rows: Mapping[str, Row], headings: Sequence[str], limit: float) -> None:
    """Draw a group of bars for each case, one for each of the `headings`, and a line at the `limit`."""
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.6 * len(rows)))
    thickness = 0.8 / len(headings)
    for number, heading in enumerate(headings):
        places = [place + number * thickness for place in range(len(rows))]
        bars = axes.barh(places, [float(row[heading]) for row in rows.values()], thickness, label=heading)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.set_yticks([place + 0.4 - thickness / 2 for place in range(len(rows))], list(rows))
    axes.invert_yaxis()
    axes.axvline(limit, color="gray", linestyle="--", label=f"{limit:g}")
    axes.legend()
    _save(figure, title, path)


def draw_curves(path: Path, title: str, curves: Mapping[str, Mapping[float, float]], unit: str) -> None:
    """Draw a panel for each curve, which gives the `unit` (values) by the amount of work (keys)."""
    figure, panels = plt.subplots(1, len(curves), figsize=(4.5 * len(curves), 4), squeeze=False)
    for axes, (work, curve) in zip(panels[0], curves.items(), strict=True):
        axes.plot(list(curve), list(curve.values()), marker="o")
        axes.set_xlabel(work)
        axes.set_ylabel(unit)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    _save(figure, title, path)


def _cell(value: float | str) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _save(figure: plt.Figure, title: str, path: Path) -> None:
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
