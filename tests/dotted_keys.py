"""Configurations of tests, changed by dotted key."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


def with_changes(values: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    """Return nested values with others in some places: `training__n_steps=3`, or `**{"training.n_steps": 3}`."""
    result: dict[str, Any] = deepcopy(dict(values))
    for dotted, value in changes.items():
        *parents, key = dotted.replace("__", ".").split(".")
        section = result
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    return result
