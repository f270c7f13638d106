"""Runs as a page: one HTML file that loads nothing from elsewhere, or Markdown for a paper's appendix."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmlm.cli.display.curves_svg import perplexity_curves
from lstmlm.cli.render import clock, filled, is_numeric
from lstmlm.history.summary import RecordedRun
from lstmlm.yaml.comparison import differences_from_defaults, flat

Table = Sequence[Mapping[str, Any]]
"""Rows: values by the names of the columns."""

LONG = 40
"""Characters of a cell from which on it may be broken."""

MOST_SAMPLES = 8
"""Texts of a run that are shown, evenly spread over its training, the last among them."""


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it: tables, texts and drawings, in that order."""

    title: str
    tables: Sequence[Table] = ()
    texts: Sequence[tuple[str, str]] = ()
    """Each with a caption; shown as it is, line ends included."""

    drawings: Sequence[str] = ()
    """SVG, each under its legend."""

    note: str = ""


def sections(
    runs: Sequence[RecordedRun], scores: Sequence[Mapping[str, Any]], drawings: Sequence[str]
) -> Iterator[Section]:
    """Yield what a report consists of; `scores` are rows of figures that were computed for it, `drawings` more SVG."""
    yield Section("Results", [[_figures(run) for run in runs]])
    if scores:
        yield Section("Scored again for this report", [scores], note=SCORED)
    if curves := perplexity_curves({run.summary.name: run.history for run in runs}):
        yield Section("Curves", drawings=[curves])
    if drawings:
        yield Section("How far back predictions reach", drawings=drawings)
    for run in runs:
        if texts := list(_samples(run)):
            yield Section(f"What {run.summary.name} wrote while it learnt", texts=texts)
    if configuration := _configuration(runs):
        yield Section("Configuration", configuration, note=CHOSEN)
    if environment := _side_by_side({run.summary.name: dict(_environment(run.environment)) for run in runs}):
        yield Section("Data and environment", environment)


CHOSEN = "Keys that are not at their defaults, in one of the runs at least."

SCORED = (
    "Every token is counted once, the end of a line where there is one too, with carried state. Figures with the same "
    "fingerprint are of the same text, cut into the same tokens, and can be compared."
)


def _figures(run: RecordedRun) -> dict[str, Any]:
    summary, epoch = run.summary, (run.history.best or {}).get("epoch")
    return {
        "run": summary.name,
        "state": summary.state,
        "model": summary.backbone,
        "parameters": summary.n_parameters,
        "best valid perplexity": summary.perplexity,
        "in epoch": None if epoch is None else f"{epoch:.2f}",
        "steps": summary.step,
        "tokens/s": summary.tokens_per_second and round(summary.tokens_per_second),
        "time": clock(summary.seconds),
    }


def _samples(run: RecordedRun) -> Iterator[tuple[str, str]]:
    samples = run.history.samples
    every = -(-len(samples) // MOST_SAMPLES) or 1
    for event in samples[::-1][::every][::-1]:
        yield f"step {event['step']:,}", str(event.get("text", "")).strip()


def _configuration(runs: Sequence[RecordedRun]) -> list[Table]:
    configs = {run.summary.name: run.config for run in runs if run.config}
    chosen = {key for config in configs.values() for key in differences_from_defaults(config)}
    written = {
        name: {key: json.dumps(value, ensure_ascii=False) for key, value in flat(config).items() if key in chosen}
        for name, config in configs.items()
    }
    return _side_by_side(written)


def _environment(environment: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in environment.items():
        if isinstance(value, Mapping):
            yield from _environment(value, f"{prefix}{in_words(key)} ")
        else:
            yield f"{prefix}{in_words(key)}", value


def _side_by_side(values: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Return what differs between runs, with a column for each run that has any values, and what does not."""
    known = {name: of_one for name, of_one in values.items() if of_one}
    keys = dict.fromkeys(key for of_one in known.values() for key in of_one)
    different, same = [], []
    for key in keys:
        of_runs = [of_one.get(key) for of_one in known.values()]
        if all(value == of_runs[0] for value in of_runs):
            same.append({"": key, "value" if len(known) == 1 else "all runs": of_runs[0]})
        else:
            different.append({"": key, **dict(zip(known, of_runs, strict=True))})
    return [table for table in (different, same) if table]


SPELT_OUT = {"char": "character", "chars": "characters", "cpu": "CPU", "unk": "unknown"}


def in_words(key: str) -> str:
    """Write a key of JSON as people do: `n_tokens` as tokens, `bits_per_char` as bits per character."""
    return " ".join(SPELT_OUT.get(part, part) for part in key.removeprefix("n_").split("_"))


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


def _html_table(rows: Table) -> str:
    columns = _columns(rows)
    kinds = {name: " class=number" if is_numeric(cells) else "" for name, cells in columns.items()}
    lines = ["".join(f"<th scope=col{kinds[name]}>{html.escape(name)}</th>" for name in columns)]
    for row in zip(*columns.values(), strict=True):
        cells = zip(kinds.values(), row, strict=True)
        lines.append("".join(f"<td{kind or _length(cell)}>{html.escape(cell)}</td>" for kind, cell in cells))
    return f"<div class=table><table>\n{chr(10).join(f'<tr>{line}</tr>' for line in lines)}\n</table></div>"


def _columns(rows: Table) -> dict[str, list[str]]:
    rows = filled(rows)
    return {name: [_written(row[name]) for row in rows] for name in rows[0]}


def _length(cell: str) -> str:
    return " class=long" if len(cell) > LONG else ""


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


def _markdown_table(rows: Table) -> str:
    columns = _columns(rows)
    rules = ["---:" if is_numeric(cells) else "---" for cells in columns.values()]
    lines = [list(columns), rules, *zip(*columns.values(), strict=True)]
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
