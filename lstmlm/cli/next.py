"""`lstmlm next`: the most likely next words."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import JsonOption, RunOption, typed_text
from lstmlm.cli.render import print_json, print_table, say, warn_of_unknown

if TYPE_CHECKING:
    from lstmlm.generation.next_word import NextWords

BAR_WIDTH = 24

MOSTLY_COMPLETE = 0.5
"""Below this probability that the last word is complete, it is said that it may go on."""


def next_word(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", parser=typed_text, help='How the text begins; "" starts a text.')
    ] = "",
    run: RunOption = None,
    top: Annotated[int, typer.Option(min=1, help="Number of words.")] = 10,
    complete: Annotated[bool, typer.Option("--complete", help="Take the last word as the beginning of one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the most likely next words with their probabilities.

    The last word counts as complete. With --complete it is the beginning of the word that is looked for, and
    probabilities are given that the word begins so.

    Examples:

    lstmlm next "The farmer goes to the"

    lstmlm next "The farmer goes to the h" --complete --top 5 --json
    """
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    say(str(trained.run.path))
    context = " ".join(prompt.split()[:-1]) if complete else prompt
    warn_of_unknown(trained.tokenizer.unknown_pieces(context))
    found = questions.next_words(trained, prompt, top, complete=complete)
    if as_json:
        print_json({"run": str(trained.run.path), "prompt": prompt, **asdict(found)})
        return
    if found.words:
        most = found.words[0].probability
        print_table([{**asdict(word), "": "█" * round(BAR_WIDTH * word.probability / most)} for word in found.words])
    print(_what_else(found))


def _what_else(found: "NextWords") -> str:
    """Say what is known of all other words."""
    if not found.words:
        return "No word that the model knows begins so. Capitals and accents count."
    if found.n_prefixes == 1 and found.complete_probability == 1:
        return "Every word of the vocabulary was considered."
    missing = found.words and found.words[-1].probability < found.largest_missed_probability
    return (
        f"{found.n_prefixes:,} beginnings of words were read. Any other word has a probability of at most "
        f"{found.largest_missed_probability:.2g}, all of them together {found.unexplored_probability:.2g}."
        + (" So a likelier one may be missing." if missing else "")
        + (f"\n{_goes_on(found)}" if found.complete_probability < MOSTLY_COMPLETE else "")
    )


def _goes_on(found: "NextWords") -> str:
    """Say what is taken for granted though it is not likely."""
    return (
        f"The last word goes on with probability {1 - found.complete_probability:.2g}, which is left out. "
        "Take it as the beginning of one: --complete"
    )
