"""Draws depend on seed, step and site, and on nothing else."""

import torch

from lstmlm.randomness import Randomness


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
