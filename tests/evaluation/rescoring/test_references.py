"""References: the same words from every format, and what is said of those that do not suit the lists."""

import logging
from pathlib import Path

import pytest

from lstmlm.corpus.reading.text_files import Line
from lstmlm.errors import DataError
from lstmlm.evaluation.rescoring.formats import Hypothesis
from lstmlm.evaluation.rescoring.references import read_references

SAID = {"sw-1": "the wheat was cut", "sw-2": "", "sw-3": "ripe café"}
FORMATS = {
    "kaldi": "sw-1 the wheat  was cut\nsw-2\nsw-3\tripe café\n",
    "stm": (
        ";; CATEGORY\nsw-1 A spk 0.00 2.5 <o,f0,male> the wheat was cut\nsw-2 1 spk 3 4.5 <o>\n"
        "sw-3 B spk 5 6 ripe café\nsw-4 A spk 6 7 <o> ignore_time_segment_in_scoring\n"
    ),
    "trn": "the wheat was cut (sw-1)\n(sw-2)\nripe café (sw-3)\n",
    "jsonl": (
        '{"utterance": "sw-1", "text": "the wheat was cut"}\n{"id": "sw-2", "text": ""}\n'
        '{"id": "sw-3", "text": "ripe café"}\n'
    ),
}


def lists_of(*utterances: str) -> list[list[Hypothesis]]:
    return [[Hypothesis(name, "the wheat", 0.0, Line(Path("lists"), 1, ""))] for name in utterances]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "ref"
    path.write_text(FORMATS[name], "utf-8")
    problems: list[str] = []
    assert read_references(path, lists_of(*SAID), problems) == SAID
    assert problems == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("the { um / uh / @ } wheat (b)\nripe (a)\n", "alternatives"),
        ("(uh) wheat (b)\nripe (a)\n", "(uh), which may be left out"),
        ("b A spk 0 2.5 <o> the (whe-) wheat\na A spk 3 4 <o> ripe\n", "(whe-), which may be left out"),
        ("b A spk 0 2.5 {um / uh} wheat\na A spk 3 4 ripe\n", "alternatives"),
    ],
)
def test_alternatives_of_nist_are_no_words(content: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "ref"
    path.write_text(content, "utf-8")
    problems: list[str] = []
    assert read_references(path, lists_of("a", "b"), problems) == {"a": "ripe"}
    assert problems == [
        f"{path}:1: b has {what}, and is not scored. Write the words that were said.",
        f"lists:1: no reference for b. Add one to {path}.",
    ]


def test_silence_and_noises_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a <s> the [noise] wheat </s>\n", "utf-8")
    assert read_references(tmp_path / "ref", lists_of("a"), [], ["[noise]"]) == {"a": "the wheat"}


def test_what_does_not_suit_the_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """References of utterances without a list are normal; their number is told, and nothing is wrong."""
    path = tmp_path / "ref"
    path.write_text("harvest the  wheat\n \nbarn full\nharvest again\nfield green\n", "utf-8")
    problems: list[str] = []
    with caplog.at_level(logging.INFO):
        assert read_references(path, lists_of("harvest", "orchard"), problems) == {"harvest": "the wheat"}
    assert problems == [
        f"{path}:4: harvest comes a second time. Remove or rename one of them.",
        f"lists:1: no reference for orchard. Add one to {path}.",
    ]
    assert caplog.messages == [f"{path}: 2 of its utterances have no list, such as barn"]


def test_an_stm_of_recordings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ref"
    gaps = "talk A gap 2 3 <o> ignore_time_segment_in_scoring\ntalk A gap 5 6 <o> ignore_time_segment_in_scoring\n"
    path.write_text(f"talk A spk 0 2 <o> the wheat\n{gaps}", "utf-8")
    assert read_references(path, lists_of("talk"), []) == {"talk": "the wheat"}
    path.write_text(f"talk A spk 0 2 <o> the wheat\n{gaps}talk A spk 6 7 <o> was cut\n", "utf-8")
    with pytest.raises(DataError) as refusal:
        read_references(path, lists_of("talk"), [])
    assert str(refusal.value) == (
        f"{path}: has 2 segments of talk, but lists are of utterances. Write into the first field of each segment the "
        "name of its utterance in the lists."
    )


def test_references_of_other_lists_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ref"
    path.write_text("barn full\n", "utf-8")
    with pytest.raises(DataError) as refusal:
        read_references(path, lists_of("harvest"), [])
    names = "such as harvest, where it has barn"
    assert str(refusal.value) == f"{path}: no reference for any of the lists, {names}. Compare the names."
