"""The pages that explain code show all of it, as it stands today."""

import ast
from pathlib import Path

import pytest
from annotated import PAGES, PROJECT, source_of, updated

LSTM = "lstmlm/models/cells/lstm.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_the_code_of_today(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert updated(text) == text, "Run `python tests/annotated.py`."


def test_a_changed_line_would_be_noticed() -> None:
    page = PAGES[0].read_text(encoding="utf-8").replace("cell = f * cell + i * g", "cell = cell + i * g")
    assert updated(page) != page


def test_all_of_the_cell_is_explained() -> None:
    page = PAGES[0].read_text(encoding="utf-8")
    for definition in ast.parse((PROJECT / LSTM).read_text(encoding="utf-8")).body:
        if not isinstance(definition, ast.ClassDef):
            continue
        methods = [part.name for part in definition.body if isinstance(part, ast.FunctionDef)]
        for name in [f"{definition.name}.{method}" for method in methods] or [definition.name]:
            assert source_of(LSTM, name) in page, name


@pytest.mark.parametrize("file", [LSTM, "lstmlm/models/kernels/native/cpp/cells.h"])
def test_a_name_that_is_gone_is_an_error(file: str) -> None:
    with pytest.raises(KeyError, match="forget_it"):
        source_of(file, "forget_it")
