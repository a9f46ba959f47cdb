"""The pipeline as its users run it: through `dvc repro` and `dvc exp run`, on a tiny sample, with MLflow beside it."""

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml

from fakeface.core.files import read_json, read_rows
from fakeface.core.records import PARTS, EpochRecord, EvidenceRecord, PredictionRecord
from tests.architecture import STAGES
from tests.checkout import PROJECT, Checkout, copy_of, new_checkout
from tests.faces.drawn import drawn_face
from tests.test_readme import COMMANDS, README

METRICS = ("index", "relate", "split", "stats", "train_ce", "train_bce", "evaluate", "scores")
MIB = 2**20


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fresh clone on which `dvc repro` has run once, nothing committed since; tests read it, and copy it to change it."""
    checkout = new_checkout(tmp_path_factory.mktemp("project") / "done")
    checkout.run("dvc", "repro")
    return checkout


@pytest.fixture
def copy(done: Checkout, tmp_path: Path) -> Checkout:
    return copy_of(done, tmp_path / "copy")


def ran(output: str) -> list[str]:
    """The stages that ran, but for `scan`, which always does."""
    stages = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    return [stage for stage in stages if stage != "scan"]


def test_repro_leaves_models_scores_predictions_and_figures(done: Checkout) -> None:
    found = read_json(done.root / "metrics/scores.json")
    assert found["data"] == "sample"
    headline = read_json(done.root / "metrics/evaluate.json")
    assert headline["loss"] == "ce"
    names = ("accuracy", "roc_auc", "average_precision", "equal_error_rate", "brier", "ece")
    assert {name: headline[name] for name in names} == {name: found["ce"]["test"][name] for name in names}
    web = found["ce"]["web"]
    assert (headline["web_accuracy"], headline["web_roc_auc"]) == (web["accuracy"], web["roc_auc"])
    assert headline["web_drop"] == web["drop"]["difference"] == pytest.approx(headline["roc_auc"] - headline["web_roc_auc"])
    assert "face_box" in found["baselines"]
    assert headline["pairs_across_sides"] == 0
    predictions = read_rows(done.root / "data/predictions.csv", PredictionRecord)
    assert Counter(row.side for row in predictions) == {"train": 37, "valid": 11, "test": 18}
    evidence = read_rows(done.root / "data/evidence.csv", EvidenceRecord)
    assert Counter(row.objective for row in evidence) == {"ce": 29, "bce": 29}
    assert found["ce"]["localization"]["parts"].keys() == set(PARTS)
    test = [row for row in predictions if row.side == "test"]
    right = sum((row.ce_p_fake >= 0.5) == bool(row.label) for row in test)
    assert found["ce"]["test"]["accuracy"] == pytest.approx(right / 18)
    as_argmax = sum(row.bce_argmax == row.label for row in test)
    assert found["bce"]["argmax_rule"]["accuracy"] == pytest.approx(as_argmax / 18)
    figures = {path.stem for path in (done.root / "metrics/figures").iterdir()}
    assert {"confusion_ce", "confusion_bce", "curves_ce", "curves_bce", "curves", "roc", "reliability"} <= figures
    page = (done.root / "metrics/report.html").read_text(encoding="utf-8")
    assert f"{headline['accuracy']:.3f}" in page
    for objective in ("ce", "bce"):
        assert len(read_rows(done.root / f"metrics/{objective}_history.csv", EpochRecord)) == 2


def test_git_sees_a_lock_to_commit_and_no_modified_file(done: Checkout) -> None:
    """So the project's own results, which are committed, never look changed by a run on another machine."""
    assert done.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"
    tracked = done.run("git", "ls-files", "data", "metrics", "models").stdout.split()
    assert tracked == ["metrics/README.md"]


def test_a_second_repro_looks_for_changed_photos_and_runs_nothing(done: Checkout) -> None:
    lock = (done.root / "dvc.lock").read_bytes()
    output = done.run("dvc", "repro").stdout
    assert ran(output) == []
    assert output.count("Running stage") == 1
    assert (done.root / "dvc.lock").read_bytes() == lock
    assert json.loads(done.run("dvc", "status", "--json").stdout) == {"scan": ["always changed"]}


