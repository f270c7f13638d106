"""Prediction formulas: every operator by hand, and what is none named with its place."""

import pytest

from lstmlm.errors import DataError
from lstmlm.evaluation.pairs.formulas import Region, parse_formula

BITS = {Region("a", 1): 1.0, Region("a", 2): 2.0, Region("b", 1): 3.0, Region("b-c_d", 12): 4.0, Region("a", None): 3.5}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("(1;%a%)<(2;%a%)", True),
        (" ( 1 ; %a% ) > (2;%a%) ", False),
        ("(1;%a%) + (2;%a%) = (1;%b%)", True),
        ("(12;%b-c_d%) > (1;%b%)", True),
        ("(*;%a%) > (1;%b%)", True),
        ("(1;%b%) - (2;%a%) - (1;%a%) = 0", True),
        ("(1;%b%) - [(2;%a%) - (1;%a%)] = 2.0", True),
        ("(1;%a%) < (2;%a%) & (1;%b%) < (2;%a%)", False),
        ("(1;%a%) < (2;%a%) | (1;%b%) < (2;%a%)", True),
        ("[(1;%a%) < (2;%a%)] & [(2;%a%) < (1;%b%)] & [[(1;%b%) - (2;%a%)] > [(2;%a%) - (1;%a%)]]", False),
        ("0 > 1 & 0 > 1 | 1 > 0", True),  # from left to right
        ("0 > 1 & (0 > 1 | 1 > 0)", False),
        ("((((1;%a%)) < (2;%a%)))", True),
        ("(1;%a%) = 1.0009", True),  # the tolerance of SyntaxGym, 0.001 bits
        ("(1;%a%) = 1.0011", False),
    ],
)
def test_says_what_holds(text: str, holds: bool) -> None:
    assert parse_formula(text).holds(BITS) is holds


@pytest.mark.parametrize("text", ["(1;%a%) < (2;%a%)", "(2;%a%) > (1;%a%)", "(2;%a%) - (1;%a%) > 0"])
def test_a_tie_does_not_hold_unless_asked_for(text: str) -> None:
    formula = parse_formula(text)
    tied = {Region("a", 1): 40.0, Region("a", 2): 40.0 + 1e-6}  # as far apart as rounding brings equal sums
    apart = {Region("a", 1): 40.0, Region("a", 2): 40.001}
    assert not formula.holds(tied)
    assert formula.holds(tied, ties_hold=True)
    assert formula.holds(apart)


def test_a_tie_does_not_save_what_is_wrong_anyway() -> None:
    formula = parse_formula("(1;%a%) < (1;%b%) & (2;%a%) < (2;%b%)")
    bits = {Region("a", 1): 1.0, Region("b", 1): 1.0, Region("a", 2): 2.0, Region("b", 2): 1.0}
    assert not formula.holds(bits, ties_hold=True)


def test_names_the_regions_that_it_asks_about() -> None:
    regions = parse_formula("[(6;%x%) > (*;%y%)] & [(6;%x%) < 3]").regions
    assert [str(region) for region in regions] == ["(6;%x%)", "(*;%y%)", "(6;%x%)"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not complete"),
        ("(6;%a%) <> 3", "character 10"),
        ("(6;%a%) < (6;%b%", "character 13"),
        ("(6;%a%) < mean(6;%b%)", "character 10"),
        ("(6;%a%) (6;%b%)", "character 8"),
        ("(6;%a%) < (6;%b%))", "character 18"),
        ("[(6;%a%) < (6;%b%)", "it is not complete"),
        ("[(6;%a%) < (6;%b%))", "character 19"),
        ("(6;%a%) <", "it is not complete"),
        ("< (6;%a%)", "character 1"),
        ("__import__('os')", "character 1"),
        ("(6;%a%) + (6;%b%)", "nothing is compared"),
        ("(6;%a%) < (6;%b%) < (6;%c%)", "wrong operands of <"),
        ("(6;%a%) & (6;%b%)", "wrong operands of &"),
        ("[(6;%a%) < 1] + 1 > 1", "wrong operands of +"),
        ("(" * 100_000, "it is not complete"),
        ("[" * 100_000 + "(6;%a%) < 1", "it is not complete"),
    ],
)
def test_what_is_no_formula(text: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_formula(text)
    assert str(caught.value) == (
        f"{text[:200]!r}: not a prediction formula ({reason}). "
        "Compare sums of regions such as (6;%match%) by < > or =, and join comparisons by & or |."
    )


def test_a_long_formula() -> None:
    assert parse_formula(" & ".join(["1 + 1 > 1"] * 10_000)).holds({})
