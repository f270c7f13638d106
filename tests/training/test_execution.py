"""What `auto` means is decided once, told, and kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lstmlm.config import RunConfig
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.stream import Window
from lstmlm.errors import ConfigError
from lstmlm.models.kernels import GemmPath
from lstmlm.training.preparation import execution
from lstmlm.training.preparation.execution import execution_of, resolve_execution, resolve_like

VOCAB = 11
WINDOW = Window(*(torch.arange(start, start + 24).view(3, 8) % VOCAB for start in (0, 8)), n_tokens=24)


def config(**training: Any) -> RunConfig:
    return RunConfig.model_validate({"data": {"corpus": "./x"}, "training": {"n_steps": 1000, **training}})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[GemmPath, float]:
    """A machine with every route and a compiler, on which each route takes what the test says (seconds)."""
    seconds = {GemmPath.NATIVE: 3.0, GemmPath.ONEDNN: 2.0, GemmPath.OWN: 2.5, GemmPath.BFLOAT16: 1.0}
    seconds[GemmPath.OWN_BFLOAT16] = 0.99

    def measure(_: object, __: int, ___: Window, paths: list[GemmPath], **options: object) -> dict[GemmPath, float]:
        return {path: seconds[path] for path in paths}

    monkeypatch.setattr(execution, "seconds_of_paths", measure)
    monkeypatch.setattr(execution, "available_paths", lambda _: tuple(GemmPath))
    monkeypatch.setattr(execution, "library", lambda: "kernels")
    return seconds


def resolved(config: RunConfig, n_steps: int = 1000) -> tuple[str, str, str]:
    training = resolve_execution(config, VOCAB, WINDOW, n_steps).config.training
    return training.precision, training.matmul, training.compile


def test_the_fastest_route_is_taken(measured: dict[GemmPath, float]) -> None:
    assert resolved(config()) == ("bfloat16", "native", "always")
    measured[GemmPath.OWN_BFLOAT16] = 0.9
    assert resolved(config()) == ("bfloat16", "own", "always")
    assert resolved(config(compile="never")) == ("bfloat16", "native", "never")
    measured |= {GemmPath.BFLOAT16: 2.5, GemmPath.OWN_BFLOAT16: 2.5}
    assert resolved(config()) == ("float32", "onednn", "always")
    measured[GemmPath.OWN] = 1.5
    assert resolved(config()) == ("float32", "own", "always")
    assert resolved(config(compile="never")) == ("float32", "onednn", "never")


def test_a_route_that_is_hardly_faster_is_not_taken(measured: dict[GemmPath, float]) -> None:
    """So that two runs on one machine compute alike as a rule, though no measurement repeats exactly."""
    measured |= dict.fromkeys(GemmPath, 1.92) | {GemmPath.NATIVE: 2.0, GemmPath.ONEDNN: 1.95}
    assert resolved(config()) == ("float32", "native", "always")


def test_whole_training_steps_are_measured_by_every_route() -> None:
    paths = list(GemmPath)
    measured = execution.seconds_of_paths(config(n_steps=1), VOCAB, WINDOW, paths, compiled=True)
    assert list(measured) == paths and all(seconds > 0 for seconds in measured.values())


def test_clusters_without_targets_can_be_measured() -> None:
    output = {"name": "adaptive", "cutoffs": (2, 5)}
    model = {"output": output, "tie_weights": False, "embedding_size": 4, "backbone": {"name": "rnn", "hidden_size": 4}}
    given = RunConfig.model_validate({"data": {"corpus": "./x"}, "model": model, "training": {"n_steps": 1}})
    window = Window(torch.tensor([[0]]), torch.tensor([[1]]), n_tokens=1)
    assert execution.seconds_of_paths(given, VOCAB, window, [GemmPath.NATIVE], compiled=False)


def test_the_text_is_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an adaptive softmax a step takes what its targets ask for: rare words more than frequent ones."""
    steps = []

    def step(_: object, inputs: torch.Tensor, targets: torch.Tensor, __: object) -> Callable[[], None]:
        steps.append((inputs, targets))
        return lambda: None

    monkeypatch.setattr(execution, "_step", step)
    execution.seconds_of_paths(config(accumulate=2), VOCAB, WINDOW, [GemmPath.NATIVE], compiled=False)
    [(inputs, targets)] = steps
    assert torch.equal(inputs, WINDOW.inputs[:, :4])
    assert torch.equal(targets, WINDOW.targets[:, :4])


