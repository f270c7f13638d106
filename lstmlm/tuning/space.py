"""A search space: a configuration, and the ranges that some of its keys are drawn from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, PositiveInt, field_validator

from lstmlm.config import RunConfig
from lstmlm.config.duration import parse_duration
from lstmlm.config.options import Options, PathText
from lstmlm.config.recipes import load_config
from lstmlm.config.training import Duration
from lstmlm.errors import ConfigError, unknown
from lstmlm.yaml.schema import build
from lstmlm.yaml.settings import Settings, as_override, brief

KINDS = ("choice", "int", "float")
KEYS = (*KINDS, "log")

LARGEST = 2**53
"""Of a number that is drawn: up to here every whole number is also a float."""


@dataclass(frozen=True)
class Range:
    """What a key is drawn from: one of `choices`, or a number from `low` to `high`, both included."""

    kind: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False

    @property
    def corners(self) -> tuple[Any, ...]:
        """The values that stand for all when the space is checked."""
        return self.choices or (self.low, self.high)


def _read_range(given: Any) -> Range:
    kinds = [kind for kind in KINDS if isinstance(given, dict) and kind in given]
    for name in given if isinstance(given, dict) else ():
        if name not in KEYS:
            raise ValueError(unknown("key", name, KEYS))
    if len(kinds) != 1:
        raise ValueError(f"expected one of choice, int and float, got {brief(given)}. Write {{float: [0, 0.5]}} or so.")
    [kind], values, log = kinds, given[kinds[0]], given.get("log", False)
    if not isinstance(values, tuple | list):
        raise ValueError(f"{kind}: expected a list, got {brief(values)}.")
    if not values:
        raise ValueError(f"{kind}: an empty range, got []. List values.")
    if not isinstance(log, bool):
        raise ValueError(f"log: expected true or false, got {brief(log)}.")
    if kind == "choice":
        if log:
            raise ValueError("log: has no meaning for a choice. Remove it.")
        return Range(kind, tuple(values))
    numbers, what = (int, "whole numbers") if kind == "int" else (int | float, "numbers")
    if len(values) != 2 or any(isinstance(value, bool) or not isinstance(value, numbers) for value in values):
        raise ValueError(f"{kind}: expected [low, high], two {what}, got {brief(tuple(values))}.")
    low, high = values
    if not (abs(low) <= LARGEST and abs(high) <= LARGEST):  # so that what is no number is none of them
        raise ValueError(f"{kind}: low and high must be finite, 2^53 at most, got {brief(tuple(values))}.")
    if low >= high:
        raise ValueError(f"{kind}: low {low} is not below high {high}. Exchange them, or give the value under set.")
    if log and low <= 0:
        raise ValueError(f"log: low {low} has no logarithm. Give one above 0.")
    return Range(kind, (), low, high, log)


class SpaceOptions(Options):
    """The file of a search space."""

    config: PathText = "quickstart"
    """The configuration that all trials begin with."""

    set: dict[str, Any] = Field(default_factory=dict)
    """What they have in common beside it."""

    search: dict[str, Annotated[Range, PlainValidator(_read_range)]]
    """What each draws."""

    trials: PositiveInt = 20
    """Of the whole study."""

    time: Duration | None = None
    """No trial begins later than this after the command."""

    seed: PositiveInt = 1

    @field_validator("search")
    @classmethod
    def _names_a_key(cls, search: dict[str, Range]) -> dict[str, Range]:
        if not search:
            example = "optimizer.learning_rate: {float: [0.001, 0.1], log: true}"
            raise ValueError(f"names no key to search. Write, for example: {example}")
        return search


@dataclass(frozen=True)
class Space:
    """What is searched, and for how long."""

    config: str
    overrides: tuple[str, ...]
    search: Mapping[str, Range]
    trials: int
    """Of the whole study, by all processes together."""

    time_seconds: int | None
    """No trial begins later than this after the command; None: until there are enough."""

    seed: int

    @property
    def identity(self) -> str:
        """What makes trials comparable: all but how many there are to be."""
        ranges = {key: asdict(of) for key, of in self.search.items()}
        base = self.config_of({}, "set").model_dump(mode="json")
        return json.dumps({"base": base, "search": ranges, "seed": self.seed}, sort_keys=True)

    def config_of(self, values: Mapping[str, Any], flag: str = "") -> RunConfig:
        """Return the configuration with these values in it.

        Args:
            values: What a trial has drawn.
            flag: What messages say that overrides are given by.

        Raises:
            ConfigError: They do not suit each other.
        """
        chosen = [as_override(key, value) for key, value in values.items()]
        return load_config(self.config, [*self.overrides, *chosen], flag)

    def corners(self) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """Yield the first values of all keys, then each other end of one with the first of the rest."""
        first = {key: of.corners[0] for key, of in self.search.items()}
        yield None, first
        for key, of in self.search.items():
            for value in of.corners[1:]:
                yield key, {**first, key: value}

    def warnings(self) -> list[str]:
        """Say which options have no effect at a corner, a sentence each."""
        of_corners = (self.config_of(values).warnings() for _, values in self.corners())
        return list(dict.fromkeys(warning for found in of_corners for warning in found))


def read_space(path: Path, more: Sequence[str] = ()) -> Space:
    """Read a search space, and build configurations at its corners, so that a mistake comes before the first trial.

    Args:
        path: The file.
        more: Overrides as of `--set`, beside those under `set`.

    Raises:
        ConfigError: Something is wrong in it; a line for each mistake.
    """
    settings = Settings()
    settings.read(path)
    given = build(settings, SpaceOptions)
    sets = (*(as_override(key, value) for key, value in given.set.items()), *more)
    seconds = None if given.time is None else parse_duration(given.time)
    space = Space(given.config, sets, given.search, given.trials, seconds, given.seed)
    space.config_of({}, "set")
    for place, text in _problems(space):
        settings.report(place, text)
    settings.raise_problems()
    return space


def _problems(space: Space) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place of each mistake in the file, and what is wrong there."""
    for key in (override.partition("=")[0] for override in space.overrides):
        for searched in space.search:
            if f"{key}.".startswith(f"{searched}."):
                yield ("search", searched), f"{key} is set, too. Leave one of them out."
    known = set[str]()
    for varied, values in space.corners():
        try:
            space.config_of(values)
        except ConfigError as error:
            for line in (line for line in str(error).split("\n") if line not in known):
                known.add(line)
                key, _, text = line.partition(": ")
                if (searched := key.partition("[")[0]) in space.search:
                    yield ("search", searched), text
                elif varied is None:
                    yield ("search",), line
                else:
                    yield ("search", varied), f"at {brief(values[varied])}: {line}"
