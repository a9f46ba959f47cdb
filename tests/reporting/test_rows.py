from fakeface.core.records import PARTS, ObjectiveName
from fakeface.photos import perturbations
from fakeface.reporting.rows import PERTURBATION_LABELS, SLICE_LABELS, Row, robustness_rows, slice_rows, unperturbed_row
from fakeface.scoring.results import PerturbedScores, SliceScores
from tests.scored import model, scores


def test_every_part_and_perturbation_has_a_label() -> None:
    assert PERTURBATION_LABELS.keys() == perturbations.PERTURBATIONS.keys()
    assert SLICE_LABELS["part"].keys() <= set(PARTS)


def test_a_dimension_with_one_slice_is_left_out() -> None:
    part = SliceScores(40, 9, 0.5, 0.6, (0.5, 0.7))
    sliced = model(
        slices={
            "difficulty": {"mid": part},
            "part": {"left_eye": part, "nose": part},
            "parts": {},
            "jpeg_table": {"same": part},
            "size": {"600 x 600": part},
        }
    )
    both: dict[ObjectiveName, SliceScores] = {"ce": part, "bce": part}
    assert slice_rows(scores(sliced, sliced)) == {"replaced part": [Row("left eye", both), Row("nose", both)]}


def test_robustness_starts_with_the_unchanged_images_and_those_from_the_web() -> None:
    blurred = PerturbedScores(0.6, (0.5, 0.7), 0.6)
    perturbed = model(0.75, 0.8, perturbed={"blur": blurred, "unheard_of": blurred})
    rows = robustness_rows(scores(perturbed, perturbed))
    assert [row.name for row in rows] == ["unchanged", "as the web leaves it", "blurred", "unheard_of"]
    assert rows[0].models["ce"] == PerturbedScores(0.8, (0.75, 0.85), 0.75, 0.04)
    assert rows[1].models["ce"] == PerturbedScores(0.74, (0.69, 0.79), 0.71, 0.05)
    assert rows[2].models["bce"] == blurred
    assert rows[0] == unperturbed_row(scores(perturbed, perturbed), "unchanged")
