"""What is said of the models that are served."""

import shutil
from pathlib import Path

import drawn_run

from lstmlm.api.model import Model
from lstmlm.serving.models import ServedModel


def test_a_run_that_is_gone_is_served_on(tmp_path: Path) -> None:
    """So is one that is trained on: what is served are the weights of the step that were loaded."""
    backbone = {"name": "lstm", "n_layers": 1, "hidden_size": 8}
    drawn_run.make_run(tmp_path / "run", {"backbone": backbone, "embedding_size": 8})
    served = ServedModel("run", Model.load(tmp_path / "run"))
    before = served.describe()
    assert before["step"] == 7
    (tmp_path / "run" / "best").write_text("8\n", "utf-8")
    assert served.describe() == before
    shutil.rmtree(tmp_path / "run")
    assert (served.describe(), served.join) == (before, " ")
