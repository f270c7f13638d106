"""What the documentation says is true: its commands run, its paths exist, its tables name what is there."""

import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from documented import PROJECT, RUNS, STAND_INS, Shell, furnish, lines_of

README = PROJECT / "README.md"
DESIGN = PROJECT / "docs" / "design.md"
REFERENCE = PROJECT / "docs" / "reference"
PAGES = [README, *sorted(path for path in (PROJECT / "docs").rglob("*.md") if path.parent != REFERENCE)]
"""What is in docs/reference/ is what --help says: tests/cli/test_examples.py."""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the project's configurations and a tiny text under every name that the pages use."""
    from lstmlm.corpus.named import dataset

    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    # Reading the real one takes seconds; tests/corpus/named/test_python_docs.py does it.
    texts = {split: (PROJECT / "data" / "tiny" / f"{split}.txt").read_text("utf-8") for split in dataset.SPLITS}
    monkeypatch.setattr(dataset, "python_docs", lambda: texts)
    return tmp_path


@pytest.mark.usefixtures("tiny_benchmark", "no_server")
@pytest.mark.parametrize("page", [page for page in PAGES if lines_of(page)], ids=lambda page: page.name)
def test_every_command_runs(page: Path, workplace: Path, tiny_runs: Path) -> None:
    lines = lines_of(page)
    if not any(line == "lstmlm train --config quickstart" for line in lines):
        for name in [*RUNS][:2]:
            shutil.copytree(tiny_runs / name, Path("runs", name), copy_function=shutil.copy)
    shell = Shell(tiny_runs)
    for line in lines:
        shell.run(line)


EXTRAS = {"plot": "--plot", "serve": "lstmlm serve", "onnx": "export onnx", "tune": "lstmlm tune"}
"""What commands need beside a plain installation."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_the_extras_that_its_commands_need(page: Path) -> None:
    needed = {extra for extra, words in EXTRAS.items() if words in "\n".join(lines_of(page))}
    named = {name for names in re.findall(r"lstmlm\[([\w,]+)\]'", page.read_text("utf-8")) for name in names.split(",")}
    assert needed <= named


def test_the_readme_names_every_extra() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    [named] = re.findall(r"lstmlm\[([\w,]+)\]'", README.read_text("utf-8"))
    assert {*named.split(",")} == project["optional-dependencies"].keys() - {"dev", "peers"}


def test_the_columns_of_surprisal_are_named_where_experiments_are_explained() -> None:
    from lstmlm.evaluation.surprisal.formats import COLUMNS

    assert " ".join(COLUMNS) in (PROJECT / "docs" / "howto" / "psycholinguists.md").read_text("utf-8").splitlines()


NOTEBOOK = PROJECT / "docs" / "python.ipynb"


def python_of(page: Path) -> list[str]:
    """Return the blocks of Python of a page, or the cells of a notebook."""
    if page.suffix == ".md":
        return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [
        "".join(cell["source"]) for cell in json.loads(page.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize(
    "page", [README, PROJECT / "docs" / "howto" / "scripts.md", NOTEBOOK], ids=lambda page: page.name
)
def test_python_runs(
    page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lstmlm

    train = lstmlm.train

    def train_little(*arguments: Any, overrides: Sequence[str] = (), **options: Any) -> Any:
        return train(*arguments, overrides=[*overrides, *STAND_INS], **options)

    monkeypatch.setattr(lstmlm, "train", train_little)
    if page != NOTEBOOK:
        lstmlm.train("quickstart", "runs/quickstart")
    names: dict[str, Any] = {}
    for number, block in enumerate(python_of(page)):
        exec(compile(block, f"{page.name}[{number}]", "exec"), names)  # noqa: S102
    assert isinstance(names["model"], lstmlm.load().__class__)
    assert capsys.readouterr().out


@pytest.mark.parametrize("eos", ["line", "never"])
def test_the_check_without_us_prints_the_perplexity(
    eos: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lstmlm

    model = lstmlm.train("quickstart", "runs/quickstart", overrides=[*STAND_INS, f"data.eos={eos}"])
    text = "The function returns the value.\nThe list is empty.\n" * 9
    Path("chapter.txt").write_text(text, "utf-8")
    [script] = python_of(PROJECT / "docs" / "trust.md")
    assert len([line for line in script.splitlines() if line.strip()]) <= 20
    monkeypatch.setattr("sys.argv", ["check.py", "runs/quickstart", "chapter.txt"])
    exec(compile(script, "check.py", "exec"), {})  # noqa: S102
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(model.perplexity(text), rel=1e-4)


def test_the_notebook_is_one() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_readme_shows_the_three_commands_without_options() -> None:
    assert lines_of(README)[:3] == [
        "lstmlm train --config quickstart",
        'lstmlm generate "The function returns"',
        "lstmlm eval perplexity",
    ]


def links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
    return [target for target in targets if "://" not in target and not target.startswith("data:")]


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(target: str, page: Path) -> bool:
    path, _, anchor = target.partition("#")
    named = page.parent / path if path else page
    return named.exists() and (not anchor or anchor in anchors(named))


@pytest.mark.parametrize(
    "page", [*PAGES, *REFERENCE.glob("*.md"), PROJECT / "CONTRIBUTING.md", PROJECT / "data" / "README.md"], ids=str
)
def test_every_linked_file_and_heading_exists(page: Path) -> None:
    assert [target for target in links(page) if not exists(target, page)] == []


def test_every_path_that_the_design_names_exists() -> None:
    text = DESIGN.read_text("utf-8")
    named = set(re.findall(r"`((?:lstmlm|tests|configs|docs)/[\w/.]+)(?:::\w+)?`", text)) - {
        "lstmlm/models/cells/x.py",
        "lstmlm/models/output_layers/x.py",
    }
    assert len(named) > 30
    assert not [path for path in named if not (PROJECT / path).exists()]


def notebook_rows() -> list[list[str]]:
    text = DESIGN.read_text("utf-8")
    table = text[text.index("| the notebook sketched |") :].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", notebook_rows(), ids=lambda row: row[0][:30])
def test_each_thing_that_the_notebook_sketched_works_somewhere(row: list[str]) -> None:
    _sketched, wrong, where, test = row
    assert wrong
    paths = re.findall(r"`(lstmlm/[\w/]+\.py)`", where)
    assert paths
    assert all((PROJECT / path).is_file() for path in paths)
    match = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", test)
    assert match
    assert f"def {match[2]}(" in (PROJECT / match[1]).read_text("utf-8")


def test_the_readme_lists_every_configuration() -> None:
    listed = set(re.findall(r"`configs/([\w-]+\.yaml)`", README.read_text("utf-8")))
    assert listed == {path.name for path in (PROJECT / "configs").glob("*.yaml")}
