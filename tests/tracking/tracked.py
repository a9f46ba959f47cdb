"""What a training tells MLflow, without the training: `python -m tests.tracking.tracked FOLDER train|complete|report`.

FOLDER has a random network. `train` stops after its first epoch, `complete` goes on to the model, `report` comes later.
"""

import subprocess
import sys
from pathlib import Path

from fakeface.core.files import write_json, write_rows
from fakeface.core.records import SplitRecord
from fakeface.detector import RUN_FILE, WEIGHTS_FILE
from fakeface.tracking.contact import Contact
from fakeface.tracking.records import new_run_record
from fakeface.tracking.runs import live_run, publish_evaluation
from tests.checkout import PROJECT, environment

EPOCH = {"epoch": 1, "timestamp_ms": 1_800_000_000_000, "train_loss": 0.7, "valid_loss": 0.6, "valid_accuracy": 0.5}


def write_training(folder: Path) -> Path:
    """A model folder and a split as a training leaves and reads them."""
    from tests.tiny_models import write_model  # torch, which telling MLflow does not need

    write_model(folder / "model", "ce")
    (folder / "model" / WEIGHTS_FILE).write_bytes(b"")
    write_rows(folder / "split.csv", SplitRecord, [])
    return folder


def tracked(training: Path, act: str, checkout: Path, cwd: Path | None = None, **env: str) -> str:
    """What the act prints, in a process that ends well, as of a stage of that checkout."""
    checkout.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.tracking.tracked", training, act],
        cwd=cwd or checkout,
        env=environment(PYTHONPATH=str(PROJECT), DVC_ROOT=str(checkout)) | env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("done\n")
    return done.stdout.removesuffix("done\n")


def main(folder: Path, act: str) -> None:
    model, split = folder / "model", folder / "split.csv"
    if act == "report":
        tags = {"data.root": "https:/me:geheim77@host/photos"}
        publish_evaluation(Contact(), model, split, {"test_accuracy": 0.5}, [split], tags)
        return
    record = new_run_record("train_ce", {"model": {"weights": "https://me:geheim77@host/w"}}, ("model",), {"device": "cpu"})
    with live_run() as run:
        run.start(record, split)
        record["epochs"].append(EPOCH)
        run.log_epochs()
        record.update(best_epoch=1, memory={"peak_memory_mib": 1.0})
        write_json(model / RUN_FILE, record)
        if act == "complete":
            run.complete(model)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    print("done")
