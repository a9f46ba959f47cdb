"""Work on the workers of a Dask cluster: the only module that knows Dask."""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import fakeface
from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json

Batch = TypeVar("Batch")
Result = TypeVar("Result")

DECISIVE_PACKAGES = ("numpy", "pillow", "opencv-python-headless", "onnxruntime")
"""By which, beside our own code, a result's bytes are decided."""
SCHEDULER_FILE_S = 30
FIRST_WORKER_S = 600
"""A batch system may have to start it."""


class Cluster:
    """A scheduler's workers, through Dask's own `concurrent.futures` executor."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._threads, self._counted_at = 0, -math.inf

    def threads(self) -> int:
        """Of all workers that are there, as of a second ago at most."""
        if time.monotonic() > self._counted_at + 1:
            self._threads, self._counted_at = sum(self._client.nthreads().values()), time.monotonic()
        return self._threads

    def submitter(self, function: "partial[Result]") -> Callable[[Batch], "Future[Result]"]:
        """What submits a batch to `function`; relative paths among the function's own arguments are this process's."""
        paths: list[Path] = []
        return partial(self._executor.submit, _there, _absolute(function, paths), paths, _code())


@contextmanager
def connected(scheduler: str) -> Iterator[Cluster]:
    """The cluster of a scheduler, given by its address (tcp://host:8786, tls://...) or the file that it wrote.

    Raises:
        FakefaceError: Dask is not installed, no scheduler answers, it has no worker or goes away, or workers die of a batch.
    """
    try:
        from distributed import Client, KilledWorker, Security
    except ImportError:
        raise FakefaceError(f"{scheduler}: a cluster needs Dask: pip install 'fakeface[cluster]'") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would say is said below, in a line
    address = _address_of(scheduler)
    if address.startswith("tls://") and Security().get_connection_args("client").get("ssl_context") is None:
        raise FakefaceError(f"{scheduler}: {address}: expected a certificate for TLS in Dask's configuration")
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise FakefaceError(f"{scheduler}: no Dask scheduler answers: {_one_line(error)}") from None
    with client:
        try:
            _wait_for_a_worker(client, scheduler)
            yield Cluster(client)
        except KilledWorker as error:
            raise FakefaceError(f"{scheduler}: workers died again and again of one batch: {_one_line(error)}") from None
        except (CancelledError, OSError):
            if client.status == "running":
                raise
            raise FakefaceError(f"{scheduler}: the Dask scheduler went away: start it, then run this again") from None


def _address_of(scheduler: str) -> str:
    """The address, or that in the file, which a scheduler that has just been started may yet have to write."""
    if "://" in scheduler:
        return scheduler
    path, deadline = Path(scheduler), time.monotonic() + SCHEDULER_FILE_S
    while not path.is_file():
        if time.monotonic() > deadline:
            raise FakefaceError(f"{scheduler}: no scheduler file in {SCHEDULER_FILE_S} s: expected one, or tcp://HOST:PORT")
        time.sleep(0.1)
    return str(read_json(path)["address"])


def _wait_for_a_worker(client: Any, scheduler: str) -> None:
    if client.nthreads():
        return
    tell(f"{scheduler}: no worker yet; waiting up to {FIRST_WORKER_S} s for the first")
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_S)
    except TimeoutError:
        raise FakefaceError(f"{scheduler}: no worker in {FIRST_WORKER_S} s: start one with `dask worker`") from None


def _absolute(function: "partial[Result]", paths: list[Path]) -> "partial[Result]":
    """The function with its own arguments' paths made absolute, which are added to `paths`; also where it is partial twice."""

    def absolute(value: Any) -> Any:
        if isinstance(value, partial):
            return _absolute(value, paths)
        if not isinstance(value, Path):
            return value
        paths.append(value.absolute())
        return paths[-1]

    return partial(function.func, *map(absolute, function.args), **{key: absolute(of) for key, of in function.keywords.items()})


def _there(function: Callable[[Batch], Result], paths: list[Path], code: str, batch: Batch) -> Result:
    """`function` of a batch, on a worker. A user's error also tells which worker it was."""
    try:
        _check_machine(paths, code)
        return function(batch)
    except FakefaceError as error:
        from distributed import get_worker

        raise FakefaceError(f"worker {get_worker().address}: {error}") from None


def _check_machine(paths: list[Path], code: str) -> None:
    """Raises FakefaceError where results would be others than where the work is given out."""
    if code != _code():
        raise FakefaceError("another Fakeface, or other packages, than where the work is given out: install the same there")
    for path in paths:
        if not path.exists():
            raise FakefaceError(f"{path}: not seen: expected under this name on all machines")


@cache
def _code() -> str:
    """A digest of what decides a result: this package's code, and the versions of others."""
    digest = hashlib.sha256(repr([version(name) for name in DECISIVE_PACKAGES]).encode())
    root = Path(fakeface.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
