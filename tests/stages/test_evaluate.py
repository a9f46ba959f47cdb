import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakeface.core.files import read_json, read_rows, write_json, write_rows
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    PARTS,
    THRESHOLD_NAMES,
    ElsewhereRecord,
    EvidenceRecord,
    FaceRecord,
    PairRecord,
    PerturbedRecord,
    PredictionRecord,
    SplitRecord,
)
from fakeface.scoring.evaluation import side_scores
from fakeface.scoring.results import HEADLINE, SCORE_NAMES
from stages import evaluate
from tests.conftest import Command, Outcome, write_params
from tests.split_rows import image

PARAMS: dict[str, Any] = {"loss": "ce", "threshold": "half", "evaluate": {"seed": 0, "resamples": 100}}
THRESHOLDS = {"half": 0.5, "balanced_accuracy": 0.45, "few_false_alarms": 0.7}
ANSWERS = {"max_error": 0.1, "real_below": 0.3, "fake_from": 0.6}
SIDES = ("train",) * 60 + ("valid",) * 30 + ("test",) * 60 + ("excluded",) * 2


def random_p_fake(rng: np.random.Generator, label: int, strength: float) -> float:
    return float(1 / (1 + np.exp(-strength * (label - 0.5) - rng.normal())))


@dataclass(frozen=True)
class Workplace:
    """What the stages before `evaluate` left in a folder."""

    folder: Path
    command: Command

    def run(self, **params: object) -> Outcome:
        write_params(self.folder / "params.yaml", PARAMS | params)
        files = {"split": "split.csv", "split-counts": "split.json", "index-counts": "index.json", "models": "models"}
        files |= {"predictions": "predictions.csv", "perturbed": "perturbed.csv", "evidence": "evidence.csv"}
        files |= {"elsewhere": "elsewhere.csv", "elsewhere-counts": "elsewhere.json"}
        files |= {"faces": "faces.csv", "relations": ".", "metrics": "metrics", "params": "params.yaml"}
        return self.command(evaluate, *(word for name, file in files.items() for word in (f"--{name}", self.folder / file)))

    def scores(self, **params: object) -> dict[str, Any]:
        assert self.run(**params) == Outcome(0, "", "")
        found: dict[str, Any] = read_json(self.folder / "metrics/scores.json")
        return found

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "metrics/plots" / name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def workplace(tmp_path: Path, command: Command) -> Workplace:
    """152 images, a real and a fake to a group; CE separates them better than BCE, both worse after the web or blurred.

    Only CE gives evidence, more in the mouth, which is replaced in every fake.
    """
    rng = np.random.default_rng(0)
    images = [
        image(number, number % 2, side=side, group=f"{number // 2}", bytes=int(rng.integers(40_000, 60_000)))
        for number, side in enumerate(SIDES)
    ]
    write_rows(tmp_path / "split.csv", SplitRecord, images)
    predictions = [
        PredictionRecord(
            row.path, row.side, row.label, random_p_fake(rng, row.label, 3), random_p_fake(rng, row.label, 2), 0.9, 0.9, 0
        )
        for row in images
        if row.side != "excluded"
    ]
    write_rows(tmp_path / "predictions.csv", PredictionRecord, predictions)
    perturbed = [
        PerturbedRecord(row.path, name, random_p_fake(rng, row.label, strength), random_p_fake(rng, row.label, strength - 1))
        for row in images
        for name, strength in (("blur", 1), ("web", 2))
        if row.side == "test" or (row.side, name) == ("valid", "web")
    ]
    write_rows(tmp_path / "perturbed.csv", PerturbedRecord, perturbed)
    evidence = [
        EvidenceRecord(row.path, "ce", rng.normal(), rng.normal(), rng.normal(), rng.normal() + row.label)
        for row in images
        if row.side in ("valid", "test")
    ]
    write_rows(tmp_path / "evidence.csv", EvidenceRecord, evidence)
    faces = [
        FaceRecord(row.path, 1, 0.9, 100 + 50 * row.label + number % 60, 80, 400, 500) for number, row in enumerate(images)
    ]
    write_rows(tmp_path / "faces.csv", FaceRecord, faces)
    pairs = [PairRecord(one.path, other.path, "photo", 9) for one, other in zip(images[::2], images[1::2], strict=True)]
    write_rows(tmp_path / "pairs.csv", PairRecord, pairs)
    for objective in OBJECTIVE_NAMES:
        card = {"temperature": 1.5, "thresholds": THRESHOLDS, "answers": ANSWERS}
        write_json(tmp_path / "models" / objective / "model.json", card)
    write_json(tmp_path / "split.json", {"related": {"pairs": 9, "pairs_across_sides": 4}})
    write_json(tmp_path / "index.json", {"is_sample": True})
    write_rows(tmp_path / "elsewhere.csv", ElsewhereRecord, [])
    write_json(tmp_path / "elsewhere.json", {"is_sample": False})
    return Workplace(tmp_path, command)


