"""Stimuli: what becomes of each kind of file, and of rows that cannot be read."""

import csv
import gzip
import io
from collections.abc import Sequence
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


@pytest.mark.parametrize("name", ["sentence", "Sentence", "text"])
def test_a_table_may_have_a_row_a_sentence(name: str, tmp_path: Path) -> None:
    rows = f'item,condition,{name}\n1,a,"The cat, of course, sat."\n1,b,It slept.\n2,a,Yes\n'
    path = written(tmp_path, "a.csv", rows)
    assert shown(path) == [
        ("1", 1, ["The", "cat,", "of", "course,", "sat."]),
        ("1", 1, ["It", "slept."]),
        ("2", 1, ["Yes"]),
    ]
    stimuli = read_stimuli(path)
    assert stimuli.other_columns == ["condition"]
    assert stimuli.sentences[1].others == [{"condition": "b"}] * 3


@pytest.mark.parametrize(
    "content",
    [
        "item,condition,word\n1,a,The\n1,a,cat\n1,b,The\n1,b,dog\n2,a,It\n",
        "item;word;Cond;list\n1;The;a;1\n1;The;b;1\n1;cat;a;1\n1;dog;b;1\n1;It;b;2\n",
        "item,list,sentence\n1,1,The cat\n1,2,The dog\n2,1,It\n",
        '{"item": 1, "list": 1, "text": "The cat"}\n{"item": 1, "list": 2, "text": "The dog"}\n{"text": "It"}\n',
        '{"item": 1, "cond": "a", "text": "The cat"}\n{"item": 1, "cond": "b", "text": "The dog"}\n'
        '{"item": 2, "cond": null, "text": "It"}\n',
    ],
)
def test_an_item_is_a_document_in_each_of_its_conditions(content: str, tmp_path: Path) -> None:
    stimuli = read_stimuli(written(tmp_path, "a", content))
    assert [list(sentence.words) for sentence in stimuli.sentences] == [["The", "cat"], ["The", "dog"], ["It"]]
    assert {sentence.number for sentence in stimuli.sentences} == {1}
    assert len({sentence.document for sentence in stimuli.sentences}) == 3


def test_sentences_of_one_condition_are_one_document(tmp_path: Path) -> None:
    rows = "item,condition,sentence\n1,a,The cat sat.\n1,b,A cat sat.\n1,a,It slept.\n"
    sentences = read_stimuli(written(tmp_path, "a.csv", rows)).sentences
    assert [(sentence.number, sentence.words[0]) for sentence in sentences] == [(1, "The"), (2, "It"), (1, "A")]
    assert sentences[0].document == sentences[1].document != sentences[2].document


def test_the_order_of_an_objects_keys_tells_nothing_of_its_condition(tmp_path: Path) -> None:
    content = '{"item": 1, "cond": "a", "list": "b", "text": "x"}\n{"list": "b", "cond": "a", "item": 1, "text": "y"}\n'
    first, second = read_stimuli(written(tmp_path, "a.jsonl", content)).sentences
    assert first.document == second.document


def test_a_text_without_items_is_one_document_whatever_its_conditions(tmp_path: Path) -> None:
    rows = "sentence,word,condition\n1,The,\n1,cat,\n2,It,a\n2,slept,a\n3,Yes,\n"
    sentences = read_stimuli(written(tmp_path, "a.csv", rows)).sentences
    assert [sentence.number for sentence in sentences] == ["1", "2", "3"]
    assert len({sentence.document for sentence in sentences}) == 1


