"""Every format read as it is published, and what is wrong in a file named by its line or item."""

import gzip
import json
from collections.abc import Callable, Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lstmlm.corpus.reading.text_files import files_in, read_file
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.normalization import as_penn_treebank
from lstmlm.evaluation.pairs.files import FORMATS, SUFFIXES, read_items, recognize_format
from lstmlm.evaluation.pairs.items import PAIR_FORMULA, Item

GOLDEN = Path(__file__).parent / "golden"


def read(
    name: str, content: str, format_name: str | None = None, normalize: Any = str, columns: Sequence[str] = ()
) -> tuple[list[Item], list[str]]:
    """The items and the problems of a file with this name and content."""
    with TemporaryDirectory() as folder, chdir(folder):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
        found = list(read_items(path, format_name, normalize, columns))
    items = [item for item in found if isinstance(item, Item)]
    return items, [str(problem) for problem in found if isinstance(problem, DataError)]


def golden(name: str) -> list[Item]:
    items, problems = read(name, (GOLDEN / name).read_text("utf-8"))
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
    suite = json.loads((GOLDEN / "reflexive.json").read_text("utf-8"))
    del suite["predictions"][0]
    assert [item.paradigm for item in read("x.json", json.dumps(suite))[0]] == ["reflexive"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("blimp.jsonl", "blimp"), ("simple_agreement.tsv", "tsv"), ("own.csv", "csv"), ("reflexive.json", "syntaxgym")],
)
def test_formats_are_recognised_by_their_content(name: str, wanted: str, tmp_path: Path) -> None:
    content = (GOLDEN / name).read_text("utf-8")
    one_line = json.dumps(json.loads(content)) if wanted == "syntaxgym" else content
    for other_name, other_content in (("x.txt", content), (name, content), (name, one_line)):
        (tmp_path / other_name).write_text(other_content, "utf-8")
        assert recognize_format(read_file(tmp_path / other_name)) == wanted
    assert Path(name).suffix in SUFFIXES


def test_a_format_can_be_chosen() -> None:
    content = "the dog, it barks\tthe dog, it bark\n"
    assert len(read("x", content)[0]) == 1
    assert read("x", content, "csv")[0] == []
    with pytest.raises(ConfigError) as caught:
        read("x", content, "blim")
    assert str(caught.value) == (
        f"--format: unknown format 'blim'. Did you mean 'blimp'? Choose one of: {', '.join(FORMATS)}."
    )


def test_sentences_are_normalized() -> None:
    [item], [] = read("x.csv", "He can't.,He cans't.\n", normalize=as_penn_treebank)
    assert summary(item) == ("x", "1", "he ca n't", "he cans't")


A_PAIR = '{"sentence_good": "the dog barks", "sentence_bad": "the dog bark"}'
ROWS = [("the dog barks", "the dog bark"), ("the dogs bark", "the dogs barks"), ("a cat sleeps", "a cat sleep")]
EXPECTED = [("x", good, bad) for good, bad in ROWS]


def shown(items: list[Item]) -> list[tuple[str, str, str]]:
    return [(paradigm, good, bad) for paradigm, _, good, bad in map(summary, items)]


def table(delimiter: str, *rows: Sequence[str]) -> str:
    return "".join(f"{delimiter.join(row)}\n" for row in rows)


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x.txt", "x"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("good", "bad"),
        ("Better", "Worse"),
        ("sentence_good", "sentence_bad"),
        ("CORRECT", "Incorrect"),
        ("grammatical", "ungrammatical"),
        ("acceptable sentence", "unacceptable sentence"),
        ("sen", "wrong_sen"),
    ],
)
def test_columns_are_known_by_their_names_wherever_they_stand(delimiter: str, name: str, good: str, bad: str) -> None:
    rows = [(bad, "n", good, "lang"), *((worse, "7", better, "en") for better, worse in ROWS)]
    assert shown(read(name, table(delimiter, *rows))[0]) == EXPECTED
    swapped = [(bad, good), *((worse, better) for better, worse in ROWS)]
    assert shown(read(name, table(delimiter, *swapped))[0]) == EXPECTED


