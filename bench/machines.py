"""A Dask scheduler and its workers as processes of this machine, on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.rounds import PROJECT

DEADLINE = "60s"
"""For a worker to find its scheduler on a busy machine."""


class Machines:
    """What runs; `scheduler_file` is what FAKEFACE_SCHEDULER may name."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.tls: tuple[str | Path, ...] = ()
        if certificate is not None:
            files = {"--tls-ca-file": certificate, "--tls-cert": certificate, "--tls-key": certificate.with_suffix(".key")}
            self.tls = ("--protocol", "tls", *(word for pair in files.items() for word in pair))
        self.scheduler_file = folder / "scheduler.json"
        where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", self.scheduler_file)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", *where, code=PROJECT)

    def add_workers(self, count: int, code: Path = PROJECT) -> None:
        """One thread each, in a working directory of their own, with the code of that checkout."""
        for _ in range(count):
            one_thread = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
            self.workers.append(self._start("worker", "--scheduler-file", self.scheduler_file, *one_thread, code=code))

    def _start(self, kind: str, *arguments: str | Path, code: Path) -> "subprocess.Popen[bytes]":
        environment = {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": DEADLINE}
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *map(str, (*self.tls, *arguments))],
                env=os.environ | environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@contextmanager
def machines(folder: Path, workers: int, certificate: Path | None = None) -> Iterator[Machines]:
    """With TLS where there is a certificate, which signs itself; its key lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    running = Machines(folder, certificate)
    try:
        running.add_workers(workers)
        yield running
    finally:
        running.stop()
