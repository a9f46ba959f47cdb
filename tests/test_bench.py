"""The benchmark's peers compute what we compute, its ratios are those of the measured times, and every part runs."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench import __main__ as bench
from bench import child, page, pixels
from bench.commands import started
from bench.photos import Workspace, draw_small, new_workspace, write_params
from bench.rounds import Goal, Measures, Options, Result, alternating, compared, is_reached, spread
from bench.training import paired_interval
from bench.trainings import BareTraining, FilesTraining, JpegDataset, notebook_transform, simple_transform
from fakeface.training.batches import to_tensors
from fakeface.training.devices import Device
from fakeface.training.fit import new_network, valid_epoch
from fakeface.training.packed import load_side
from fakeface.training.recipe import Recipe
from stages.compute_stats import channel_stats
from stages.train import read_recipe
from tests.checkout import TINY
from tests.conftest import ROOT, write_photos

CPU = Device(torch.device("cpu"), bf16=False)
STILL: dict[str, Any] = dict.fromkeys(("horizontal_flip", "brightness", "contrast", "saturation", "hue"), 0.0)
STILL |= {"crop_px": 36, "rotation_degrees": 0}
"""Train images of 36 px as packed: nothing random is left."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Twenty tiny photos, and parameters of a network that takes them."""
    folder = tmp_path_factory.mktemp("bench")
    write_photos(folder / "photos", {"real": 12, "fake": 12})
    plain = {"pack": TINY["pack"] | {"framing": "centre", "laundered": 0}, "model": TINY["model"] | {"pooling": "image"}}
    write_params(folder / "tiny.yaml", ROOT / "params.yaml", TINY | plain)
    return Options(folder, 20, 1, folder / "photos", folder / "tiny.yaml", sizes=[6, 12], relate_sizes=[6], drawn_photos=4)


@pytest.fixture(scope="module")
def work(options: Options) -> Workspace:
    assert options.recipe is not None
    changes = {"augment": STILL, "train": {"batch_size": 5}}
    return new_workspace(options, options.recipe, changes, valid_share=0.4)


@pytest.fixture(scope="module")
def recipe(work: Workspace) -> Recipe:
    return read_recipe(work.paths)


def test_a_workspace_has_as_many_of_both_classes_on_both_sides(work: Workspace) -> None:
    for side, count in (("train", 12), ("valid", 8)):
        assert [record.label for record in work.records(side)].count(1) * 2 == len(work.records(side)) == count


@pytest.mark.parametrize("transform", [notebook_transform, simple_transform])
@pytest.mark.parametrize(("side", "px"), [("train", 36), ("valid", 32)])
def test_jpeg_files_give_the_packed_pixels(
    work: Workspace, recipe: Recipe, transform: Any, side: Literal["train", "valid"], px: int
) -> None:
    photos = JpegDataset(work.photos, work.records(side), transform(recipe, px, train=side == "train"))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (recipe.mean, recipe.std))
    packed = load_side(work.paths.packed, work.paths.split, side)
    assert len(photos) == len(packed.images)
    for row, (image, label) in enumerate(zip(packed.images, packed.labels, strict=True)):
        found, found_label = photos[row]
        assert found_label == label
        np.testing.assert_allclose(found.numpy() * std + mean, image.transpose(2, 0, 1) / 255, atol=1e-6)


def test_files_and_packed_images_train_alike(work: Workspace, recipe: Recipe) -> None:
    """The notebook's network starts as ours does, and finds the same loss on the validation images."""
    valid = to_tensors(load_side(work.paths.packed, work.paths.split, "valid"), CPU)
    theirs = FilesTraining(work, recipe, CPU, simple=False)
    expected, _ = valid_epoch(new_network(recipe, CPU, work.pack_params.eval_px), valid, recipe, CPU)
    theirs.network.eval()
    with torch.inference_mode():
        losses = [theirs._loss(images, labels)[0].item() * len(labels) for images, labels in theirs.valid]
    assert sum(losses) / len(valid.labels) == pytest.approx(expected, rel=1e-5)


