"""Where the user's checkout is: what outlives a run of DVC (MLflow's store, caches, checkpoints) belongs there."""

import os
from pathlib import Path


def checkout_root() -> Path:
    """The user's own checkout, also while DVC runs an experiment in a temporary copy of it.

    DVC names it in DVC_ROOT. Without DVC it is the current directory if that holds a dvc.yaml, else the folder of this package.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root).resolve()
    here = Path.cwd()
    return here if (here / "dvc.yaml").is_file() else Path(__file__).resolve().parents[2]
