"""Print the table of both classifiers' scores.

Reads what `evaluate` wrote. Writes nothing.
"""

import argparse
from pathlib import Path
from typing import Any

from stages.errors import FakefaceError, run_as_command
from stages.records import OBJECTIVE_NAMES, read_json

ROWS = ("accuracy", "roc_auc", "precision", "recall", "f1", "average_precision")
NAMES = {"ce": "cross-entropy", "bce": "BCE"}


def table(found: dict[str, Any]) -> str:
    """A row per score and a column per model."""
    lines = [_row("", *(NAMES[name] for name in OBJECTIVE_NAMES))]
    lines += [_row(row, *(_number(found[name][row]) for name in OBJECTIVE_NAMES)) for row in ROWS]
    for difficulty in found["ce"]["by_difficulty"]:
        cells = (_number(found[name]["by_difficulty"][difficulty]["roc_auc"]) for name in OBJECTIVE_NAMES)
        lines.append(_row(f"roc_auc, {difficulty} fakes", *cells))
    argmax = (_number(found[name]["argmax_rule"]["accuracy"]) for name in OBJECTIVE_NAMES)
    lines.append(_row("accuracy, notebook's rule", *argmax))
    return "\n".join(lines)


def _row(name: str, *cells: str) -> str:
    return f"{name:<28}" + "".join(f"{cell:>15}" for cell in cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.show", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "scores", type=Path, nargs="?", default=Path("metrics/scores.json"), help="default: metrics/scores.json"
    )
    path = parser.parse_args(argv).scores
    found = read_json(path)
    try:
        what = "the drawn sample, not real photos" if found["data"] == "sample" else "photos"
        text = f"{found['test_images']} test images of {what}\n\n{table(found)}"
    except (KeyError, TypeError):
        raise FakefaceError(f"{path}: not the scores that `evaluate` writes") from None
    print(text)


if __name__ == "__main__":
    run_as_command(main)