@pytest.mark.parametrize("name", ["id", "count", "score"])
def test_a_number_of_its_own_for_each_row_is_no_paradigm(name: str) -> None:
    items, problems = read("x.csv", f"{name};good;bad\n1;a b;a c\n2,5;d e;d f\n")
    assert problems == []
    assert [item.paradigm for item in items] == ["x", "x"]
    items, _ = read("x.csv", f"{name};good;bad\n1;a b;a c\n1;d e;d f\n2;d e;d g\n")
    assert [item.paradigm for item in items] == ["x/1", "x/1", "x/2"]
    items, _ = read("x.csv", "1;a b;a c\n2;d e;d f\n")
    assert [item.paradigm for item in items] == ["x", "x"]


@pytest.mark.parametrize(
    ("name", "values", "paradigms"),
    [
        ("UID", ["a", None], ["x/a", "x"]),
        ("paradigm", ["a", "b"], ["x/a", "x/b"]),
        ("uid", [7, 8], ["x", "x"]),
        ("language", ["a", "b"], ["x", "x"]),
    ],
)
def test_paradigms_of_records(name: str, values: list[Any], paradigms: list[str]) -> None:
    records = [json.dumps({"good": "a b", "bad": "a c", name: value}) for value in values]
    items, problems = read("x.jsonl", "\n".join(records))
    assert ([item.paradigm for item in items], problems) == (paradigms, [])


@pytest.mark.parametrize(
    "content",
    [
        "good, bad\nthe dog barks, the dog bark\n",
        "bad; good\nthe dog bark; the dog barks\n",
        'good, bad\n"the dog barks", "the dog bark"\n',
        '"the dog barks", "the dog bark"\n',
    ],
)
def test_blanks_after_a_delimiter_are_none_of_a_sentence(content: str) -> None:
    items, problems = read("x.csv", content)
    assert (shown(items), problems) == (EXPECTED[:1], [])


def test_columns_can_be_said() -> None:
    content = table("\t", ("wrong one", "id", "right one"), *((bad, "3", good) for good, bad in ROWS))
    assert shown(read("x.tsv", content, columns=["right one", "wrong one"])[0]) == [
        ("x/3", good, bad) for good, bad in ROWS
    ]
    [], [problem] = read("x.tsv", content, columns=["right", "wrong one"])
    assert problem == (
        "x.tsv:1: has no columns right and wrong one, got 'wrong one', 'id', 'right one'. Give two of them: --columns"
    )
    record = json.dumps({"a": "the dog barks", "b": "the dog bark"})
    assert shown(read("x.jsonl", record, columns=["a", "b"])[0]) == EXPECTED[:1]


def test_cells_in_quotes_may_have_anything_within() -> None:
    content = 'good;bad\n"He said ""no""; twice\nand sat.";"He said ""no""; twice\nand sit."\nthe dog;the dogs\n'
    assert shown(read("x.csv", content)[0]) == [
        ("x", 'He said "no"; twice\nand sat.', 'He said "no"; twice\nand sit.'),
        ("x", "the dog", "the dogs"),
    ]


def test_a_second_worse_sentence_is_a_paradigm_of_its_own() -> None:
    content = "key\tno cat has ever slept\tthe cat has ever slept\ta cat has ever slept\n"
    assert shown(read("npi.tsv", content)[0]) == [
        ("npi/key/good-vs-bad", "no cat has ever slept", "the cat has ever slept"),
        ("npi/key/good-vs-bad2", "no cat has ever slept", "a cat has ever slept"),
    ]


@pytest.mark.parametrize("labels", [("True", "False"), ("1", "0"), ("good", "bad")])
def test_sentences_with_labels_by_turns(labels: tuple[str, str]) -> None:
    rows = [(label, sentence) for pair in ROWS for label, sentence in zip(labels, pair, strict=True)]
    assert shown(read("x.txt", table("\t", *rows))[0]) == EXPECTED
    turned = [(label, sentence) for pair in ROWS for label, sentence in zip(labels[::-1], pair[::-1], strict=True)]
    assert shown(read("x.csv", table(",", *(row[::-1] for row in turned)))[0]) == EXPECTED
    for wrong in (rows[:-1], [rows[0], *rows[2:], rows[1]], [rows[0]]):
        items, [problem] = read("x.txt", table("\t", *wrong))
        assert items == []
        assert "but good and bad do not come by turns" in problem


