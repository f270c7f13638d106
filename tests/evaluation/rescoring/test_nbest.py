"""N-best lists: every format read and written as the files in golden have it, and what is said of wrong lines."""

import gzip
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from documented import PROJECT

from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.rescoring.formats import FORMATS, Hypothesis, ScoredHypothesis
from lstmlm.evaluation.rescoring.nbest import read_nbest, recognize_format

GOLDEN = Path(__file__).parent / "golden"
BYTELOG = 1024 * math.log(1.0001)


def read(*paths: Path, costs: Path | None = None) -> list[list[Hypothesis]]:
    problems: list[str] = []
    lists = read_nbest(paths, recognize_format(paths), costs, problems)
    assert problems == []
    return lists


def problems_of(path: Path, list_format: str | None = None, costs: Path | None = None) -> tuple[list[str], list[str]]:
    """Read lists; return the texts of their hypotheses and what is wrong with the others."""
    problems: list[str] = []
    lists = read_nbest([path], list_format or recognize_format([path]), costs, problems)
    return [hypothesis.text for hypotheses in lists for hypothesis in hypotheses], problems


def facts(lists: Sequence[Sequence[Hypothesis]]) -> list[list[tuple[str, str, float]]]:
    return [
        [(one.utterance, one.text, pytest.approx(one.acoustic_score)) for one in hypotheses] for hypotheses in lists
    ]


def scored(lists: Sequence[Sequence[Hypothesis]]) -> list[list[ScoredHypothesis]]:
    """Stand in for a language model to which every word and the end of a line cost 5 nats, and the first is unknown."""

    def score(hypothesis: Hypothesis) -> ScoredHypothesis:
        n_words = len(hypothesis.text.split())
        nats = 5.0 * (n_words + 1)
        total = hypothesis.acoustic_score - nats
        return ScoredHypothesis(hypothesis, nats, n_words + 1, min(1, n_words), n_words, total, lm_score=-nats)

    return [list(map(score, hypotheses)) for hypotheses in lists]


def test_srilm_lists_are_read() -> None:
    assert facts(read(GOLDEN / "srilm")) == [
        [
            ("harvest", "the wheat was cut early", -103.5 * math.log(10)),
            ("harvest", "the wheat was cut too early", -103.625 * math.log(10)),
            ("harvest", "", -101.25 * math.log(10)),
        ],
        [
            ("orchard", "ripe pears", pytest.approx(-5000 * BYTELOG, rel=1e-7)),
            ("orchard", "ripe café pairs", pytest.approx(-5020 * BYTELOG, rel=1e-7)),
        ],
    ]


def test_srilm_lists_are_written_with_new_scores(tmp_path: Path) -> None:
    FORMATS["srilm"].write(tmp_path / "new", scored(read(GOLDEN / "srilm")))
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "new").iterdir()}
    assert written == {path.name: path.read_text("utf-8") for path in (GOLDEN / "srilm-rescored").iterdir()}


def test_what_was_written_for_srilm_is_read_again(tmp_path: Path) -> None:
    lists = read(GOLDEN / "srilm")
    FORMATS["srilm"].write(tmp_path, scored(lists))
    assert facts(read(tmp_path)) == facts(lists)


def test_compressed_lists(tmp_path: Path) -> None:
    (tmp_path / "harvest.nbest.gz").write_bytes(gzip.compress((GOLDEN / "srilm" / "harvest.nbest").read_bytes()))
    assert facts(read(tmp_path)) == facts(read(GOLDEN / "srilm" / "harvest.nbest"))


def test_kaldi_lists_are_read() -> None:
    without = read(GOLDEN / "kaldi.txt")
    assert [[(one.utterance, one.text) for one in hypotheses] for hypotheses in without] == [
        [("harvest", "the wheat was cut early"), ("harvest", "the wheat was cut too early"), ("harvest", "")],
        [("orchard-2", "ripe café pairs"), ("orchard-2", "ripe pears")],
    ]
    assert {one.acoustic_score for hypotheses in without for one in hypotheses} == {0.0}
    priced = read(GOLDEN / "kaldi.txt", costs=GOLDEN / "kaldi-costs.txt")
    assert [one.acoustic_score for hypotheses in priced for one in hypotheses] == [-312.5, -311, -299.75, -88.125, -90]


