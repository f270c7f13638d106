"""`lstmlm.train`: from a configuration to a model that answers."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lstmlm import workflows
from lstmlm.api.arguments import StrPath, path_of
from lstmlm.api.model import Model
from lstmlm.config import RunConfig
from lstmlm.config.recipes import load_config
from lstmlm.errors import ConfigError, shown
from lstmlm.training.events import Event, StartEvent
from lstmlm.yaml.schema import from_overrides
from lstmlm.yaml.settings import as_override

logger = logging.getLogger(__name__)


def train(
    config: StrPath | Mapping[str, Any] | RunConfig,
    run_dir: StrPath,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Model:
    """Train a model and return it with its best weights; see `lstmlm.train`."""
    started = time.monotonic()
    where = path_of("run_dir", run_dir)
    checked = _checked(config, overrides)
    _log(checked.warnings())
    observers = [_log_start] if on_event is None else [_log_start, on_event]
    workflows.train(checked, where, resume=resume, observers=observers, started=started)
    return Model.load(where)


def _log_start(event: Event) -> None:
    if isinstance(event, StartEvent):
        _log(event.warnings)


def _log(warnings: Iterable[str]) -> None:
    for warning in warnings:
        logger.warning("%s", warning)


def _checked(config: StrPath | Mapping[str, Any] | RunConfig, overrides: Sequence[str]) -> RunConfig:
    _require_overrides(overrides)
    match config:
        case RunConfig():
            if overrides:
                raise ConfigError("overrides: have no effect on a RunConfig. Change it, or give a file or a mapping.")
            return config
        case str() | os.PathLike():
            return load_config(os.fspath(config), overrides, flag="")
        case Mapping():
            return from_overrides(RunConfig, [*_as_overrides(config), *overrides], flag="")
    raise ConfigError(f"config: expected a name, a path or a mapping, got {shown(config)}. Name a YAML file.")


def _require_overrides(given: object) -> None:
    overrides = given if isinstance(given, Sequence) else [given]
    if isinstance(given, str) or not all(isinstance(override, str) and "=" in override for override in overrides):
        raise ConfigError(f"overrides: expected a list of key=value, got {shown(given)}. Put each into quotes.")


def _as_overrides(config: Mapping[str, Any]) -> list[str]:
    try:
        return [as_override(section, value) for section, value in config.items()]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config: holds what YAML does not have ({error}). Give texts, numbers, lists.") from None
