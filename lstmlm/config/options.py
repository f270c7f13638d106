"""The base class of every section and every pluggable part of a configuration."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A mapping of keys in a YAML file: frozen, strict about types, and refusing keys it does not know.

    The docstring under a field becomes its description in the JSON Schema.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    part: ClassVar[str] = "section"
    """What messages call this part: "cell", "tokenizer", "optimizer", "schedule"."""