def test_nats_are_written_for_kaldi(tmp_path: Path) -> None:
    FORMATS["kaldi"].write(tmp_path / "nats.txt", scored(read(GOLDEN / "kaldi.txt")))
    assert (tmp_path / "nats.txt").read_text("utf-8") == (GOLDEN / "kaldi-rescored.txt").read_text("utf-8")


def test_json_lines_are_read() -> None:
    assert facts(read(GOLDEN / "lists.jsonl")) == [
        [("harvest", "the wheat was cut early", -312.5), ("harvest", "", -299)],
        [("7", "ripe café 🍐", -88.125)],
    ]


def test_json_lines_are_written_with_what_they_held(tmp_path: Path) -> None:
    FORMATS["jsonl"].write(tmp_path / "new.jsonl", scored(read(GOLDEN / "lists.jsonl")))
    assert (tmp_path / "new.jsonl").read_text("utf-8") == (GOLDEN / "lists-rescored.jsonl").read_text("utf-8")


def test_lines_of_an_utterance_belong_together_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x-1 one\ny-1 two\n", "utf-8")
    (tmp_path / "b.txt").write_text("x-2 three\n", "utf-8")
    assert [[one.text for one in hypotheses] for hypotheses in read(tmp_path / "a.txt", tmp_path / "b.txt")] == [
        ["one", "three"],
        ["two"],
    ]


def test_wrong_lines_of_kaldi(tmp_path: Path) -> None:
    path, costs = tmp_path / "lists", tmp_path / "costs"
    path.write_text("x-1 good\nthe words alone\n\nx-2 priceless\nx-1 twice\nx-3 fine\n", "utf-8")
    costs.write_text("x-1 4.5\nx-3 5\nx-3 6\nx-9\nx-8 nan\n", "utf-8")
    assert problems_of(path, costs=costs) == (
        ["good", "fine"],
        [
            f"{path}:2: no hypothesis id, got 'the words alone'. A line reads: UTTERANCE-N word word, N from 1.",
            f"{path}:5: x-1 comes a second time. Remove or rename one of them.",
            f"{costs}:3: x-3 comes a second time. Remove or rename one of them.",
            f"{costs}:4: no cost, got 'x-9'. A line reads: UTTERANCE-N cost.",
            f"{costs}:5: no cost, got 'x-8 nan'. A line reads: UTTERANCE-N cost.",
            f"{path}:4: no score for x-2. Add one to {costs}.",
        ],
    )