def test_a_changed_photo_is_noticed(copy: Checkout) -> None:
    """Also where its size and time stay, and where nothing but a name changes."""
    photos = copy.root / "photos"
    shutil.copytree(copy.root / "data/sample/training", photos)
    copy.set_params({"data": {"root": "photos"}})
    copy.run("dvc", "repro", "index")
    photo = photos / "real/real_00001.jpg"
    status, data = photo.stat(), photo.read_bytes()
    photo.write_bytes(data[:-2] + b"\xff\xd9"[::-1])
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ran(copy.run("dvc", "repro", "index").stdout) == ["index"]
    photo.write_bytes(data)
    assert ran(copy.run("dvc", "repro", "index").stdout) == []  # known
    photo.rename(photos / "real/renamed.jpg")
    assert ran(copy.run("dvc", "repro", "index").stdout) == ["index"]


SWEEPS = {"train.seed=1,2,3": "train.seed=1,2", "train.lr=1e-3,3e-4": "train.lr=1e-3", "range(0,5)": "range(0,2)"}
"""The README's, and the part of each that is run here."""


def experiments_of_readme() -> list[list[str]]:
    """The README's commands that run, wait for or compare experiments, in its order."""
    lines = [line.partition(" #")[0].strip() for line in COMMANDS]
    lines = [line for line in lines if line.startswith(("dvc exp ", "dvc repro train", "fakeface folds"))]
    for whole, part in SWEEPS.items():
        assert any(whole in line for line in lines), whole
        lines = [line.replace(whole, part) for line in lines]
    return [shlex.split(line) for line in lines]


def as_run_here(command: list[str]) -> list[str]:
    """The command `fakeface` may not be installed beside the tests; a table is easier to read as CSV."""
    if command[0] == "fakeface":
        return [sys.executable, "-m", *command]
    return [*command, "--csv"] if command[:3] == ["dvc", "exp", "show"] else command


def changed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Of each experiment in a table of `dvc exp show`, the parameters that are not the workspace's."""
    workspace = next(row for row in rows if row["rev"] == "workspace")
    params = [name for name in workspace if name in ("params.yaml:loss", "threshold") or name.startswith(("train.", "split."))]
    experiments = [row for row in rows if row["Experiment"]]
    return [{name: row[name] for name in params if row[name] != workspace[name]} for row in experiments]


def table(printed: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in printed.splitlines() if "," in line))


def test_the_readmes_experiments_give_what_it_says_from_top_to_bottom(copy: Checkout) -> None:
    """Each has its own change alone, leaves the workspace as it was, and is found in the user's own store.

    That store does not exist at first, two experiments run at once, and each in a folder that is deleted when it ends.
    """
    commands, output = experiments_of_readme(), {}
    assert len(commands) == 13
    for command in commands:
        line = " ".join(command)
        output[line] = copy.run(*as_run_here(command)).stdout
        assert copy.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n", line
    assert ran(output["dvc exp run --temp -S loss=bce"]) == ["evaluate", "report"]
    assert ran(output["dvc exp run --temp -S threshold=few_false_alarms"]) == ["evaluate", "report"]
    trained = ["train_ce", "train_bce", "infer", "evaluate", "report"]
    assert ran(output["dvc exp run --temp -S train.lr=3e-4"]) == trained  # what precedes is known, though no lock is committed
    assert ran(output["dvc exp run --temp -S train.refit=true"]) == ["pack", *trained]
    assert ran(output["dvc repro train_bce"]) == []
    assert "fold 1" in output["fakeface folds"]
    dropped = ".*(/|pair|precision|error|brier|ece|gap|coverage)"
    columns = table(output[f"dvc exp show --only-changed --drop {dropped}"])[0].keys()
    assert {"accuracy", "roc_auc", "params.yaml:loss", "train.lr"} < columns
    assert len(columns) <= 15, "a plain `dvc exp show` has more than a hundred"

    shown = table(copy.run("dvc", "exp", "show", "--csv", "--only-changed", "--drop", dropped).stdout)
    expected = [{"params.yaml:loss": "bce"}, {"train.lr": "0.0003"}, {"train.seed": "1"}, {"train.seed": "2"}]
    expected += [{}, {"split.fold": "1"}, {"split.by": "image"}, {"threshold": "few_false_alarms"}, {"train.refit": "True"}]
    assert sorted(map(str, changed(shown))) == sorted(map(str, expected))

    runs = copy.runs()
    told = Counter((run.info.run_name, run.data.params["train.lr"], run.data.params["train.seed"]) for run in runs)
    for stage in ("train_ce", "train_bce"):
        for lr, seed in (("0.0003", "0"), ("0.001", "1"), ("0.001", "2")):
            assert told[stage, lr, seed] == 1
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.tags.get("dvc.experiment") or run.data.tags["fakeface.restored"]
        assert run.info.artifact_uri.startswith((copy.root / "mlruns").as_uri())
        assert Path(run.info.artifact_uri.removeprefix("file://"), "evaluation/confusion_ce.png").exists()
        assert {"test_roc_auc", "test_accuracy"} <= run.data.metrics.keys()


