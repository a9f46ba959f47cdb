"""On a real scheduler and workers, processes of this machine."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from bench.machines import Machines, machines
from fakeface.core.errors import FakefaceError
from fakeface.core.parallel import MAX_TASK_ITEMS, MIN_TASK_ITEMS, SCHEDULER, TASK_S, Done, TaskSize, on_all_machines
from fakeface.params import SampleParams
from stages import sample
from tests.conftest import ROOT, write_params
from tests.faces.drawn import drawn_face
from tests.tiny_models import write_model

TINY = SampleParams(seed=0, image_px=96, training_real=24, training_fake=24, test_real=6, test_fake=6)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("two"), workers=2) as running:
        yield running


@pytest.fixture
def on_two(two: Machines, monkeypatch: pytest.MonkeyPatch) -> Machines:
    monkeypatch.setenv(SCHEDULER, str(two.scheduler_file))
    return two


def square(number: int, pause_s: float = 0.0) -> int:
    time.sleep(pause_s)
    return number * number


def noted(number: int, folder: Path) -> tuple[int, int]:
    """The number, and the process that saw it; `folder` says when the first one has."""
    time.sleep(0.01)
    (folder / "started").touch()
    return number, os.getpid()


def size_of(name: str, root: Path) -> int:
    return (root / name).stat().st_size


def test_results_come_in_order_and_items_are_taken_a_few_at_a_time(on_two: Machines) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = on_all_machines(square, numbers(), "test", total=1000)
    assert next(results) == 0
    assert len(taken) <= 5 * MIN_TASK_ITEMS  # two threads, two batches for each, and one more
    assert list(results) == [number * number for number in range(1, 1000)]


def test_a_task_takes_about_as_long_as_it_should_whatever_an_item_takes() -> None:
    """Tens of items at least, and twice as many at a time at most."""
    size, sizes = TaskSize(), []
    for seconds_each in (0.005, 0.005, 0.005, 0.2, 0.0, 1e-5, 1e-5, 1e-5, 1e-5):
        sizes.append(size.items)
        size.learn(Done([None] * size.items, size.items * seconds_each))
    assert sizes == [32, 64, round(TASK_S / 0.005), round(TASK_S / 0.005), 32, 64, 128, MAX_TASK_ITEMS, MAX_TASK_ITEMS]


def test_files_are_read_by_the_paths_of_the_process_that_asks(
    on_two: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers' working directory is another one."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"1234")
    monkeypatch.chdir(tmp_path)
    assert list(on_all_machines(partial(size_of, root=Path("photos")), ["a.jpg"], None)) == [4]


def test_a_folder_that_a_worker_does_not_see_is_a_line_that_names_both(on_two: Machines, tmp_path: Path) -> None:
    missing = tmp_path / "elsewhere"
    with pytest.raises(FakefaceError, match=rf"^worker tcp://127\.0\.0\.1:\d+: {missing}: not seen: expected under this name"):
        list(on_all_machines(partial(size_of, root=missing), ["a.jpg"], None))


def test_a_failure_on_a_worker_ends_the_work_and_leaves_the_worker_usable(on_two: Machines) -> None:
    with pytest.raises(TypeError):
        list(on_all_machines(square, [*range(50), "no number"], None))
    assert list(on_all_machines(square, range(5), None)) == [0, 1, 4, 9, 16]


def test_of_a_worker_that_is_killed_nothing_is_lost_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machines(tmp_path, workers=2) as running:
        monkeypatch.setenv(SCHEDULER, str(running.scheduler_file))
        results = on_all_machines(partial(noted, folder=tmp_path), range(400), None)
        first = [next(results) for _ in range(60)]
        running.workers[0].send_signal(signal.SIGKILL)
        rest = list(results)
    assert [number for number, _ in first + rest] == list(range(400))
    assert {process for _, process in first + rest} == {worker.pid for worker in running.workers}
    assert {process for _, process in rest[-100:]} == {running.workers[1].pid}


def test_a_worker_with_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("bench", "fakeface", "stages", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / "other" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "other/fakeface/photos/images.py").open("a", encoding="utf-8") as file:
        file.write("# another version\n")
    with machines(tmp_path / "run", workers=0) as running:
        running.add_workers(1, code=tmp_path / "other")
        monkeypatch.setenv(SCHEDULER, str(running.scheduler_file))
        with pytest.raises(FakefaceError, match="another Fakeface, or other packages, than where the work is given out"):
            list(on_all_machines(square, range(5), None))


def test_what_is_no_scheduler_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    monkeypatch.setenv(SCHEDULER, "tcp://127.0.0.1:1")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(FakefaceError, match=r"^tcp://127\.0\.0\.1:1: no Dask scheduler answers: Timed out"),
    ):
        list(on_all_machines(square, range(5), None))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs to make a certificate")
def test_with_tls_a_scheduler_answers_those_who_have_the_certificate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Dask's own configuration, as the README switches it on."""
    import dask
    import distributed  # noqa: F401 - which knows the configuration's other values

    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=fakeface")
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = "distributed.comm.tls"
    has_it = {f"{tls}.ca-file": str(certificate), f"{tls}.client.cert": str(certificate), f"{tls}.client.key": str(key)}
    with machines(tmp_path / "run", workers=1, certificate=certificate) as running:
        monkeypatch.setenv(SCHEDULER, str(running.scheduler_file))
        with dask.config.set(has_it):
            assert list(on_all_machines(square, range(5), None)) == [0, 1, 4, 9, 16]
        with pytest.raises(FakefaceError, match=r"expected a certificate for TLS in Dask's configuration$"):
            list(on_all_machines(square, range(5), None))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCHEDULER, "tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FakefaceError, match=r"pip install 'fakeface\[cluster\]'$"):
        list(on_all_machines(square, range(5), None))


