import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Stops at the import of torch, and prints what its OpenMP would have read.
AS_TORCH_IS_IMPORTED = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ["GOMP_SPINCOUNT"])
            sys.exit()
sys.meta_path.insert(0, Finder())
import stages.train
"""


@pytest.mark.parametrize(("own", "read"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_it_is_set_before_torch_is_imported_unless_the_user_has_set_it(own: dict[str, str], read: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    command = [sys.executable, "-c", AS_TORCH_IS_IMPORTED]
    done = subprocess.run(command, cwd=ROOT, env=others | own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [read]
