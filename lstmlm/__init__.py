"""Next-word language models with recurrent networks. Importing the package alone loads no torch.

Example::

    import lstmlm

    trained = lstmlm.load("runs/quickstart")
    trained.model, trained.tokenizer
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstmlm.workflows import TrainedModel

__version__: str


def load(run_dir: "str | Path") -> "TrainedModel":
    """Load the best weights of a run with their tokenizer; see `lstmlm.workflows.load`."""
    from lstmlm.workflows import load

    return load(Path(run_dir))


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("lstmlm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
