"""`lstmlm generate`: text from a trained model."""

import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from lstmlm.cli.options import RunOption
from lstmlm.cli.render import result_text, say, warn_of_unknown
from lstmlm.errors import as_command
from lstmlm.generation.options import SamplingOptions

StopOption = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="End a sample before this text. Can be repeated.")
]

PrecisionOption = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="Number format of the weights; bfloat16 draws about twice as fast, and another text."),
]


def generate(
    prompt: Annotated[str, typer.Argument(help='How the text begins; "" starts a text, - reads standard input.')] = "",
    run: RunOption = None,
    max_tokens: Annotated[int, typer.Option(help="Length of the continuation (tokens).")] = SamplingOptions.max_tokens,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more likely words, above 1 more surprising ones; 0 the likeliest always.")
    ] = SamplingOptions.temperature,
    top_k: Annotated[int | None, typer.Option(help="Choose among this many most likely tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Choose among the likeliest tokens that have this probability together.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Choose among tokens at least this many times as likely as the best one.")
    ] = None,
    typical_p: Annotated[
        float | None, typer.Option(help="Choose among the most typical tokens that have this probability together.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1: what the text has already becomes less likely (p to this power).")
    ] = None,
    no_repeat_ngram_size: Annotated[
        int | None, typer.Option(help="Let no so many tokens come twice in prompt and text.")
    ] = None,
    stop: StopOption = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of samples.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same text; sample k has seed + k - 1.")] = None,
    allow_unk: Annotated[bool, typer.Option("--allow-unk", help="Let <unk> be sampled.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print tokens as the vocabulary has them, a blank between.")
    ] = False,
    precision: PrecisionOption = SamplingOptions.precision,
) -> None:
    """Continue a prompt.

    A prompt is read as it is typed; of standard input the newline at its end is left out, so that its last line
    goes on.

    Examples:

    lstmlm generate "The function returns"

    lstmlm generate "The" --n 3 --temperature 0.7 --top-p 0.9 --seed 1

    lstmlm generate "" --run runs/shakespeare-char --max-tokens 500

    lstmlm generate "Q: who sings?" --stop "Q:" --stop "."

    lstmlm generate "The" --raw --max-tokens 20

    lstmlm generate - < texts/chapter.txt
    """
    options = SamplingOptions(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        typical_p=typical_p,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        allow_unk=allow_unk,
        precision=precision,
        stop=tuple(stop or []),
        raw=raw,
    )
    from lstmlm import workflows
    from lstmlm.corpus.reading.text_files import read_prompt

    if prompt != "-" and _is_file(prompt):
        say(f"{prompt} is the prompt. To continue what that file holds: lstmlm generate - < {as_command([prompt])}")
    prompt = read_prompt() if prompt == "-" else prompt
    trained = workflows.load(run)
    first_seed = secrets.randbelow(1_000_000) if seed is None else seed
    say(f"{trained.run.path}, seed {first_seed}")
    warn_of_unknown(trained.tokenizer.unknown_pieces(prompt))

    texts, shown = [prompt] * n, prompt
    for pieces in workflows.generate_texts(trained, prompt, options, range(first_seed, first_seed + n)):
        # The prompt comes with the first piece: before that, there may be something to say of the kernels.
        _write(shown + pieces[0])
        shown = ""
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    for text in texts[1:]:
        _write("\n\n" + text)
    _write("\n")


def _is_file(prompt: str) -> bool:
    with suppress(OSError, ValueError):  # too long for a name, or of characters that no name has
        return Path(prompt).is_file()
    return False


def _write(text: str) -> None:
    """Show text as soon as there is some."""
    sys.stdout.write(result_text(text))
    sys.stdout.flush()
