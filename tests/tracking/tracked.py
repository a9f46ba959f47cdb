"""What a training tells MLflow, without the training: `python -m tests.tracking.tracked FOLDER [FINAL_ACT]`.

FOLDER has a random network; FINAL_ACT is what comes after the first epoch: `complete`, `report`, or nothing.
"""

import sys
import time
from pathlib import Path

from fakeface.core.files import read_json, write_json, write_rows
from fakeface.core.records import SplitRecord
from fakeface.detector import RUN_FILE, WEIGHTS_FILE
from fakeface.tracking.records import new_run_record
from fakeface.tracking.runs import live_run, publish_evaluation
from tests.tiny_models import write_model

PARAMS = {"model": {"weights": "random"}}
EPOCH = {"epoch": 1, "timestamp_ms": 1_800_000_000_000, "train_loss": 0.7, "valid_loss": 0.6, "valid_accuracy": 0.5}


def write_training(folder: Path) -> None:
    """A model folder and a split as a training leaves and reads them."""
    write_model(folder / "model", "ce")
    (folder / "model" / WEIGHTS_FILE).write_bytes(b"")
    write_rows(folder / "split.csv", SplitRecord, [])


def track(folder: Path, final_act: str) -> None:
    model, split = folder / "model", folder / "split.csv"
    if final_act != "report":
        record = new_run_record("train_ce", PARAMS, ("model",), {"device": "cpu"})
        with live_run() as run:
            started = time.monotonic()
            run.start(record, split)
            print(f"waited {time.monotonic() - started:.1f} s")
            record["epochs"].append(EPOCH)
            run.log_epochs()
            record.update(best_epoch=1, memory={"peak_memory_mib": 1.0})
            write_json(model / RUN_FILE, record)
            if final_act == "complete":
                run.complete(model)
    else:
        assert read_json(model / RUN_FILE)["epochs"] == [EPOCH]
        publish_evaluation(model, split, {"test_accuracy": 0.5}, [split], {"data.root": "photos"})
    print("trained on")


if __name__ == "__main__":
    track(Path(sys.argv[1]), *sys.argv[2:] or [""])
