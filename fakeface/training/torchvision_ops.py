"""Import torchvision beside a CPU torch, where its C++ operators do not load.

torchvision's Linux wheel is linked against CUDA. Beside a CPU torch its operators are missing, and `import torchvision`
dies with `operator torchvision::nms does not exist`, though models and transforms need none of them. Declaring the two
operators it looks up is enough; calling them still fails, and so do torchvision.io's decoders (we decode with Pillow).
Where the operators load, nothing is declared.
"""

import importlib
import sys
from types import ModuleType

import torch

_MISSING = "operator torchvision::"
_declared: list[torch.library.Library] = []  # a library's operators live as long as the library


def import_torchvision() -> ModuleType:
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error) or _declared:
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module("torchvision")