def test_a_choice_of_the_user_stays(measured: dict[GemmPath, float]) -> None:
    assert resolved(config(precision="float32")) == ("float32", "onednn", "always")
    assert resolved(config(precision="float32", matmul="native")) == ("float32", "native", "always")
    assert resolved(config(compile="never"))[2] == "never"
    assert resolved(config(precision="bfloat16", matmul="own"))[:2] == ("bfloat16", "own")
    assert resolved(config(precision="bfloat16", matmul="onednn"))[:2] == ("bfloat16", "onednn")
    measured[GemmPath.BFLOAT16] = 9.0
    assert resolved(config(precision="bfloat16"))[0] == "bfloat16"


def test_a_slow_choice_is_warned_of_with_the_figures(measured: dict[GemmPath, float]) -> None:
    assert resolve_execution(config(precision="bfloat16"), VOCAB, WINDOW, 1000).warnings() == []
    measured |= {GemmPath.BFLOAT16: 9.0, GemmPath.OWN_BFLOAT16: 9.1}
    assert resolve_execution(config(precision="bfloat16"), VOCAB, WINDOW, 1000).warnings() == [
        "training.precision: bfloat16 is slower here: 9000 ms a step, 3000 ms in float32."
    ]


def test_a_short_training_is_not_worth_measuring(measured: dict[GemmPath, float]) -> None:
    assert resolved(config(), n_steps=10) == ("float32", "native", "always")


def test_without_a_compiler_nothing_is_compiled(
    measured: dict[GemmPath, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "library", lambda: None)
    assert resolved(config())[2] == "never"


def test_a_resumed_run_keeps_what_was_decided(measured: dict[GemmPath, float]) -> None:
    run = resolve_execution(config(), VOCAB, WINDOW, 1000).config
    assert resolve_like(config(), run) == run
    assert resolve_like(config(precision="float32"), run) != run


def test_what_the_kernels_are_told() -> None:
    told = execution_of(config(precision="bfloat16", matmul="native", compile="always").training)
    assert (told.gemm_path, told.compiled) == (GemmPath.BFLOAT16, True)
    told = execution_of(config(precision="bfloat16", matmul="own", compile="always").training)
    assert told.gemm_path == GemmPath.OWN_BFLOAT16
    told = execution_of(config(precision="float32", matmul="onednn", compile="never").training)
    assert (told.gemm_path, told.compiled) == (GemmPath.ONEDNN, False)


@pytest.mark.parametrize("cell", ["mogrifier", "layer_norm_lstm", "lstm"])
def test_bfloat16_that_has_no_effect_on_the_layers_is_said(cell: str, measured: dict[GemmPath, float]) -> None:
    given = config(precision="bfloat16", compile="never")
    model = ModelOptions.model_validate({"backbone": {"name": cell, "hidden_size": 8}, "embedding_size": 8})
    told = resolve_execution(given.model_copy(update={"model": model}), VOCAB, WINDOW, 1000).warnings()
    said = [f"training.precision: layers of {cell} compute in float32 here, where no loop is compiled."]
    assert told == ([] if cell == "lstm" else said)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("matmul", ["auto", "native", "onednn", "own"])
@pytest.mark.parametrize("compiled", ["auto", "never", "always"])
def test_the_same_configuration_can_always_resume(
    precision: str, matmul: str, compiled: str, measured: dict[GemmPath, float]
) -> None:
    given = config(precision=precision, matmul=matmul, compile=compiled)
    run = resolve_execution(given, VOCAB, WINDOW, 1000).config
    assert resolve_like(given, run) == run
    assert "auto" not in run.training.model_dump(exclude={"device"}).values()  # each machine has its own


def test_our_product_that_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "available_paths", lambda _: (GemmPath.NATIVE, GemmPath.OWN))
    with pytest.raises(ConfigError) as error:
        resolve_execution(config(matmul="own", precision="bfloat16"), VOCAB, WINDOW, 1000)
    assert str(error.value) == "training.matmul: own has no bfloat16 here. Choose native or auto."
    with pytest.raises(ConfigError, match="own is not there on a GPU"):
        resolve_execution(config(matmul="own", precision="bfloat16"), VOCAB, WINDOW, 1000, device=torch.device("cuda"))


@pytest.mark.parametrize(
    ("matmul", "lack"),
    [("onednn", "onednn is not in this build of torch"), ("own", "own is not here without a C++ compiler")],
)
def test_a_library_that_is_not_there(matmul: str, lack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "available_paths", lambda _: (GemmPath.NATIVE,))
    with pytest.raises(ConfigError) as error:
        resolve_execution(config(matmul=matmul), VOCAB, WINDOW, 1000)
    assert str(error.value) == f"training.matmul: {lack}. Choose native or auto."
