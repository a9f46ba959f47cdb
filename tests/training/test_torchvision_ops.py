import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

BY_ITSELF = """
try:
    import torchvision
except RuntimeError as error:
    print("false" if "operator torchvision::" in str(error) else error)
else:
    print("true")
"""

THROUGH_THE_MODULE = """
import json
from stages import torchvision_ops
torchvision = torchvision_ops.import_torchvision()
again = torchvision_ops.import_torchvision()
print(json.dumps({
    "same module": again is torchvision,
    "file": torchvision.__file__,
    "declared": len(torchvision_ops._declared),
}))
"""

USED = """
import json, torch
from fakeface.training.torchvision_ops import import_torchvision
models = import_torchvision().models
from torchvision.transforms.v2 import functional
image = torch.arange(27, dtype=torch.uint8).view(3, 3, 3)
print(json.dumps({
    "logits": list(models.get_model("resnet18", weights=None).eval()(torch.zeros(1, 3, 64, 64)).shape),
    "flipped": torch.equal(functional.horizontal_flip(image), image.flip(-1)),
}))
"""


def python(code: str, *path: Path) -> Any:
    """What a fresh interpreter prints, read as JSON; modules in `path` come before installed ones."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def torchvision_made_of(folder: Path, code: str) -> Path:
    """A folder with a package torchvision that runs `code` when it is imported."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision/__init__.py").write_text(code)
    return folder


def test_operators_are_declared_only_where_they_do_not_load() -> None:
    loads_by_itself = python(BY_ITSELF)
    assert python(THROUGH_THE_MODULE)["declared"] == (0 if loads_by_itself else 1)


def test_models_and_transforms_work() -> None:
    assert python(USED) == {"logits": [1, 1000], "flipped": True}


def test_a_torchvision_that_loads_is_left_alone(tmp_path: Path) -> None:
    folder = torchvision_made_of(tmp_path, "")
    assert python(THROUGH_THE_MODULE, folder) == {
        "same module": True,
        "file": str(folder / "torchvision/__init__.py"),
        "declared": 0,
    }


def test_another_error_is_not_hidden(tmp_path: Path) -> None:
    folder = torchvision_made_of(tmp_path, "raise RuntimeError('torchvision was compiled for another CUDA')")
    code = """
from stages import torchvision_ops
try:
    torchvision_ops.import_torchvision()
except RuntimeError as error:
    import json
    print(json.dumps([str(error), len(torchvision_ops._declared)]))
"""
    assert python(code, folder) == ["torchvision was compiled for another CUDA", 0]