STAGES = """
import sys
from stages import find_faces, index, infer, pack, relate, scan, split
def run(stage, words):
    stage.main([*words.split(), "--params", "../params.yaml"])
run(scan, "--listing listing.csv --elsewhere elsewhere_listing.csv")
run(index, "--listing listing.csv --images images.csv --rejected rejected.csv --metrics index.json")
if "--index" in sys.argv:
    sys.exit()
run(relate, "--images images.csv --relations relations --metrics relate.json")
run(split, "--images images.csv --relations relations --split split.csv --metrics split.json")
run(find_faces, "--images images.csv --faces faces --metrics faces.json")
run(pack, "--split split.csv --faces faces --packed packed")
scored = "--predictions predictions.csv --perturbed perturbed.csv --evidence evidence.csv --elsewhere elsewhere.csv"
run(infer, "--split split.csv --elsewhere-listing elsewhere_listing.csv --models ../models --metrics elsewhere.json " + scored)
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn sample, tiny models, and the parameters for both, whose folder of photos is a relative path."""
    folder = tmp_path_factory.mktemp("drawn")
    sample.run(sample.Paths(folder / "photos"), TINY, workers=1)
    for objective in ("ce", "bce"):
        write_model(folder / "models" / objective, objective, framing="face", gives_evidence=True)
    pack = {"train_px": 36, "eval_px": 32, "framing": "face", "laundered": 1}
    (folder / "elsewhere").mkdir()
    for seed in range(3):
        drawn_face(seed, 100).save(folder / f"elsewhere/{seed}.png")
    roots = {"data": {"root": "../photos"}, "elsewhere": {"root": "../elsewhere"}}
    write_params(folder / "params.yaml", roots | {"pack": pack, "augment": {"crop_px": 32}})
    return folder


def run_there(folder: Path, *command: str, scheduler: object = "") -> "subprocess.CompletedProcess[str]":
    environment = {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1", SCHEDULER: str(scheduler)}
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_stages_write_the_same_bytes_on_threads_on_one_worker_and_on_three(drawn: Path, tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    found = {}
    with machines(tmp_path, workers=1) as running:
        file = running.scheduler_file
        for name, more_workers, scheduler in (("threads", 0, ""), ("one", 0, file), ("three", 2, file)):
            running.add_workers(more_workers)
            done = run_there(drawn / name, "-c", STAGES, scheduler=scheduler)
            assert done.returncode == 0, done.stderr
            found[name] = digests(drawn / name)
    assert len(found["threads"]) > 12
    assert found["one"] == found["threads"]
    assert found["three"] == found["threads"]


@pytest.mark.slow
def test_of_a_scheduler_that_goes_away_one_line_tells_and_the_cache_keeps_what_was_done(drawn: Path, tmp_path: Path) -> None:
    """As `dvc repro` runs the stage: what a worker is sent is then defined in `__main__`."""
    folder = drawn / "stopped"
    run_there(folder, "-c", STAGES, "--index")
    relate = ("-m", "stages.relate", "--images", "images.csv", "--relations", "relations", "--metrics", "r.json")
    with machines(tmp_path, workers=1) as running, ThreadPoolExecutor() as executor:
        stage = executor.submit(run_there, folder, *relate, "--params", "../params.yaml", scheduler=running.scheduler_file)
        while not (described := list(folder.glob(".cache/relate/*/*.npz"))) and not stage.done():
            time.sleep(0.01)
        running.scheduler.kill()
        done = stage.result()
    assert described
    assert (done.returncode, done.stdout) == (1, "")
    *_, line = done.stderr.splitlines()
    assert line == f"error: {running.scheduler_file}: the Dask scheduler went away: start it, then run this again"
    assert "Traceback" not in done.stderr
    assert not (folder / "relations").exists()
    assert run_there(folder, *relate, "--params", "../params.yaml").returncode == 0
    assert all(path.exists() for path in described)
