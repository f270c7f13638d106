"""Draws depend on seed, step and site, and on nothing else."""

import pytest
import torch

from lstmlm.randomness import N_LEVELS, Randomness, _draw_on_gpu, realised


def draw(seed: int, step: int, site: str) -> float:
    return torch.rand(1, generator=Randomness(seed, step).generator(site)).item()


def test_the_same_place_draws_the_same_number() -> None:
    first = draw(1, 2, "dropout.input")
    torch.rand(10)
    assert draw(1, 2, "dropout.input") == first


def test_every_seed_step_and_site_draws_another() -> None:
    drawn = {draw(seed, step, site) for seed in range(4) for step in range(4) for site in ("a", "b", "1/a")}
    assert len(drawn) == 48


def test_seeds_stay_the_same_from_version_to_version() -> None:
    """A run that was started with one version of lstmlm must continue with another."""
    assert Randomness(1, 2).seed_of("dropout.input") == 5641538594259569545


def test_masks_stay_the_same_from_version_to_version_and_machine_to_machine() -> None:
    mask = Randomness(1, 2).bernoulli((2, 9), 0.5, "dropout.input", torch.zeros(()))
    assert mask.int().tolist() == [[0, 1, 1, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1, 0, 1]]


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ones_come_as_often_as_asked_for(probability: float, dtype: torch.dtype) -> None:
    mask = Randomness(7).bernoulli((301, 333), probability, "a", torch.zeros((), dtype=dtype))
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    # Four standard deviations of a mean of 100,233 draws.
    assert abs(mask.double().mean().item() - probability) < 4 * (probability * (1 - probability) / mask.numel()) ** 0.5


ON_DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
"""The way of a GPU can be gone on a processor, too."""


@ON_DEVICES
@pytest.mark.parametrize("probability", [0.01, 0.3, 0.95])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_draws_ones_as_often(probability: float, dtype: torch.dtype, device: str) -> None:
    threshold, like = round(realised(probability) * N_LEVELS), torch.zeros((), dtype=dtype, device=device)
    mask, again, other = (_draw_on_gpu((301, 333), threshold, seed, like) for seed in (7, 7, 8))
    assert (mask.dtype, mask.device.type) == (dtype, device)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert abs(mask.double().mean().item() - probability) < 4 * (probability * (1 - probability) / mask.numel()) ** 0.5
    assert torch.equal(mask, again)
    assert not torch.equal(mask, other)


@pytest.mark.gpu
def test_a_mask_of_a_gpu_depends_on_seed_step_and_site() -> None:
    like = torch.zeros((), device="cuda")
    drawn = {
        tuple(Randomness(seed, step).bernoulli((64,), 0.5, site, like).tolist())
        for seed in range(3)
        for step in range(3)
        for site in ("a", "b")
        for _ in range(2)
    }
    assert len(drawn) == 18


def test_neighbouring_draws_are_independent() -> None:
    mask = Randomness(3).bernoulli((400, 256), 0.5, "a", torch.zeros(())) - 0.5
    for shift in (1, 2, 3, 4, 256):
        flat = mask.flatten()
        assert abs((flat[shift:] * flat[:-shift]).mean().item()) < 4 * 0.25 / flat.numel() ** 0.5


def test_probabilities_are_multiples_that_leave_both_outcomes_possible() -> None:
    assert [realised(p) * 65536 for p in (1e-9, 0.25, 0.8, 1 - 1e-9)] == [1, 16384, 52429, 65535]
