"""What the documentation says is true: its commands run, its paths exist, its tables name what is there."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import annotated
import pytest

PROJECT = Path(__file__).parent.parent
PAGES = [
    PROJECT / name
    for name in (
        "README.md",
        "docs/corpora.md",
        "docs/design.md",
        "docs/evaluation.md",
        "docs/export.md",
        "docs/scale.md",
        "docs/trust.md",
    )
]

STAND_INS = [
    "data.batch_size=4",
    "data.bptt=7",
    "model.backbone.hidden_size=12",
    "model.backbone.n_layers=1",
    "model.embedding_size=12",
    "model.tie_weights=true",
    "training.n_epochs=null",
    "training.n_steps=2",
    "training.budget=null",
]


TEXTS = [
    "data/tinyshakespeare/input.txt",
    *(f"texts/{name}.txt" for name in ("books", "chapter", "essay", "novel")),
    *(f"books/{name}.txt" for name in ("first", "second")),
]
"""Where the pages have running text."""

FILES = {
    "sentences.txt": "The farmer goes to the market.\nThe cat sleeps.\n",
    "stimuli.csv": "item;word\n1;The\n1;farmer\n",
    "passages.jsonl": '{"text": "The farmer goes to the market"}\n',
    "pairs.tsv": "The farmer goes to the market.\tThe farmer go to the market.\n",
    "nbest.txt": "call-1 the farmer goes\ncall-2 the farmer knows\n",
}
"""What the pages have in texts/ beside running text."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lstmlm ")]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the project's configurations and a tiny text under every name that the pages use."""
    from lstmlm.corpus.named import dataset

    monkeypatch.chdir(tmp_path)
    shutil.copytree(PROJECT / "configs", "configs")
    for corpus in ("tiny", "ptb", "wikitext-2"):
        shutil.copytree(PROJECT / "data" / "tiny", Path("data") / corpus)
    for text in TEXTS:
        Path(text).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / "data" / "tiny" / "train.txt", text)
    for name, text in FILES.items():
        Path("texts", name).write_text(text, "utf-8")
    # Reading the real one takes seconds; tests/corpus/named/test_python_docs.py does it.
    texts = {split: (PROJECT / "data" / "tiny" / f"{split}.txt").read_text("utf-8") for split in dataset.SPLITS}
    monkeypatch.setattr(dataset, "read_python_docs", lambda: texts)
    return tmp_path


@pytest.mark.usefixtures("tiny_benchmark")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_runs(page: Path, workplace: Path) -> None:
    from typer.testing import CliRunner

    from lstmlm.cli import app

    quickstart, rnn, *_ = (command for command in commands(PAGES[0]) if command[0] == "train")
    before = [] if page == PAGES[0] else [quickstart, rnn]
    for arguments in [*before, *commands(page)]:
        trains = arguments[0] in ("train", "lab", "tune")
        stand_ins = [part for change in STAND_INS for part in ("--set", change)] if trains else []
        piped = None
        if "<" in arguments:
            *arguments, _, file = arguments
            piped = Path(file).read_bytes()
        result = CliRunner().invoke(app, [*arguments, *stand_ins], input=piped)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        assert result.stdout or arguments[0] in ("train", "export", "import") or "--output" in arguments


NOTEBOOK = PROJECT / "docs" / "python.ipynb"


def python_of(page: Path) -> list[str]:
    """Return the blocks of Python of a page, or the cells of a notebook."""
    if page.suffix == ".md":
        return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [
        "".join(cell["source"]) for cell in json.loads(page.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("page", [PAGES[0], NOTEBOOK], ids=lambda page: page.name)
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


def test_the_check_without_us_prints_the_perplexity(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lstmlm

    model = lstmlm.train("quickstart", "runs/quickstart", overrides=STAND_INS)
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
    shown = [" ".join(command) for command in commands(PROJECT / "README.md")]
    assert shown[:3] == [
        "train --config quickstart",
        "generate The function returns",
        "eval perplexity",
    ]


def links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    return [target for target in targets if "://" not in target]


@pytest.mark.parametrize("page", [*PAGES, *annotated.PAGES, PROJECT / "data" / "README.md"], ids=str)
def test_every_linked_file_exists(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert not missing


def test_every_path_that_the_design_names_exists() -> None:
    text = PAGES[2].read_text("utf-8")
    named = set(re.findall(r"`((?:lstmlm|tests|configs|docs)/[\w/.]+)(?:::\w+)?`", text)) - {
        "lstmlm/models/cells/x.py",
        "lstmlm/models/output_layers/x.py",
    }
    assert len(named) > 30
    assert not [path for path in named if not (PROJECT / path).exists()]


def notebook_rows() -> list[list[str]]:
    text = PAGES[2].read_text("utf-8")
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
    listed = set(re.findall(r"`configs/([\w-]+\.yaml)`", PAGES[0].read_text("utf-8")))
    assert listed == {path.name for path in (PROJECT / "configs").glob("*.yaml")}
