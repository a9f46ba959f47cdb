"""The Dockerfile, as far as a machine without Docker can tell: what it copies is there and enough, and who runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.checkout import PROJECT, environment

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COPIED = [name for names in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()]


def test_what_is_copied_is_what_a_build_is_given() -> None:
    kept = re.findall(r"^!(.+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(kept) == sorted(COPIED)
    assert "models" not in COPIED


def test_what_is_copied_is_enough_to_install_the_command(tmp_path: Path) -> None:
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, tmp_path / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / "src").mkdir(exist_ok=True)
            shutil.copy(PROJECT / name, tmp_path / "src")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(tmp_path / "src")]
    subprocess.run([sys.executable, "-m", "pip", *build], env=environment(), cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        assert "fakeface/faces/networks/face_detection.tflite" in archive.namelist()


def test_it_is_run_by_a_user_of_its_own() -> None:
    (user,) = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert f"useradd --uid 10001 --create-home {user}" in DOCKERFILE
    assert DOCKERFILE.index("USER") < DOCKERFILE.index("ENTRYPOINT")
    assert re.search(r'^ENTRYPOINT \["fakeface"\]$', DOCKERFILE, re.MULTILINE)
