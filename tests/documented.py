"""What documentation shows is run here: a folder with what its commands name, and a shell for their lines."""

import re
import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
from glob import glob
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
TINY = PROJECT / "data" / "tiny"

STAND_INS = [
    "data.batch_size=4",
    "data.bptt=7",
    "model.backbone.hidden_size=12",
    "model.backbone.n_layers=1",
    "model.embedding_size=12",
    "model.tie_weights=true",
    "training.n_epochs=null",
    "training.n_steps=2",
    "training.budget=null",
]
"""What makes a training short, whatever it was."""

RUNS: dict[str, tuple[str, ...]] = {
    "quickstart": (),
    "quickstart-rnn": ("model.backbone.name=rnn",),
    "another": ("seed=2",),
}
"""Runs that commands find where they name one that they did not train."""

TEXTS = ["essay.txt", *(f"texts/{name}.txt" for name in ("books", "chapter", "essay", "novel", "short/train"))]
TEXTS += [f"books/{name}.txt" for name in ("first", "second")] + ["data/tinyshakespeare/input.txt"]
"""Where commands find running text."""

SENTENCES = "The farmer goes to the market.\nThe cat sleeps.\n"
TABLE = "item\tword\n1\tThe\n1\tfarmer\n"
PAIRS = "The farmer goes to the market.\tThe farmer go to the market.\n"
NBEST = "call-1 the farmer goes\ncall-2 the farmer knows\ntalk-1 the cat sleeps\ntalk-2 the cat sleep\n"
SUITE = """{"meta": {"name": "subordination", "metric": "sum"}, "region_meta": {"1": "start", "2": "end"},
"predictions": [{"type": "formula", "formula": "(2;%good%) < (2;%bad%)"}],
"items": [{"item_number": 1, "conditions": [
{"condition_name": "good", "regions": [{"region_number": 1, "content": "The"}, {"region_number": 2, "content": "cat"}]},
{"condition_name": "bad", "regions": [{"region_number": 1, "content": "The"}, {"region_number": 2, "content": "goes"}]}
]}]}"""
BLIMP = '{"sentence_good": "The cat sleeps.", "sentence_bad": "The cat sleep.", "UID": "agreement"}\n'
JSON_NBEST = "".join(
    f'{{"utterance": "call-{call}", "text": "{text}", "acoustic_score": {score}}}\n'
    for call, text, score in ((1, "the farmer goes", -3.5), (1, "the farmer go", -3.25), (2, "the cat sleeps", -1.0))
)
REFERENCES = "call-1 the farmer goes\ncall-2 the cat sleeps\n"

FILES = {
    "sentences.txt": SENTENCES,
    "prompts.txt": "The farmer\nThe cat\n",
    "stimuli.tsv": TABLE,
    "agreement.tsv": PAIRS,
    "subordination.json": SUITE,
    "own.csv": "good,bad\nThe cat sleeps.,The cat sleep.\n",
    "blimp/agreement.jsonl": BLIMP,
    "nbest/call-1": "-3.5 -2 3 the farmer goes\n-3.25 -2 3 the farmer go\n",
    "nbest/call-2": "-1 -2 3 the cat sleeps\n",
    "dev.stm": "call-1 1 a 0 1 the farmer goes\ncall-2 1 a 0 1 the cat sleeps\n",
    "nbest.txt": "call-1-1 the farmer goes\ncall-1-2 the farmer go\ncall-2-1 the cat sleeps\n",
    "acoustic.txt": "call-1-1 3.5\ncall-1-2 3.25\ncall-2-1 1\n",
    "nbest.jsonl": JSON_NBEST,
    "test.ref": REFERENCES,
    "texts/sentences.txt": SENTENCES,
    "texts/stimuli.csv": "item;word\n1;The\n1;farmer\n",
    "texts/passages.jsonl": '{"text": "The farmer goes to the market"}\n',
    "texts/posts.jsonl": '{"body": "The farmer goes to the market"}\n',
    "texts/pairs.tsv": PAIRS,
    "texts/nbest.txt": NBEST,
    "texts/acoustic.txt": "call-1 3.5\ncall-2 3.25\ntalk-1 1\ntalk-2 2\n",
    "texts/references.txt": "call the farmer goes\ntalk the cat sleeps\n",
    "mine.yaml": "data: {corpus: ./data/tiny}\nmodel: {backbone: {name: lstm}}\ntraining: {n_epochs: 1}\n",
}
"""Other files that commands find."""


