from tests.training.tiny import ARCH, EVAL_PX, RECIPE


def test_a_recipe_as_json_holds_every_parameter() -> None:
    values = RECIPE.as_json()
    assert values["train"]["lr"] == 0.01
    assert values["augment"]["crop_px"] == EVAL_PX
    assert values["model"]["arch"] == ARCH
    assert (values["objective_name"], values["mean"]) == ("ce", [0.5, 0.4, 0.3])


def test_the_objective_is_the_one_named() -> None:
    assert RECIPE.objective.name == "ce"
