"""In which keys configurations differ: from each other, and from the defaults."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def flat(config: BaseModel, include: set[str] | None = None) -> dict[str, Any]:
    """Return every key of a configuration, written as `--set` takes it, with its value: `model.backbone.name`.

    Of its sections those that `include` names, where it is given.
    """
    return dict(_flat("", config.model_dump(mode="json", include=include)))


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def differences(configs: Sequence[BaseModel]) -> dict[str, list[Any]]:
    """Return the keys in which configurations differ, with the value of each; None where one has no such key."""
    keys = [flat(config) for config in configs]
    names = dict.fromkeys(name for of_one in keys for name in of_one)
    found = {name: [of_one.get(name) for of_one in keys] for name in names}
    return {name: values for name, values in found.items() if any(value != values[0] for value in values)}


def differences_from_defaults(config: BaseModel) -> dict[str, Any]:
    """Return the keys of a configuration that are not at their defaults, with their values; of a part, its name."""
    return dict(_chosen("", config))


def _chosen(prefix: str, options: BaseModel) -> Iterator[tuple[str, Any]]:
    for name, field in type(options).model_fields.items():
        value, default = getattr(options, name), field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            if "name" in type(value).model_fields and type(value) is not type(default):
                yield f"{prefix}{name}.name", value.model_dump()["name"]
            yield from _chosen(f"{prefix}{name}.", value)
        elif name != "name" and value != default:
            yield f"{prefix}{name}", options.model_dump(mode="json")[name]