def lines_of(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks in which lstmlm is run."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if re.match(r"(?:[A-Z_]+=\S+ )?(?:lstmlm|torchrun) ", line)]


def furnish(folder: Path) -> None:
    """Put into a folder what commands of the documentation read."""
    shutil.copytree(PROJECT / "configs", folder / "configs")
    for corpus in ("tiny", "ptb", "wikitext-2"):
        shutil.copytree(TINY, folder / "data" / corpus)
    for text in TEXTS:
        (folder / text).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TINY / "train.txt", folder / text)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, "utf-8")


class Shell:
    """Runs lines of documentation in the working directory, inside the test's process.

    A pipe's commands run one after the other; of what torchrun starts there is one process; what is not lstmlm is left
    out. Trainings are short. A run that is named and was not trained by a line before is one of `RUNS`, by turns,
    if there is a folder of them.
    """

    def __init__(self, runs: Path | None = None, stand_ins: Sequence[str] = STAND_INS) -> None:
        self.runs = runs
        self._stand_ins = stand_ins
        self._n_lent = 0

    def run(self, line: str, status: int = 0) -> Any:
        """Run a line, whose last command must end with `status`; return that one's result."""
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>")
        lexer.whitespace_split = True
        words = list(lexer)
        piped, result = None, None
        while words:
            end = words.index("|") if "|" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            if "lstmlm" in command:
                result = self._invoke(command, piped, status if not words else 0)
                piped = result.stdout_bytes
        return result

    def _invoke(self, command: list[str], piped: bytes | None, status: int) -> Any:
        from typer.testing import CliRunner

        from lstmlm.cli import app

        environment = dict(word.split("=", 1) for word in command[: command.index("lstmlm")] if "=" in word)
        arguments, target = command[command.index("lstmlm") + 1 :], None
        for sign in "<>":
            if sign in arguments:
                place = arguments.index(sign)
                file = Path(arguments[place + 1])
                del arguments[place : place + 2]
                piped, target = (file.read_bytes(), target) if sign == "<" else (piped, file)
        arguments = [name for word in arguments for name in (sorted(glob(word)) or [word])]  # noqa: PTH207
        if self.runs is not None:
            self._lend(self.runs, arguments)
        stand_ins = self._stand_ins if arguments[0] in ("train", "lab", "tune") else ()
        if arguments[0] == "tune":  # which searches the model's
            stand_ins = [change for change in stand_ins if not change.startswith("model.")]
        sets = [part for change in stand_ins for part in ("--set", change)]
        if arguments[0] == "tune" and stand_ins:
            sets += ["--trials", "2"]
        result = CliRunner().invoke(app, [*arguments, *sets], input=piped, env=environment)
        assert result.exit_code == status, (arguments, result.output, result.exception)
        if target is not None:
            target.write_bytes(result.stdout_bytes)
        return result

    def _lend(self, runs: Path, arguments: Sequence[str]) -> None:
        """Have the runs that a command reads, and at least one where it reads the newest."""
        read = [word for before, word in zip(["", *arguments], arguments, strict=False) if before != "--run-dir"]
        named = {match[1] for word in read for match in re.finditer(r"(?:^|=)(runs/[\w=-]+(?:/seed-\d)?)", word)}
        if arguments[0] in ("runs", "watch", "report"):
            given = [name for word in arguments for name in (word.replace("*", "a"), word.replace("*", "b"))]
            named |= {f"runs/{name}" for name in given if LENT_BY_NAME.fullmatch(name)}
        if arguments[0] not in ("train", "lab", "tune") and not named and not glob("runs/*/last"):  # noqa: PTH207
            named = {"runs/quickstart"}
        for name in sorted(named):
            if not Path(name).exists():
                with suppress(FileExistsError):
                    shutil.copytree(runs / [*RUNS][self._n_lent % len(RUNS)], name, copy_function=shutil.copy)
                self._n_lent += 1


LENT_BY_NAME = re.compile(r"rnn|quickstart(-rnn)?|(ptb|tries)-[\w-]+")
"""Runs that commands name without their folder."""
