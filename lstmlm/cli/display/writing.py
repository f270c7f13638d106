"""`lstmlm generate --interactive`: a text that a person and a model write together, next words in view."""

import re
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from os.path import expanduser
from pathlib import Path

from rich.columns import Columns
from rich.console import Console
from rich.text import Text

from lstmlm.cli.options import unused_path
from lstmlm.cli.render import printable, warn_of_unknown
from lstmlm.corpus.reading.white_space import is_white
from lstmlm.errors import ConfigError, DataError, Interrupted, LstmlmError, did_you_mean, shown
from lstmlm.files import write_atomically
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.next_word import NextWord, appender, find_following_words
from lstmlm.generation.options import SamplingOptions
from lstmlm.training.interruption import Interruption
from lstmlm.workflows import TrainedModel, generate_texts

N_WORDS = 9
N_LINES = 8
"""Last lines of the text that are shown."""
N_WRITTEN = 20
"""Tokens that the model writes where no number is given."""

HELP = """\
3            append the third word
any text     append it, after a blank where one belongs
/write [N]   let the model write N tokens (20), up to Ctrl-C
/undo        take back the last step
/save FILE   write the text to a new file
/quit        end, as Ctrl-D and Ctrl-C do
/help        show this
A blank before a number or a slash makes it text. What you
have not saved is printed at the end. One letter will do:
/w /u /s /q /h"""


class WritingSession:
    """A text on its way, with all that it has been before.

    Args:
        trained: Who proposes words.
        prompt: How the text begins.
        options: How the model draws where it writes by itself.
        seed: Of the first draw; each has another.
    """

    def __init__(self, trained: TrainedModel, prompt: str, options: SamplingOptions, seed: int) -> None:
        self._trained = trained
        self._options = options
        self._seed = seed
        self._console = Console(markup=False, highlight=False)
        self._join = trained.reading(None).join
        self._words: list[NextWord] = []
        read = GrowingText(trained.model, trained.tokenizer)
        read.feed(trained.beginning(prompt))
        self._steps = [(prompt, read)]
        self._saved = prompt
        self._saved_in: Path | None = None
        self._commands: dict[str, Callable[[str], None]] = {
            "write": self._write,
            "undo": self._undo,
            "save": self._save,
            "help": lambda _: self._console.print(HELP),
        }

    @property
    def text(self) -> str:
        """The text so far."""
        return self._steps[-1][0]

    def run(self) -> None:
        """Write until the person ends it; then print what is not saved, however it ends."""
        try:
            self._console.print("Choose a word by its number, or type text. /help shows more, /quit ends.")
            self._show()
            while self._obeys(self._ask()):
                pass
        finally:
            if self.text != self._saved:
                self._console.print("\nThe text, which is not saved:\n")
                print(printable(self.text))

    def _ask(self) -> str:
        """Read a line; the end of the input is as if someone had typed /quit."""
        with suppress(ImportError):  # where there is none, input() has no editing of lines
            import readline  # noqa: F401
        try:
            return input("> ")
        except EOFError:
            self._console.print()
            return "/quit"
        except UnicodeDecodeError:
            self._console.print("That is not UTF-8. Set the terminal's encoding to UTF-8.")
            return ""

    def _obeys(self, line: str) -> bool:
        """Do what a line says; return whether the session goes on."""
        try:
            if not line.strip():
                self._console.print("Type a number, text or /help.")
            elif line.startswith("/"):
                return self._command(*line[1:].split(maxsplit=1))
            elif (number := _number(line.rstrip())) is not None:
                self._choose(number)
            else:
                self._append_typed(line)
        except LstmlmError as error:
            self._console.print(printable(str(error)))
        except OSError as error:
            self._console.print(printable(f"/save: {error.strerror or error}. The text goes on."))
        return True

    def _command(self, name: str = "", argument: str = "") -> bool:
        if name and "quit".startswith(name):
            return False
        found = [command for full, command in self._commands.items() if name and full.startswith(name)]
        if not found:
            known = [*self._commands, "quit"]
            raise ConfigError(
                f"/{name}: no command. {did_you_mean(name, known)}There are: {', '.join(f'/{each}' for each in known)}."
            )
        found[0](argument.strip())
        return True

    def _choose(self, number: int) -> None:
        if not 1 <= number <= len(self._words):
            raise ConfigError(
                f"{number}: no such word. Choose 1 to {len(self._words)}; as text it needs a blank before."
            )
        word = self._words[number - 1].word
        self._append(appender(self._trained.tokenizer, self._join, self.text, "")(word))

    def _append_typed(self, typed: str) -> None:
        joins = self.text and not is_white(self.text[-1]) and typed[0].isalnum()
        warn_of_unknown(self._trained.tokenizer.unknown_pieces(typed))
        self._append((self._join if joins else "") + typed)
        if typed.strip() in (*self._commands, "quit", "exit"):
            self._console.print(f"{typed.strip()!r} is now in the text, as commands have a slash. Take it back: /undo")

    def _append(self, addition: str) -> None:
        text, read = self._steps[-1]
        read = read.copy()
        read.feed(self._trained.beginning(addition))
        self._steps.append((text + addition, read))
        self._show()

    def _write(self, argument: str) -> None:
        n_tokens = _number(argument) if argument else N_WRITTEN
        if not n_tokens:
            raise ConfigError(f"/write: needs a number of tokens, got {shown(argument)}.")
        options = replace(self._options, max_tokens=n_tokens)
        written = ""
        # Ctrl-C ends what the model writes, not what the person does: the command's own watch sees none of it.
        try:
            with Interruption().active(), self._console.status("Writing. Ctrl-C stops it."):
                for [sample] in generate_texts(self._trained, self.text, options, [self._seed]):
                    written = sample.text
        except KeyboardInterrupt as stop:
            if isinstance(stop, Interrupted) and stop.signal_number != signal.SIGINT:
                raise
        self._seed += 1
        self._append(written)

    def _undo(self, argument: str) -> None:
        del argument
        if len(self._steps) == 1:
            raise ConfigError("/undo: nothing is left to take back.")
        self._steps.pop()
        self._show()

    def _save(self, argument: str) -> None:
        if not argument and self._saved_in is None:
            raise ConfigError("/save: needs the name of a file, such as /save story.txt")
        name = expanduser(argument)  # noqa: PTH111 - leaves a ~user that is none as it is
        if name and str(self._saved_in) != name:
            self._saved_in = unused_path(name)
        assert self._saved_in is not None
        write_atomically(self._saved_in, (self.text.removesuffix("\n") + "\n").encode())
        self._saved = self.text
        self._console.print(f"Saved in {self._saved_in}.")

    def _show(self) -> None:
        """Show the end of the text, and the next words with their probabilities."""
        console, text = self._console, printable(self.text)
        # Longer than what can be seen of it; the rest need not be wrapped.
        lines = Text(text[-N_LINES * console.width :]).wrap(console, console.width)[-N_LINES:]
        console.print()
        for line in lines:
            console.print(line)
        console.print()
        try:
            self._words = find_following_words(self._steps[-1][1], N_WORDS).words
        except DataError as error:
            self._words = []
            console.print(f"{error} So type text, or /write.")
        console.print(Columns([_choice(number, word) for number, word in enumerate(self._words, 1)], column_first=True))


def _number(typed: str) -> int | None:
    """Read a whole number of reasonable size; None is anything else."""
    return int(typed) if re.fullmatch("[0-9]{1,9}", typed) else None


def _choice(number: int, word: NextWord) -> Text:
    return Text.assemble((f"{number} ", "bold"), printable(word.word, kept=""), (f" {word.probability:.1%} ", "dim"))