def test_wrong_lines_of_srilm(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("-1 -2 1 good\n-1 -2\n-inf -2 1 bad\n(x) bad\n(-5) fine\n" + "long " * 20 + "\n\n", "utf-8")
    advice = "A line reads: ascore lscore nwords word word; after NBestList1.0: (score) word word."
    assert problems_of(path) == (
        ["good", "fine"],
        [
            f"{path}:2: no scores, got '-1 -2'. {advice}",
            f"{path}:3: no scores, got '-inf -2 1 bad'. {advice}",
            f"{path}:4: no scores, got '(x) bad'. {advice}",
            f"{path}:6: no scores, got '{'long ' * 7}long…. {advice}",
        ],
    )


def test_srilm_lists_with_times(tmp_path: Path) -> None:
    """Phones lie within their word, and the names of states end in a number; their scores are the word's."""
    path = tmp_path / "x.nbest"
    path.write_text(
        "NBestList2.0\n"
        "(-90) -pau- ( st: 0.00 et: 0.10 g: 0 a: -10 ) the ( st: 0.11 et: 0.30 g: -3 a: -20 ) "
        "dh ( st: 0.11 et: 0.20 g: 0 a: -9 ) dh-1 ( st: 0.31 et: 0.31 g: 0 a: -9 ) "
        "dog ( st: 0.32 et: 0.60 g: -7 a: -50 )\n"
        "(-5) cut ( st: 0.1 et: 0.2 g: -3\n",
        "utf-8",
    )
    problems: list[str] = []
    [[hypothesis]] = read_nbest([path], recognize_format([path]), None, problems)
    assert hypothesis.text == "the dog"
    assert hypothesis.acoustic_score == pytest.approx(-80 * BYTELOG, rel=1e-7)
    assert hypothesis.first_pass_score == pytest.approx(-10 * BYTELOG, rel=1e-7)
    assert [problem.split(",")[0] for problem in problems] == [f"{path}:3: no scores"]


def test_silence_and_noises_are_no_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x"
    path.write_text("-1 -2 2 <s> -pau- the [noise] dog </s>\n-1 -2 1 -pau- the\n", "utf-8")
    [hypotheses] = read_nbest([path], "srilm", None, [])
    assert [(one.text, one.n_words) for one in hypotheses] == [("the [noise] dog", 2), ("the", 1)]
    assert caplog.messages == [f"{path}:1: 3 words, where nwords is 2, in 1 such lines. Name noises in --ignore."]
    path.write_text("-1 -2 3 <s> -pau- the [noise] dog </s>\n-1 -2 1 -pau- the\n", "utf-8")
    caplog.clear()
    [hypotheses] = read_nbest([path], "srilm", None, [], ["[noise]", "[laugh]"])
    assert caplog.messages == []
    assert [one.text for one in hypotheses] == ["the dog", "the"]
    FORMATS["srilm"].write(tmp_path / "new", scored([hypotheses]))
    assert (tmp_path / "new" / "x.score").read_text("utf-8").splitlines() == [
        "-1 -6.5144172 3 <s> -pau- the [noise] dog </s>",
        "-1 -4.3429448 1 -pau- the",
    ]
    (tmp_path / "y").write_text("a-1 <eps> the !SIL dog <unk>\n", "utf-8")
    [[hypothesis]] = read(tmp_path / "y")
    assert hypothesis.text == "the dog <unk>"


def test_the_first_pass_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("-1 -2.5 1 one\n", "utf-8")
    (tmp_path / "b.jsonl").write_text(
        '{"id": "b", "text": "one", "score": 1, "lm_score": -4}\n{"id": "b", "text": "two", "score": 1}\n', "utf-8"
    )
    [[srilm]], [json_lines] = read(tmp_path / "a"), read(tmp_path / "b.jsonl")
    assert srilm.first_pass_score == pytest.approx(-2.5 * math.log(10))
    assert [one.first_pass_score for one in json_lines] == [-4, 0]


def test_lists_of_vosk(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text(
        '{"alternatives": [{"confidence": 287.5, "text": "one two"}, {"confidence": 286, "text": "one"}]}\n'
        '{"id": "last", "alternatives": [{"confidence": 1.0, "text": ""}]}\n',
        "utf-8",
    )
    lists = read(path)
    assert facts(lists) == [
        [("talk-1", "one two", 287.5), ("talk-1", "one", 286.0)],
        [("last", "", 1.0)],
    ]
    FORMATS["jsonl"].write(tmp_path / "new.jsonl", scored(lists))
    assert facts(read(tmp_path / "new.jsonl")) == facts(lists)


VOSK = '{"alternatives": [{"confidence": 1.5, "text": "one"}, {"confidence": 1.0, "text": "two"}]}\n'


def test_files_of_vosk_are_utterances_apart(tmp_path: Path) -> None:
    for name in ("talk.2024-05-01.jsonl", "talk.2024-05-02.jsonl", "talk.2024-05-03"):
        (tmp_path / name).write_text(VOSK, "utf-8")
    (tmp_path / "talk.jsonl.gz").write_bytes(gzip.compress(VOSK.encode()))
    names = [[one.utterance for one in hypotheses] for hypotheses in read(tmp_path)]
    assert names == [[name] * 2 for name in (*(f"talk.2024-05-0{day}-1" for day in (1, 2, 3)), "talk-1")]


@pytest.mark.parametrize(("name", "content"), [("out.jsonl", VOSK), ("out", "-1 -2 1 one\n-2 -2 1 two\n")])
def test_files_that_are_called_alike_are_no_lists_of_one_utterance(name: str, content: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content, "utf-8")
    texts, problems = problems_of(tmp_path)
    assert texts == ["one", "two"]
    assert problems[0].startswith(f"{tmp_path / 'b' / name}:1: out")
    assert problems[0].endswith("comes a second time. Remove or rename one of them.")


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("paste")), reason="the command has them at work")
def test_lists_of_espnet_are_read_as_the_documentation_says(tmp_path: Path) -> None:
    for name, text, score in (
        ("1best_recog", 'utt1 A "B"\nutt2\n', "utt1 tensor(-12.5000)\nutt2 tensor(-2.5e-05, device='cuda:0')\n"),
        ("2best_recog", "utt1 A\nutt2 C\n", "utt1 -13.25\nutt2 tensor(-3)\n"),
    ):
        folder = tmp_path / "logdir" / "output.1" / name
        folder.mkdir(parents=True)
        (folder / "text").write_text(text, "utf-8")
        (folder / "score").write_text(score, "utf-8")
    page = (PROJECT / "docs" / "evaluation.md").read_text("utf-8")
    [command] = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "best_recog" in block]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert facts(read(tmp_path / "nbest.jsonl")) == [
        [("utt1", 'A "B"', -12.5), ("utt1", "A", -13.25)],
        [("utt2", "", -2.5e-05), ("utt2", "C", -3)],
    ]


