"""Options without effect, and values that were probably meant for something else, word for word."""

from typing import Any

import pytest

from lstmlm.config import RunConfig


def warnings(**sections: Any) -> list[str]:
    values = {"data": {"corpus": "data/ptb"}, "training": {"n_steps": 1000}, **sections}
    return RunConfig.model_validate(values).warnings()


def test_nothing_to_warn_of() -> None:
    assert warnings() == []


@pytest.mark.parametrize(
    ("name", "rate", "usual"),
    [("adam", 20.0, "1e-05 to 0.05"), ("adamw", 1.0, "1e-05 to 0.05"), ("sgd", 0.003, "0.1 to 100")],
)
def test_a_learning_rate_of_another_optimizer(name: str, rate: float, usual: str) -> None:
    assert warnings(optimizer={"name": name, "learning_rate": rate}) == [
        f"optimizer.learning_rate: {rate:g} is unusual for {name}, which learns with {usual}. "
        "Check it, and optimizer.name."
    ]
    for usual_rate in {"sgd": [0.1, 1.0, 30.0], "adam": [1e-4, 0.02], "adamw": [1e-4, 0.02]}[name]:
        assert warnings(optimizer={"name": name, "learning_rate": usual_rate}) == []


@pytest.mark.parametrize("name", ["warmup_cosine", "warmup_linear", "one_cycle"])
def test_schedules_that_a_training_with_patience_does_not_finish(name: str) -> None:
    assert warnings(schedule={"name": name}, training={"n_steps": 1000, "patience": 3}) == [
        f"training.patience: may stop before {name} has lowered the learning rate."
    ]


@pytest.mark.parametrize("name", ["warmup_cosine", "warmup_linear"])
def test_a_warm_up_as_long_as_the_training(name: str) -> None:
    told = ["schedule.warmup_steps: the training ends before the learning rate has risen. Lower it."]
    of_linear = told if name == "warmup_linear" else []
    for warmup_steps, wanted in ((1000, told), (999, of_linear), (998, [])):
        assert warnings(schedule={"name": name, "warmup_steps": warmup_steps}) == wanted
    assert warnings(schedule={"name": name, "warmup_steps": 0}, training={"n_steps": 1}) == []


def test_milestones_without_effect() -> None:
    assert warnings(schedule={"name": "step"}) == [
        "schedule.milestones: none are given, so the learning rate stays the same. List some."
    ]
    assert warnings(schedule={"name": "step", "milestones": (3,)}, training={"n_epochs": 4}) == []
    assert warnings(schedule={"name": "step", "milestones": (3, 4)}, training={"n_epochs": 4}) == [
        "schedule.milestones: 4 has no effect on a training of 4 epochs."
    ]


@pytest.mark.parametrize(("patience", "is_told"), [(2, True), (3, True), (4, False)])
def test_a_patience_that_ends_before_the_rate_is_lowered(patience: int, is_told: bool) -> None:
    """At the third validation without improvement the rate is lowered, for the steps after it."""
    told = ["training.patience: stops before a lowered learning rate is used. Raise it to 4 or more."] * is_told
    schedule = {"name": "anneal_on_plateau", "patience": 2}
    assert warnings(schedule=schedule, training={"n_steps": 1000, "patience": patience}) == told


@pytest.mark.parametrize(
    ("training", "n_validations"),
    [({"n_epochs": 4}, 4), ({"n_epochs": 5}, None), ({"n_steps": 39, "validate_every": 10}, 4), ({"n_steps": 9}, None)],
)
def test_an_average_that_no_validation_starts(training: dict[str, int], n_validations: int | None) -> None:
    """By the fourth at the earliest, the third before it out of sight, and there is a step to average after it."""
    told = [
        f"averaging.nonmonotone_interval: nt_asgd never begins to average in a training of {n_validations} "
        "validations. Make them 5 or more, or lower it."
    ]
    averaging = {"name": "nt_asgd", "nonmonotone_interval": 2}
    assert warnings(averaging=averaging, training=training) == (told if n_validations else [])


@pytest.mark.parametrize("averaging", [{"name": "tail"}, {"name": "nt_asgd", "nonmonotone_interval": 3}])
def test_averages_that_a_training_with_patience_does_not_reach(averaging: dict[str, Any]) -> None:
    assert warnings(averaging=averaging, training={"n_steps": 1000, "patience": 3}) == [
        f"training.patience: may stop before {averaging['name']} has begun to average."
    ]
    assert warnings(averaging={"name": "nt_asgd"}, training={"n_steps": 1000, "patience": 20}) == []
    nt_asgd = {"name": "nt_asgd", "nonmonotone_interval": 3}
    found = [bool(warnings(averaging=nt_asgd, training={"n_steps": 1000, "patience": n})) for n in (4, 5)]
    assert found == [True, False]


def test_initial_values_that_are_replaced() -> None:
    sections = {"model": {"initial_bias": "unigram"}, "training": {"n_steps": 9, "initialize_from": "runs/x"}}
    assert warnings(**sections) == ["model.initial_bias: has no effect with training.initialize_from. Remove it."]


LOCKED = "model.dropout.locked: has no effect without dropout of input, hidden or output."
CAP = "model.backbone.input_gate_cap: has no effect on coupled_gates, whose input gate is 1 - f."
RANK = "model.backbone.rank: has no effect without rounds."
BETA = "training.regularization.beta: has no effect on windows of one token. Raise data.bptt."


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"model": {"dropout": {"locked": True, "embedding": 0.1, "state": 0.1, "weight_drop": 0.1}}}, [LOCKED]),
        ({"model": {"dropout": {"locked": True, "output": 0.1}}}, []),
        ({"model": {"backbone": {"name": "lstm", "input_gate_cap": True, "coupled_gates": True}}}, [CAP]),
        ({"model": {"backbone": {"name": "lstm", "coupled_gates": True}}}, []),
        ({"model": {"backbone": {"name": "mogrifier", "rounds": 0, "rank": 5}}}, [RANK]),
        ({"model": {"backbone": {"name": "mogrifier", "rank": 5}}}, []),
        ({"data": {"bptt": 1}, "training": {"regularization": {"alpha": 2.0, "beta": 1.0}}}, [BETA]),
        ({"training": {"regularization": {"alpha": 2.0, "beta": 1.0}, "state_reset": 0.01}}, []),
    ],
)
def test_warnings(changes: dict[str, Any], wanted: list[str]) -> None:
    values = {
        **changes,
        "data": {"corpus": "x/", **changes.get("data", {})},
        "training": {"n_epochs": 1, **changes.get("training", {})},
    }
    assert RunConfig.model_validate(values).warnings() == wanted