def test_the_limit_takes_as_many_images_as_we_do(work: Workspace, recipe: Recipe) -> None:
    bare = BareTraining(recipe, CPU, 12, 8, 32)
    assert (bare.train_sizes, bare.valid_sizes) == ([5, 5, 2], [8])
    before = bare.network.state_dict()["conv1.0.weight"].clone()
    bare.epoch()
    assert not torch.equal(before, bare.network.state_dict()["conv1.0.weight"])


def test_a_simple_loop_packs_the_same(work: Workspace, options: Options, tmp_path: Path) -> None:
    assert options.recipe is not None
    all_train = new_workspace(options, options.recipe, {}, valid_share=0)
    pixels.simple_packing([str(all_train.photos), "36", str(tmp_path / "simple.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "simple.npy"), np.load(all_train.paths.packed / "train.npy"))


@given(seed=st.integers(0, 99), count=st.integers(1, 4), height=st.integers(1, 9))
def test_lists_and_numpy_give_our_statistics(seed: int, count: int, height: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, 5, 3), dtype=np.uint8)
    ours = channel_stats([images])
    for mean, std in (pixels.statistics_in_lists(images), pixels.statistics_in_numpy(images)):
        np.testing.assert_allclose(mean, ours.mean, rtol=1e-12)
        np.testing.assert_allclose(std, ours.std, rtol=1e-9, atol=1e-12)


def test_small_images_are_all_different(tmp_path: Path) -> None:
    draw_small(tmp_path, 10)
    assert len({path.read_bytes() for path in pixels.files(tmp_path)}) == 10


def test_every_other_round_goes_backwards(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def go(name: str) -> Measures:
        order.append(name)
        return {"s": len(order)}

    rows = alternating("part", {name: partial(go, name) for name in "ab"}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert rows == {"a": {"s": [1, 4, 5]}, "b": {"s": [2, 3, 6]}}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("part: round 1 of 3: a: s 1\n")


ROWS = {"ours": {"s": [1.0, 2.0, 3.0], "peak_mib": [50.0]}, "peer": {"s": [5.0, 6.0, 3.0], "peak_mib": [150.0]}}
RESULT = Result("pack", "What it is.", ROWS, [Goal("ours", "peer", at_least=2.6)], {"train": 3}, 10, {"machine": "a computer"})


def test_a_ratio_is_that_of_medians_and_its_spread_that_of_rounds() -> None:
    assert compared(ROWS, Goal("ours", "peer")) == (5 / 2, 2.0, 4.0)  # rounds: 5, 3, 1
    assert compared(ROWS, Goal("ours", "peer", at_most=1)).median == 2 / 5
    assert compared(ROWS, Goal("ours", measure="peak_mib", at_most=1)) == spread([50.0])


def test_goals_are_reached_at_their_bound() -> None:
    for goal, reached in (
        (Goal("ours", "peer", at_least=2.5), True),
        (Goal("ours", "peer", at_least=2.6), False),
        (Goal("ours", "peer", at_most=0.4), True),
        (Goal("ours", "peer", at_most=0.3), False),
        (Goal("ours", measure="peak_mib", at_most=50), True),
        (Goal("ours", "peer"), None),
    ):
        assert is_reached(ROWS, goal) is reached


def test_one_table_tells_what_is_to_be_reached() -> None:
    free = replace(RESULT, part="free", goals=[Goal("ours", "peer")])
    *_, row = page.summary([free, RESULT]).strip().splitlines()
    assert page.summary([free, RESULT]).count("\n| pack |") == 1
    assert "free" not in page.summary([free, RESULT])
    assert row == "| pack | ours: times as fast as peer | 2.5 (2 to 4) | at least 2.6 | **no** |"


def test_tables_tell_the_measured_times() -> None:
    table = page.tables([RESULT, replace(RESULT, part="again")])
    assert table.count("machine: a computer") == 1
    assert "| ours: times as fast as peer | 2.5 (2 to 4) | at least 2.6 | **no** |" in table
    assert "| ours | 3 | 2 (1.5 to 2.5) | 50 | 5 |" in table
    assert "| peer | 3 | 5 (4 to 5.5) | 150 | 2 |" in table


def test_writing_replaces_what_was_measured_anew_and_keeps_the_rest(tmp_path: Path) -> None:
    text, numbers = tmp_path / "page.md", tmp_path / "page.json"
    text.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write({"pack": RESULT}, ["imports", "pack"], text, numbers)
    other = replace(RESULT, part="imports", what="Something else.")
    page.write({"imports": other}, ["imports", "pack"], text, numbers)
    assert page.load(numbers) == {"imports": other, "pack": RESULT}
    assert text.read_text() == f"before\n{page.BEGIN}\n\n{page.whole([other, RESULT])}\n{page.END}\nafter\n"


def test_the_projects_page_holds_what_its_numbers_say() -> None:
    written = page.PAGE.read_text(encoding="utf-8").partition(page.BEGIN)[2].partition(page.END)[0].strip()
    known = list(page.load(page.NUMBERS).values())
    assert written == (page.whole(known).strip() if known else "Not measured yet.")


def test_a_child_tells_its_own_peak_and_its_complaints(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.zeros((8, 8), np.uint8))
    measures = child.measured("bench.pixels", "sum_of_array", tmp_path / "small.npy")
    assert measures["peak_mib"] < 100  # none of this process's torch
    with pytest.raises(RuntimeError, match=r"missing\.npy"):
        child.measured("bench.pixels", "sum_of_array", tmp_path / "missing.npy")


def test_heavy_imports_are_counted() -> None:
    assert [started(module)["heavy"] for module in ("fakeface.core.errors", "torch")] == [0, 1]


def test_help_tells_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        bench.main(["--help"])
    told = capsys.readouterr().out
    for name in bench.PARTS:
        assert f"\n  {name} " in told
    with pytest.raises(SystemExit, match="2"):
        bench.main(["speed"])
    assert "'speed': no such part; expected one of training, " in capsys.readouterr().err


def test_the_command_prints_a_part(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_ROOT", "restored afterwards")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "restored afterwards")
    bench.main(["pack", "--quick", "--images", "4", "--photos", str(options.photos), "--recipe", str(options.recipe)])
    out, err = capsys.readouterr()
    assert out.startswith("### pack\n")
    assert "fakeface: times as fast as limit" in out
    assert "machine: " in out
    assert "pack: round 1 of 1: simple: s " in err


def test_what_should_not_be_published_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--quick", "--write"])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("part", [part for part in bench.PARTS if part not in ("make_run", "imports")])
def test_a_part_runs(part: str, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make_run` is what the pipeline's own tests do, and `imports` starts every stage."""
    monkeypatch.setenv("DVC_ROOT", str(options.scratch))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{options.scratch / 'mlflow.db'}")
    result = bench.PARTS[part].measure(options)
    assert result.part == part
    assert all(len(values) == 1 for of in result.rows.values() for values in of.values())
    assert all(np.isfinite(compared(result.rows, goal).median) for goal in result.goals)
    assert page.tables([result]).startswith(f"### {part}\n")
    if part == "training":
        assert (options.scratch / "mlflow.db").exists()


def test_a_paired_difference_has_scipys_interval() -> None:
    differences = [0.01, -0.02, 0.004]
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    told = f"-0.0020, 95 % interval {expected.low:+.4f} to {expected.high:+.4f}, paired over 3 seeds"
    assert paired_interval(differences) == told
    assert paired_interval([0.5]) == "+0.5000, interval unknown"
