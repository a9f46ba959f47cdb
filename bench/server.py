"""MLflow's server of a registered model, as a process of this machine, on loopback."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

START_S = 120
"""For a server to come up on a busy machine."""


class Server:
    """What runs, asked by HTTP."""

    def __init__(self, uri: str, process: psutil.Process) -> None:
        self.uri = uri
        self.process = process

    def post(self, body: Any, kind: str = "application/json") -> tuple[int, str]:
        """Status and body of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.uri}/invocations", data, {"Content-Type": kind})  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):  # noqa: S310
                return True
        except OSError:
            return False

    def memory_mib(self) -> float:
        """Of all its processes, now."""
        return float(sum(process.memory_info().rss for process in self._processes())) / 2**20

    def peak_mib(self) -> float:
        """The most that its processes ever held, each by itself."""
        return sum(map(_peak_kib, self._processes())) / 2**10

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def of_photo(*photos: bytes) -> dict[str, Any]:
    """The body of a request about these files."""
    return {"dataframe_records": [{"photo": base64.b64encode(photo).decode()} for photo in photos]}


@contextmanager
def served(model: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """`mlflow models serve` of a model's URI until the block ends; its log stands in `folder`. Raises RuntimeError."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = ["models", "serve", "-m", model, "--env-manager", "local", "--port", str(port)]
    path = folder / "serve.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            cwd=folder,
            env=dict(environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        server, deadline = Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid)), time.monotonic() + START_S
        while not server.is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{model}: the server does not answer:\n{path.read_text(errors='replace')}")
            time.sleep(0.3)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _peak_kib(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    return int(peak)
