"""A checkout of this project in a folder of its own, small enough to run for real in seconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent
TINY: dict[str, dict[str, Any]] = {
    "sample": {"image_px": 64, "training_real": 24, "training_fake": 24, "test_real": 9, "test_fake": 9},
    "pack": {"train_px": 36, "eval_px": 32},
    "augment": {"crop_px": 32},
    "model": {"arch": "shufflenet_v2_x0_5", "weights": "random"},
    "train": {"epochs": 2, "batch_size": 8, "device": "cpu", "precision": "float32"},
}
"""Parameters of a run that takes seconds, as changes to params.yaml."""


def environment(**changes: str) -> dict[str, str]:
    """As after `. .venv/bin/activate`, for one thread, a user that Git knows, and no experiment around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "MLFLOW_", "PYTEST", "MAKE", "MFLAGS"))
    }
    user = {f"GIT_{role}_{key}": f"{key}@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | user | {"PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"} | changes


@dataclass
class Checkout:
    root: Path
    env: dict[str, str] = field(default_factory=environment)

    def run(self, *command: str | Path, cwd: str = ".", check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, its output and errors together."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root / cwd,
            env=self.env | env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0 or not check, f"{command}: exit {done.returncode}\n{done.stdout}"
        return done

    def set_params(self, changes: Mapping[str, Any]) -> None:
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        for section, values in changes.items():
            params[section] = params[section] | values if isinstance(values, dict) else values
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "as tested")

    def runs(self) -> list[Any]:
        """The MLflow runs of the checkout's own database, oldest first."""
        return runs_at(f"sqlite:///{self.root / 'mlflow.db'}")


def runs_at(tracking_uri: str) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("fakeface")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def new_checkout(root: Path, changes: Mapping[str, Any] = TINY) -> Checkout:
    """A copy of the project as it is now, with other parameters and nothing run yet, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        text=True,
        capture_output=True,
        check=True,
    )
    names = [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]
    for name in names:
        if name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, root / name)
    checkout = Checkout(root)
    checkout.set_params(changes)
    checkout.run("git", "init", "--quiet", "--initial-branch", "main")
    checkout.commit()
    return checkout


def copy_of(checkout: Checkout, root: Path) -> Checkout:
    """The same checkout in another folder, its DVC cache with it, its MLflow runs left behind."""
    left_behind = shutil.ignore_patterns("mlflow.db*", "mlruns", ".resume")
    shutil.copytree(checkout.root, root, symlinks=True, ignore=left_behind)
    return Checkout(root)
