"""The page as `fakeface web` serves it, in a process of its own, and what a client asks of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.conftest import ROOT


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Served:
    """`url` is where the page is; `log` is the file with all that its process printed, `pid` its number."""

    url: str
    log: Path
    folder: Path
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Answered:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", path, body, named)
        response = connection.getresponse()
        answered = Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        connection.close()
        return answered

    def memory_bytes(self) -> int:
        """What the process holds in memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


@contextmanager
def served(models: Path, folder: Path, *words: str) -> Iterator[Served]:
    """In an empty folder, at a port that is free."""
    folder.mkdir()
    log = folder.with_suffix(".log")
    command = (sys.executable, "-m", "fakeface", "web", "--model", str(models), "--port", "0", *words)
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    with log.open("wb") as file, subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=file) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            assert url, log.read_text()
            yield Served(url, log, folder, process.pid)
        finally:
            process.terminate()
            process.wait(10)
