"""Prediction formulas of SyntaxGym: what should hold of the surprisals of regions of an item's sentences.

`(6;%match%)` is the surprisal of region 6 of the sentence `match`, `(*;%match%)` that of the whole sentence. Sums and
differences bind tightest, then `< > =`, then `&` and `|`, which join comparisons; all are taken from left to right, and
round or square brackets group.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lstmlm.errors import DataError


class Region(NamedTuple):
    """A part of a sentence; with None in place of its number the whole sentence."""

    sentence: str
    number: int | None

    def __str__(self) -> str:
        return f"({'*' if self.number is None else self.number};%{self.sentence}%)"


Token = float | Region | str
"""A number, the surprisal of a region, or an operator or bracket."""

SHOWN_CHARS = 200
"""How much of a formula a message repeats."""

_TOKEN = re.compile(
    r"\s*(?:\(\s*(?P<number>[0-9]{1,9}|\*)\s*;\s*%(?P<sentence>[^%]+)%\s*\)"
    r"|(?P<value>[0-9]+(?:\.[0-9]+)?)|(?P<mark>[-+<>=&|()\[\]]))"
)
_PRECEDENCE = {"&": 1, "|": 1, "<": 2, ">": 2, "=": 2, "+": 3, "-": 3}
_OPENING = {")": "(", "]": "["}

_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "&": lambda left, right: left and right,
    "|": lambda left, right: left or right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    # The tolerance of SyntaxGym, whose surprisals are bits.
    "=": lambda left, right: abs(left - right) <= 1e-3 + 1e-5 * abs(right),
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
}


@dataclass(frozen=True)
class Formula:
    """A formula that is true or false, in postfix order: operands, then their operator."""

    postfix: tuple[Token, ...]

    @property
    def regions(self) -> list[Region]:
        """The regions that it asks about."""
        return [token for token in self.postfix if isinstance(token, Region)]

    def holds(self, bits: Mapping[Region, float], *, ties_hold: bool = False) -> bool:
        """Say whether it is true of these surprisals (bits).

        `ties_hold` is what `<` and `>` are where both sides agree to the precision of scores.
        """
        stack: list[float] = []
        for token in self.postfix:
            if isinstance(token, str):
                right, left = stack.pop(), stack.pop()
                is_tie = token in "<>" and math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-6)
                stack.append(ties_hold if is_tie else _OPERATIONS[token](left, right))
            else:
                stack.append(bits[token] if isinstance(token, Region) else token)
        return bool(stack.pop())


def parse_formula(text: str) -> Formula:
    """Parse a formula as a suite has it.

    Raises:
        DataError: it is not one, or it is a number and not true or false.
    """
    postfix: list[Token] = []
    waiting: list[str] = []  # operators and open brackets whose right side is not complete
    needs_operand = True
    for position, operand, mark in _tokens(text):
        if needs_operand and operand is not None:
            postfix.append(operand)
            needs_operand = False
        elif needs_operand and mark in _OPENING.values():
            waiting.append(mark)
        elif not needs_operand and mark in _OPENING:
            while waiting and waiting[-1] in _PRECEDENCE:
                postfix.append(waiting.pop())
            if not waiting or waiting.pop() != _OPENING[mark]:
                raise _not_a_formula(text, f"character {position + 1}")
        elif not needs_operand and mark in _PRECEDENCE:
            while waiting and _PRECEDENCE.get(waiting[-1], 0) >= _PRECEDENCE[mark]:
                postfix.append(waiting.pop())
            waiting.append(mark)
            needs_operand = True
        else:
            raise _not_a_formula(text, f"character {position + 1}")
    if needs_operand or not _PRECEDENCE.keys() >= set(waiting):
        raise _not_a_formula(text, "it is not complete")
    postfix += reversed(waiting)
    _require_truth(text, postfix)
    return Formula(tuple(postfix))


def _tokens(text: str) -> Iterator[tuple[int, float | Region | None, str]]:
    """Yield where each token of a formula begins, with what it is: an operand, or else an operator or bracket."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _not_a_formula(text, f"character {position + 1}")
        if match["mark"]:
            yield position, None, match["mark"]
        elif match["value"]:
            yield position, float(match["value"]), ""
        else:
            yield position, Region(match["sentence"], None if match["number"] == "*" else int(match["number"])), ""
        position = match.end()


def _require_truth(text: str, postfix: list[Token]) -> None:
    """Refuse truths that are added or compared, numbers that are joined, and a number as the whole."""
    are_truths: list[bool] = []
    for token in postfix:
        if isinstance(token, str):
            joins = token in "&|"
            if [are_truths.pop(), are_truths.pop()] != [joins, joins]:
                raise _not_a_formula(text, f"wrong operands of {token}")
            are_truths.append(token not in "+-")
        else:
            are_truths.append(False)
    if are_truths != [True]:
        raise _not_a_formula(text, "nothing is compared")


def _not_a_formula(text: str, reason: str) -> DataError:
    return DataError(
        f"{text[:SHOWN_CHARS]!r}: not a prediction formula ({reason}). "
        "Compare sums of regions such as (6;%match%) by < > or =, and join comparisons by & or |."
    )