def test_the_way_back_from_an_experiment_that_failed(copy: Checkout) -> None:
    """With `--temp` there is nothing to take back."""
    copy.run("dvc", "exp", "run", "--temp", "-S", "train.lr=abc", check=False)
    assert copy.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"
    failed = copy.run("dvc", "exp", "run", "-S", "train.lr=abc", check=False)
    assert "error: params.yaml: train.lr: 'abc': should be a valid number" in failed.stdout
    assert "abc" in (copy.root / "params.yaml").read_text()
    assert "`git restore params.yaml`" in README
    copy.run("git", "restore", "params.yaml")
    assert ran(copy.run("dvc", "repro").stdout) == []
    assert (copy.root / "models/ce/network.onnx").exists()


def test_a_parameter_of_the_last_stages_ends_the_first_that_runs(copy: Checkout) -> None:
    """Both trainings would have run before."""
    output = copy.run("dvc", "exp", "run", "--temp", "-S", "loss=tripple", "-S", "train.lr=7e-4", check=False).stdout
    assert "error: params.yaml: loss: 'tripple': should be 'ce' or 'bce'" in output
    assert "Running stage 'scan'" in output
    assert ran(output) == []


def test_one_loss_alone(copy: Checkout) -> None:
    """What the README says to train one loss only."""
    copy.set_params({"train": {"seed": 3}})
    assert ran(copy.run("dvc", "repro", "train_bce").stdout) == ["train_bce"]


def test_going_back_to_earlier_parameters_trains_nothing(copy: Checkout) -> None:
    weights = copy.root / "models/ce/weights.safetensors"
    before = weights.read_bytes()
    copy.set_params({"train": {"seed": 3}})
    copy.run("dvc", "repro", "train_ce")
    assert weights.read_bytes() != before
    copy.set_params({"train": {"seed": 0}})
    assert ran(copy.run("dvc", "repro", "train_ce").stdout) == []
    assert weights.read_bytes() == before


def test_an_experiments_numbers_are_shown_and_applied_out_of_the_cache(copy: Checkout) -> None:
    """Git tracks none of them."""
    copy.run("dvc", "exp", "run", "--temp", "-S", "loss=bce", "--name", "other")
    table = csv.DictReader(copy.run("dvc", "exp", "show", "--no-pager", "--csv").stdout.splitlines())
    (shown,) = (row for row in table if row["Experiment"] == "other")
    assert read_json(copy.root / "metrics/evaluate.json")["loss"] == "ce"
    copy.run("dvc", "exp", "apply", "other")
    headline = read_json(copy.root / "metrics/evaluate.json")
    assert headline["loss"] == "bce"
    assert float(shown["roc_auc"]) == pytest.approx(headline["roc_auc"], abs=1e-4)
    assert (copy.root / "metrics/report.html").exists()
    assert copy.run("git", "status", "--porcelain").stdout == " M params.yaml\n?? dvc.lock\n"


def test_from_a_subfolder(copy: Checkout) -> None:
    output = copy.run("dvc", "repro", "--force", "--single-item", "../dvc.yaml:report", cwd="stages").stdout
    assert ran(output.replace("../dvc.yaml:", "")) == ["report"]
    assert len(copy.runs()) == 2
    assert not (copy.root / "stages/mlflow.db").exists()


def test_force_gives_the_same_numbers(copy: Checkout) -> None:
    before = {name: (copy.root / f"metrics/{name}.json").read_bytes() for name in METRICS}
    copy.run("dvc", "repro", "--force")
    assert before == {name: (copy.root / f"metrics/{name}.json").read_bytes() for name in METRICS}


