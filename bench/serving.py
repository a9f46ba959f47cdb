"""Part about a server: the registered model under load."""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from bench.pixels import files
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, alternating
from bench.server import Server, of_photo, served
from bench.verdicts import OFFLINE_RECIPE, with_models
from fakeface.core.files import read_json, write_json
from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.detector import CARD_FILE, RUN_FILE
from fakeface.reporting import names
from fakeface.tracking.contact import Contact
from fakeface.tracking.registry import CHAMPION, open_registry, register
from fakeface.tracking.relocation import NAME
from fakeface.tracking.runs import TRAINING_ID
from fakeface.tracking.store import open_store, store_uri

CLIENTS = 8
GROWTH = 1.1
"""By this factor may the server's peak memory grow over the requests, once each photo was answered before."""


def serving(options: Options) -> Result:
    """`mlflow models serve` of the registered model: a photo a request, by eight clients at once and by one."""
    work, recipe = with_models(options, OFFLINE_RECIPE)
    become_champion(work.root)
    bodies = [of_photo(path.read_bytes()) for path in files(work.photos)[: options.drawn_photos]]
    folder = Path(mkdtemp(dir=options.scratch))
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with served(f"models:/{NAME}@{CHAMPION}", folder, environment) as server:
        asked = [bodies[number % len(bodies)] for number in range(options.images)]
        alone = {id(body): verdicts_on(server, body) for body in bodies}
        expected = [alone[id(body)] for body in asked]
        load(server, bodies, expected, CLIENTS)  # each of its threads reads the face finder's networks once
        together, one = (partial(load, server, asked, expected, clients) for clients in (CLIENTS, 1))
        contenders: dict[str, Go] = {f"{CLIENTS} clients": together, "1 client": one}
        rows = alternating("serving", contenders, options.rounds)
    bounds = {"lost": 0, "growth": GROWTH}
    return Result(
        "serving",
        f"{options.images} requests of a photo each; {recipe.model.arch} at {work.pack_params.eval_px} px, both models on each "
        "face in it. lost: answers that are none, or another than the photo gets alone. first_mib, last_mib: the peak of "
        "all the server's processes before and after, in MiB.",
        rows,
        [Goal(name, measure=measure, at_most=bound) for name in rows for measure, bound in bounds.items()],
        {"different photos": len(bodies)},
        options.images,
    )


def become_champion(models: Path) -> None:
    """Register both models in `models`, that judge the faces in a photo, as `report` and `fakeface promote` do."""
    for name in OBJECTIVE_NAMES:
        write_json(models / name / CARD_FILE, read_json(models / name / CARD_FILE) | {"framing": "face"})
        write_json(models / name / RUN_FILE, {"training_id": f"{models} {name}"})
    store = open_store(store_uri())
    store.client.create_run(store.experiment_id, tags={TRAINING_ID: f"{models} ce"})
    register(Contact(), models, "ce", Path(names.__file__).with_name("served.py"), {})
    with open_registry() as registry:
        registry.promote(registry.version(None), registry.champion(), None)


def verdicts_on(server: Server, body: dict[str, Any]) -> Any:
    """What the server makes of a photo; where it makes nothing of it, its status or what went wrong."""
    try:
        status, text = server.post(body)
    except OSError as error:
        return str(error)
    return json.loads(text)["predictions"] if status == HTTPStatus.OK else status


def load(server: Server, asked: Sequence[dict[str, Any]], expected: Sequence[Any], clients: int) -> Measures:
    """All of `asked`, so many at a time."""

    def timed_answer(body: dict[str, Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        return verdicts_on(server, body), time.perf_counter() - started

    started, first_mib = time.perf_counter(), server.peak_mib()
    with ThreadPoolExecutor(clients) as executor:
        found = list(executor.map(timed_answer, asked))
    elapsed_s, last_mib = time.perf_counter() - started, server.peak_mib()
    p50_s, p95_s = np.percentile([seconds for _, seconds in found], [50, 95]).tolist()
    lost = sum(answer != wanted for (answer, _), wanted in zip(found, expected, strict=False))
    memory = {"first_mib": first_mib, "last_mib": last_mib, "growth": last_mib / first_mib}
    return {"s": elapsed_s, "p50_s": p50_s, "p95_s": p95_s, "lost": lost, **memory}
