"""Runs as a page: one HTML file that loads nothing from elsewhere, or Markdown for a paper's appendix."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmlm.cli.display.curves_svg import perplexity_curves
from lstmlm.cli.render import clock
from lstmlm.history.summary import RecordedRun
from lstmlm.yaml.comparison import differences_from_defaults

LONG = 40
"""Characters of a cell from which on it may be broken."""

MOST_SAMPLES = 8
"""Texts of a run that are shown, evenly spread over its training, the last among them."""


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it: tables, texts and drawings, in that order."""

    title: str
    tables: Sequence[Sequence[Mapping[str, Any]]] = ()
    texts: Sequence[tuple[str, str]] = ()
    """Each with a caption; shown as it is, line ends included."""

    drawings: Sequence[str] = ()
    """SVG."""

    note: str = ""


def sections(
    runs: Sequence[RecordedRun], scores: Sequence[Mapping[str, Any]], drawings: Sequence[str]
) -> Iterator[Section]:
    """Yield what a report consists of; `scores` are rows of figures that were computed for it, `drawings` more SVG."""
    yield Section("Results", [[_figures(run) for run in runs]])
    if scores:
        yield Section("Scored again for this report", [scores], note=SCORED)
    yield Section("Curves", drawings=[perplexity_curves({run.summary.name: run.history for run in runs})])
    if drawings:
        yield Section("How far back predictions reach", drawings=drawings)
    for run in runs:
        if texts := list(_samples(run)):
            yield Section(f"What {run.summary.name} wrote while it learnt", texts=texts)
    yield Section("Configuration", [_configuration(runs)], note="Keys that are not at their defaults.")
    for run in runs:
        if run.environment:
            yield Section(f"Data and environment of {run.summary.name}", [_environment(run.environment)])


SCORED = (
    "Every token is counted once, the end of a line where there is one too, with carried state. Figures with the same "
    "fingerprint are of the same text, cut into the same tokens, and can be compared."
)


def _figures(run: RecordedRun) -> dict[str, Any]:
    summary, best = run.summary, run.history.best or {}
    return {
        "run": summary.name,
        "state": summary.state,
        "model": summary.backbone,
        "parameters": summary.n_parameters,
        "best valid perplexity": best.get("perplexity"),
        "in epoch": best.get("epoch"),
        "steps": summary.step,
        "tokens/s": summary.tokens_per_second and round(summary.tokens_per_second),
        "time": clock(summary.seconds),
    }


def _samples(run: RecordedRun) -> Iterator[tuple[str, str]]:
    samples = run.history.samples
    every = -(-len(samples) // MOST_SAMPLES) or 1
    for event in samples[::-1][::every][::-1]:
        yield f"step {event['step']:,}", str(event.get("text", "")).strip()


def _configuration(runs: Sequence[RecordedRun]) -> list[dict[str, Any]]:
    chosen = {run.summary.name: differences_from_defaults(run.config) for run in runs if run.config}
    keys = dict.fromkeys(key for of_one in chosen.values() for key in of_one)
    return [
        {"key": key, **{name: json.dumps(of_one[key]) if key in of_one else "" for name, of_one in chosen.items()}}
        for key in keys
    ]


def _environment(environment: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    rows = []
    for key, value in environment.items():
        if isinstance(value, Mapping):
            rows += _environment(value, f"{prefix}{key} ")
        else:
            rows.append({"what": f"{prefix}{key}", "value": value})
    return rows


def to_html(title: str, content: Sequence[Section]) -> str:
    """Return the page: light or dark as its reader's system is, readable on a phone, printable."""
    body = "\n".join(map(_html_section, content))
    return PAGE.format(title=html.escape(title), style=STYLE, body=body)


def _html_section(section: Section) -> str:
    parts = [f"<section>\n<h2>{html.escape(section.title)}</h2>"]
    if section.note:
        parts.append(f"<p>{html.escape(section.note)}</p>")
    parts += [_html_table(rows) for rows in section.tables if rows]
    parts += [f"<figure>{drawing}</figure>" for drawing in section.drawings if drawing]
    parts += [
        f"<figure><figcaption>{html.escape(caption)}</figcaption><pre>{html.escape(text)}</pre></figure>"
        for caption, text in section.texts
    ]
    return "\n".join([*parts, "</section>"])


def _html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th scope=col>{html.escape(name)}</th>" for name in rows[0])
    lines = []
    for row in rows:
        cells = "".join(f"<td{_kind(value)}>{html.escape(_written(value))}</td>" for value in row.values())
        lines.append(f"<tr>{cells}</tr>")
    return f"<div class=table><table>\n<tr>{head}</tr>\n{chr(10).join(lines)}\n</table></div>"


def _kind(value: Any) -> str:
    if isinstance(value, int | float):
        return " class=number"
    return " class=long" if len(str(value)) > LONG else ""


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def to_markdown(title: str, content: Sequence[Section]) -> str:
    """Return the same as Markdown, without the drawings."""
    parts = [f"# {title}"]
    for section in content:
        tables = [_markdown_table(rows) for rows in section.tables if rows]
        texts = [f"{caption}:\n\n{_indented(text)}" for caption, text in section.texts]
        if tables or texts:
            parts += [f"## {section.title}", *filter(None, [section.note]), *tables, *texts]
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [[*rows[0]], ["---"] * len(rows[0]), *[list(map(_written, row.values())) for row in rows]]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

STYLE = (Path(__file__).parent / "report.css").read_text("utf-8")