@pytest.mark.parametrize(
    ("content", "what", "command"),
    [
        (
            "S-0\tx y\nH-0\t-1.25\tthe do@@ g\nD-0\t-1.25\tthe dog\nP-0\t-1 -1\n",
            "fairseq's output, with logarithms to base 2",
            """jq -Rc 'split("\\t") | select(.[0] | startswith("D-")) """
            """| {utterance: .[0][2:], text: .[2], score: (.[1] | tonumber * 0.6931471805599453)}'""",
        ),
        (
            "H-0\t-1.25\tthe dog\n",
            "fairseq's output, with logarithms to base 2",
            """jq -Rc 'split("\\t") | select(.[0] | startswith("H-")) """
            """| {utterance: .[0][2:], text: .[2], score: (.[1] | tonumber * 0.6931471805599453)}'""",
        ),
        (
            "0 ||| the dog ||| LM0= -1 ||| -4.5\n",
            "a list of Moses",
            """jq -Rc 'split(" ||| ") | {utterance: .[0], text: .[1], score: (.[3] | tonumber)}'""",
        ),
        (
            "covid-19 is over\t-3.2\ncovid-20 is over\t-3.0\n",
            "NeMo's beams, which name no utterance; each of 4 in this command",
            """jq -Rc 'split("\\t") """
            """| {utterance: ((input_line_number - 1) / 4 | floor), text: .[0], score: (.[1] | tonumber)}'""",
        ),
    ],
)
def test_lists_of_other_programs_are_named(content: str, what: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / "lists.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError) as refusal:
        problems_of(path)
    assert str(refusal.value).splitlines() == [
        f"{path}: looks like {what}. Make objects: {command} {path} > {tmp_path / 'lists.jsonl'}",
        f"{path}: no {recognize_format([path])} list can be read. "
        "Lists are SRILM's, Kaldi's or JSON lines; --format says which.",
    ]


def test_a_hypothesis_may_be_a_number(tmp_path: Path) -> None:
    (tmp_path / "lists").write_text("x-1 four\nx-2\t4\nx-3\t4.5\n", "utf-8")
    assert problems_of(tmp_path / "lists") == (["four", "4", "4.5"], [])
    (tmp_path / "lists").write_text("e.e-1 4\ne.e-2 14\n", "utf-8")
    assert problems_of(tmp_path / "lists") == (["4", "14"], [])


def test_an_array_is_refused_with_the_command_that_makes_lines(tmp_path: Path) -> None:
    path = tmp_path / "lists.json"
    path.write_text('[\n {"id": "x",\n  "text": "good", "score": 1}\n]\n', "utf-8")
    with pytest.raises(DataError, match=r"is a JSON array, .*: jq -c '\.\[\]' "):
        problems_of(path)


@pytest.mark.parametrize(
    "content", ["1089-134686-0000 the farmer\n1089-134686-0001 nobody\n", "covid-19 is over\ncovid-20 too\n"]
)
def test_one_transcript_an_utterance_is_no_list(content: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(content, "utf-8")
    with pytest.raises(DataError, match="N from 1|N of UTTERANCE-N counts from 1"):
        problems_of(tmp_path / "text")


@pytest.mark.parametrize("content", ["utt-1 47.5\nutt-2 -3.25\n", "utt-1 1.2e+05\nutt-2 12346\n\n"])
def test_costs_are_no_list(content: str, tmp_path: Path) -> None:
    (tmp_path / "costs").write_text(content, "utf-8")
    with pytest.raises(DataError, match="costs: has costs and no words"):
        problems_of(tmp_path / "costs")


def test_wrong_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "lists.jsonl"
    path.write_text(
        '{"id": "x", "text": "good", "score": 1}\n{"text": "a", "score": 1}\n{"id": "x", "score": 1}\n'
        '{"id": "x", "text": "a"}\n{"id": "x", "text": 3, "score": 1}\n{"id": "x", "text": "a", "score": "-1.5"}\n'
        '{"id": "x", "text": "a", "score": 1e999}\n["x"]\n{"id": "x", \n{"id": "\\ud83c", "text": "a", "score": 1}\n'
        '{"id": true, "text": "a", "score": 1}\n\n',
        "utf-8",
    )
    assert problems_of(path) == (
        ["good"],
        [
            f"{path}:2: no utterance. Give it as 'utterance' or 'id'.",
            f"{path}:3: no text. Give it as 'text' or 'hypothesis'.",
            f"{path}:4: no acoustic_score. Give it as 'acoustic_score' or 'score'.",
            f"{path}:5: text: expected a string, got 3. Put it in quotes.",
            f"{path}:6: score: expected a finite number, got '-1.5'. Take it out of its quotes.",
            f"{path}:7: score: expected a finite number, got inf. Give a logarithm.",
            f"{path}:8: is no object, got ['x']. Write one object a line.",
            f"{path}:9: is not JSON (Expecting property name enclosed in double quotes, column 13). "
            "Write one object a line.",
            f"{path}:10: cannot be used ('utf-8' codec can't encode character '\\ud83c' in position 8: "
            "surrogates not allowed). Write plain text or numbers.",
            f"{path}:11: utterance: expected a name or a whole number, got True. Give it one.",
        ],
    )


def test_a_file_that_cannot_be_read_is_one_problem_of_many(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("-1 -2 1 good\n", "utf-8")
    (tmp_path / "b").write_bytes(b"-1 -2 1 caf\xe9\n")
    (tmp_path / "c.gz").write_bytes(gzip.compress(b"-1 -2 1 cut\n")[:-9])
    (tmp_path / ".hidden").write_text("no list", "utf-8")
    texts, problems = problems_of(tmp_path)
    assert texts == ["good"]
    assert [problem.split(":")[0] for problem in problems] == [str(tmp_path / "b"), str(tmp_path / "c.gz")]


@pytest.mark.parametrize(
    ("first_line", "list_format"),
    [
        ("utt-1 4 words", "kaldi"),
        ("19980101-1 4 words", "kaldi"),
        ("-12.5 -3 2 two words", "srilm"),
        ("NBestList1.0", "srilm"),
        ("(-12) two words", "srilm"),
        ('{"id": 1}', "jsonl"),
        ("", "kaldi"),
    ],
)
def test_a_format_is_recognised_by_the_first_line(first_line: str, list_format: str, tmp_path: Path) -> None:
    (tmp_path / "lists").write_text(f"\n{first_line}\n", "utf-8")
    assert recognize_format([tmp_path / "lists"]) == list_format


def test_where_nothing_can_be_read_a_few_reasons_are_given(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    path.write_text("words alone\n" * 9, "utf-8")
    with pytest.raises(DataError) as refusal:
        problems_of(path)
    *reasons, last = str(refusal.value).splitlines()
    assert len(reasons) == 4
    assert reasons[-1] == "and 6 more of this kind."
    known = "Lists are SRILM's, Kaldi's or JSON lines; --format says which."
    assert last == f"{path}: no kaldi list can be read. {known}"


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refusal:
        recognize_format([tmp_path])
    assert str(refusal.value) == f"{tmp_path}: holds no file. Name a file, or another folder."


def test_costs_are_for_lists_without_scores(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--scores: jsonl lists have scores of their own\. Leave it out\."):
        read(GOLDEN / "lists.jsonl", costs=GOLDEN / "kaldi-costs.txt")
