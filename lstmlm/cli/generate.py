"""`lstmlm generate`: text from a trained model."""

import secrets
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lstmlm.cli.options import RunOption, path, refuse_beside, typed_text
from lstmlm.cli.render import print_json, print_table, result_text, say, warn, warn_of_unknown
from lstmlm.errors import ConfigError, DataError, as_command, shown
from lstmlm.generation.options import SamplingOptions

if TYPE_CHECKING:
    from lstmlm.generation.novelty import KnownPassage
    from lstmlm.generation.texts import SampledText
    from lstmlm.workflows import TrainedModel

SHOWN_PASSAGE = 60
"""Characters of a passage in a table."""

AFTER_TEMPERATURE = ("top_k", "top_p", "min_p", "typical_p")
"""What changes nothing where the likeliest token is taken."""

PromptArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROMPT", parser=typed_text, help='How the text begins; "" starts a text, - reads standard input.'
    ),
]
MaxTokensOption = Annotated[int, typer.Option(help="Length of the continuation (tokens).")]
TemperatureOption = Annotated[
    list[float],
    typer.Option(
        help="Below 1 more likely words, above 1 more surprising ones; 0 the likeliest always. "
        "Repeated, all samples are drawn at each."
    ),
]
TopKOption = Annotated[int | None, typer.Option(help="Choose among this many most likely tokens.")]
TopPOption = Annotated[
    float | None, typer.Option(help="Choose among the likeliest tokens that have this probability together.")
]
MinPOption = Annotated[
    float | None, typer.Option(help="Choose among tokens at least this many times as likely as the best one.")
]
TypicalPOption = Annotated[
    float | None,
    typer.Option(help="Choose among the tokens nearest to the expected surprisal that have this probability together."),
]
PenaltyOption = Annotated[
    float | None,
    typer.Option(help="Above 1, what prompt and text have already is less likely: p to the power of this."),
]
NoRepeatOption = Annotated[int | None, typer.Option(help="Let no so many tokens stand twice in prompt and text.")]
StopOption = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="End a sample before this text. Can be repeated.")
]
PrecisionOption = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="Number format of the weights; bfloat16 draws about twice as fast, and another text."),
]
PromptsOption = Annotated[
    Path | None,
    typer.Option("--prompts", parser=path, metavar="FILE", help="Continue each line of a file; - is standard input."),
]
NoveltyOption = Annotated[
    bool, typer.Option("--novelty", help="Show the longest passage of each sample that the training text has.")
]
InteractiveOption = Annotated[
    bool, typer.Option("--interactive", "-i", help="Write together: next words to choose from, undo, save.")
]


def generate(
    prompt: PromptArgument = "",
    run: RunOption = None,
    max_tokens: MaxTokensOption = SamplingOptions.max_tokens,
    temperature: TemperatureOption = [SamplingOptions.temperature],  # noqa: B006 - Typer reads it
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    min_p: MinPOption = None,
    typical_p: TypicalPOption = None,
    repetition_penalty: PenaltyOption = None,
    no_repeat_ngram_size: NoRepeatOption = None,
    stop: StopOption = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of samples.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same text; sample k has seed + k - 1.")] = None,
    allow_unk: Annotated[bool, typer.Option("--allow-unk", help="Let <unk> be sampled.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print tokens as the vocabulary has them.")] = False,
    precision: PrecisionOption = SamplingOptions.precision,
    prompts: PromptsOption = None,
    novelty: NoveltyOption = False,
    interactive: InteractiveOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a sample, each on a line.")] = False,
) -> None:
    """Continue a prompt.

    A prompt is read as it is typed; of standard input the newline at its end is left out, so that its last line goes
    on. Repetitions are taken out first, then come temperature, top-k, top-p, min-p and typical-p.

    Examples:

    lstmlm generate "The" --n 3 --temperature 0.7 --top-p 0.9 --seed 1

    lstmlm generate "" --run runs/shakespeare-char --max-tokens 500 --repetition-penalty 1.2

    lstmlm generate "Q: who sings?" --stop "Q:" --stop "."

    lstmlm generate --prompts prompts.txt --temperature 0.5 --temperature 1 --min-p 0.05 --json

    lstmlm generate "The" --n 5 --novelty

    lstmlm generate "The" --interactive

    lstmlm generate - < texts/chapter.txt
    """
    drawing = {name: value for name, value in locals().items() if name in SamplingOptions.__dataclass_fields__}
    drawing["stop"] = tuple(stop or [])
    options = [SamplingOptions(**{**drawing, "temperature": degree}) for degree in temperature]
    begin = secrets.randbelow(1_000_000) if seed is None else seed
    if interactive:
        several = {"more than one --temperature": len(options) > 1, "the prompt -": prompt == "-", "--n": n > 1}
        shown_otherwise = {"--json": as_json, "--raw": raw, "--prompts": prompts, "--novelty": novelty}
        refuse_beside("--interactive", {**shown_otherwise, **several})
        _write_together(prompt, run, options[0], begin)
        return
    _warn_of_idle(options)
    beginnings = _beginnings(prompt, prompts)
    output = _Output(_load(run, begin, beginnings), as_json=as_json, novelty=novelty)
    for beginning in beginnings:
        for settled in options:
            output.draw(beginning, settled, range(begin, begin + n), names_temperature=len(options) > 1)
    output.end()


def _load(run: Path | None, seed: int, prompts: list[str]) -> "TrainedModel":
    from lstmlm import workflows

    trained = workflows.load(run)
    say(f"{trained.run.path}, seed {seed}")
    warn_of_unknown([piece for prompt in prompts for piece in trained.tokenizer.unknown_pieces(prompt)])
    return trained


