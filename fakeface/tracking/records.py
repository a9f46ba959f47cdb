"""What a training's run record (run.json in its model folder) says as it starts: parameters, device, where it comes from."""

import os
import subprocess
import time
import uuid
from typing import Any

from fakeface.tracking.redaction import redacted_values

RunRecord = dict[str, Any]


def new_run_record(stage: str, params: dict[str, Any], sections: tuple[str, ...], device: dict[str, str]) -> RunRecord:
    """The record of a training as it starts; of `params`, all of params.yaml, the `sections` are logged."""
    flat = {f"{section}.{key}": value for section in sections for key, value in params[section].items()}
    return {
        "training_id": uuid.uuid4().hex,
        "stage": stage,
        "started_ms": int(time.time() * 1000),
        "params": redacted_values(flat | {"objective": stage.removeprefix("train_")}),
        "tags": redacted_values(device | _provenance(stage)),
        "epochs": [],
    }


def _provenance(stage: str) -> dict[str, str]:
    """Where a run comes from: DVC's experiment and stage, and the Git commit."""
    tags = {
        "dvc.stage": os.environ.get("DVC_STAGE", stage),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "mlflow.source.git.commit": _git_commit(),
    }
    return {name: value for name, value in tags.items() if value}


def _git_commit() -> str:
    """Empty where there is no commit, no repository or no git."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
