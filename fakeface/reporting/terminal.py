"""Numbers, tables and words as a terminal shows them. Imports no NumPy, for the commands' sake."""

from collections.abc import Iterable

from fakeface.scoring.results import DataName, Interval, Score

DATA_LABELS: dict[DataName, str] = {"sample": "the drawn sample, not real photos", "photos": "photos"}


def table_row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def number(value: Score, interval: Interval = None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