@pytest.mark.parametrize("name", ["word", "sentence"])
def test_conditions_of_an_item_are_named_in_each_row(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", f"item,condition,{name}\n1,a,The cat\n1,,dog\n")
    with pytest.raises(DataError) as error:
        read_stimuli(path)
    assert str(error.value) == f"{path}: some lines of item '1' name a condition, and others do not. Fill it in."
    path = written(tmp_path, "a.jsonl", '{"item": 1, "cond": "a", "text": "x"}\n{"item": 1, "text": "y"}\n')
    with pytest.raises(DataError, match="some lines of item 1 name a cond, and others do not"):
        read_stimuli(path)
    path = written(tmp_path, "a.csv", f"item,condition,{name}\n1,a,The cat\n2,,A dog\n")  # a filler
    assert [sentence.item for sentence in read_stimuli(path).sentences] == ["1", "2"]


def test_sentences_may_have_numbers_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'item,sentence,text,words\n1,7,"The cat\nsat.",3\n1,8,It slept.,2\n')
    assert shown(path) == [("1", "7", ["The", "cat", "sat."]), ("1", "8", ["It", "slept."])]
    assert read_stimuli(path).other_columns == ["words"]


def test_rows_of_sentences_that_cannot_be_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "sentence\titem\nThe cat sat.\ta\n \ta\nIt slept.\nIt is.\t \n\n")
    assert shown(path) == [("a", 1, ["The", "cat", "sat."])]
    assert read_stimuli(path).problems == [
        f"{path}:3: has no words. Put some there, or remove the line.",
        f"{path}:4: has 1 cell where the header has 2. Put one tab between two cells.",
        f"{path}:5: names no item. Fill in the cell.",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        "1,1,The cat sat.\n2,1,It slept.\n,,\n,,\n",
        "1,1,The cat sat.\n1,2,The cat sat.\n2,1,It slept.\n2,2,It slept.\n",
        "1,1,The cat sat.\n2,1,The cat sat.\n3,1,It slept.\n4,1,It ate.\n",
    ],
)
def test_sentences_may_occur_again(rows: str, tmp_path: Path) -> None:
    """In another list, or of a few fillers; and empty rows at the end are none."""
    stimuli = read_stimuli(written(tmp_path, "a.csv", f"item,list,sentence\n{rows}"))
    assert stimuli.problems == []
    assert [sentence.words for sentence in stimuli.sentences] == [
        row.split(",")[2].split() for row in rows.splitlines() if row != ",,"
    ]


def test_the_first_line_of_excel_is_no_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "sep=;\nitem;word\n1;The\n\n;\n")
    assert shown(path) == [("1", 1, ["The"])]
    assert read_stimuli(path).problems == []


@pytest.mark.parametrize("header", ["sentence,a,a", "sentence,sentence", "Sentence,sentence"])
def test_columns_of_a_table_of_sentences_occur_once(header: str, tmp_path: Path) -> None:
    row = ",".join("The cat sat." for _ in header.split(","))
    with pytest.raises(DataError, match="occurs twice"):
        read_stimuli(written(tmp_path, "a.csv", f"{header}\n{row}\n"))


@pytest.mark.parametrize("sentences", ["11", ["The cat sat."] * 2, ["garden path"] * 2])
def test_labels_of_sentences_are_no_sentences(sentences: Sequence[str], tmp_path: Path) -> None:
    """A table with a row a word that calls its words otherwise."""
    rows = "".join(f"{sentence},{word}\n" for sentence, word in zip(sentences, ("The", "cat"), strict=True))
    with pytest.raises(DataError, match="has no column 'word', got 'sentence', 'token'"):
        read_stimuli(written(tmp_path, "a.csv", f"sentence,token\n{rows}"))


def test_an_object_without_an_item_is_of_no_other(tmp_path: Path) -> None:
    """Also where it is called, by its line, as the one before it."""
    stimuli = read_stimuli(written(tmp_path, "a.jsonl", '{"item": 2, "text": "a\\nb"}\n{"text": "c"}\n{"text": "d"}\n'))
    assert [sentence.item for sentence in stimuli.sentences] == [2, 2, 2, 3]
    assert len({sentence.document for sentence in stimuli.sentences}) == 3


