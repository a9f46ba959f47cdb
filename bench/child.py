"""One function in a process of its own: how long it takes once it is imported, and the most memory that the process held.

    python -m bench.child MODULE FUNCTION ARGUMENT...

The peak is VmHWM of /proc (Linux): `ru_maxrss` of a forked process counts from its parent's.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def measured(module: str, function: str, *arguments: object, **environment: str) -> dict[str, float]:
    """{"s", "peak_mib"} of function(arguments as strings). Raises RuntimeError with what the process complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.child", module, function, *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed:\n{done.stderr}")
    measures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measures


def main(argv: list[str]) -> None:
    module, function, *arguments = argv
    action = getattr(importlib.import_module(module), function)
    started = time.perf_counter()
    action(arguments)
    elapsed_s = time.perf_counter() - started
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak_kib,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    print(json.dumps({"s": elapsed_s, "peak_mib": int(peak_kib) / 1024}))


if __name__ == "__main__":
    main(sys.argv[1:])
