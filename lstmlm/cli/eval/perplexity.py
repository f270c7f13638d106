"""`lstmlm eval perplexity`: how well a model predicts a text."""

from lstmlm.cli.options import JsonOption, RunOption, SplitOption, TextOption, require_one_text
from lstmlm.cli.render import print_report, say


def perplexity(
    run: RunOption = None, split: SplitOption = None, text: TextOption = None, as_json: JsonOption = False
) -> None:
    """Measure how well a model predicts a text: every token once, in order, with carried state.

    Examples:

    lstmlm eval perplexity

    lstmlm eval perplexity --run runs/ptb-lstm-small --split valid --json

    lstmlm eval perplexity --text essay.txt
    """
    require_one_text(split, text)
    from lstmlm import workflows

    trained = workflows.load(workflows.choose_run(run))
    report = workflows.evaluate(trained, "perplexity", split=split, text=text)
    say(f"{trained.run.path}: {report.values['text']}")
    print_report(report, as_json=as_json)