def _write_together(prompt: str, run: Path | None, options: SamplingOptions, seed: int) -> None:
    from lstmlm.cli.display.writing import WritingSession

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("--interactive: needs a terminal to read from and to show words on. Leave it out.")
    WritingSession(_load(run, seed, [prompt]), prompt, options, seed).run()


def _warn_of_idle(options: list[SamplingOptions]) -> None:
    """Tell of filters that change nothing because every temperature is 0."""
    if all(each.temperature == 0 for each in options):
        idle = [f"--{name.replace('_', '-')}" for name in AFTER_TEMPERATURE if getattr(options[0], name) is not None]
        warn([f"--temperature 0 takes the likeliest token: without effect are {', '.join(idle)}."] if idle else [])


def _beginnings(prompt: str, prompts: Path | None) -> list[str]:
    """Return the prompts, which are one or the lines of a file."""
    from lstmlm.corpus.reading.text_files import name_of, read_lines, read_prompt

    if prompts is None:
        if prompt != "-" and _is_file(prompt):
            say(f"{prompt} is the prompt. To continue what that file holds: lstmlm generate - < {as_command([prompt])}")
        return [read_prompt() if prompt == "-" else prompt]
    refuse_beside("--prompts", {f"the prompt {shown(prompt)}": prompt})
    found = [line.text for line in read_lines(prompts) if line.text.strip()]
    if not found:
        raise DataError(f"{name_of(prompts)}: has no prompts. Write one a line.")
    return found


def _is_file(prompt: str) -> bool:
    with suppress(OSError, ValueError):  # too long for a name, or of characters that no name has
        return Path(prompt).is_file()
    return False


class _Output:
    """Samples as they are printed: for people as they are drawn, for programs an object a line."""

    def __init__(self, trained: "TrainedModel", *, as_json: bool, novelty: bool) -> None:
        self._trained = trained
        self._as_json = as_json
        self._corpus = trained.encode_split("train", "--novelty") if novelty else None
        self._passages: list[dict[str, Any]] = []
        self._n_stopped = self._n_groups = 0
        self._has_stops = False

    def draw(self, prompt: str, options: SamplingOptions, seeds: range, *, names_temperature: bool) -> None:
        """Draw a sample a seed and print them; all but the first once all are drawn."""
        from lstmlm import workflows

        heading = f"temperature {options.temperature:g}:\n" if names_temperature else ""
        before = ("\n" if self._n_groups else "") + heading + prompt
        samples: list[SampledText] = []
        for samples in workflows.generate_texts(self._trained, prompt, options, seeds):
            # The prompt comes with the first piece: before that, there may be something to say of the kernels.
            self._write(before + samples[0].piece)
            before = ""
        self._write("".join(f"\n\n{prompt}{sample.text}" for sample in samples[1:]) + "\n")
        self._n_groups += 1
        self._n_stopped += sum(sample.has_stopped for sample in samples)
        self._has_stops = bool(options.stop)
        self._tell(prompt, options, samples, self._passages_of(samples))

    def end(self) -> None:
        """Print what is known once everything is drawn."""
        if self._has_stops and not self._n_stopped:
            say("No sample has come to a stop text.")
        if self._passages and not self._as_json:
            print()
            print_table(self._passages)

    def _passages_of(self, samples: "list[SampledText]") -> "list[KnownPassage | None]":
        from lstmlm.generation.novelty import find_known_passages

        if self._corpus is None:
            return [None] * len(samples)
        ids = [sample.token_ids for sample in samples]
        return find_known_passages(self._trained.tokenizer, self._corpus, ids)

    def _tell(
        self, prompt: str, options: SamplingOptions, samples: "list[SampledText]", passages: "list[KnownPassage | None]"
    ) -> None:
        for sample, passage in zip(samples, passages, strict=True):
            if self._as_json:
                told = _record(self._trained, prompt, options, sample)
                if self._corpus is not None:
                    told["novelty"] = asdict(passage) if passage else None
                print_json(told)
            elif self._corpus is not None:
                self._passages.append(_row(len(self._passages) + 1, sample, passage))

    def _write(self, text: str) -> None:
        """Show text as soon as there is some."""
        if not self._as_json:
            sys.stdout.write(result_text(text))
            sys.stdout.flush()


def _record(trained: "TrainedModel", prompt: str, options: SamplingOptions, sample: "SampledText") -> dict[str, Any]:
    """What programs are told of a sample."""
    return {
        "run": str(trained.run.path),
        "prompt": prompt,
        "text": sample.text,
        "temperature": options.temperature,
        "seed": sample.seed,
        "finish_reason": "stop" if sample.has_stopped else "length",
        "tokens": [trained.tokenizer.token(token_id) for token_id in sample.token_ids],
        "log_probabilities": sample.log_probabilities,
    }


def _row(number: int, sample: "SampledText", passage: "KnownPassage | None") -> dict[str, Any]:
    """What people are shown of a sample's passage."""
    if passage is None:
        return {"sample": number, "known tokens": f"0 of {len(sample.token_ids)}", "where": "", "passage": ""}
    text = passage.text
    place = f"token {passage.token:,}" if passage.line is None else f"line {passage.line:,}"
    return {
        "sample": number,
        "known tokens": f"{passage.n_tokens} of {len(sample.token_ids)}",
        "where": f"{passage.corpus}, {place}",
        "passage": text if len(text) <= SHOWN_PASSAGE else f"{text[: SHOWN_PASSAGE - 1]}…",
    }
