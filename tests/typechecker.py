"""The type checker behind the shape checks of every test run; conftest.py names it.

Beartype with the reading of annotations that mypy has: an int passes for a float. It sees methods one by one, where it
can make nothing of `Self`.
"""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Self: Any})))
