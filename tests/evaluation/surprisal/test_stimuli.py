"""Stimuli: what becomes of each kind of file, and of rows that cannot be read."""

from pathlib import Path

import pytest

from lstmlm.errors import DataError
from lstmlm.evaluation.surprisal.stimuli import Sentence, read_stimuli


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def shown(path: Path) -> list[tuple[object, object, list[str]]]:
    return [(sentence.item, sentence.number, list(sentence.words)) for sentence in read_stimuli(path).sentences]


def test_plain_text_is_one_item_with_a_sentence_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\ufeffThe  cat\tsat.\r\n\r\nIt slept\u2028well")
    assert shown(path) == [(1, 1, ["The", "cat", "sat."]), (1, 2, []), (1, 3, ["It", "slept", "well"])]
    [first, empty, last] = read_stimuli(path).sentences
    assert [line.text for line in (first, empty, last)] == ["The  cat\tsat.\n", "\n", "It slept\u2028well"]
    assert (len(first.others), len(empty.others)) == (4, 1)
    assert read_stimuli(path).other_columns == []


def test_a_table_has_a_row_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", 'rt\tword\titem\n301\tThe\t7\n280\t"cat"\t7\n\tNew York\t8\n')
    stimuli = read_stimuli(path)
    assert stimuli.other_columns == ["rt"]
    assert stimuli.problems == []
    assert stimuli.sentences == [
        Sentence("7", 1, ["The", '"cat"'], [{"rt": "301"}, {"rt": "280"}, {}]),
        Sentence("8", 1, ["New York"], [{"rt": ""}, {}]),
    ]


def test_rows_of_a_sentence_belong_together_wherever_they_stand(tmp_path: Path) -> None:
    rows = ["1\tb\tone", "2\ta\ttwo", "1\tb\tthree", "1\ta\tfour", "2\ta\tfive"]
    path = written(tmp_path, "a.TSV", "\n".join(["item\tsentence\tword", *rows]))
    assert shown(path) == [("1", "b", ["one", "three"]), ("1", "a", ["four"]), ("2", "a", ["two", "five"])]


def test_a_table_without_items_is_one_sentence(tmp_path: Path) -> None:
    assert shown(written(tmp_path, "a.tsv", "word\nThe\ncat\n")) == [(1, 1, ["The", "cat"])]


def test_objects_hold_text_or_words(tmp_path: Path) -> None:
    lines = [
        '{"item": "x", "text": "One cat.\\nTwo cats.\\n", "condition": "a"}',
        '{"item": 2, "sentence": "A dog"}',
        '{"item": "x", "words": ["New York", "\\u00e9"], "n": [1, 2]}',
    ]
    stimuli = read_stimuli(written(tmp_path, "a.jsonl", "\n".join(lines) + "\n"))
    a, n = {"condition": "a"}, {"n": [1, 2]}
    assert stimuli.sentences == [
        Sentence("x", 1, ["One", "cat."], [a, a, a], "One cat.\n"),
        Sentence("x", 2, ["Two", "cats."], [a, a, a], "Two cats.\n"),
        Sentence("x", 3, ["New York", "é"], [n, n, n]),
        Sentence(2, 1, ["A", "dog"], [{}, {}, {}], "A dog\n"),
    ]
    assert stimuli.other_columns == ["condition", "n"]


def test_objects_without_items_are_sentences_of_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a b"}\n{"text": "c"}\n')
    assert shown(path) == [(1, 1, ["a", "b"]), (1, 2, ["c"])]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1", "has 1 cells where the header has 2. Put one tab between two cells."),
        ("1\tcat\tdog", "has 3 cells where the header has 2. Put one tab between two cells."),
        ("", "is empty. Remove the line."),
        ("1\t ", "has no word. Put one there, or remove the line."),
    ],
)
def test_a_wrong_row_is_left_out_and_listed(line: str, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", f"item\tword\n1\tthe\n{line}\n1\tsat\n")
    assert shown(path) == [("1", 1, ["the", "sat"])]
    assert read_stimuli(path).problems == [f"{path}:3: {problem}"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "is not JSON (Expecting ',' delimiter, column 13). Write one object a line."),
        ("", "is not JSON (Expecting value, column 1). Write one object a line."),
        ("[1]", "is no object, got [1]. Write one object a line."),
        ('{"item": 1}', "needs one of text, sentence, words, got none of them. Give one."),
        ('{"text": "a", "words": ["a"]}', "needs one of text, sentence, words, got text and words. Give one."),
        ('{"text": 3}', "text: expected text, got 3. Put it in quotes."),
        ('{"sentence": null}', "sentence: expected text, got None. Put it in quotes."),
        ('{"words": "a b"}', "words: expected a list of words, got 'a b'. Put each in quotes."),
        ('{"words": ["a", " "]}', "words: expected a list of words, got ['a', ' ']. Put each in quotes."),
        ('{"text": " \\n"}', "text: holds no words. Leave the object out, or give it some."),
        ('{"words": []}', "words: holds no words. Leave the object out, or give it some."),
        ('{"text": "a", "item": [1]}', "item: expected text or a number, got [1]. Name it, or leave it out."),
    ],
)
def test_a_wrong_object_is_left_out_and_listed(line: str, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", f'{{"text": "a"}}\n{line}\n{{"text": "b"}}\n')
    assert shown(path) == [(1, 1, ["a"]), (1, 2, ["b"])]
    assert read_stimuli(path).problems == [f"{path}:2: {problem}"]


@pytest.mark.parametrize("line", ['{"text": "\\ud83d"}', "[" * 100_000, '{"text": "a", "n": 1' + "0" * 5000 + "}"])
def test_what_json_allows_and_text_does_not_is_listed(line: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", f'{{"text": "a"}}\n{line}\n')
    [problem] = read_stimuli(path).problems
    assert problem.startswith(f"{path}:2: cannot be used (")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "item\twords",
            "no column 'word', got 'item', 'words'. Did you mean 'words'? Call the column of words so, "
            "and put tabs between cells, without quotes.",
        ),
        ("word\trt\trt", "the column 'rt' occurs twice. Give each a name of its own."),
    ],
)
def test_a_wrong_header(header: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", f"{header}\n")
    with pytest.raises(DataError) as error:
        read_stimuli(path)
    assert str(error.value) == f"{path}:1: {message}"


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "item\tword\n")
    with pytest.raises(DataError) as error:
        read_stimuli(path)
    assert str(error.value) == f"{path}: holds no words. Put a row for each under the header."
