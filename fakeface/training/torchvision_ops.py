"""Import torchvision beside a CPU torch, for its models: they need none of its C++ operators, but its import looks two up.

No lock cures this: torchvision 0.28.0 is the one for torch 2.13.0, and every Linux wheel of it on PyPI is linked against
CUDA, so its operators do not load beside a CPU torch. Wheels of which they do are on PyTorch's own index alone.
"""

import importlib
import sys
from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """The package; if its import fails for want of its operators, nms and qnms are declared, though not defined, for it."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision")
