"""The gate: what is wrong gets no figure, whatever part of it is wrong."""

from typing import Any

import pytest
import torch
from machine import needs_bfloat16

from lstmlm.benchmark import machine
from lstmlm.benchmark.correctness import TOLERANCES, difference
from lstmlm.benchmark.sections import SECTIONS, layers, loss, reading, training_step
from lstmlm.models import backbone
from lstmlm.models.kernels import linear_cross_entropy, run_window
from lstmlm.models.output_layers import softmax
from lstmlm.scoring import score

WANTED = {"outputs": torch.tensor([3.0, 4.0]), "gradient of bias": torch.tensor([0.0, 1.0])}


def answers_of(measure_section: Any, plan: Any) -> list[dict[str, Any]]:
    return measure_section(plan, machine.measure_machine(plan), lambda _: None).rows


def assert_no_figures(rows: list[dict[str, Any]]) -> None:
    assert rows
    for row in rows:
        assert "differs by" in row["differs"]
        assert not [key for key in row if "milliseconds" in key or "per_second" in key or "times_as" in key], row


def test_equal_results_pass() -> None:
    assert difference(WANTED, WANTED, "float32") is None


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_distance_is_a_part_of_the_norm(precision: str) -> None:
    tolerance = TOLERANCES[precision]
    for factor, passes in ((0.9, True), (1.1, False)):
        result = {**WANTED, "outputs": torch.tensor([3.0 + 5 * factor * tolerance, 4.0], dtype=torch.float64)}
        assert (difference(result, WANTED, precision) is None) == passes


def test_the_message_names_the_worst() -> None:
    result = {"outputs": torch.tensor([3.0, 5.0]), "gradient of bias": torch.tensor([0.0, 2.0])}
    text = "gradient of bias differs by 1.0e+00 of its norm, allowed 2e-05"
    assert difference(result, WANTED, "float32") == text


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_differs(value: float) -> None:
    assert difference({**WANTED, "outputs": torch.tensor([value, 4.0])}, WANTED, "bfloat16")


def test_of_zeros_the_difference_itself_counts() -> None:
    zeros = {"outputs": torch.zeros(2)}
    assert difference(zeros, zeros, "float32") is None
    assert difference({"outputs": torch.tensor([0.0, 1e-3])}, zeros, "float32")


def test_right_kernels_have_figures(tiny_benchmark: Any) -> None:
    for measure_section in SECTIONS:
        rows = answers_of(measure_section, tiny_benchmark)
        assert rows
        assert not [row for row in rows if "differs" in row]


def wrong_window(*arguments: Any, **options: Any) -> Any:
    outputs, state = run_window(*arguments, **options)
    return 1.1 * outputs, state


def wrong_gradient(*arguments: Any, **options: Any) -> Any:
    """The value is right, only its gradient is not."""
    value = linear_cross_entropy(*arguments, **options)
    return value.detach() + 1.1 * (value - value.detach())


def test_a_wrong_layer(tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "run_window", wrong_window)
    assert_no_figures(answers_of(layers.measure_layers, tiny_benchmark))


@needs_bfloat16
def test_one_wrong_number_format_does_not_cost_the_other_its_figure(
    tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCES, "float32", -1.0)
    rows = answers_of(layers.measure_layers, tiny_benchmark)
    by_precision = {name: [row for row in rows if row["precision"] == name] for name in ("float32", "bfloat16")}
    assert_no_figures(by_precision["float32"])
    assert all("lstmlm_milliseconds" in row for row in by_precision["bfloat16"])


def test_a_loss_with_a_wrong_gradient(tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "linear_cross_entropy", wrong_gradient)
    assert_no_figures(answers_of(loss.measure_losses, tiny_benchmark))


def test_a_training_step_with_a_wrong_gradient(tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "linear_cross_entropy", wrong_gradient)
    assert_no_figures(answers_of(training_step.measure_training_steps, tiny_benchmark))


def test_a_wrong_generation(tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "run_window", wrong_window)
    assert_no_figures(answers_of(reading.measure_generation, tiny_benchmark))


def test_a_wrong_scorer(tiny_benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "score", lambda *arguments, **options: 1.001 * score(*arguments, **options))
    assert_no_figures(answers_of(reading.measure_evaluation, tiny_benchmark))