def test_the_headline_is_the_candidates(workplace: Workplace) -> None:
    found = workplace.scores(loss="bce")
    test, web = (found["bce"]["answers"][key] for key in ("test", "web"))
    assert read_json(workplace.folder / "metrics/evaluate.json") == {
        "loss": "bce",
        "data": "sample",
        "test_images": 60,
        **{name: found["bce"]["test"][name] for name in HEADLINE},
        **{f"web_{name}": found["bce"]["web"][name] for name in ("accuracy", "roc_auc")},
        "web_drop": found["bce"]["web"]["drop"]["difference"],
        "pairwise_accuracy": found["bce"]["linked_pairs"]["pairwise_accuracy"],
        **{f"{answer}_{key}": test[answer][key] for answer in ("real", "fake") for key in ("coverage", "error")},
        **{f"web_{answer}_{key}": web[answer][key] for answer in ("real", "fake") for key in ("coverage", "error")},
        "elsewhere_false_positive_rate": None,
        "same_table_roc_auc": found["bce"]["slices"]["jpeg_table"]["same"]["roc_auc"],
        "valid_pairwise_accuracy": found["bce"]["valid_linked_pairs"]["pairwise_accuracy"],
        "train_valid_gap": found["bce"]["train_valid_gap"],
        "linked_pairs": 30,
        "valid_linked_pairs": 15,
        "pairs_across_sides": 4,
    }


def test_each_score_stands_beside_the_one_after_the_web(workplace: Workplace) -> None:
    """In metrics/evaluate.json, and so in `dvc metrics show`."""
    workplace.scores()
    keys = list(read_json(workplace.folder / "metrics/evaluate.json"))
    assert keys[3:8] == ["accuracy", "web_accuracy", "roc_auc", "web_roc_auc", "web_drop"]


FACES = [
    ElsewhereRecord("a.jpg", 1, 0.9, 0.1),
    ElsewhereRecord("a.jpg", 2, 0.8, 0.2),
    ElsewhereRecord("b.jpg", 1, 0.55, 0.65),
    ElsewhereRecord("c.jpg", 0, None, None),
    ElsewhereRecord("d.jpg", 1, 0.1, 0.1),
]