def test_agreement_of_gulordava() -> None:
    header = "pattern form class type prefix n_attr".split()
    rows = [
        ("A", "laugh", "correct", "g", "The boys who ran", "0"),
        ("A", "laughs", "wrong", "g", "The boys who ran", "0"),
    ]
    items, problems = read("generated.tab", table("\t", header, *rows))
    assert problems == []
    assert shown(items) == [("generated/A", "The boys who ran laugh", "The boys who ran laughs")]
    assert not items[0].has_end
    [], [problem] = read("generated.tab", table("\t", header, *rows[::-1]))
    assert problem == (
        "generated.tab:2: expected a correct form, and the wrong one in the next line. Mend the column class."
    )


def test_agreement_of_linzen(tmp_path: Path) -> None:
    (tmp_path / "agr.text").write_text("The boys who ran have it . <eos>\nA dog sees . <eos>\n", "utf-8")
    (tmp_path / "agr.gold").write_text("4\thave\thas\t1\n2\tsees\tsee\t0\n", "utf-8")
    items = [item for item in read_items(tmp_path / "agr.gold", None, str) if isinstance(item, Item)]
    assert shown(items) == [
        ("agr/1", "The boys who ran have", "The boys who ran has"),
        ("agr/0", "A dog sees", "A dog see"),
    ]
    assert not any(item.has_end for item in items)
    (tmp_path / "agr.text").write_text("The cafés of it have . <eos>\nA dog sees . <eos>\n", "latin-1")
    [first, _] = read_items(tmp_path / "agr.gold", None, str, encoding="latin-1")
    assert isinstance(first, Item)
    assert "cafés" in shown([first])[0][1]
    (tmp_path / "agr.text").write_text("A dog sees . <eos>\n", "utf-8")
    [problem] = map(str, read_items(tmp_path / "agr.gold", None, str))
    assert problem.startswith(f"{tmp_path}/agr.gold: has 2 lines, {tmp_path}/agr.text 1.")


@pytest.mark.parametrize("field", ["meta", "conditions", "predictions"])
def test_a_record_of_a_pair_is_no_suite_whatever_else_it_has(field: str) -> None:
    line = json.dumps({"sentence_good": "the dog barks", "sentence_bad": "the dog bark", field: {}})
    for content in (line, f"{line}\n{line}\n"):
        items, problems = read("x.jsonl", content)
        assert (len(items), problems) == (content.count("good"), [])


NAME_THEM = "Name them good and bad in a first line, or say which they are: --columns GOOD,BAD"
UNSAID = "nothing says which two columns have the better and the worse sentence, got"
UNLIKE = "holds no minimal pairs, as most have no word in common, such as"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.tsv", "7\tthe dog\n8\tthe dogs\n", f"x.tsv: {UNLIKE} '7' and 'the dog'. {NAME_THEM}"),
        ("x.csv", "good,bad\n0.5,0.7\n0.1,0.2\n", f"x.csv: {UNLIKE} '0.5' and '0.7'. {NAME_THEM}"),
        ("x.tsv", "ein Hund\tsome dog\nKatze\tcat house\n", f"x.tsv: {UNLIKE} 'ein Hund' and 'some dog'. {NAME_THEM}"),
        (
            "x.tsv",
            "first\tsecond\nthe dog barks\tthe dog bark\n",
            f"x.tsv:1: {UNSAID} 'first', 'second' between tabs. {NAME_THEM}",
        ),
        (
            "x.tsv",
            "7\tthe dog\tthe dogs\ta\tb\n",
            f"x.tsv:1: {UNSAID} '7', 'the dog', 'the dogs', 'a', 'b' between tabs. {NAME_THEM}",
        ),
        (
            "x.csv",
            "Yes, he sleeps,Yes, he sleep\nNo, he runs,No, he run\n",
            f"x.csv:1: {UNSAID} 'Yes', 'he sleeps', 'Yes', 'he sleep' between commas. Put quotes around sentences "
            f"that have commas. {NAME_THEM}",
        ),
        (
            "x.csv",
            "item;word;region\n1;the;det\n1;dogs;noun\n2;a;det\n2;cat;noun\n",
            f"x.csv:1: {UNSAID} 'item', 'word', 'region' between semicolons. {NAME_THEM}",
        ),
        (
            "x.txt",
            "It rained, and the dog slept.\nNobody came.\nYes, he said, no.\n",
            "x.txt: holds no pairs, as its lines are not cut into columns. Write a pair a line: the better and the "
            "worse sentence, with a tab between them.",
        ),
        (
            "x.json",
            f"[\n{A_PAIR}\n]\n",
            "x.json: is a JSON array, but an object a line is read. Make lines of it: jq -c '.[]' x.json > x.jsonl",
        ),
        (
            "x.json",
            '{"data": [{"sentence_good": "a b", "sentence_bad": "a c"}]}',
            "x.json:1: has its pair within the field 'data'. Take it out: jq -c '.data[]' x.json > x.jsonl",
        ),
        (
            "x.jsonl",
            f'{{"row_idx": 0, "row": {A_PAIR}}}\n',
            "x.jsonl:1: has its pair within the field 'row'. Take it out: jq -c .row x.jsonl > x.new.jsonl",
        ),
        (
            "x.jsonl",
            '{"text": "In my palm is a clear stone"}\n{"text": "It is"}\n',
            "x.jsonl:1: is a text and no pair, got 'text'. Measure how often its last word is the likeliest one: "
            "lstmlm eval surprisal x.jsonl --last-word",
        ),
        (
            "x.jsonl",
            '{"a": "the dog barks", "b": "the dog bark"}\n',
            "x.jsonl:1: has no sentence_good and sentence_bad, got 'a', 'b'. Call them so, or say what has them: "
            "--columns GOOD,BAD",
        ),
    ],
)
def test_what_is_no_table_of_pairs_is_refused_in_one_line(name: str, content: str, problem: str) -> None:
    assert read(name, content) == ([], [problem])