def test_a_fresh_clone_pulls_and_runs_nothing_and_its_runs_are_restored(copy: Checkout, tmp_path: Path) -> None:
    """Colab with a mounted Drive as the remote, here with a local folder; who keeps a result commits its lock."""
    copy.run("dvc", "remote", "add", "--default", "drive", tmp_path / "drive")
    copy.commit()
    assert "dvc.lock" in copy.run("git", "ls-files", "dvc.lock").stdout
    copy.run("dvc", "push")
    copy.run("git", "clone", "--quiet", copy.root, tmp_path / "clone")
    clone = Checkout(tmp_path / "clone")
    clone.run("dvc", "pull")
    assert (clone.root / "metrics/scores.json").read_bytes() == (copy.root / "metrics/scores.json").read_bytes()
    assert ran(clone.run("dvc", "repro").stdout) == []
    networks_are_fetched(copy, tmp_path / "elsewhere")
    for _ in range(2):
        clone.run("dvc", "repro", "--force", "--single-item", "report")
    runs = clone.runs()
    assert [run.info.run_name for run in runs] == ["train_ce", "train_bce"]
    for run in runs:
        assert run.data.tags["fakeface.restored"] == "true"
        assert run.info.status == "FINISHED"
        assert {"train_loss", "valid_accuracy", "best_epoch", "test_accuracy"} <= run.data.metrics.keys()
        assert run.outputs is not None
        assert len(run.outputs.model_outputs) == 1


def networks_are_fetched(published: Checkout, folder: Path) -> None:
    """By the README's commands, in a folder that knows nothing of the project but its address."""
    folder.mkdir()
    published.run("git", "tag", "-a", "ce@v1.0.0", "-m", "first")
    commands = [command.split("#")[0] for command in COMMANDS if re.match(r"dvc (artifacts )?get ", command)]
    assert len(commands) == 2
    for command in commands:
        Checkout(folder).run(*shlex.split(command.replace("YOUR_FORK", shlex.quote(str(published.root)))))
    for objective in ("ce", "bce"):
        network = folder / "models" / objective / "network.onnx"
        assert network.read_bytes() == (published.root / "models" / objective / "network.onnx").read_bytes()


def test_a_killed_training_resumes_and_ends_the_same_bit_for_bit(copy: Checkout) -> None:
    copy.set_params({"train": {"epochs": 4}})
    copy.run("dvc", "repro", "train_ce")
    whole = (copy.root / "models/ce/weights.safetensors").read_bytes()
    metrics = [(copy.root / f"metrics/{name}").read_bytes() for name in ("train_ce.json", "ce_history.csv")]
    command = ["dvc", "repro", "--force", "--single-item", "train_ce"]
    with subprocess.Popen(
        command, cwd=copy.root, env=copy.env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch   2"):
                os.killpg(process.pid, signal.SIGKILL)
    assert not (copy.root / "models/ce/weights.safetensors").exists()
    assert "resumed after epoch" in copy.run(*command).stdout
    assert (copy.root / "models/ce/weights.safetensors").read_bytes() == whole
    assert [(copy.root / f"metrics/{name}").read_bytes() for name in ("train_ce.json", "ce_history.csv")] == metrics
    assert list((copy.root / ".resume/train_ce").glob("*/*")) == []


def test_photos_of_ones_own_never_draw_the_sample(copy: Checkout, tmp_path: Path) -> None:
    """Whatever the folder is called, and whatever else lies in it."""
    photos = tmp_path / "my $HOME `touch here` ${data} 'photos'"
    for label in ("real", "fake"):
        (photos / label).mkdir(parents=True)
        for number, photo in enumerate(sorted((copy.root / f"data/sample/training/{label}").iterdir())):
            (photos / label / f"사진 {number}.jpg").write_bytes(photo.read_bytes())
    os.mkfifo(photos / "real/pipe.jpg")
    (photos / "fake/dangling.jpg").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(photos) + b"/fake/\xff.jpg")).touch()
    shutil.rmtree(copy.root / "data/sample")
    copy.set_params({"data": {"root": str(photos)}, "sample": {"seed": 99}})
    output = copy.run("dvc", "repro").stdout
    assert ran(output) == [stage.name for stage in STAGES if stage.name != "scan"]
    assert "48 images: 24 real, 24 fake" in output
    assert "3 rejected (data/index/rejected.csv says why)" in output
    assert [path.name for path in (copy.root / "data/sample").iterdir()] == ["NOT-DRAWN.txt"]
    assert read_json(copy.root / "metrics/scores.json")["data"] == "photos"
    assert not list(copy.root.glob("*here*"))

    copy.set_params({"data": {"root": str(copy.root / "data/sample")}, "sample": {"seed": 0}})
    assert ran(copy.run("dvc", "repro", "index").stdout) == ["sample", "index"]
    assert read_json(copy.root / "metrics/index.json")["is_sample"]
    copy.set_params({"data": {"root": "data/sample"}})
    assert ran(copy.run("dvc", "repro").stdout) == []  # all of it is known