def test_from_elsewhere_it_is_the_share_of_faces_called_fake(workplace: Workplace) -> None:
    write_rows(workplace.folder / "elsewhere.csv", ElsewhereRecord, FACES)
    found = workplace.scores(loss="bce")["elsewhere"]
    assert {name: found[name] for name in ("data", "photos", "without_face", "faces")} == {
        "data": "photos",
        "photos": 4,
        "without_face": 1,
        "faces": 4,
    }
    assert [found[name]["false_positive_rate"] for name in OBJECTIVE_NAMES] == [3 / 4, 1 / 4]
    assert {answer: scored["coverage"] for answer, scored in found["ce"]["answers"].items()} == {
        "real": 1 / 4,
        "inconclusive": 1 / 4,
        "fake": 2 / 4,
    }
    assert read_json(workplace.folder / "metrics/evaluate.json")["elsewhere_false_positive_rate"] == 1 / 4
    assert found["sentence"] == (
        "Of 4 faces in 4 photos from elsewhere, none of them a composite, cross-entropy calls 75.0 % fake "
        "(95 % interval 0.0 to 100.0 %) and BCE calls 25.0 % fake (95 % interval 0.0 to 66.7 %). Where a model may also say "
        "neither, cross-entropy calls 50.0 % fake and 25.0 % inconclusive, BCE calls 25.0 % fake and 0.0 % inconclusive."
    )
    write_rows(workplace.folder / "elsewhere.csv", ElsewhereRecord, [replace(face, ce_novelty=1.5) for face in FACES])
    unlike = workplace.scores()["elsewhere"]
    assert [unlike[name]["novel"] for name in OBJECTIVE_NAMES] == [1, None]
    assert unlike["ce"]["answers"]["inconclusive"]["coverage"] == 1
    assert unlike["bce"] == found["bce"]
    found = workplace.scores(threshold="few_false_alarms")["elsewhere"]
    assert [found[name]["false_positive_rate"] for name in OBJECTIVE_NAMES] == [2 / 4, 0]


def test_without_photos_from_elsewhere_it_says_so(workplace: Workplace) -> None:
    found = workplace.scores()["elsewhere"]
    assert (found["data"], found["faces"], found["ce"], found["bce"]) == (None, 0, None, None)
    assert found["sentence"] == "On photos from elsewhere nothing is measured: elsewhere.root in params.yaml names no folder."


def test_drawn_faces_from_elsewhere_are_called_drawn(workplace: Workplace) -> None:
    write_rows(workplace.folder / "elsewhere.csv", ElsewhereRecord, FACES)
    write_json(workplace.folder / "elsewhere.json", {"is_sample": True})
    found = workplace.scores()["elsewhere"]
    assert found["data"] == "sample"
    assert "4 faces in 4 pictures from elsewhere, drawn by the project" in found["sentence"]


def rows_of(path: Path, **wanted: str) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]


@pytest.mark.parametrize(("key", "side"), [("web", "test"), ("valid_web", "valid")])
def test_after_the_web_scores_are_those_of_the_laundered_images_at_the_threshold_in_use(
    workplace: Workplace, key: str, side: str
) -> None:
    found = workplace.scores(threshold="few_false_alarms")
    plain = {row["path"]: row for row in rows_of(workplace.folder / "predictions.csv", side=side)}
    laundered = [row for row in rows_of(workplace.folder / "perturbed.csv", perturbation="web") if row["path"] in plain]
    for objective in OBJECTIVE_NAMES:
        scores, column = found[objective][key], f"{objective}_p_fake"
        reals = [float(row[column]) for row in laundered if plain[row["path"]]["label"] == "0"]
        fakes = [float(row[column]) for row in laundered if plain[row["path"]]["label"] == "1"]
        assert scores["accuracy"] == (sum(p < 0.7 for p in reals) + sum(p >= 0.7 for p in fakes)) / len(laundered)
        auc = sum(fake > real for fake in fakes for real in reals) / (len(fakes) * len(reals))
        assert scores["roc_auc"] == pytest.approx(auc)
        assert scores["drop"]["difference"] == pytest.approx(found[objective][side]["roc_auc"] - auc)
        for name in ("accuracy", "roc_auc"):
            low, high = scores["intervals"][name]
            assert low < scores[name] < high
        low, high = scores["drop"]["interval"]
        assert low < scores["drop"]["difference"] < high


def test_the_web_is_a_headline_and_no_perturbation_among_others(workplace: Workplace) -> None:
    assert list(workplace.scores()["ce"]["perturbed"]) == ["blur"]


