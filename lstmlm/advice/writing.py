"""Choices as YAML that people read: each with its reason behind it, or above it where that is long."""

from collections.abc import Iterable, Iterator, Sequence

from lstmlm.advice.choices import Choice
from lstmlm.yaml.strict import dump

LONGEST_LINE = 120


def written(header: Sequence[str], choices: Iterable[Choice]) -> str:
    """A YAML file of choices, of which those of a section stand together; `header` are lines of its first comment."""
    return "".join(f"{line}\n" for line in (*(f"# {line}".rstrip() for line in header), *_lines(choices)))


def _lines(choices: Iterable[Choice]) -> Iterator[str]:
    open_sections: list[str] = []
    for choice in choices:
        *sections, key = choice.key.split(".")
        n_same = 0
        while n_same < min(len(sections), len(open_sections)) and sections[n_same] == open_sections[n_same]:
            n_same += 1
        for depth in range(n_same, len(sections)):
            if depth == 0:
                yield ""
            yield f"{'  ' * depth}{sections[depth]}:"
        open_sections = sections
        indent = "  " * len(sections)
        line = f"{indent}{dump({key: choice.value}).rstrip()}"
        if choice.reason and len(line) + len(choice.reason) + 3 > LONGEST_LINE:
            yield f"{indent}# {choice.reason}"
        elif choice.reason:
            line = f"{line} # {choice.reason}"
        yield line
