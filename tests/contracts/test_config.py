"""What every section and every choice of a configuration promises."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from lstmlm.config import RunConfig
from lstmlm.config.data import FileTokenizerOptions
from lstmlm.config.options import Options
from lstmlm.yaml.schema import dump_yaml, load_yaml


def parts_of(field: Any) -> tuple[type[Options], ...]:
    """The choices of a pluggable part, or the class of a section, or nothing for a plain value."""
    if field.discriminator is not None:
        return get_args(field.annotation)
    is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    return (field.annotation,) if is_section else ()


def classes_below(options_class: type[Options], path: str = "") -> Iterator[tuple[str, type[Options], int]]:
    """Every options class under a class: its dotted key, itself, and among how many it is chosen."""
    for key, field in options_class.model_fields.items():
        parts = parts_of(field)
        for part in parts:
            yield f"{path}{key}", part, len(parts)
            yield from classes_below(part, f"{path}{key}.")


CLASSES = {f"{path} {options.__name__}": options for path, options, _ in classes_below(RunConfig)}
CHOICES = {
    f"{path} {options.__name__}": (path, options) for path, options, count in classes_below(RunConfig) if count > 1
}

every_class = pytest.mark.parametrize("options_class", CLASSES.values(), ids=CLASSES)
every_choice = pytest.mark.parametrize(("path", "options_class"), CHOICES.values(), ids=CHOICES)


@every_class
def test_every_value_is_described(options_class: type[Options]) -> None:
    """The JSON Schema shows these texts in an editor; sections and parts have the docstring of their class."""
    assert options_class.__doc__
    for key, field in options_class.model_fields.items():
        assert field.description or key == "name" or parts_of(field), f"{key} has no docstring"


@every_class
def test_unknown_keys_and_other_types_are_refused(options_class: type[Options]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        options_class.model_validate({"no_such_key": 1})
    for key, field in options_class.model_fields.items():
        if field.annotation in (int, float):
            with pytest.raises(ValidationError, match="valid (integer|number)"):
                options_class.model_validate({key: "1"})


@every_choice
def test_a_choice_needs_nothing_but_its_name(path: str, options_class: type[Options], tmp_path: Path) -> None:
    """And the run that it is chosen for can be written and read again."""
    if options_class is FileTokenizerOptions:
        pytest.skip("it needs a file")
    options: Any = options_class()
    assert get_args(options_class.model_fields["name"].annotation) == (options.name,)
    config = tmp_path / "x.yaml"
    config.write_text("{data: {corpus: data/tiny}, training: {n_steps: 1}}", "utf-8")

    chosen = load_yaml(config, RunConfig, [f"{path}={{name: {options.name}}}"])

    part: Any = chosen
    for key in path.split("."):
        part = getattr(part, key)
    assert part == options
    config.write_text(dump_yaml(chosen), "utf-8")
    assert load_yaml(config, RunConfig) == chosen


@every_choice
def test_messages_have_a_word_for_the_choice(path: str, options_class: type[Options]) -> None:
    nouns = {other.part for other_path, other in CHOICES.values() if other_path == path}
    assert nouns == {options_class.part}
    assert options_class.part != Options.part


@every_choice
def test_a_chosen_part_is_frozen(path: str, options_class: type[Options]) -> None:
    assert path
    with pytest.raises(ValidationError, match="frozen"):
        options_class.model_construct().name = "other"  # type: ignore[attr-defined]


def test_names_of_one_part_differ() -> None:
    names = [(path, options_class.model_fields["name"].default) for path, options_class in CHOICES.values()]
    assert len(names) == len(set(names))


def test_the_choices_are_found() -> None:
    """Without choices the tests above would pass by running nothing."""
    paths = {path for path, _ in CHOICES.values()}
    assert paths == {"averaging", "data.tokenizer", "model.backbone", "model.output", "optimizer", "schedule"}
