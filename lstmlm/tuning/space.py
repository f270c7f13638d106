"""A search space: a configuration, and the ranges that some of its keys are drawn from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lstmlm.config import RunConfig
from lstmlm.config.duration import parse_duration
from lstmlm.config.recipes import find_config
from lstmlm.errors import ConfigError, did_you_mean
from lstmlm.yaml.schema import load_yaml
from lstmlm.yaml.settings import Settings, shown

KEYS = ("config", "set", "trials", "time", "seed", "search")
KINDS = ("choice", "int", "float")


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
        base = load_yaml(find_config(self.config), RunConfig, self.overrides).model_dump(mode="json")
        return json.dumps({"base": base, "search": ranges, "seed": self.seed}, sort_keys=True)

    def config_of(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration with these values in it.

        Raises:
            ConfigError: They do not suit each other.
        """
        chosen = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        return load_yaml(find_config(self.config), RunConfig, [*self.overrides, *chosen])


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
    values = settings.values
    for key in values:
        if key not in KEYS:
            settings.report((key,), f"unknown key. {did_you_mean(key, KEYS)}There are {', '.join(KEYS)}.")
    search = values.get("search")
    if not isinstance(search, dict) or not search:
        example = "optimizer.learning_rate: {float: [0.001, 0.1], log: true}"
        settings.report(("search",), f"names no key to search. Write, for example: {example}")
        search = {}
    ranges = {key: _range(settings, key, given) for key, given in search.items()}
    overrides = values.get("set", {})
    if not isinstance(overrides, dict):
        settings.report(("set",), f"expected a mapping of dotted keys, got {shown(overrides)}.")
        overrides = {}
    trials, seed = (_count(settings, key, default) for key, default in (("trials", 20), ("seed", 1)))
    seconds = None
    if "time" in values:
        try:
            seconds = parse_duration(values["time"])
        except ValueError as error:
            settings.report(("time",), str(error))
    settings.raise_problems()
    sets = tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in overrides.items()) + tuple(more)
    found = {key: of for key, of in ranges.items() if of is not None}
    space = Space(str(values.get("config", "quickstart")), sets, found, trials, seconds, seed)
    _check(path, space)
    return space


def _count(settings: Settings, key: str, default: int) -> int:
    value = settings.values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        settings.report((key,), f"expected a whole number of at least 1, got {shown(value)}.")
        return default
    return value


def _range(settings: Settings, key: str, given: Any) -> Range | None:
    """Read what a key is drawn from; None where it has problems, which are reported."""
    try:
        return _read_range(given)
    except ValueError as error:
        settings.report(("search", key), str(error))
        return None


def _read_range(given: Any) -> Range:
    kinds = [kind for kind in KINDS if isinstance(given, dict) and kind in given]
    unknown = [name for name in given if name not in (*KINDS, "log")] if isinstance(given, dict) else []
    if unknown:
        advice = did_you_mean(unknown[0], (*KINDS, "log"))
        raise ValueError(f"unknown key {unknown[0]!r}. {advice}There are choice, int, float and log.")
    if len(kinds) != 1:
        raise ValueError(f"expected one of choice, int and float, got {shown(given)}. Write {{float: [0, 0.5]}} or so.")
    [kind], values, log = kinds, given[kinds[0]], given.get("log", False)
    if not isinstance(values, tuple | list) or not values:
        raise ValueError(f"{kind}: an empty range, got {shown(values)}. List values.")
    if kind == "choice":
        if log:
            raise ValueError("log: has no meaning for a choice. Remove it.")
        return Range(kind, tuple(values))
    numbers, what = (int, "whole numbers") if kind == "int" else (int | float, "numbers")
    if len(values) != 2 or any(isinstance(value, bool) or not isinstance(value, numbers) for value in values):
        raise ValueError(f"{kind}: expected [low, high], two {what}, got {shown(tuple(values))}.")
    low, high = values
    if low >= high:
        raise ValueError(f"{kind}: low {low} is not below high {high}. Exchange them, or give the value under set.")
    if log and low <= 0:
        raise ValueError(f"log: low {low} has no logarithm. Give one above 0.")
    return Range(kind, (), low, high, bool(log))


def _check(path: Path, space: Space) -> None:
    """Build the configuration at both ends of every range, the others at their first."""
    first = {key: of.corners[0] for key, of in space.search.items()}
    for key, of in space.search.items():
        for value in of.corners:
            try:
                space.config_of({**first, key: value})
            except ConfigError as error:
                raise ConfigError(f"{path}: search: {key} at {shown(value)}: {error}") from None
