"""`lstmlm bench`: JSON with units for programs, tables of 80 columns for people, progress on stderr."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lstmlm.models.kernels import GemmPath, available_paths

HAS_BFLOAT16 = GemmPath.BFLOAT16 in available_paths(torch.device("cpu"))
PRECISIONS = ["float32", "bfloat16"] if HAS_BFLOAT16 else ["float32"]
UNITS = ("_milliseconds", "_per_second", "_bytes", "_share", "_gflops")
SIZES = {"hidden_size", "batch_size", "vocab_size", "bptt", "n_tokens", "n_scored_tokens", "n_threads"}

pytestmark = pytest.mark.usefixtures("tiny_benchmark")


def test_json_has_every_section_and_units_in_its_keys(lstmlm: Callable[..., Any]) -> None:
    answers = json.loads(lstmlm("bench", "--quick", "--json").stdout)
    assert list(answers) == ["machine", "layers", "loss", "training_steps", "generation", "evaluation"]
    for key, value in answers["machine"].items():
        assert not isinstance(value, int | float) or key in SIZES or key.endswith(UNITS), key
    for name in list(answers)[1:]:
        for row in answers[name]["rows"]:
            for key, value in row.items():
                figure = key.removesuffix("_lower_quartile").removesuffix("_upper_quartile")
                has_unit = figure.endswith(UNITS) or figure.startswith("times_as_fast_as_")
                assert isinstance(value, str | bool) or key in SIZES or (has_unit and value > 0), key


def test_json_compares_what_it_says(lstmlm: Callable[..., Any], tiny_benchmark: Any) -> None:
    answers = json.loads(lstmlm("bench", "--json").stdout)
    assert [row["precision"] for row in answers["layers"]["rows"]] == PRECISIONS * len(tiny_benchmark.layers)
    assert answers["layers"]["float32_n_rows"] == len(tiny_benchmark.layers)
    assert answers["layers"]["float32_times_as_fast_as_torch_float32_geometric_mean"] > 0
    assert ("times_as_fast_as_torch_bfloat16" in answers["layers"]["rows"][0]) == HAS_BFLOAT16
    assert {"lstmlm_peak_extra_bytes", "torch_float32_peak_extra_bytes"} <= answers["loss"]["rows"][0].keys()
    assert {"gemm_peak_share", "lstmlm_tokens_per_second"} <= answers["training_steps"]["rows"][0].keys()
    generation = answers["generation"]["rows"]
    assert [row["precision"] for row in generation] == ["float32", "bfloat16"]
    assert all({"times_as_fast_as_reference", "bandwidth_bound_share"} <= row.keys() for row in generation)
    bounds = [row["bandwidth_bound_tokens_per_second"] for row in generation]
    assert 1.5 < bounds[1] / bounds[0] < 2  # half as many bytes, but for biases
    assert answers["evaluation"]["rows"][0]["n_scored_tokens"] == tiny_benchmark.n_scored_tokens


def test_tables_fit_80_columns_and_progress_goes_to_stderr(lstmlm: Callable[..., Any]) -> None:
    result = lstmlm("bench", "--quick")
    assert result.exit_code == 0
    assert "measuring" not in result.stdout
    assert "measuring layer 2 of 2" in result.stderr
    assert "GFLOP/s" in result.stdout
    for line in result.stdout.splitlines():
        assert "…" not in line, "a column was cut"
    tables = [line for line in result.stdout.splitlines() if "±" in line and "Medians" not in line]
    assert max(map(len, tables)) <= 80


def row(precision: str, speed: float, size: int = 650) -> dict[str, Any]:
    from lstmlm.benchmark.plan import LayerShape
    from lstmlm.benchmark.section import row_of

    theirs = {"torch_float32": [speed, 1.1 * speed], "torch_bfloat16": [2 * speed, 2 * speed]}
    return {**row_of(LayerShape(size, 64, 70), precision, [1.0, 1.0], theirs), "gemm_peak_share": 0.61}


def shown(section: Any, capsys: pytest.CaptureFixture[str]) -> list[str]:
    from lstmlm.cli.bench import _print_section

    _print_section(section)
    return capsys.readouterr().out.splitlines()


def test_losing_shapes_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    from lstmlm.benchmark.section import Section, geometric_means

    rows = [row("float32", 0.4, 1150), row("bfloat16", 2.0)]
    lines = shown(Section("layers", "Layers", rows, geometric_means(rows)), capsys)
    lost, won = (next(line for line in lines if line.split()[3:4] == [name]) for name in ("float32", "bfloat16"))
    assert lost.split() == "1150 64 70 float32 1,000 ±0% 420 ±2% 0.42 ±2%▼ 0.80 ±0%▼ 61%".split()
    assert won.split() == "650 64 70 bfloat16 1,000 ±0% 2,100 ±2% 2.10 ±2% 4.00 ±0% 61%".split()
    assert "float32: 0.42 times as fast as torch float32 (geometric mean of 1, slower in 1)" in lines
    assert max(map(len, lines)) <= 80


def test_what_differs_is_told_without_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    from lstmlm.benchmark.plan import LayerShape
    from lstmlm.benchmark.section import Section, refusal

    wrong = refusal(LayerShape(650, 64, 70), "float32", "outputs differs by 3.0e-02 of its norm, allowed 2e-05")
    lines = shown(Section("layers", "Layers", [wrong, row("bfloat16", 2.0)], {}), capsys)
    assert "  outputs differs by 3.0e-02 of its norm, allowed 2e-05: no figure" in lines
    assert next(line for line in lines if " float32" in line).split() == ["650", "64", "70", "float32"]
