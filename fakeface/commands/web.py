"""Bring up the page on which anybody judges photos of their own, in a browser on this machine.

Photos are dropped, pasted, chosen or taken there; each stays in memory until it is judged, and no longer. Nothing comes from
elsewhere. Other machines reach the page only with --host, and by a name that --allow-host names.

Examples:
  fakeface web
  fakeface web --model models:/fakeface@champion --port 9000
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fakeface.commands import add_model_argument, model_folder, require
from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.detector import load_detectors

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PACKAGES = ("starlette", "uvicorn", "jinja2", "markdown_it")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "--metrics",
        type=Path,
        default=Path("metrics"),
        metavar="PATH",
        help="folder with the models' scores and card, as a run leaves it (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free (default: %(default)s)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="another name by which browsers may ask for the page"
    )


def run(models: str, metrics: Path, host: str, port: int, allow_host: Sequence[str]) -> None:
    """Serve until it is interrupted."""
    for package in PACKAGES:
        require(package, "`fakeface web`", extra="web")
    import os
    import socket

    import uvicorn

    from fakeface.web.about import read_about
    from fakeface.web.app import new_app

    with model_folder(models) as folder:
        detectors = load_detectors(folder)
        about = read_about(folder, metrics, detectors)
    app = new_app(detectors, about, (*LOOPBACK, host, *allow_host))
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise FakefaceError(f"--host {host} --port {port}: {os.strerror(error.errno or 0)}") from None
    shown = f"[{host}]" if ":" in host else host
    if host not in ("127.0.0.1", "::1", "localhost"):
        tell(f"note: whoever reaches {host} can use the page; by other names only those of --allow-host")
    print(f"http://{shown}:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run([listener])
