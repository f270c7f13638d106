"""`lstmlm eval adaptation`: how well a model predicts a text to which it adapts as it reads."""

from typing import Annotated

import typer

from lstmlm.cli.options import (
    EncodingOption,
    JsonOption,
    ProveOption,
    RunOption,
    SeedOption,
    SplitOption,
    TextOption,
    refuse_two_texts,
)
from lstmlm.cli.render import print_proof, print_report, say


def adaptation(
    methods: Annotated[list[str], typer.Argument(metavar="METHOD...", help="dynamic, temperature, cache, ngram.")],
    run: RunOption = None,
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="Choose hyper-parameters on this split; where it is what is measured, on its first half.",
            show_default="those given and the defaults",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a hyper-parameter. Can be repeated."),
    ] = None,
    should_prove: ProveOption = False,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure a model that adapts to the text it reads, beside the static figure.

    dynamic is dynamic evaluation (Krause et al. 2018), cache the continuous cache (Grave et al. 2017), temperature that
    of the softmax, ngram a Kneser-Ney model of the training split. Several of them are added one by one. A row names
    what is in its figure; the hyper-parameters below have the names that --set takes.

    Examples:

    lstmlm eval adaptation dynamic cache --tune valid

    lstmlm eval adaptation cache --text essay.txt --set cache.size=2000 --set cache.theta=0.5

    lstmlm eval adaptation dynamic --set dynamic.name=sgd --set dynamic.learning_rate=0.2
    """
    refuse_two_texts(split, text)
    from lstmlm.config.adaptation import METHODS, AdaptationOptions, methods_in_order, require_effect
    from lstmlm.yaml.schema import from_overrides

    chosen, options = methods_in_order(methods), from_overrides(AdaptationOptions, overrides or [])
    keys = [override.partition("=")[0].strip() for override in overrides or []]
    require_effect(keys, chosen, are_tuned=tune is not None)
    from lstmlm import questions, workflows

    trained = workflows.load(run)
    prover = trained.prover(seed) if should_prove else None
    report = questions.evaluate_adaptation(
        trained, chosen, options, split=split, text=text, encoding=encoding, tune=tune, prover=prover
    )
    say(f"{trained.run.path}: {report.values['text']}")
    names = [name for name in report.values if name.split(".")[0] in ("tuned_on", *METHODS)]
    print_report(report, as_json=as_json, shown={name: report.values[name] for name in names})
    print_proof(prover, on_stderr=as_json)
