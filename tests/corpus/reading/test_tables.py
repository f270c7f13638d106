"""Tables: where rows and cells end, when quotes are marks of cells, and by which names columns are known."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.corpus.reading.tables import Row, columns_of, find_columns, find_delimiter, has_header, read_table
from lstmlm.errors import DataError

MARKS = str.maketrans("", "", '"\t\n')
WANTED = ["word", "item", "sentence"]


def rows(content: str) -> list[tuple[int, list[str]]]:
    return [(row.number, list(row.cells)) for row in read_table("a.tsv", content)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Excel, and R's write.table
        ('item\tword\n1\t"said,"\n2\t"""Yes"""\n', [["item", "word"], ["1", "said,"], ["2", '"Yes"']]),
        ('"item"\t"word"\n1\t"\\"Yes\\""\n', [["item", "word"], ["1", '"Yes"']]),
        # words that are quote marks
        ('item\tword\n1\t"\n2\tx\n3\t"\n', [["item", "word"], ["1", '"'], ["2", "x"], ["3", '"']]),
        ('a\tb\tc\td\n1\t"\tx\t"\n', [["a", "b", "c", "d"], ["1", '"', "x", '"']]),
        ('item\tword\n1\t"Yes,\n2\tno"\n', [["item", "word"], ["1", '"Yes,'], ["2", 'no"']]),
        # commas and semicolons
        ("good;bad\nthe farmer, he;x\n", [["good", "bad"], ["the farmer, he", "x"]]),
        ("word,rt\n\nThe,3", [["word", "rt"], [], ["The", "3"]]),
        ("word\nThe\n", [["word"], ["The"]]),
        # blanks after commas and semicolons
        ('good, bad\n"a, b", "c, d"\n', [["good", "bad"], ["a, b", "c, d"]]),
        ("good; bad\nthe dog; the dogs\n", [["good", "bad"], ["the dog", "the dogs"]]),
        ('a;b\n1;" x"\n', [["a", "b"], ["1", " x"]]),
        ("a\tb\n1\t x\n", [["a", "b"], ["1", " x"]]),
        # Excel's first line
        ('sep=;\na;b\n1;"x;y"\n', [[], ["a", "b"], ["1", "x;y"]]),
    ],
)
def test_cells(content: str, expected: list[list[str]]) -> None:
    assert [cells for _, cells in rows(content)] == expected


def test_a_row_has_the_number_of_the_line_in_which_it_begins() -> None:
    assert rows('id,text\n1,"a\nb"\n2,c\n') == [(1, ["id", "text"]), (2, ["1", "a\nb"]), (4, ["2", "c"])]
    assert str(read_table("a.tsv", "x\ty\n1\n")[1].error("has 1 cell.")) == "a.tsv:2: has 1 cell."


@given(
    cells=st.lists(st.lists(st.text('ab ",;\t', max_size=5), min_size=3, max_size=3), min_size=2, max_size=5),
    delimiter=st.sampled_from("\t;,"),
)
def test_what_csv_writes_with_quotes_is_read_back(cells: list[list[str]], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(cells)
    assert [row.cells for row in read_table("a", written.getvalue(), delimiter)] == cells


@given(st.lists(st.lists(st.text('ab ",;', min_size=1, max_size=5), min_size=3, max_size=3), min_size=1, max_size=5))
def test_nothing_but_quotes_and_delimiters_is_dropped(cells: list[list[str]]) -> None:
    content = "".join("\t".join(row) + "\n" for row in cells)
    read = "".join("".join(row.cells) for row in read_table("a", content, "\t"))
    assert read.translate(MARKS) == content.translate(MARKS)


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("a,b\nc,d\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\nc, d\te; f\n", "\t"),
        ("The dog, he said, sat.\nA cat.\nOnce, long ago.\n", None),
        ("word\nThe\n", None),
        ("", None),
    ],
)
def test_what_stands_between_cells(content: str, delimiter: str | None) -> None:
    assert find_delimiter(content) == delimiter


def test_a_table_is_known_however_long_it_is_and_wherever_its_beginning_is_cut() -> None:
    rows = "".join(f'{number};"says he,\nor she, {number}"\n' for number in range(300))
    assert {find_delimiter(f"{head}{rows}") for head in ("id;text\n", "id;text\n0;none\n")} == {";"}


def test_cells_of_many_lines_are_no_reason_to_take_quotes_for_words() -> None:
    for n_lines in (40, 90, 150):
        song = "\n".join(f"line {number}, oh; yes" for number in range(n_lines))
        assert {find_delimiter(f"who{mark}text\n" + f'Ann{mark}"{song}"\n' * 9) for mark in ",;"} == {*",;"}
    novel = "a word, " * 30_000
    assert [row.cells for row in read_table("a.csv", f'id,text\n1,"{novel}"\n')] == [["id", "text"], ["1", novel]]


def test_a_header_is_known_by_a_name_or_by_numbers_below_it() -> None:
    assert has_header("Item,Word\nx,The\n", ["word"])
    assert has_header("who\twhen\nx\t3\ny\t4,5\n", ["word"])
    assert not has_header("baker\tboulanger\nsea\tmer\n", ["word"])
    assert not has_header("word\nThe\n", ["word"])


def test_columns_are_known_in_any_case_and_order() -> None:
    assert find_columns(["Bad", " GOOD ", "rt"], ["good", "bad", "word"]) == {"good": 1, "bad": 0}
    assert columns_of(Row("a", 1, ["Item", "rt", "word"]), WANTED) == {"word": 2, "item": 0}
    assert columns_of(Row("a", 1, ["sent", "sentence", "word_id", "word"]), WANTED) == {"word": 3, "sentence": 1}


@pytest.mark.parametrize("name", ["sentence_id", "sentid", "Sent", "sentences", "sentence.no", "sentnum", "sent_id"])
def test_a_name_that_is_nearly_one_is_asked_about(name: str) -> None:
    with pytest.raises(DataError) as caught:
        columns_of(Row("a.tsv", 1, [name, "word"]), WANTED)
    assert str(caught.value) == (
        f"a.tsv:1: is the column {name!r} what is meant by 'sentence'? Then call it 'sentence', else something less "
        "like it."
    )


@pytest.mark.parametrize(("names", "twice"), [(["word", "Word"], "word"), (["word", "rt", "rt"], "rt")])
def test_a_column_that_is_there_twice(names: list[str], twice: str) -> None:
    with pytest.raises(DataError, match=rf"^a:1: the column '{twice}' occurs twice\. Give each a name of its own\.$"):
        columns_of(Row("a", 1, names), WANTED)
