"""The type checker behind the shape checks of every test run; pyproject.toml names it to pytest.

Beartype with the reading of annotations that mypy has: an int passes for a float. It sees methods one by one, where it
can make nothing of `Self`.
"""

import inspect
from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

CONFIGURATION = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Self: Any}))

_checked: dict[tuple[str, str, inspect.Signature], Callable[..., Any]] = {}


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that checks its arguments and result.

    jaxtyping gives an empty function with the signature of the one that is meant, and for a function within another
    gives it anew in every call. A check takes milliseconds to make, so those of equal signatures are made once.
    """
    key = (function.__module__, function.__qualname__, inspect.signature(function))
    if key not in _checked:
        _checked[key] = beartype(conf=CONFIGURATION)(function)
    return _checked[key]