@pytest.mark.parametrize("content", ["\n", "\n\n", "word\n", "item,sentence\n"])
def test_tables_that_hold_nothing(content: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_stimuli(written(tmp_path, "a.csv", content))


def test_plain_text_is_one_item_with_a_sentence_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\ufeffThe  cat\tsat.\r\n\r\nIt slept\u2028well")
    assert shown(path) == [(1, 1, ["The", "cat", "sat."]), (1, 2, []), (1, 3, ["It", "slept", "well"])]
    [first, empty, last] = read_stimuli(path).sentences
    assert [line.text for line in (first, empty, last)] == ["The  cat\tsat.\n", "\n", "It slept\u2028well"]
    assert (len(first.others), len(empty.others)) == (4, 1)
    assert read_stimuli(path).other_columns == []


def test_a_table_has_a_row_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", 'rt\tword\titem\n301\tThe\t7\n280\t"""cat"""\t7\n\tNew York\t8\n')
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
        '{"item": "x", "text": "One cat.\\nTwo cats.\\n", "tag": "a"}',
        '{"item": 2, "sentence": "A dog"}',
        '{"item": "x", "words": ["New York", "\\u00e9"], "n": [1, 2]}',
    ]
    stimuli = read_stimuli(written(tmp_path, "a.jsonl", "\n".join(lines) + "\n"))
    a, n = {"tag": "a"}, {"n": [1, 2]}
    assert stimuli.sentences == [
        Sentence("x", 1, ["One", "cat."], [a, a, a], "One cat.\n"),
        Sentence("x", 2, ["Two", "cats."], [a, a, a], "Two cats.\n"),
        Sentence("x", 3, ["New York", "é"], [n, n, n]),
        Sentence(2, 1, ["A", "dog"], [{}, {}, {}], "A dog\n"),
    ]
    assert stimuli.other_columns == ["tag", "n"]


def test_an_object_without_item_is_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a b"}\n{"text": "c\\r\\nd"}\n')
    assert shown(path) == [(1, 1, ["a", "b"]), (2, 1, ["c"]), (2, 2, ["d"])]


WORDS = ["The", "baker,", '"', "#1", "NA", "null", "=SUM(A1)", "1,024", "-", "'tis", "don't", "TRUE"]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.txt", "a", "a.TSV.gz"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("header", [["item", "word", "rt"], ["Item", "WORD", "rt"], ['"item"', '"word"', '"rt"']])
def test_a_table_is_one_whatever_it_is_called(name: str, delimiter: str, header: list[str], tmp_path: Path) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([[name.strip('"') for name in header], *(["1", word, "0,3"] for word in WORDS)])
    content = buffer.getvalue()
    if header[0].startswith('"'):
        content = content.replace(content.split("\r\n")[0], delimiter.join(header))
    if name.endswith(".gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(f"\ufeff{content}".encode()))
    else:
        path = written(tmp_path, name, f"\ufeff{content}")
    stimuli = read_stimuli(path)
    assert [(sentence.item, sentence.words) for sentence in stimuli.sentences] == [("1", WORDS)]
    assert stimuli.other_columns == ["rt"]
    assert stimuli.problems == []


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.ndjson", "a.jsonl", "a"])
def test_json_lines_are_what_they_are_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    assert shown(written(tmp_path, name, '{"text": "a b"}\n{"text": "c"}\n')) == [(1, 1, ["a", "b"]), (2, 1, ["c"])]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("The cat\tsat.\nIt slept.\n", ["The", "cat", "sat."]),
        ("In a word, no.\nYes, he said.\n", ["In", "a", "word,", "no."]),
        ("word of mouth\nThe cat sat.\n", ["word", "of", "mouth"]),
        ("word\nThe cat sat.\n", ["word"]),
        ("{braces} are text\n", ["{braces}", "are", "text"]),
        ("[Intro]\n[Verse]\n", ["[Intro]"]),
        ("\tThe cat\n\tIt slept\n", ["The", "cat"]),
    ],
)
def test_text_is_text(content: str, words: list[str], tmp_path: Path) -> None:
    assert list(read_stimuli(written(tmp_path, "a.txt", content)).sentences[0].words) == words


def table_without_word(delimiters: str, names: str) -> str:
    return (
        f":1: looks like a table ({delimiters} between cells), but has no column 'word', got {names}. Write a row a "
        "word, under names of which one is word, or a row a sentence, each once, under sentence; or if it is text, a "
        "sentence a line: --format text"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "1\tThe\t312\n1\tcat\t280\n", table_without_word("tabs", "'1', 'The', '312'")),
        ("a.txt", "The\tDT\ncat\tNN\n", table_without_word("tabs", "'The', 'DT'")),
        ("a.txt", "nr,token\n1,The\n2,cat\n", table_without_word("commas", "'nr', 'token'")),
        ("a.txt", "7, The\n8, cat\n", table_without_word("commas", "'7', 'The'")),
        ("a.tsv", "The cat sat.\n", table_without_word("tabs", "'The cat sat.'")),
        ("a.txt", "token;rt\nThe;0,3\ncat;0,4\n", table_without_word("semicolons", "'token', 'rt'")),
        (
            "a.txt",
            '[\n{"text": "a"},\n{"text": "b"}\n]\n',
            ": is a JSON array, but an object a line is read. Make lines of it: jq -c '.[]' {path} > {stem}.jsonl",
        ),
        ("a.txt", '{"text" "a b"}\n', ":1: is not JSON (Expecting ':' delimiter, column 9). Write one object a line."),
    ],
)
def test_what_looks_like_something_else_is_no_text(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(DataError) as error:
        read_stimuli(path)
    assert str(error.value) == f"{path}{message.format(path=path, stem=path.with_suffix(''))}"
    as_text = read_stimuli(path, "text")
    assert [word for sentence in as_text.sentences for word in sentence.words] == content.split()


def test_a_comma_too_many_is_named_where_it_is(tmp_path: Path) -> None:
    content = "item,sentence,group\n1,The cat sat .,a\n2,The dog, my friend, slept .,b\n"
    stimuli = read_stimuli(written(tmp_path, "a.csv", content))
    assert len(stimuli.sentences) == 1
    [problem] = stimuli.problems
    assert problem.endswith(
        "a.csv:3: has 5 cells where the header has 3. Put one comma between two cells, and quotes around cells that "
        "have commas."
    )


@pytest.mark.parametrize("rows", ["1,The cat sat .,cat\n2,A dog slept .,slept\n", "1,The cat sat .,The cat\n"])
def test_a_word_beside_its_sentence_is_not_read_after_nothing(rows: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", f"item,sentence,word\n{rows}")
    with pytest.raises(DataError, match="has whole sentences under 'sentence', and under 'word' one word of each"):
        read_stimuli(path)
    stimuli = read_stimuli(written(tmp_path, "a.csv", f"item,sentence,critical\n{rows}"))
    assert list(stimuli.sentences[0].words) == ["The", "cat", "sat", "."]


def test_a_sentence_may_be_named_by_its_text(tmp_path: Path) -> None:
    rows = "".join(f"The cat sat .,{word}\n" for word in ("The", "cat", "sat", "."))
    stimuli = read_stimuli(written(tmp_path, "a.csv", f"sentence,word\n{rows}"))
    assert [len(sentence.words) for sentence in stimuli.sentences] == [4]
    regions = "".join(f"The old cat sat down .,{region}\n" for region in ("The old cat", "sat down"))
    stimuli = read_stimuli(written(tmp_path, "a.csv", f"sentence,word\n{regions}"))
    assert [len(sentence.words) for sentence in stimuli.sentences] == [2]


@pytest.mark.parametrize(
    "name", ["sentence_id", "sentid", "sent", "sent_id", "sent.no", "Sentence Number", "items", "item_id"]
)
def test_what_is_nearly_a_column_is_asked_about(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", f"{name}\tword\n1\tThe\n2\tA\n")
    wanted = "item" if name.startswith("item") else "sentence"
    with pytest.raises(DataError) as error:
        read_stimuli(path)
    assert str(error.value).startswith(f"{path}:1: is the column {name!r} what is meant by {wanted!r}?")
    if wanted == "item":
        path = written(tmp_path, "a.jsonl", f'{{"text": "a", "{name}": 1}}\n')
        with pytest.raises(DataError, match="what is meant by 'item'"):
            read_stimuli(path)


def test_empty_lines_between_sentences_ask_for_a_column(tmp_path: Path) -> None:
    stimuli = read_stimuli(written(tmp_path, "a.tsv", "word\ttag\nThe\tD\ncat\tN\n\nA\tD\n\n"))
    empty = "is empty. If empty lines part sentences, add a column sentence that numbers them; remove it."
    assert stimuli.problems == [f"{tmp_path}/a.tsv:4: {empty}"]


def test_a_format_can_be_said(tmp_path: Path) -> None:
    content = "word,sentence\nThe,1\n"
    assert shown(written(tmp_path, "a.tsv", content)) == [(1, "1", ["The"])]
    assert [list(sentence.words) for sentence in read_stimuli(tmp_path / "a.tsv", "text").sentences] == [
        ["word,sentence"],
        ["The,1"],
    ]
    with pytest.raises(DataError, match="no column 'word', got 'word,sentence'"):
        read_stimuli(tmp_path / "a.tsv", "tsv")


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("word\nGrüße\n".encode("cp1252"))
    [sentence] = read_stimuli(path, encoding="cp1252").sentences
    assert sentence.words == ["Grüße"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1", "has 1 cell where the header has 2. Put one tab between two cells."),
        (
            "1\tcat\tdog",
            "has 3 cells where the header has 2. Put one tab between two cells, and if R has named the rows, leave "
            "that out: row.names=FALSE.",
        ),
        (" \tcat", "names no item. Fill in the cell."),
        ("", "is empty. If empty lines part sentences, add a column sentence that numbers them; remove it."),
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
        ('{"item": 1}', "needs one of text, sentence, words, got 'item'. Give one."),
        ('{"text": "a", "words": ["a"]}', "needs one of text, sentence, words, got text and words. Give one."),
        ('{"text": 3}', "text: expected text, got 3. Put it in quotes, or leave the object out."),
        ('{"sentence": null}', "sentence: expected text, got null. Put it in quotes, or leave the object out."),
        ('{"words": "a b"}', "words: expected a list of words, got 'a b'. Put each in quotes."),
        ('{"words": ["a", " "]}', "words: expected a list of words, got ['a', ' ']. Put each in quotes."),
        ('{"text": " \\n"}', "text: holds no words. Leave the object out, or give it some."),
        ('{"words": []}', "words: holds no words. Leave the object out, or give it some."),
        ('{"text": "a", "item": [1]}', "item: expected text or a number, got [1]. Name it, or leave it out."),
        ('{"text": "a", "item": " "}', "item: expected text or a number, got ' '. Name it, or leave it out."),
    ],
)
def test_a_wrong_object_is_left_out_and_listed(line: str, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", f'{{"text": "a"}}\n{line}\n{{"text": "b"}}\n')
    assert shown(path) == [(1, 1, ["a"]), (3, 1, ["b"])]
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
            "is the column 'words' what is meant by 'word'? Then call it 'word', else something less like it.",
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


def test_subtitles_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "film.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nThe farmer waits.\n", "utf-8")
    read_stimuli(path)
    [message] = caplog.messages
    assert message.startswith(
        f"{path}: looks like subtitles: their numbers and times are words too. Make a text of it: "
    )
