"""Reports: JSON that every program reads, tables that stay tables."""

import json
import math

from lstmlm.evaluation.report import Report, to_tsv


def test_json_holds_the_values_and_then_the_rows() -> None:
    report = Report({"run": "runs/é", "perplexity": math.inf}, rows=[{"paradigm": "a", "accuracy": 0.5}])
    text = report.to_json()
    assert "\n" not in text
    assert json.loads(text) == {"run": "runs/é", "perplexity": None, "rows": [{"paradigm": "a", "accuracy": 0.5}]}
    assert "rows" not in json.loads(Report({"run": "x"}).to_json())


def test_tab_separated_rows() -> None:
    rows = [{"word": "a\tb\nc", "rank": 3, "bits": 1 / 3}, {"word": None, "rank": 1_000_000, "bits": 2.0}]
    assert list(to_tsv(rows, ["word", "bits", "rank"])) == ["word\tbits\trank", "a b c\t0.33333333\t3", "\t2\t1000000"]