@pytest.mark.parametrize(("key", "side"), [("linked_pairs", "test"), ("valid_linked_pairs", "valid")])
def test_linked_pairs_are_judged_two_by_two(workplace: Workplace, key: str, side: str) -> None:
    """Each real photo with the composite made from it, which comes next in the fixture."""
    found = workplace.scores()
    rows = rows_of(workplace.folder / "predictions.csv", side=side)
    for objective in OBJECTIVE_NAMES:
        p_fake = [float(row[f"{objective}_p_fake"]) for row in rows]
        above = [fake > real for real, fake in zip(p_fake[::2], p_fake[1::2], strict=True)]
        pairs = found[objective][key]
        assert (pairs["pairs"], pairs["groups"]) == (len(above), len(above))
        assert pairs["pairwise_accuracy"] == sum(above) / len(above)
        assert pairs["interval"][0] <= pairs["pairwise_accuracy"] <= pairs["interval"][1]


@pytest.mark.parametrize(("key", "side"), [("localization", "test"), ("valid_localization", "valid")])
def test_the_mouth_of_each_fake_is_compared_with_its_other_parts(workplace: Workplace, key: str, side: str) -> None:
    """The mouth has the most evidence in the mean of all fakes, so that the mean map is always right."""
    found = workplace.scores()
    assert found["bce"][key] is None
    scores = found["ce"][key]
    fakes = {row["path"] for row in rows_of(workplace.folder / "predictions.csv", side=side, label="1")}
    rows = [row for row in rows_of(workplace.folder / "evidence.csv") if row["path"] in fakes]
    above = [float(row["mouth"]) > float(row[part]) for row in rows for part in PARTS[:3]]
    assert (scores["fakes"], scores["pairs"]) == (len(fakes), len(above))
    assert scores["within_photo_accuracy"] == pytest.approx(sum(above) / len(above))
    assert scores["interval"][0] < scores["within_photo_accuracy"] < scores["interval"][1]
    assert (scores["constant_map_accuracy"], scores["mean_map_accuracy"]) == (0.5, 1)
    assert scores["over_mean_map"]["difference"] == pytest.approx(scores["within_photo_accuracy"] - 1)
    assert (scores["beats_constant_map"], scores["beats_mean_map"]) == (scores["interval"][0] > 0.5, False)
    assert scores["parts"]["mouth"] == {"replaced": len(fakes), "untouched": 0, "roc_auc": None, "roc_auc_interval": None}
    assert scores["real_photos"] == len(fakes)
    low, high = scores["false_positive_rate_interval"]
    assert 0 < low < scores["false_positive_rate"] < high < 1


def test_without_evidence_nothing_is_localized(workplace: Workplace) -> None:
    write_rows(workplace.folder / "evidence.csv", EvidenceRecord, [])
    found = workplace.scores()
    assert [found[name][key] for name in OBJECTIVE_NAMES for key in ("localization", "valid_localization")] == [None] * 4


def test_a_side_without_linked_pairs_says_so(workplace: Workplace) -> None:
    write_rows(workplace.folder / "pairs.csv", PairRecord, [])
    expected = {"pairs": 0, "groups": 0, "pairwise_accuracy": None, "interval": None}
    assert workplace.scores()["ce"]["linked_pairs"] == expected


def test_the_same_table_is_all_reals_against_the_fakes_that_have_the_table_of_most_reals(workplace: Workplace) -> None:
    """Here two of three fakes do."""
    images = read_rows(workplace.folder / "split.csv", SplitRecord)
    other = {row.path for number, row in enumerate(images) if number % 6 == 1}
    changed = [replace(row, luma_quantisation_sum=190) if row.path in other else row for row in images]
    write_rows(workplace.folder / "split.csv", SplitRecord, changed)
    scores = workplace.scores()["ce"]["slices"]["jpeg_table"]["same"]
    rows = [row for row in rows_of(workplace.folder / "predictions.csv", side="test") if row["path"] not in other]
    reals, fakes = ([float(row["ce_p_fake"]) for row in rows if row["label"] == label] for label in "01")
    assert (len(reals), len(fakes)) == (30, 20)
    assert scores["roc_auc"] == pytest.approx(sum(fake > real for fake in fakes for real in reals) / 600)
    assert scores["roc_auc_interval"][0] < scores["roc_auc"] < scores["roc_auc_interval"][1]
    assert read_json(workplace.folder / "metrics/evaluate.json")["same_table_roc_auc"] == scores["roc_auc"]


