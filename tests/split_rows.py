"""Rows of split.csv, for tests that care about a few of their columns."""

from typing import Any

from fakeface.core.records import FAKE, PARTS, SplitRecord


def image(number: int, label: int, **known: Any) -> SplitRecord:
    """An image on the test side, in a group of its own, a fake with a mouth from another photo; `known` overrides columns."""
    parts = dict.fromkeys(PARTS, 0) | {"mouth": 1} if label == FAKE else dict.fromkeys(PARTS)
    values: dict[str, Any] = {
        "path": f"{number:04}.jpg",
        "sha256": f"{number:064x}",
        "label": label,
        "difficulty": "mid" if label == FAKE else "",
        **parts,
        "width": 600,
        "height": 600,
        "bytes": 50_000,
        "luma_quantisation_sum": 92,
        "subset": "",
        "side": "test",
        "group": f"{number:064x}",
    }
    return SplitRecord(**values | known)