QUOTES = "Put quotes around cells that have some within."


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.tsv", "a b\ta c\nc\nd e\td f\n", f"x.tsv:2: expected 2 columns with tabs between them, got 1. {QUOTES}"),
        (
            "x.csv",
            "a b,a c\nd e,d f\n1,2,3,4\n",
            f"x.csv:3: expected 2 columns with commas between them, got 4. {QUOTES}",
        ),
        ("x.tsv", "a b\ta c\nc\t \nd e\td f\n", "x.tsv:2: a sentence of the pair is empty. Write both."),
        (
            "x.jsonl",
            f'{A_PAIR}\n{{"sentence_good": "a", }}\n{A_PAIR}\n',
            "x.jsonl:2: is not JSON (Expecting property name enclosed in double quotes, column 24). "
            "Write one object a line.",
        ),
        (
            "x.jsonl",
            f'{A_PAIR}\n{{"sentence_good": "a"}}\n{A_PAIR}',
            "x.jsonl:2: expected a better and a worse sentence, got 'sentence_good'. Write both, in quotes.",
        ),
        (
            "x.jsonl",
            f'{A_PAIR}\n{{"sentence_good": "a", "sentence_bad": 7}}\n{A_PAIR}',
            "x.jsonl:2: expected a better and a worse sentence, got 'a' and 7. Write both, in quotes.",
        ),
    ],
)
def test_a_line_that_is_no_pair_is_named_and_the_others_are_read(name: str, content: str, problem: str) -> None:
    items, problems = read(name, content)
    assert problems == [problem]
    assert len(items) == 2


def test_escapes_that_are_no_characters() -> None:
    [], [problem] = read("x.jsonl", '{"sentence_good": "\\ud800", "sentence_bad": "b"}\n')
    assert problem.startswith("x.jsonl:1: cannot be used (")


@pytest.mark.parametrize("content", ["a b\ta c\n\n\n", "\n\na b\ta c", "a b\ta c\n\t\n"])
def test_empty_lines_are_none(content: str) -> None:
    items, problems = read("x.tsv", content)
    assert (len(items), problems) == (1, [])


@pytest.mark.parametrize("format_name", [None, *FORMATS])
@pytest.mark.parametrize("content", ["\n\n", " \n", "\t\n", "x", "{", "[]", '"'])
def test_a_file_of_next_to_nothing(content: str, format_name: str | None) -> None:
    items, problems = read("x", content, format_name)
    assert items == []
    assert problems or format_name == "blimp"


