"""Parts about use: the verdict on one photo in a new process, and on a thousand."""

import io
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.commands import output_of
from bench.photos import NOTEBOOK_RECIPE, Workspace, new_workspace
from bench.pixels import bare_decoding
from bench.rounds import PROJECT, Go, Goal, Options, Result, alternating, timed
from bench.trainings import JpegDataset, notebook_transform
from fakeface.commands import predict
from fakeface.core.cores import available_cores
from fakeface.core.files import write_json
from fakeface.core.parallel import on_all_cores
from fakeface.core.records import OBJECTIVE_NAMES, SplitRecord
from fakeface.detector import BATCH_SIZE, CARD_FILE, NETWORK_FILE, Detector, load_detector
from fakeface.training.export import ExportedClassifier, export_onnx
from fakeface.training.network import new_classifier
from fakeface.training.recipe import Recipe
from stages.infer import score_record
from stages.train import read_recipe

VERDICT_S = 1.0
OFFLINE_RECIPE = PROJECT / "recipes/offline.yaml"
IMPORT_TORCH = "from fakeface.training.torchvision_ops import import_torchvision; import_torchvision()"


def verdict(options: Options) -> Result:
    """One photo by both models in a new process, against importing torch and torchvision alone."""
    work, recipe = with_models(options, OFFLINE_RECIPE)
    photo = work.photos / work.records("train")[0].path
    predict = (sys.executable, "-m", "fakeface", "predict", photo, "--models", work.root, "--params", work.paths.params)
    contenders: dict[str, Go] = {
        "fakeface": partial(timed, output_of, *predict),
        "importing torch, torchvision": partial(timed, output_of, sys.executable, "-c", IMPORT_TORCH),
        "Python alone": partial(timed, output_of, sys.executable, "-c", "pass"),
    }
    return Result(
        "verdict",
        f"`fakeface predict photo.jpg`, {recipe.model.arch} at {work.pack_params.eval_px} px, both models.",
        alternating("verdict", contenders, options.rounds),
        [Goal("fakeface", at_most=VERDICT_S), Goal("fakeface", "importing torch, torchvision")],
    )


def verdicts(options: Options) -> Result:
    """Many photos by ResNet18, the notebook's network: `infer` and `predict` against bare decoding and bare networks."""
    return _many(options, "verdicts", NOTEBOOK_RECIPE)


def verdicts_lite(options: Options) -> Result:
    """The same by EfficientNet-Lite0, in a quarter of the time, so that decoding weighs four times as much."""
    return _many(options, "verdicts_lite", OFFLINE_RECIPE)


def _many(options: Options, part: str, usual_recipe: Path) -> Result:
    """The limit is whichever takes longer; where both need all cores, no program reaches it, and their sum is what is left."""
    work, recipe = with_models(options, usual_recipe)
    records, px = work.records("train"), work.pack_params.eval_px
    # As `infer` and `predict` load them: a core judges a photo of its own. In batches all cores judge together.
    detectors = {name: load_detector(work.root / name) for name in OBJECTIVE_NAMES}
    together = {name: _of_all_threads(detector) for name, detector in detectors.items()}
    image = np.random.default_rng(0).integers(0, 256, (px, px, 3), np.uint8)
    contenders: dict[str, Go] = {
        "infer": partial(timed, _inferred, work, records, detectors),
        "predict": partial(timed, _predicted, work, records),
        "notebook": partial(timed, _notebook_verdicts, work, recipe),
        "limit: decoding": partial(timed, bare_decoding, [str(work.photos), str(px)]),
        "limit: networks, in batches": partial(timed, _bare_networks, together, np.stack([image] * BATCH_SIZE), len(records)),
        "limit: networks, on all cores": partial(timed, _bare_networks_on_all_cores, detectors, image, len(records)),
    }
    rows = alternating(part, contenders, options.rounds)
    rounds = zip(*(of["s"] for name, of in rows.items() if name.startswith("limit")), strict=True)
    needed = [(decoding, min(networks)) for decoding, *networks in rounds]
    rows["limit"] = {"s": [max(one) for one in needed]}
    rows["limit, one after the other"] = {"s": [sum(one) for one in needed]}
    return Result(
        part,
        f"Photos, {recipe.model.arch} at {px} px, both models. notebook: torch, photo by photo; limit: decoding and resizing "
        "on all cores, or the exported networks on images in memory, in the faster of two ways, whichever takes longer.",
        rows,
        [
            Goal("infer", "limit", at_least=0.9),
            Goal("predict", "limit", at_least=0.9),
            Goal("infer", "limit, one after the other"),
            Goal("predict", "limit, one after the other"),
            Goal("infer", "notebook"),
        ],
        images=len(records),
    )


def with_models(options: Options, usual_recipe: Path) -> tuple[Workspace, Recipe]:
    """Photos, and both model folders with random weights, which cost what trained ones do."""
    work = new_workspace(options, options.recipe or usual_recipe, {}, valid_share=0)
    recipe, px = read_recipe(work.paths), work.pack_params.eval_px
    network = work.root / NETWORK_FILE
    export_onnx(ExportedClassifier(new_classifier(recipe.model, 0), recipe.objective, recipe.mean, recipe.std), px, network)
    for name in OBJECTIVE_NAMES:
        (work.root / name).mkdir()
        shutil.copy(network, work.root / name)
        about = {"objective": name, "image_px": px, "framing": "centre", "is_sample": False}
        chosen = {"thresholds": {"half": 0.5}, "answers": {"max_error": 0.1, "real_below": 0.5, "fake_from": 0.5}}
        write_json(work.root / name / CARD_FILE, about | chosen)
    return work, recipe


def _of_all_threads(detector: Detector) -> Detector:
    """The same network with as many threads as there are cores, where `load_detector` gives it one."""
    import onnxruntime  # after `load_detector`, which has seen to its reports

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(detector.folder / NETWORK_FILE, options, providers=["CPUExecutionProvider"])
    return replace(detector, session=session)


def _inferred(work: Workspace, records: list[SplitRecord], detectors: dict[str, Detector]) -> None:
    for _ in on_all_cores(partial(score_record, root=work.photos, detectors=detectors, held_out=detectors), records, "infer"):
        pass


def _predicted(work: Workspace, records: list[SplitRecord]) -> None:
    photos = [work.photos / record.path for record in records]
    with redirect_stdout(io.StringIO()):
        predict.run(
            list(map(str, photos)), "text", None, models=str(work.root), fail_on=None, threshold="half", params=None, whole=True
        )


def _bare_networks(detectors: dict[str, Detector], batch: NDArray[np.uint8], count: int) -> None:
    for first in range(0, count, len(batch)):
        for detector in detectors.values():
            detector.scores(batch[: count - first])


def _bare_networks_on_all_cores(detectors: dict[str, Detector], image: NDArray[np.uint8], count: int) -> None:
    with ThreadPoolExecutor(available_cores()) as executor:
        for _ in executor.map(lambda _: _bare_networks(detectors, image[None], 1), range(count)):
            pass


@torch.inference_mode()
def _notebook_verdicts(work: Workspace, recipe: Recipe) -> None:
    networks = [new_classifier(recipe.model, seed).eval() for seed in range(len(OBJECTIVE_NAMES))]
    transform = notebook_transform(recipe, work.pack_params.eval_px, train=False)
    photos = JpegDataset(work.photos, work.records("train"), transform)
    for row in range(len(photos)):
        image, _ = photos[row]
        for network in networks:
            network(image[None]).argmax(dim=1).item()
