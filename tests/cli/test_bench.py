"""`lstmlm bench`: JSON with units for programs, tables of 80 columns for people, progress on stderr."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from machine import MULTIPLIES_BFLOAT16, needs_avx2

from lstmlm.benchmark.restriction import restricted

PRECISIONS = ["float32", "bfloat16"] if MULTIPLIES_BFLOAT16 else ["float32"]
UNITS = ("_milliseconds", "_per_second", "_bytes", "_share", "_gflops", "_share_of_speed_alone")
SIZES = {"hidden_size", "batch_size", "vocab_size", "bptt", "n_tokens", "n_scored_tokens", "n_threads"}

pytestmark = pytest.mark.usefixtures("tiny_benchmark")


def test_json_has_every_section_and_units_in_its_keys(lstmlm: Callable[..., Any]) -> None:
    answers = json.loads(lstmlm("bench", "--quick", "--json").stdout)
    assert list(answers) == ["machine", "layers", "loss", "training_steps", "busy", "generation", "evaluation"]
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
    assert ("times_as_fast_as_torch_bfloat16" in answers["layers"]["rows"][0]) == MULTIPLIES_BFLOAT16
    assert {"lstmlm_peak_extra_bytes", "torch_float32_peak_extra_bytes"} <= answers["loss"]["rows"][0].keys()
    assert {"gemm_peak_share", "lstmlm_tokens_per_second"} <= answers["training_steps"]["rows"][0].keys()
    [busy] = answers["busy"]["rows"]
    for name in ("lstmlm", "torch_float32"):
        alone, beside = (busy[f"{name}_{where}_tokens_per_second"] for where in ("alone", "beside"))
        assert busy[f"{name}_share_of_speed_alone"] == pytest.approx(beside / alone)
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


def test_the_other_process_of_a_busy_machine_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.benchmark.sections import busy

    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments: started.append(start(*arguments)) or started[-1])
    with busy.busy_process():
        assert started[0].poll() is None
    assert started[0].returncode is not None


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--isa", "avx2"], {"ATEN_CPU_CAPABILITY": "avx2", "LSTMLM_MARCH": "x86-64-v3"}),
        (["--no-compiler", "--quick"], {"CXX": "none"}),
    ],
    ids=["avx2", "no compiler"],
)
def test_a_lesser_machine_is_another_process(
    options: list[str], shown: dict[str, str], lstmlm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], env: dict[str, str], check: bool) -> subprocess.CompletedProcess[bytes]:
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    assert lstmlm("bench", *options).exit_code == 3
    [(command, variables)] = calls
    assert command[1:4] == ["-m", "lstmlm", "bench"]
    assert set(command[4:]) == set(options) - {"--isa", "avx2", "--no-compiler"}
    assert shown.items() <= variables.items()


def test_an_unknown_instruction_set_is_named(lstmlm: Callable[..., Any]) -> None:
    result = lstmlm("bench", "--isa", "avx")
    assert result.exit_code == 2
    assert "unknown instruction set 'avx'. Did you mean 'avx2'? Choose one of: avx2, sse4." in result.stderr


@needs_avx2
def test_what_is_restricted_computes_with_less() -> None:
    code = "import torch; from lstmlm.models.kernels import available_paths as paths, library; library(); "
    code += "print(torch.backends.cpu.get_cpu_capability(), *paths(torch.device('cpu')))"
    with restricted("avx2", no_compiler=True) as variables:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, check=True
        )
    assert done.stdout.decode().split() == ["AVX2", "native", "onednn"]
