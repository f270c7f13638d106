"""`lstmlm.load`: from what was trained to a model that answers."""

from lstmlm import workflows
from lstmlm.api.arguments import StrPath, path_of
from lstmlm.api.model import Model


def load(run: StrPath | None = None) -> Model:
    """Load the best weights of a run with their tokenizer, verified; see `lstmlm.load`."""
    return Model(**vars(workflows.load(None if run is None else path_of("run", run))))
