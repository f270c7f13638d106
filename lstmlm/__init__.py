"""Next-word language models with recurrent networks. Importing the package alone loads no torch.

Example::

    import lstmlm

    model = lstmlm.load("runs/quickstart")
    model.score("The function returns a list .")
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from typing import Any

    from lstmlm import errors as errors
    from lstmlm.api.model import Model
    from lstmlm.config import RunConfig
    from lstmlm.training.events import Event

__version__: str


def load(run: "str | PathLike[str] | None" = None) -> "Model":
    """Load the best weights of a run with their tokenizer, verified; the corpus is not needed.

    Args:
        run: The run directory, or what `lstmlm export huggingface` has made of one; by default the newest below runs/.

    Raises:
        CheckpointError: there is no run, it has no checkpoint yet, or a file of it is damaged.
        ConfigError: `run` is no path.
    """
    from lstmlm.api.model import Model

    return Model.load(run)


def train(
    config: "str | PathLike[str] | Mapping[str, Any] | RunConfig",
    run_dir: "str | PathLike[str]",
    *,
    overrides: "Sequence[str]" = (),
    resume: bool = False,
    on_event: "Callable[[Event], None] | None" = None,
) -> "Model":
    """Train a model, leave in `run_dir` everything that is needed to use it, and return it with its best weights.

    What the configuration asks for without effect, and what else the command line warns of, is logged.

    Args:
        config: The name of a configuration that comes with lstmlm, the path of a YAML file, its content as a mapping,
            or as checked options.
        run_dir: Where the run goes; must not hold one yet, unless `resume`.
        overrides: What `--set` of the command line takes: "training.n_steps=500".
        resume: Continue the run in `run_dir` exactly where it stopped, or start it.
        on_event: Is told all that happens; `lstmlm.training.events` has the classes. What it raises ends the training.

    Raises:
        ConfigError: the configuration is wrong or does not suit the corpus, or training diverged.
        DataError: the corpus cannot be read, or is too short.
        CheckpointError: `run_dir` holds another run, or is in use.
        KeyboardInterrupt: the training was interrupted; its last step is saved, and `resume` continues it.
    """
    from lstmlm.api.training import train

    return train(config, run_dir, overrides=overrides, resume=resume, on_event=on_event)


def __getattr__(name: str) -> object:
    if name == "errors":  # not at once: an old Python, which `__main__` is to name, could not read it
        from importlib import import_module

        return import_module("lstmlm.errors")
    if name == "__version__":
        from importlib.metadata import version

        return version("lstmlm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