def test_photos_from_elsewhere_are_judged_and_nothing_is_trained_again(copy: Checkout, tmp_path: Path) -> None:
    """A folder outside of the repository, whose changes are noticed as those of `data.root` are."""
    photos = tmp_path / "from elsewhere"
    photos.mkdir()
    for seed in range(4):
        drawn_face(seed, 200).save(photos / f"{seed}.png")
    copy.set_params({"elsewhere": {"root": str(photos)}})
    output = copy.run("dvc", "repro").stdout
    assert ran(output) == ["sample", "infer", "evaluate", "report"]
    assert "from elsewhere: 4 faces in 4 photos, 0 files cannot be used" in output
    found = read_json(copy.root / "metrics/scores.json")["elsewhere"]
    assert (found["data"], found["photos"], found["faces"]) == ("photos", 4, 4)
    assert found["sentence"] in (copy.root / "metrics/model-card.md").read_text()
    headline = read_json(copy.root / "metrics/evaluate.json")
    assert headline["elsewhere_false_positive_rate"] == found["ce"]["false_positive_rate"]
    drawn_face(9, 200).save(photos / "9.png")
    assert ran(copy.run("dvc", "repro", "evaluate").stdout) == ["infer", "evaluate"]
    assert read_json(copy.root / "metrics/elsewhere.json")["photos"] == 5
    assert ran(copy.run("dvc", "repro", "evaluate").stdout) == []


def test_what_is_wrong_with_a_parameter_is_said_in_one_line(copy: Checkout) -> None:
    copy.set_params({"train": {"lr": -1}})
    output = copy.run("dvc", "repro", check=False).stdout
    assert "error: params.yaml: train.lr: -1: should be greater than 0" in output
    assert "Traceback" not in output


def test_dvc_plots_and_metrics(done: Checkout, tmp_path: Path) -> None:
    done.run("dvc", "plots", "show", "--out", tmp_path / "plots")
    page = (tmp_path / "plots/index.html").read_text()
    assert "ce_history.csv" in page
    assert "confusion" in page
    assert "roc_auc" in done.run("dvc", "metrics", "show").stdout


def test_publishing_takes_the_samples_results_and_no_others(copy: Checkout) -> None:
    (copy.root / ".venv").mkdir()
    (copy.root / ".venv/installed").touch()

    def complaint() -> str:
        done = copy.run("make", "publish", check=False)
        assert done.returncode == 2
        return done.stdout.partition("make: ")[0]

    def take_params_for_the_recipe() -> None:
        shutil.copy(copy.root / "params.yaml", copy.root / "recipes/sample.yaml")

    published, metrics = copy.root / "published", copy.root / "metrics"
    before = (published / "scores.json").read_bytes()
    assert complaint() == "error: params.yaml: differs from recipes/sample.yaml\n"
    take_params_for_the_recipe()
    copy.run("make", "publish")
    assert before != (published / "scores.json").read_bytes() == (metrics / "scores.json").read_bytes()
    assert (published / "model-card.md").read_bytes() == (metrics / "model-card.md").read_bytes()
    assert (published / "curves.png").read_bytes() == (metrics / "figures/curves.png").read_bytes()
    assert (published / "dvc.lock").read_bytes() == (copy.root / "dvc.lock").read_bytes()

    copy.set_params({"train": {"seed": 9}})
    take_params_for_the_recipe()
    assert complaint() == "error: metrics/: not of the code as it is: make run\n"
    (metrics / "scores.json").write_text((metrics / "scores.json").read_text().replace('"sample"', '"photos"'))
    assert complaint() == "error: metrics/scores.json: not of the sample\n"


def test_the_published_results_are_those_of_the_published_lock_and_the_samples_recipe() -> None:
    lock = yaml.safe_load((PROJECT / "published/dvc.lock").read_text())
    params = yaml.safe_load((PROJECT / "recipes/sample.yaml").read_text())
    for stage in lock["stages"].values():
        for name, values in stage.get("params", {}).get("params.yaml", {}).items():
            assert values == reduce(getitem, name.split("."), params), name
    made = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
    published = list((PROJECT / "published").glob("*.json"))
    assert {"scores.json", "split.json"} <= {path.name for path in published}
    for path in published:
        assert hashlib.md5(path.read_bytes()).hexdigest() == made[f"metrics/{path.name}"]  # noqa: S324
