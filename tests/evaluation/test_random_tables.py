"""Random tables and JSON: never is a name of a column, a number or a quote mark of the form taken for words.

`LSTMLM_EXAMPLES` says how many of each are tried.
"""

import csv
import io
import json
import os
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from lstmlm.corpus.reading.white_space import words_of
from lstmlm.errors import DataError
from lstmlm.evaluation.pairs.files import read_items
from lstmlm.evaluation.pairs.items import Item
from lstmlm.evaluation.surprisal.stimuli import read_stimuli

N_EXAMPLES = int(os.environ.get("LSTMLM_EXAMPLES", "300"))

WORDS = [
    "The",
    "cat",
    "sat",
    ",",
    '"',
    '"no"',
    "#1",
    "NA",
    "null",
    "don't",
    "1,024",
    "a;b",
    "=SUM(A1)",
    "über",
    "猫",
    "—",
]
NAMES = [
    "item",
    "sentence",
    "word",
    "Word",
    "WORD",
    "rt",
    "region",
    "token",
    "sentence_id",
    "Item",
    "note",
    "good",
    "Bad",
]
SUFFIXES = ["", ".txt", ".tsv", ".csv", ".tab", ".jsonl", ".json", ".dat"]


def number(random: Random) -> str:
    return random.choice([str(random.randrange(1000)), f"{random.random():.3f}", f"0,{random.randrange(100, 999)}"])


def written(random: Random, rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    csv.writer(
        buffer, delimiter=random.choice("\t,;"), quoting=quoting, lineterminator=random.choice(["\n", "\r\n"])
    ).writerows(rows)
    return random.choice(["", "\ufeff"]) + buffer.getvalue()


def put(random: Random, folder: str, content: str) -> Path:
    path = Path(folder, f"x{random.choice(SUFFIXES)}")
    path.write_bytes(content.encode())
    return path


def test_tables_of_words() -> None:
    random, n_read = Random(1), 0
    for _ in range(N_EXAMPLES):
        names = random.sample(NAMES, random.randrange(2, 5))
        is_word = [name.lower() == "word" for name in names]
        rows = [
            [random.choice(WORDS) if is_one else number(random) for is_one in is_word]
            for _ in range(random.randrange(2, 12))
        ]
        content = written(random, [names, *rows] if random.random() < 0.9 else rows)
        with TemporaryDirectory() as folder:
            try:
                stimuli = read_stimuli(put(random, folder, content))
            except DataError:
                continue
        n_read += not stimuli.problems
        found = sorted(word for sentence in stimuli.sentences for word in sentence.words)
        given = sorted(row[is_word.index(True)] for row in rows) if any(is_word) else []
        assert stimuli.problems or found == given, content
    assert n_read > N_EXAMPLES / 10


def test_tables_of_pairs() -> None:
    random, n_read = Random(2), 0
    for _ in range(N_EXAMPLES):
        pairs = [random.sample(WORDS, 3) for _ in range(random.randrange(2, 12))]
        sentences = [("the " + " ".join(words), "the " + " ".join(words[::-1])) for words in pairs]
        names = random.choice([("good", "bad"), ("Bad", "Good"), ("sen", "wrong_sen"), ("a", "b"), ("id", "text")])
        is_turned = names[0] == "Bad"
        n_others = random.randrange(3)
        rows = [
            [*(number(random) for _ in range(n_others)), *(pair[::-1] if is_turned else pair)] for pair in sentences
        ]
        if random.random() < 0.3:
            rows = [row[::-1] for row in rows]
            names = names[::-1]
            others_first = [*names, *("rt" for _ in range(n_others))]
        else:
            others_first = [*("rt" for _ in range(n_others)), *names]
        has_names = random.random() < 0.8
        content = written(random, [others_first, *rows] if has_names else rows)
        with TemporaryDirectory() as folder:
            found = list(read_items(put(random, folder, content), None, str))
        items = [item for item in found if isinstance(item, Item)]
        if len(items) < len(found):
            continue
        n_read += 1
        read = [tuple(part[1] for part in item.sentences.values()) for item in items]
        # Without names the order of columns is all that there is.
        assert read == sentences or (not has_names and read == [pair[::-1] for pair in sentences]), content
    assert n_read > N_EXAMPLES / 10


def test_json() -> None:
    random, n_read = Random(3), 0
    for _ in range(N_EXAMPLES):
        lines = [" ".join(random.choices(WORDS, k=4)) for _ in range(random.randrange(1, 8))]
        key = random.choice(["text", "sentence", "words", "content", "Text"])
        records = [{key: line.split() if key == "words" else line, "rt": random.random(), "n": None} for line in lines]
        if random.random() < 0.2:
            random.choice(records)[key] = random.choice([None, 7, ["a", 1], {"a": "b"}, ""])
        form = random.choice(["lines", "lines", "array", "pretty", "cut"])
        content = "\n".join(json.dumps(record, ensure_ascii=random.random() < 0.5) for record in records)
        if form in ("array", "pretty"):
            content = json.dumps(records, indent=1 if form == "pretty" else None)
        elif form == "cut":
            content = content[: random.randrange(2, len(content))]
        with TemporaryDirectory() as folder:
            path = put(random, folder, content + "\n")
            found = [item for item in read_items(path, None, str) if isinstance(item, Item)]
            assert not found, content
            try:
                stimuli = read_stimuli(path)
            except DataError:
                continue
        n_read += not stimuli.problems
        words = [word for sentence in stimuli.sentences for word in sentence.words]
        whole = {tuple(words_of(line)) for line in lines}
        assert all(tuple(sentence.words) in whole for sentence in stimuli.sentences), content
        assert stimuli.problems or words == [word for line in lines for word in words_of(line)] or form == "cut", (
            content
        )
    assert n_read > N_EXAMPLES / 10


@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_quotes_are_of_the_form_or_of_the_words(n_columns: int, tmp_path: Path) -> None:
    rows = [["word", "rt", "note"][:n_columns], *([word, "7", "x"][:n_columns] for word in WORDS)]
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    (tmp_path / "x.csv").write_text(buffer.getvalue(), "utf-8")
    [sentence] = read_stimuli(tmp_path / "x.csv").sentences
    assert sentence.words == WORDS
