"""The averages, by hand."""

import pytest
import torch
from torch import nn

from lstmlm.config.averaging import AveragingOptions, EMAOptions, NoAveragingOptions, NTASGDOptions, TailOptions
from lstmlm.optim.averaging import Average, build_average


def average_of(options: AveragingOptions, n_steps: int) -> Average[nn.Linear]:
    model = nn.Linear(1, 1, bias=False).double()
    return build_average(options, model, n_steps)


def train(average: Average[nn.Linear], weights: list[float], first_step: int = 1) -> list[float]:
    """Let the trained weight take each value in turn; returns what the average says after each step."""
    said = []
    for step, weight in enumerate(weights, first_step):
        with torch.no_grad():
            average._trained.weight.fill_(weight)
        average.after_step(step)
        said.append(average.model.weight.item())
    return said


def test_without_averaging_the_model_is_the_trained_one() -> None:
    average = average_of(NoAveragingOptions(), 3)
    assert train(average, [1.0, 5.0, 2.0]) == [1.0, 5.0, 2.0]
    assert average.model is average._trained


def test_ema_is_the_weighted_mean_of_all_steps_whatever_the_initial_weights() -> None:
    second = (0.9 * 1.0 + 5.0) / 1.9
    third = (0.81 * 1.0 + 0.9 * 5.0 + 2.0) / 2.71
    assert train(average_of(EMAOptions(decay=0.9), 3), [1.0, 5.0, 2.0]) == pytest.approx([1.0, second, third])


def test_tail_is_the_mean_of_the_last_steps() -> None:
    said = train(average_of(TailOptions(fraction=0.3), 10), [float(step**2) for step in range(1, 11)])
    assert said[:7] == [1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0]
    assert said[7:] == pytest.approx([64.0, (64 + 81) / 2, (64 + 81 + 100) / 3])


@pytest.mark.parametrize("fraction", [0.8, 0.9])
def test_tail_is_so_many_steps_also_where_the_share_is_rounded(fraction: float) -> None:
    said = train(average_of(TailOptions(fraction=fraction), 10), [float(step) for step in range(1, 11)])
    first = 10 - round(fraction * 10) + 1
    assert said[-1] == pytest.approx((first + 10) / 2)


def test_nt_asgd_starts_at_the_first_validation_worse_than_the_best_of_those_before_the_last() -> None:
    average = average_of(NTASGDOptions(nonmonotone_interval=2), 100)
    # The fourth is worse than the first two, of which the second is the best; the third does not matter.
    for nats in (5.0, 4.0, 3.0):
        assert train(average, [nats, 9.0]) == [nats, 9.0]
        average.after_validation(nats)
    average.after_validation(3.5)
    assert train(average, [7.0]) == [7.0]  # worse than the third, better than those before it
    average.after_validation(3.2)
    assert train(average, [7.0]) == [7.0]  # worse than the third, which is now among those that count

    average.after_validation(3.1)
    assert train(average, [1.0, 3.0, 8.0]) == pytest.approx([1.0, 2.0, 4.0])
    average.after_validation(1.0)
    assert train(average, [12.0]) == pytest.approx([6.0])


def test_nt_asgd_has_the_trigger_of_the_authors_program() -> None:
    def theirs(history: list[float], nats: float, nonmono: int) -> bool:
        return len(history) > nonmono and nats > min(history[:-nonmono])

    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        average, history = average_of(NTASGDOptions(nonmonotone_interval=3), 100), list[float]()
        has_triggered = False
        for nats in torch.rand(12, generator=generator).tolist():
            has_triggered = has_triggered or theirs(history, nats, 3)
            history.append(nats)
            average.after_validation(nats)
            average.after_step(len(history))
            assert (average.n_averaged > 0) == has_triggered
