"""What an evaluation answers: named numbers, in order, for people as a table and for programs as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lstmlm.metrics import finite

Value = str | int | float | None


@dataclass(frozen=True)
class Report:
    """Named values; the names are the JSON keys and carry the units. None: there is no such number."""

    values: Mapping[str, Value]

    def to_json(self) -> str:
        """Return one JSON object on one line; JSON has no infinity, so a number beyond a float becomes null."""
        return json.dumps(finite(self.values), ensure_ascii=False, allow_nan=False)