def test_the_gap_is_trains_accuracy_less_valids(workplace: Workplace) -> None:
    for model in (workplace.scores()[objective] for objective in OBJECTIVE_NAMES):
        assert model["train_valid_gap"] == model["train"]["accuracy"] - model["valid"]["accuracy"]


def test_scores_of_each_side_and_what_they_were_computed_from(workplace: Workplace) -> None:
    found = workplace.scores()
    assert [found[name] for name in ("data", "test_images", "test_groups", "resamples", "threshold")] == [
        "sample", 60, 30, 100, "half",
    ]  # fmt: skip
    with (workplace.folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "valid"]
    labels, p_fake = np.array([int(row["label"]) for row in rows]), np.array([float(row["bce_p_fake"]) for row in rows])
    assert found["bce"]["valid"] == asdict(side_scores(labels, p_fake, p_fake >= 0.5))
    assert [found["bce"][side]["images"] for side in ("train", "valid", "test")] == [60, 30, 60]


def test_every_score_of_the_test_images_lies_in_its_interval(workplace: Workplace) -> None:
    """But ECE, which is 0 at best and grows with every unevenness of a resample: it may lie below."""
    found = workplace.scores()
    for objective in OBJECTIVE_NAMES:
        assert list(found[objective]["intervals"]) == list(SCORE_NAMES)
        for name in set(SCORE_NAMES) - {"ece"}:
            low, high = found[objective]["intervals"][name]
            assert low < found[objective]["test"][name] < high, name


def test_the_threshold_changes_verdicts_and_leaves_probabilities(workplace: Workplace) -> None:
    by_half, by_few = workplace.scores(), workplace.scores(threshold="few_false_alarms")
    at = by_few["ce"]["thresholds"]["few_false_alarms"]
    assert (by_half["ce"]["thresholds"], at["threshold"]) == (by_few["ce"]["thresholds"], 0.7)
    assert by_few["ce"]["test"]["accuracy"] == at["accuracy"] != by_half["ce"]["test"]["accuracy"]
    assert by_few["ce"]["confusion_matrix"] == at["confusion_matrix"]
    assert by_few["ce"]["valid"]["accuracy"] == at["valid_accuracy"]
    assert by_few["ce"]["test"]["roc_auc"] == by_half["ce"]["test"]["roc_auc"]
    assert by_few["shift"] == by_half["shift"], "which is about 0.5 in any case"


def test_a_higher_threshold_has_fewer_false_alarms_and_finds_fewer_fakes(workplace: Workplace) -> None:
    at = workplace.scores()["ce"]["thresholds"]
    assert tuple(at) == THRESHOLD_NAMES
    for low, high in (("balanced_accuracy", "half"), ("half", "few_false_alarms")):
        assert at[low]["false_positive_rate"] >= at[high]["false_positive_rate"]
        assert at[low]["recall"] >= at[high]["recall"]
    (real_right, real_wrong), (fake_wrong, fake_right) = at["half"]["confusion_matrix"]
    assert (real_right + real_wrong, fake_wrong + fake_right) == (30, 30)
    assert at["half"]["balanced_accuracy"] == pytest.approx(at["half"]["accuracy"]), "as there are as many of both"


