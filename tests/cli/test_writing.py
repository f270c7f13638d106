"""The session of `generate --interactive`: what is typed into it, and the text that comes of it."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminal import on_a_terminal

from lstmlm import workflows
from lstmlm.cli.display import writing
from lstmlm.cli.display.writing import WritingSession
from lstmlm.errors import Interrupted
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.texts import SampledText
from lstmlm.training.interruption import Interruption

Write = Callable[..., WritingSession]


@pytest.fixture
def write(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Hold a session in which lines are typed, up to the end of the input."""
    del trained
    monkeypatch.setenv("COLUMNS", "60")
    model = workflows.load()

    def hold(*lines: str, prompt: str = "the") -> WritingSession:
        typed = iter(lines)

        def read(_: str) -> str:
            for line in typed:
                return line
            raise EOFError

        monkeypatch.setattr("builtins.input", read)
        session = WritingSession(model, prompt, SamplingOptions(), seed=1)
        session.run()
        return session

    return hold


def test_a_word_is_appended_by_its_number_and_taken_back(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = write("1").text
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("1 "))
    assert text == f"the {first.split()[1]}"
    assert write("1", "2", "/u", "/undo", "/undo").text == "the"
    assert "/undo: nothing is left to take back." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("old man", "the old man"),
        (", and", "the, and"),
        (" 3", "the 3"),
        (" /undo", "the /undo"),
        ("9" * 5000, "the " + "9" * 5000),  # more digits than Python reads as a number
        ("²", "the ²"),
    ],
)
def test_typed_text_is_appended(write: Write, typed: str, text: str) -> None:
    assert write(typed).text == text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0", "0: no such word."),
        ("10", "10: no such word."),
        ("", "Type a number, text or /help."),
        ("/", "/: no command."),
        ("/wirte", "Did you mean 'write'?"),
        ("/write 0", "/write: needs a number of tokens, got '0'."),
        ("/write " + "9" * 5000, "/write: needs a number of tokens, got '999"),
        ("/save", "/save: needs the name of a file"),
        ("/save runs", "runs: exists, and is not replaced."),
        ("/save nowhere/a.txt", "nowhere/a.txt: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    write: Write, capsys: pytest.CaptureFixture[str], typed: str, message: str
) -> None:
    assert write(typed).text == "the"
    assert message in " ".join(capsys.readouterr().out.split())


def test_what_is_saved_can_be_saved_again_and_is_not_printed(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    write("old", "/save ~/story.txt", "man", "/save ~/story.txt", "and", "/save")
    assert Path("story.txt").read_text("utf-8") == "the old man and\n"
    assert "not saved" not in capsys.readouterr().out
    write("old")
    assert capsys.readouterr().out.endswith("The text, which is not saved:\n\nthe old\n")


def test_an_interrupt_ends_what_the_model_writes_and_keeps_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[list[SampledText]]:
        for number, samples in enumerate(workflows.generate_texts(*_)):  # type: ignore[arg-type]
            if number == 3:
                raise KeyboardInterrupt
            yield samples

    whole = write("/write 3").text
    monkeypatch.setattr(writing, "generate_texts", interrupted)
    assert write("/write 1000000").text == whole
    assert write("/write 1000000", "/undo").text == "the"


def test_after_an_interrupt_other_signals_end_the_session(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [signal.SIGINT, signal.SIGTERM]

    def signalled(*_: object) -> Iterator[list[SampledText]]:
        for samples in workflows.generate_texts(*_):  # type: ignore[arg-type]
            yield samples
            signal.raise_signal(numbers.pop(0))

    monkeypatch.setattr(writing, "generate_texts", signalled)
    with Interruption().active(), pytest.raises(Interrupted) as stop:
        write("/write 9", "/write 9")
    assert (stop.value.signal_number, numbers) == (signal.SIGTERM, [])


def test_what_the_model_writes_is_what_generate_writes_of_that_seed(write: Write) -> None:
    options = SamplingOptions(max_tokens=9)
    [*_, [sample]] = workflows.generate_texts(workflows.load(), "the", options, [1])
    assert write("/write 9").text == f"the{sample.text}"
    assert write("/write 9", "/undo", "/write 9").text != f"the{sample.text}"


def test_lines_fit_the_terminal(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("/help", "/write 60", "/undo", "/quit")
    assert all(len(line) <= 60 for line in capsys.readouterr().out.splitlines())


def test_on_a_pseudo_terminal(trained: Path) -> None:
    """A word is accepted, taken back, another one accepted and saved, at a terminal of 60 columns."""
    with on_a_terminal(trained, 60, 20, "generate", "the", "--interactive") as terminal:
        begun = terminal.read_until("> ")
        words = dict(re.findall(r"(\d) (\S+) \d+\.\d%", " ".join(begun)))
        first, second = [number for number, word in words.items() if word != "<eos>"][:2]
        shown = [begun]
        for line in (first, "/undo", second, "/save story.txt"):
            terminal.type(line)
            shown.append(terminal.read_until("> "))
        terminal.type("/quit")
        end = b"".join(terminal).decode()
    _, accepted, undone, other, saved = shown
    assert f"the {words[first]}" in accepted
    assert undone[undone.index("the") :] == begun[begun.index("the") :]
    assert f"the {words[second]}" in other
    assert "Saved in story.txt." in saved
    assert (trained / "story.txt").read_text("utf-8") == f"the {words[second]}\n"
    assert "not saved" not in end
    assert all(len(line) <= 60 for lines in shown for line in lines)
