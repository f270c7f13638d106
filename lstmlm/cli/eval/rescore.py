"""`lstmlm eval rescore`: a language model's opinion on what a recogniser may have heard."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lstmlm.cli.options import EncodingOption, JoinOption, JsonOption, RunOption, new_path, path, refuse_same_file
from lstmlm.cli.render import print_report, result_text, say
from lstmlm.errors import ConfigError, DataError, in_proportion

ContextOption = Annotated[
    Literal["reset", "carried"],
    typer.Option(help="What an utterance is read after: nothing, or those before it as chosen."),
]

TuneOption = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        help="References: search weights and bonus on the first half of the utterances, measure on the second.",
    ),
]

FormatOption = Annotated[
    Literal["srilm", "kaldi", "jsonl"] | None,
    typer.Option("--format", help="What the lists are.", show_default="what the first line looks like"),
]

OutputOption = Annotated[
    Path | None,
    typer.Option(parser=new_path, help="Write the lists here, in their own format; a folder for SRILM's."),
]


def rescore(
    lists: Annotated[
        list[Path], typer.Argument(parser=path, help="N-best lists: files, or folders of files; .gz too.")
    ],
    run: RunOption = None,
    list_format: FormatOption = None,
    scores: Annotated[
        Path | None, typer.Option(parser=path, help="Acoustic costs of Kaldi lists: UTTERANCE-N cost.")
    ] = None,
    weight: Annotated[float | None, typer.Option(help="How much the language model counts.", show_default="1")] = None,
    length_bonus: Annotated[float | None, typer.Option(help="Added for each word (nats).", show_default="0")] = None,
    first_pass_weight: Annotated[
        float | None,
        typer.Option(help="How much the recogniser's own language model counts.", show_default="0"),
    ] = None,
    ignore: Annotated[
        str, typer.Option(metavar="WORDS", help="Words to leave out, such as '[noise] [laugh]', or \"$(cat FILE)\".")
    ] = "",
    context: ContextOption = "reset",
    tune: TuneOption = None,
    references: Annotated[
        Path | None, typer.Option(parser=path, help="References: measure with the weights and bonus given.")
    ] = None,
    metric: Annotated[
        Literal["wer", "cer"], typer.Option(help="Count errors and lengths in words, or in characters but white space.")
    ] = "wer",
    join: JoinOption = None,
    encoding: EncodingOption = "utf-8",
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rescore n-best lists of SRILM, Kaldi or JSON lines: acoustic score + weight · ln p(words) + bonus · length.

    To this adds what the list has of the first pass, SRILM's lscore or lm_score, times --first-pass-weight. References
    are Kaldi's text (UTTERANCE word word), STM, TRN or JSON lines. <s>, </s>, <eps>, -pau- and !SIL are no words.

    Prints a row for each hypothesis, or with references the error rates of the first, the rescored and the best
    hypotheses, each with its 95 % interval over utterances.

    Examples:

    lstmlm eval rescore nbest/ --tune dev.stm --ignore "$(cat noise.vocab)"

    lstmlm eval rescore nbest.txt --scores acoustic.txt --weight 0.5 --output nats.txt

    lstmlm eval rescore nbest.jsonl --references test.ref --weight 0.5 --length-bonus 2 --json
    """
    refuse_same_file(output, [*lists, scores, tune, references])
    weights = {"weight": weight, "length_bonus": length_bonus, "first_pass_weight": first_pass_weight}
    given = {name: value for name, value in weights.items() if value is not None}
    if tune is not None:
        _check_tune(given, references, context)
    from lstmlm import questions, workflows
    from lstmlm.evaluation.report import to_tsv
    from lstmlm.evaluation.rescoring.combination import Combination
    from lstmlm.evaluation.rescoring.rescoring import RescoringOptions

    options = RescoringOptions(None if tune else Combination(**given), metric, carry_state=context == "carried")
    trained = workflows.load(run)
    report, problems = questions.rescore(
        trained,
        lists,
        options,
        list_format=list_format,
        costs=scores,
        references=tune or references,
        ignored=ignore.split(),
        output=output,
        join=join,
        encoding=encoding,
    )
    for problem in in_proportion(problems):
        say(problem)
    n_hypotheses, n_utterances = report.values["n_hypotheses"], report.values["n_utterances"]
    say(f"{trained.run.path}: {n_hypotheses:,} hypotheses of {n_utterances:,} utterances")
    if as_json or tune or references:
        print_report(report, as_json=as_json)
    elif output is None:
        for line in to_tsv(report.rows, list(report.rows[0])):
            print(result_text(line))
    if problems:
        raise typer.Exit(DataError.exit_status)


def _check_tune(given: dict[str, float], references: Path | None, context: str) -> None:
    for name, value in given.items():
        raise ConfigError(f"--{name.replace('_', '-')} {value:g}: is what --tune searches. Leave one of them out.")
    if references is not None:
        raise ConfigError(f"--references {references}: cannot be combined with --tune. Give one of them.")
    if context == "carried":
        raise ConfigError(
            "--context carried: cannot be combined with --tune, as scores would depend on the weight. "
            "Tune without it, then give --weight and --length-bonus."
        )