def test_each_answer_has_its_coverage_and_its_error(workplace: Workplace) -> None:
    """As counted from the tables by hand, on test as distributed and after the web; the intervals are around them."""
    found = workplace.scores()["ce"]["answers"]
    assert (found["max_error"], found["real_below"], found["fake_from"]) == (0.1, 0.3, 0.6)
    rows = {row.path: row for row in read_rows(workplace.folder / "predictions.csv", PredictionRecord) if row.side == "test"}
    perturbed = read_rows(workplace.folder / "perturbed.csv", PerturbedRecord)
    plain = [(row.label, row.ce_p_fake) for row in rows.values()]
    after = [(rows[row.path].label, row.ce_p_fake) for row in perturbed if row.perturbation == "web" and row.path in rows]
    for scores, images in ((found["test"], plain), (found["web"], after)):
        called_fake = [label for label, p_fake in images if p_fake >= 0.6]
        called_real = [label for label, p_fake in images if p_fake < 0.3]
        assert len(images) == 60
        for answer, labels, wrong in (("fake", called_fake, called_fake.count(0)), ("real", called_real, called_real.count(1))):
            assert scores[answer]["images"] == len(labels) > 0
            assert scores[answer]["coverage"] == pytest.approx(len(labels) / 60)
            assert scores[answer]["error"] == pytest.approx(wrong / len(labels))
            for key in ("coverage", "error"):
                low, high = scores[answer][f"{key}_interval"]
                assert low <= scores[answer][key] <= high
        assert scores["inconclusive"]["images"] == 60 - len(called_fake) - len(called_real)
        assert (scores["inconclusive"]["error"], scores["inconclusive"]["error_interval"]) == (None, None)
    assert sum(scores["images"] for scores in found["valid"].values()) == 30


def test_calibration_is_scored_with_and_without_temperature(workplace: Workplace) -> None:
    """The raw p_fake is 0.9 throughout: 0.4 too high for as many reals as fakes."""
    found = workplace.scores()["ce"]
    assert found["temperature"] == 1.5
    assert found["uncalibrated"] == pytest.approx({"brier": (0.81 + 0.01) / 2, "ece": 0.4})
    assert found["argmax_rule"] == {"accuracy": 0.5, "confusion_matrix": [[0, 30], [0, 30]]}
    assert sum(bin_["images"] for bin_ in found["reliability"]) == 60


def test_slices_and_perturbations_have_intervals(workplace: Workplace) -> None:
    found = workplace.scores()["ce"]
    assert {dimension: list(named) for dimension, named in found["slices"].items()} == {
        "difficulty": ["mid"],
        "part": ["mouth"],
        "parts": ["1"],
        "jpeg_table": ["same"],
        "size": ["600 x 600"],
    }
    whole = found["slices"]["size"]["600 x 600"]
    assert (whole["images"], whole["fakes"]) == (60, 30)
    assert (whole["roc_auc"], whole["roc_auc_interval"]) == (found["test"]["roc_auc"], found["intervals"]["roc_auc"])
    blurred = found["perturbed"]["blur"]
    assert blurred["roc_auc_interval"][0] < blurred["roc_auc"] < blurred["roc_auc_interval"][1]
    assert blurred["roc_auc"] < found["test"]["roc_auc"]


def test_baselines_and_the_other_model_are_rows_to_compare_with(workplace: Workplace) -> None:
    found = workplace.scores()
    assert list(found["baselines"]) == ["majority_class", "jpeg_header", "file_size", "face_box"]
    assert found["baselines"]["face_box"]["roc_auc"] > 0.6, "as fakes stand further to the right"
    for name in ("accuracy", "roc_auc"):
        assert found["comparison"][name]["difference"] == found["ce"]["test"][name] - found["bce"]["test"][name]
    mcnemar = found["comparison"]["mcnemar"]
    assert mcnemar["only_ce_right"] - mcnemar["only_bce_right"] == round(60 * found["comparison"]["accuracy"]["difference"])


