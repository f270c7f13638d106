"""`lstmlm report`: runs as one page that can be sent, printed and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lstmlm.cli.options import name_or_path, new_file
from lstmlm.cli.render import say
from lstmlm.cli.runs.rows import NEWEST
from lstmlm.errors import ConfigError, LstmlmError, as_command

if TYPE_CHECKING:
    from lstmlm.history.summary import RecordedRun


LAGS = 100
"""How many tokens back gradients are followed."""

SHOWN = ("perplexity", "perplexity_per_word", "bits_per_char", "n_tokens")
"""Figures of an evaluation that a report has."""

FORMS: Mapping[str, Literal["html", "md"]] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
"""What a file is written as, by the end of its name."""

FINGERPRINT_SHOWN = 12
"""Digits of a fingerprint, as many as `eval perplexity` shows."""


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            parser=name_or_path,
            help="Directories, names below runs/, or patterns.",
            show_default=NEWEST,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", parser=new_file, metavar="FILE", help="Where it goes.", show_default="report.html or .md"
        ),
    ] = None,
    form: Annotated[
        Literal["html", "md"] | None,
        typer.Option("--format", help="A page, or Markdown.", show_default="what the file is called, or html"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Write what was recorded; score nothing again.")] = False,
) -> None:
    """Write a report of runs: results, curves, samples, configuration, data and environment, in one file.

    The page loads nothing from elsewhere. Where their corpus is there, runs are scored again for it, with fingerprints
    that say which figures can be compared, and the page shows how far back their predictions reach.

    Examples:

    lstmlm report

    lstmlm report rnn quickstart --output comparison.html

    lstmlm report --format md --quick
    """
    form = _form_of(output, form)
    from lstmlm.cli.display.report import sections, to_html, to_markdown
    from lstmlm.files import write_atomically
    from lstmlm.history.selection import find_runs, newest_run
    from lstmlm.history.summary import named_apart, read_run

    found = named_apart([read_run(path) for path in (find_runs(runs) if runs else [newest_run()])])
    for run in found:
        if run.summary.problem:
            say(run.summary.problem)
    intact = [run for run in found if not run.summary.problem]
    scores, drawings = ([], []) if quick else _computed(intact, draws=form == "html")
    title = " and ".join(run.summary.name for run in found) if len(found) < 4 else f"{len(found)} runs"
    content = list(sections(found, scores, drawings))
    path = output or Path(f"report.{form}")
    # A name on a disk, or a text, may hold what is no character.
    page = (to_html if form == "html" else to_markdown)(title, content)
    write_atomically(path, page.encode(errors="backslashreplace"))
    say(f"{path} is written.")


def _form_of(output: Path | None, form: Literal["html", "md"] | None) -> Literal["html", "md"]:
    """Return what is written: what is asked for, and else what the file's name says; these must not differ."""
    suffix = "" if output is None else output.suffix.lower()
    named = FORMS.get(suffix)
    if form is None and named is None and suffix:
        raise ConfigError(f"--output: {output} ends neither in .html nor in .md. Say what it is to be: --format md")
    if form is not None and named not in (None, form):
        raise ConfigError(f"--output: {output} is no name of --format {form}. Leave one of them out.")
    return form or named or "html"


def _computed(found: "Sequence[RecordedRun]", *, draws: bool) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Score the runs on their own splits, and draw their gradients; what cannot be computed is said and left out."""
    from lstmlm import questions, workflows
    from lstmlm.cli.display.curves_svg import gradient_curves
    from lstmlm.cli.display.report import in_words

    scores: list[Mapping[str, Any]] = []
    measured = []
    for run in found:
        asked = ""  # the command that has the options which a message may speak of
        try:
            trained = workflows.load(run.path)
            asked = f"{as_command(['lstmlm', 'eval', 'perplexity', '--run', str(run.path)])}: "
            for split in ("valid", "test"):
                if trained.run.digest_of(split):
                    values = workflows.evaluate(trained, split=split).values
                    figures = {in_words(key): values[key] for key in SHOWN}
                    fingerprint = str(values["fingerprint"])[:FINGERPRINT_SHOWN]
                    scores.append({"run": run.summary.name, "split": split, **figures, "fingerprint": fingerprint})
            if draws:
                asked = f"{as_command(['lstmlm', 'inspect', 'gradients', '--run', str(run.path)])}: "
                norms = questions.inspect_gradients([trained], split="valid", max_lag=LAGS)
                measured += [replace(of_memory, run=run.summary.name) for of_memory in norms]
        except LstmlmError as error:
            say(f"Left out: {asked}{error}")
    return scores, [gradient_curves(measured)] if measured else []
