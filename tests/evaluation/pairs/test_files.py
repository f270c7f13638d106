"""Every format read as it is published, and what is wrong in a file named by its line or item."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lstmlm.corpus.reading.splits import Text, text_file
from lstmlm.corpus.reading.text_files import files_in
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.pairs.files import FORMATS, SUFFIXES, read_items, recognize_format
from lstmlm.evaluation.pairs.items import PAIR_FORMULA, Item
from lstmlm.evaluation.pairs.normalization import as_penn_treebank

GOLDEN = Path(__file__).parent / "golden"


def read(name: str, content: str, format_name: str | None = None, normalize: Any = str) -> tuple[list[Item], list[str]]:
    def blocks() -> Iterator[str]:
        yield content

    found = list(read_items(Text(name, blocks), format_name, normalize))
    items = [item for item in found if isinstance(item, Item)]
    return items, [str(problem) for problem in found if isinstance(problem, DataError)]


def golden(name: str) -> list[Item]:
    items, problems = read(name, (GOLDEN / name).read_text())
    assert problems == []
    return items


def summary(item: Item) -> tuple[str, str, str, str]:
    good, bad = item.sentences["good"], item.sentences["bad"]
    assert item.formula is PAIR_FORMULA
    return item.paradigm, item.number, " ".join(good.values()), " ".join(bad.values())


def test_blimp() -> None:
    assert list(map(summary, golden("blimp.jsonl"))) == [
        ("blimp/number", "1", "The dogs bark.", "The dogs barks."),
        ("blimp/number", "2", "Ann's dog barks.", "Ann's dog bark."),
        ("blimp/binding", "3", "Who sees herself?", "Who sees themselves?"),
    ]


def test_marvin_and_linzen() -> None:
    assert list(map(summary, golden("simple_agreement.tsv"))) == [
        ("simple_agreement/sing_MV", "1", "the dog barks", "the dog bark"),
        ("simple_agreement/plur_MV", "2", 'the "big" dogs bark', 'the "big" dogs barks'),
    ]


def test_two_columns_with_their_names() -> None:
    assert list(map(summary, golden("own.csv"))) == [
        ("own", "2", "Yes, the dog barks", "Yes, the dog bark"),
        ("own", "3", "the dogs bark", "the dogs barks"),
    ]


def test_a_file_named_like_its_paradigm() -> None:
    row = json.dumps({"sentence_good": "a", "sentence_bad": "b", "UID": "number"})
    assert [item.paradigm for item in read("folder/number.jsonl", row)[0]] == ["number"]
    assert [item.paradigm for item in read("folder/own.jsonl", '{"sentence_good": "a", "sentence_bad": "b"}')[0]] == [
        "own"
    ]


def test_syntaxgym() -> None:
    first, second = golden("reflexive.json")
    assert (first.paradigm, second.paradigm) == ("reflexive/1", "reflexive/2")
    assert first.number == second.number == "1"
    assert first.sentences == second.sentences
    assert first.sentences["mismatch"] == {1: "The dogs", 2: " see", 3: "itself", 4: "", 5: "."}
    assert [str(region) for region in second.formula.regions] == ["(*;%match%)", "(*;%mismatch%)"]


def test_a_suite_with_one_prediction_gives_it_its_name() -> None:
    suite = json.loads((GOLDEN / "reflexive.json").read_text())
    del suite["predictions"][0]
    assert [item.paradigm for item in read("x.json", json.dumps(suite))[0]] == ["reflexive"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("blimp.jsonl", "blimp"), ("simple_agreement.tsv", "tsv"), ("own.csv", "csv"), ("reflexive.json", "syntaxgym")],
)
def test_formats_are_recognised_by_their_content(name: str, wanted: str) -> None:
    content = (GOLDEN / name).read_text()
    assert recognize_format(content) == wanted
    assert recognize_format(json.dumps(json.loads(content)) if wanted == "syntaxgym" else content) == wanted
    assert Path(name).suffix in SUFFIXES


def test_a_format_can_be_chosen() -> None:
    content = "the dog, it barks\tthe dog, it bark\n"
    assert len(read("x", content)[0]) == 1
    [item], [] = read("x", content, "csv")
    assert item.paradigm == "x/the dog"
    with pytest.raises(ConfigError) as caught:
        read("x", content, "blim")
    assert str(caught.value) == (
        f"--format: unknown format 'blim'. Did you mean 'blimp'? Choose one of: {', '.join(FORMATS)}."
    )


def test_sentences_are_normalized() -> None:
    [item], [] = read("x.csv", "He can't.,He cans't.\n", normalize=as_penn_treebank)
    assert summary(item) == ("x", "1", "he ca n't", "he cans't")


A_PAIR = '{"sentence_good": "a", "sentence_bad": "b"}'
COLUMNS = "Write the better and the worse sentence, after their paradigm if they have one."


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.tsv", "a\tb\n\nc\td\n", f"x.tsv:2: expected 2 or 3 columns with tabs between them, got 1. {COLUMNS}"),
        ("x.tsv", "a\tb\nc\nd\te\n", f"x.tsv:2: expected 2 or 3 columns with tabs between them, got 1. {COLUMNS}"),
        (
            "x.csv",
            "a,b\nc,d\n1,2,3,4\n",
            f"x.csv:3: expected 2 or 3 columns with commas between them, got 4. {COLUMNS}",
        ),
        ("x.csv", 'a,b\n"c,d\ne,f\n', "x.csv:2: not a row of a table (unexpected end of data). Mend it."),
        ("x.tsv", "a\tb\nc\t \nd\te\n", "x.tsv:2: a sentence of the pair is empty. Write both."),
        (
            "x.jsonl",
            f'{A_PAIR}\n{{"sentence_good": "a", }}\n{A_PAIR}\n',
            "x.jsonl:2: Invalid JSON: trailing comma at line 1 column 24. Mend it.",
        ),
        (
            "x.jsonl",
            f'{A_PAIR}\n{{"sentence_good": "a"}}\n{A_PAIR}',
            "x.jsonl:2: sentence_bad: Field required. Mend it.",
        ),
    ],
)
def test_a_line_that_is_no_pair_is_named_and_the_others_are_read(name: str, content: str, problem: str) -> None:
    items, problems = read(name, content)
    assert problems == [problem]
    assert len(items) == 2


def test_escapes_that_are_no_characters() -> None:
    [], [problem] = read("x.jsonl", '{"sentence_good": "\\ud800", "sentence_bad": "b"}\n')
    assert problem.startswith("x.jsonl:1: Invalid JSON: ")


def test_blank_lines_at_the_end_are_none() -> None:
    items, problems = read("x.tsv", "a\tb\n\n\n")
    assert (len(items), problems) == (1, [])


def suite_with(**changes: Any) -> dict[str, Any]:
    return {**json.loads((GOLDEN / "reflexive.json").read_text()), **changes}


REMEDY = "Compare sums of regions such as (6;%match%) by < > or =, and join comparisons by & or |."


def test_an_unknown_formula_is_named_and_the_others_are_asked() -> None:
    predictions = [{"formula": "max((3;%match%))"}, {"formula": "(3;%match%) < (3;%mismatch%)"}, {"type": "formula"}]
    items, problems = read("x.json", json.dumps(suite_with(predictions=predictions)))
    assert [item.paradigm for item in items] == ["reflexive/2"]
    assert problems == [
        f"x.json: prediction 1: 'max((3;%match%))': not a prediction formula (character 1). {REMEDY}",
        "x.json: prediction 3: formula: Field required. Mend it.",
    ]


def test_an_item_that_is_none_is_named_and_the_others_are_asked() -> None:
    suite = suite_with(predictions=[{"formula": "(3;%match%) < (3;%mismatch%)"}])
    [good] = suite["items"]
    without_content = {"item_number": 2, "conditions": [{"condition_name": "match", "regions": [{"region_number": 1}]}]}
    without_mismatch = {"item_number": 3, "conditions": good["conditions"][:1]}
    items, problems = read("x.json", json.dumps({**suite, "items": [without_content, without_mismatch, good]}))
    assert len(items) == 1
    assert problems == [
        "x.json: item 2: conditions.0.regions.0.content: Field required. Mend it.",
        "x.json: item 3: has no (3;%mismatch%), which its formula asks about. Add it.",
    ]


def test_a_region_of_which_nothing_is_left() -> None:
    suite = suite_with(predictions=[{"formula": "(5;%match%) < 3"}, {"formula": "(4;%match%) < 3"}])
    items, problems = read("x.json", json.dumps(suite), normalize=as_penn_treebank)
    assert [item.paradigm for item in items] == ["reflexive/2"]  # what is empty from the beginning has no surprisal
    assert problems == [
        "x.json: item 1: no word is left of '.', which (5;%match%) asks about. Choose another --normalize."
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"meta": {"name": "x"}, \n', "x.json: Invalid JSON: EOF while parsing a value at line 2 column 0. Mend it."),
        ("[7]", "x.json: Input should be an object. Mend it."),
        (json.dumps({"meta": {}}), "x.json: meta.name: Field required. Mend it."),
        (
            json.dumps({"meta": {"name": "x"}, "predictions": [], "items": [7]}),
            "x.json: items.0: Input should be an object. Mend it.",
        ),
        (
            json.dumps({"meta": {"name": "x", "metric": "mean"}, "predictions": [], "items": []}),
            "x.json: meta.metric: Input should be 'sum' or 'all'. Mend it.",
        ),
    ],
)
def test_a_file_that_is_no_suite(content: str, problem: str) -> None:
    items, problems = read("x.json", content, "syntaxgym")
    assert (items, problems) == ([], [problem])


def test_json_as_deep_as_no_one_writes_it() -> None:
    items, [problem] = read("x.json", "[" * 100_000, "syntaxgym")
    assert items == []
    assert problem.startswith("x.json: Invalid JSON: recursion limit exceeded ")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a\tb\ncaf\xe9\tb\n")
    [problem] = read_items(text_file(path), None, str)
    assert str(problem) == (
        f"{path}: not UTF-8 (byte 0xE9 at offset 7, line 2). "
        f"It may be windows-1252, which reads 'café\\tb'. If that is right, give data.encoding or --encoding "
        f"windows-1252, or convert it: iconv -f windows-1252 -t utf-8 {path} > {tmp_path}/x.utf8.tsv"
    )


@pytest.mark.parametrize(
    ("folder", "n_items"),
    [pytest.param("blimp", 34_000, marks=pytest.mark.slow), ("lm_syneval", 2_940), ("syntaxgym", 144)],
)
def test_the_published_files_are_read_whole(folder: str, n_items: int, corpus_path: Callable[[str], Path]) -> None:
    found = [
        item for path in files_in([corpus_path(folder)], SUFFIXES) for item in read_items(text_file(path), None, str)
    ]
    assert [str(problem) for problem in found if isinstance(problem, DataError)] == []
    assert len(found) == n_items