def test_tables_for_the_plots(workplace: Workplace) -> None:
    found = workplace.scores(threshold="few_false_alarms")
    verdicts = [(row["label"], row["verdict"]) for row in workplace.rows("confusion_ce.csv")]
    counts = [[verdicts.count((label, verdict)) for verdict in ("real", "fake")] for label in ("real", "fake")]
    assert counts == found["ce"]["confusion_matrix"]
    bins = [row for row in workplace.rows("reliability.csv") if row["objective"] == "bce"]
    assert [float(row["fake_share"]) for row in bins] == [bin_["fake_share"] for bin_ in found["bce"]["reliability"]]
    first, *_, last = [row for row in workplace.rows("roc.csv") if row["objective"] == "bce"]
    assert [*first.values(), *last.values()] == ["bce", "0.0", "0.0", "bce", "1.0", "1.0"]


def test_the_order_of_rows_changes_nothing(workplace: Workplace) -> None:
    def results() -> dict[str, bytes]:
        assert workplace.run() == Outcome(0, "", "")
        files = sorted((workplace.folder / "metrics").rglob("*.*"))
        return {file.name: file.read_bytes() for file in files}

    before = results()
    for name in ("split.csv", "predictions.csv", "perturbed.csv", "evidence.csv", "faces.csv", "pairs.csv"):
        header, *rows = (workplace.folder / name).read_text().splitlines()
        shuffled = np.random.default_rng(1).permutation(rows)
        (workplace.folder / name).write_text("\n".join([header, *shuffled]) + "\n")
    assert results() == before
    assert len(before) == 6


def test_another_seed_draws_other_resamples_of_the_same_scores(workplace: Workplace) -> None:
    one, other = (workplace.scores(evaluate={"seed": seed, "resamples": 100}) for seed in (0, 1))
    assert one["ce"]["test"] == other["ce"]["test"]
    assert one["ce"]["intervals"] != other["ce"]["intervals"]


def without_a_row(path: Path) -> None:
    path.write_text(path.read_text().rpartition("\n0")[0] + "\n")


def without_the_web(path: Path) -> None:
    """As `infer` left it before it saw photos from the web."""
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if ",web," not in line))


def without_trained_faces(path: Path) -> None:
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("000")))


def empty(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize(
    ("damage", "file", "complaint"),
    [
        (without_a_row, "predictions.csv", "0149.jpg: not as in the split: run `infer` again"),
        (without_a_row, "evidence.csv", "0149.jpg: not as in the split: run `infer` again"),
        (without_a_row, "perturbed.csv", "0149.jpg: not as in the split: run `infer` again"),
        (without_the_web, "perturbed.csv", "0060.jpg: not as in the split: run `infer` again"),
        (without_trained_faces, "faces.csv", "0000.jpg: missing: run `find_faces` again"),
        (empty, "models/bce/model.json", "no temperature, thresholds and answers: train again"),
        (empty, "split.json", "related.pairs_across_sides: missing: run `dvc repro`"),
        (empty, "index.json", "is_sample: missing: run `dvc repro`"),
        (empty, "elsewhere.json", "is_sample: missing: run `dvc repro`"),
        (Path.unlink, "perturbed.csv", "No such file or directory"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    workplace: Workplace, damage: Callable[[Path], None], file: str, complaint: str
) -> None:
    damage(workplace.folder / file)
    assert workplace.run() == Outcome(1, "", f"error: {workplace.folder / file}: {complaint}\n")
    assert not (workplace.folder / "metrics").exists()


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"evaluate": {"seed": -1, "resamples": 100}}, "evaluate.seed: -1: should be greater than or equal to 0"),
        ({"evaluate": {"seed": 0, "resamples": 99}}, "evaluate.resamples: 99: should be greater than or equal to 100"),
        ({"evaluate": {"seed": 0, "resamples": 100, "bins": 10}}, "evaluate.bins: unknown parameter"),
        ({"threshold": "best"}, "threshold: 'best': should be 'half', 'balanced_accuracy' or 'few_false_alarms'"),
        ({"loss": "mse"}, "loss: 'mse': should be 'ce' or 'bce'"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(workplace: Workplace, params: dict[str, object], complaint: str) -> None:
    assert workplace.run(**params) == Outcome(2, "", f"error: {workplace.folder / 'params.yaml'}: {complaint}\n")
