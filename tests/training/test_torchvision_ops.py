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
import json, torch
from fakeface.training.torchvision_ops import import_torchvision
torchvision = import_torchvision()
declared = hasattr(torch.ops.torchvision, "nms")
print(json.dumps({
    "same module": import_torchvision() is torchvision,
    "file": torchvision.__file__,
    "nms": declared,
    "works": declared and torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "CPU"),
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
    """Where torchvision loads by itself, its operators are its own, with code for the CPU; declared ones have none."""
    loads_by_itself = python(BY_ITSELF)
    imported = python(THROUGH_THE_MODULE)
    assert imported["same module"]
    assert (imported["nms"], imported["works"]) == (True, loads_by_itself)


def test_models_and_transforms_work() -> None:
    assert python(USED) == {"logits": [1, 1000], "flipped": True}


def test_a_torchvision_that_loads_is_left_alone(tmp_path: Path) -> None:
    folder = torchvision_made_of(tmp_path, "")
    assert python(THROUGH_THE_MODULE, folder) == {
        "same module": True,
        "file": str(folder / "torchvision/__init__.py"),
        "nms": False,
        "works": False,
    }


def test_another_error_is_not_hidden(tmp_path: Path) -> None:
    folder = torchvision_made_of(tmp_path, "raise RuntimeError('torchvision was compiled for another CUDA')")
    code = """
import json, torch
from fakeface.training.torchvision_ops import import_torchvision
try:
    import_torchvision()
except RuntimeError as error:
    print(json.dumps([str(error), hasattr(torch.ops.torchvision, "nms")]))
"""
    assert python(code, folder) == ["torchvision was compiled for another CUDA", False]
