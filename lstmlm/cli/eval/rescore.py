"""`lstmlm eval rescore`: a language model's opinion on what a recogniser may have heard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JoinOption,
    JsonOption,
    RunOption,
    new_path,
    path,
    refuse_beside,
    refuse_same_file,
)
from lstmlm.cli.render import print_report, result_text, say
from lstmlm.errors import ConfigError, DataError, in_proportion

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Report

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


ListsArgument = Annotated[
    list[Path], typer.Argument(parser=path, help="N-best lists: files, or folders of files; .gz too.")
]

ScoresOption = Annotated[
    Path | None, typer.Option(parser=path, help="Acoustic costs of Kaldi lists: UTTERANCE-N cost.")
]

WeightOption = Annotated[float | None, typer.Option(help="How much the language model counts.", show_default="1")]

BonusOption = Annotated[float | None, typer.Option(help="Added for each word (nats).", show_default="0")]

FirstPassOption = Annotated[
    float | None, typer.Option(help="How much the recogniser's own language model counts.", show_default="0")
]

IgnoreOption = Annotated[
    str, typer.Option(metavar="WORDS", help="Words to leave out, such as '[noise] [laugh]', or \"$(cat FILE)\".")
]

ReferencesOption = Annotated[
    Path | None, typer.Option(parser=path, help="References: measure with the weights and bonus given.")
]

MetricOption = Annotated[
    Literal["wer", "cer"], typer.Option(help="Count errors and lengths in words, or in characters but white space.")
]


def rescore(
    lists: ListsArgument,
    run: RunOption = None,
    list_format: FormatOption = None,
    scores: ScoresOption = None,
    weight: WeightOption = None,
    length_bonus: BonusOption = None,
    first_pass_weight: FirstPassOption = None,
    ignore: IgnoreOption = "",
    context: ContextOption = "reset",
    tune: TuneOption = None,
    references: ReferencesOption = None,
    metric: MetricOption = "wer",
    join: JoinOption = None,
    encoding: EncodingOption = "utf-8",
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rescore n-best lists of SRILM, Kaldi or JSON lines: acoustic score + weight · ln p(words) + bonus · length.

    To this adds what the list has of the first pass, SRILM's lscore or lm_score, times --first-pass-weight. References
    are Kaldi's text (UTTERANCE word word), STM, TRN or JSON lines; <s>, <eps>, -pau- and the like are no words.

    Prints a row for each hypothesis, or with references error rates, each with its 95 % interval over utterances.

    Examples:

    lstmlm eval rescore nbest/ --tune dev.stm --ignore "$(cat noise.vocab)"

    lstmlm eval rescore nbest.txt --scores acoustic.txt --output nats.txt

    lstmlm eval rescore nbest.jsonl --references test.ref --weight 0.5 --length-bonus 2 --json
    """
    refuse_same_file(output, [*lists, scores, tune, references])
    weights = {"weight": weight, "length_bonus": length_bonus, "first_pass_weight": first_pass_weight}
    given = {name: value for name, value in weights.items() if value is not None}
    _check_tune(tune, given, references, context)
    from lstmlm import questions, workflows
    from lstmlm.evaluation.rescoring.combination import Combination
    from lstmlm.evaluation.rescoring.rescoring import RescoringOptions

    options = RescoringOptions(None if tune else Combination(**given), metric, carry_state=context == "carried")
    trained, said = workflows.load(run), tune or references
    report, problems = questions.rescore(
        trained,
        lists,
        options,
        list_format=list_format,
        costs=scores,
        references=said,
        ignored=ignore.split(),
        output=output,
        join=join,
        encoding=encoding,
    )
    for problem in in_proportion(problems):
        say(problem)
    _print(report, str(trained.run.path), as_json, has_errors=said is not None, is_written=output is not None)
    if problems:
        raise typer.Exit(DataError.exit_status)


def _print(report: "Report", run: str, as_json: bool, *, has_errors: bool, is_written: bool) -> None:
    from lstmlm.evaluation.report import to_tsv

    say(f"{run}: {report.values['n_hypotheses']:,} hypotheses of {report.values['n_utterances']:,} utterances")
    if as_json or has_errors:
        print_report(report, as_json=as_json)
    elif not is_written:
        for line in to_tsv(report.rows, list(report.rows[0])):
            print(result_text(line))


def _check_tune(tune: Path | None, given: dict[str, float], references: Path | None, context: str) -> None:
    if tune is None:
        return
    for name, value in given.items():
        raise ConfigError(f"--{name.replace('_', '-')} {value:g}: is what --tune searches. Leave one of them out.")
    refuse_beside(f"--references {references}", {"--tune": references is not None})
    if context == "carried":
        raise ConfigError(
            "--context carried: cannot be combined with --tune, as scores would depend on the weight. "
            "Tune without it, then give --weight and --length-bonus."
        )
