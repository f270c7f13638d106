"""The formats of word tables, each against a golden file."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from lstmlm.errors import DataError
from lstmlm.evaluation.surprisal.formats import COLUMNS, FORMATS, refuse_own_columns
from lstmlm.evaluation.surprisal.stimuli import Sentence
from lstmlm.evaluation.surprisal.surprisal import Figures, MeasuredWord

GOLDEN = Path(__file__).parent / "golden"

FIRST = Sentence(
    "7",
    "1",
    ["The", "dog", "slept."],
    [{"region": "NP", "note": 1}, {"region": "NP", "note": [1, 2]}, {"region": "VP"}, {}],
)
EMPTY = Sentence("7", "2", [], [{}])
SECOND = Sentence("8", 1, ["New York"], [{}, {}])


def figures(token_bits: Sequence[float], entropy_bits: float, reduction_bits: float | None, rank: int) -> Figures:
    bit = math.log(2)
    reduction = None if reduction_bits is None else reduction_bits * bit
    nats = [bits * bit for bits in token_bits]
    return Figures(sum(nats), nats, entropy_bits * bit, reduction, rank, is_likeliest=rank == 1)


# More than 128 bits: 2 to that power is beyond a float32, as its inverse is.
WORDS = [
    MeasuredWord(FIRST, 0, ["The"], False, figures([2], 4, None, 3)),
    MeasuredWord(FIRST, 1, ["<unk>"], True, figures([256], 1, 3, 9999)),
    MeasuredWord(FIRST, 2, ["slept", "."], False, figures([0.25, 0.25], 2, 0, 1)),
    MeasuredWord(FIRST, 3, ["<eos>"], False, figures([1 / 3], 0.5, 1.5, 1)),
    MeasuredWord(EMPTY, 0, ["<eos>"], False, figures([8], 2, 0, 12)),
    MeasuredWord(SECOND, 0, ["New", "York"], False, None),
    MeasuredWord(SECOND, 1, ["<eos>"], False, figures([1], 1, None, 2)),
]


@pytest.mark.parametrize(
    ("name", "golden"),
    [("tsv", "lstmlm.tsv"), ("neural-complexity", "neural-complexity.txt"), ("lm-zoo", "lm-zoo.tsv")],
)
def test_is_as_in_the_golden_file(name: str, golden: str) -> None:
    lines = FORMATS[name](WORDS, ["region", "note"])
    assert "".join(f"{line}\n" for line in lines) == (GOLDEN / golden).read_text("utf-8")


def test_json_has_numbers_and_the_values_of_the_file() -> None:
    rows = [json.loads(line) for line in FORMATS["jsonl"](WORDS, ["region", "note"])]
    assert list(rows[1]) == [*COLUMNS, "region", "note"]
    assert rows[1]["surprisal_bits"] == pytest.approx(256, rel=1e-15)
    assert (rows[1]["note"], rows[1]["oov"], rows[0]["entropy_reduction_bits"]) == ([1, 2], 1, None)
    assert rows[5]["rank"] is None
    assert [row["word"] for row in rows] == ["The", "dog", "slept.", "<eos>", "<eos>", "New York", "<eos>"]


def test_what_is_missing_is_an_empty_cell_and_items_are_not_rounded() -> None:
    others = {"rt": None, "frequency": math.nan, "times": [1.5, math.nan, {"at": math.inf}], "note": "NA"}
    words = [
        MeasuredWord(Sentence(item, 1, ["a"], [others, {}]), 0, ["a"], False, None)
        for item in (100000001.0, 100000002.0, 3, "x")
    ]
    _, *rows = (line.split("\t") for line in FORMATS["tsv"](words, list(others)))
    assert [row[0] for row in rows] == ["100000001.0", "100000002.0", "3", "x"]
    assert rows[0][-4:] == ["", "", '[1.5, null, {"at": null}]', "NA"]

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    record = json.loads(next(iter(FORMATS["jsonl"](words, list(others)))), parse_constant=refused)
    assert {name: record[name] for name in others} == {
        "rt": None,
        "frequency": None,
        "times": [1.5, None, {"at": None}],
        "note": "NA",
    }


def test_sentences_are_numbered_by_the_rows_that_are_shown() -> None:
    words = [word for word in WORDS if not word.is_end]
    numbers = [line.split("\t")[0] for line in FORMATS["lm-zoo"](words, [])]
    assert numbers == ["sentence_id", "1", "1", "1", "1", "2", "2"]


def test_a_column_of_ours_in_the_file_is_refused() -> None:
    refuse_own_columns(Path("s.tsv"), ["region", "note"])
    with pytest.raises(DataError) as error:
        refuse_own_columns(Path("s.tsv"), ["region", "rank"])
    assert str(error.value) == "s.tsv: the column 'rank' is called like one of the result. Rename or remove it."
