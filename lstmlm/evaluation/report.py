"""What an evaluation answers: named numbers, in order, for people as a table and for programs as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

Value = str | int | float | None


@dataclass(frozen=True)
class Report:
    """Named values; the names are the JSON keys and carry the units."""

    title: str
    values: Mapping[str, Value]

    def to_json(self) -> str:
        """Return one JSON object on one line."""
        return json.dumps(dict(self.values), ensure_ascii=False)
