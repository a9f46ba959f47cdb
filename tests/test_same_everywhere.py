"""The sample and what the stages before training make of it: the same bytes, whatever the processor."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fakeface.core.files import sha256_of
from tests.architecture import STAGES
from tests.checkout import TINY, new_checkout
from tests.processors import OLDEST, PROCESSORS, needs_wide_instructions

pytestmark = needs_wide_instructions

NAMES = [stage.name for stage in STAGES]
CHAIN = NAMES[: NAMES.index("compute_stats") + 1]

LIBRARY_RESULTS = """
import hashlib, json, math
import cv2
import faiss
import numpy as np

numbers = np.linspace(-20, 20, 100_001)
square = np.random.default_rng(0).random((300, 300), dtype=np.float32)
results = {
    "numpy": np.exp(numbers.astype(np.float32)).tobytes(),
    "opencv": cv2.GaussianBlur(square, (7, 7), 0.8).tobytes(),
    "faiss": faiss.knn(square[:5], square, 6)[0].tobytes(),
    "libm": repr([(math.exp(number), math.sin(number)) for number in numbers]).encode(),
    "blas": (square @ square).tobytes(),
}
print(json.dumps({library: hashlib.sha256(result).hexdigest() for library, result in results.items()}))
"""
"""Nothing like it for libjpeg: its narrower instructions give the same bytes, only later."""


def library_results(environment: dict[str, str]) -> dict[str, str]:
    """SHA-256 of what each library computes."""
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY_RESULTS], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    results: dict[str, str] = json.loads(done.stdout)
    return results


def hashes_of_chain(root: Path, environment: dict[str, str]) -> dict[str, str]:
    """SHA-256 of every file that the stages from `sample` to `compute_stats` leave in a checkout, by path."""
    checkout = new_checkout(root, TINY)
    checkout.env |= environment
    committed = set(root.rglob("*"))
    for name in CHAIN:
        words = shlex.split(STAGES[NAMES.index(name)].cmd)
        checkout.run(*words)
    outs = {path for folder in ("data", "metrics") for path in (root / folder).rglob("*") if path.is_file()} - committed
    return {str(path.relative_to(root)): sha256_of(path) for path in outs}


def test_the_environments_take_effect() -> None:
    """Each library computes something else without its wider instructions, or the tests here could not fail."""
    ours = library_results({})
    for library in ours:
        assert library_results(PROCESSORS[library])[library] != ours[library], library


@pytest.fixture(scope="module")
def hashes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hashes_of_chain(tmp_path_factory.mktemp("as_it_is"), {})


@pytest.mark.parametrize("environment", [PROCESSORS["opencv"], OLDEST], ids=["opencv", "all"])
def test_the_stages_before_training_leave_the_same_bytes(
    hashes: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    theirs = hashes_of_chain(tmp_path, environment)
    assert {Path(path).parts[0] for path in theirs} == {"data", "metrics"}
    assert {path for path in theirs if theirs[path] != hashes[path]} == set()
    assert theirs.keys() == hashes.keys()
    assert {"data/split.csv", "data/packed/train.npy", "data/relate/groups.csv", "metrics/stats.json"} <= theirs.keys()