def test_a_compressed_file_is_called_like_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "p.tsv.gz").write_bytes(gzip.compress(b"the dog barks\tthe dog bark\n"))
    [item] = read_items(tmp_path / "p.tsv.gz", None, str)
    assert isinstance(item, Item)
    assert item.paradigm == "p"


def suite_with(**changes: Any) -> dict[str, Any]:
    return {**json.loads((GOLDEN / "reflexive.json").read_text("utf-8")), **changes}


REMEDY = "Compare sums of regions such as (6;%match%) by < > or =, and join comparisons by & or |."


def test_an_unknown_formula_is_named_and_the_others_are_asked() -> None:
    predictions = [{"formula": "max((3;%match%))"}, {"formula": "(3;%match%) < (3;%mismatch%)"}, {"type": "formula"}]
    items, problems = read("x.json", json.dumps(suite_with(predictions=predictions)))
    assert [item.paradigm for item in items] == ["reflexive/2"]
    assert problems == [
        f"x.json: prediction 1: 'max((3;%match%))': not a prediction formula (character 1). {REMEDY}",
        "x.json: prediction 3: formula: is missing. Add it.",
    ]


def test_an_item_that_is_none_is_named_and_the_others_are_asked() -> None:
    suite = suite_with(predictions=[{"formula": "(3;%match%) < (3;%mismatch%)"}])
    [good] = suite["items"]
    without_content = {"item_number": 2, "conditions": [{"condition_name": "match", "regions": [{"region_number": 1}]}]}
    without_mismatch = {"item_number": 3, "conditions": good["conditions"][:1]}
    items, problems = read("x.json", json.dumps({**suite, "items": [without_content, without_mismatch, good]}))
    assert len(items) == 1
    assert problems == [
        "x.json: item 2: conditions.0.regions.0.content: is missing. Add it.",
        "x.json: item 3: has no (3;%mismatch%), which its formula asks about. Add it.",
    ]


def test_a_region_that_is_there_twice() -> None:
    suite = suite_with(predictions=[{"formula": "(3;%match%) < (3;%mismatch%)"}])
    suite["items"][0]["conditions"][1]["regions"][1]["region_number"] = 1
    assert read("x.json", json.dumps(suite)) == (
        [],
        ["x.json: item 1: has two regions (1;%mismatch%). Give each a number of its own, each condition a name."],
    )


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
        (
            '{"meta": {"name": "x"}, \n',
            "x.json: is not JSON (Expecting property name enclosed in double quotes, line 2, column 1). Mend it.",
        ),
        ("[7]", "x.json: expected an object, got [7]. Mend it."),
        (json.dumps({"meta": {}}), "x.json: meta.name: is missing. Add it."),
        (
            json.dumps({"meta": {"name": "x"}, "predictions": [], "items": [7]}),
            "x.json: items.0: expected an object, got 7. Mend it.",
        ),
        (
            json.dumps({"meta": {"name": "x", "metric": "mean"}, "predictions": [], "items": []}),
            "x.json: meta.metric: expected sum or all, got 'mean'. Mend it.",
        ),
    ],
)
def test_a_file_that_is_no_suite(content: str, problem: str) -> None:
    items, problems = read("x.json", content, "syntaxgym")
    assert (items, problems) == ([], [problem])


def test_json_as_deep_as_no_one_writes_it() -> None:
    items, [problem] = read("x.json", "[" * 100_000, "syntaxgym")
    assert items == []
    assert problem.startswith("x.json: cannot be used (")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"un caf\xe9\tun the\n")
    [problem] = read_items(path, None, str)
    assert str(problem).startswith(f"{path}: not UTF-8 (byte 0xE9 at offset 6, line 1).")
    [item] = read_items(path, None, str, encoding="windows-1252")
    assert isinstance(item, Item)
    assert summary(item)[2:] == ("un café", "un the")


@pytest.mark.parametrize(
    ("folder", "n_items"),
    [pytest.param("blimp", 34_000, marks=pytest.mark.slow), ("lm_syneval", 2_940), ("syntaxgym", 144)],
)
def test_the_published_files_are_read_whole(folder: str, n_items: int, corpus_path: Callable[[str], Path]) -> None:
    found = [item for path in files_in([corpus_path(folder)], SUFFIXES) for item in read_items(path, None, str)]
    assert [str(problem) for problem in found if isinstance(problem, DataError)] == []
    assert len(found) == n_items
