"""The rules of docs/design.md that a program can check: sizes, docstrings, names, paths in prose."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "lstmlm"
MODULES = {str(path.relative_to(PROJECT)): path for path in sorted(PACKAGE.rglob("*.py"))}

MAX_LINES_A_FILE = 400
MAX_LINES_A_FUNCTION = 60
MAX_FILES_A_FOLDER = 12
HOMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITION = (*FUNCTION, ast.ClassDef)

each_module = pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@each_module
def test_a_file_is_not_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES_A_FILE


@each_module
def test_functions_are_not_too_long(path: Path) -> None:
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, FUNCTION)]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES_A_FUNCTION} == {}


@each_module
def test_a_module_opens_with_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring is not None
    first_sentence = " ".join(docstring.split("\n\n")[0].split())
    assert first_sentence[0].isupper() or first_sentence.startswith("`")
    assert re.search(r"[.:]( |$)", first_sentence), "is no sentence"


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, DEFINITION) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


@each_module
def test_everything_public_is_explained(path: Path) -> None:
    definitions = public_definitions(tree_of(path).body)
    bare = [name for name, node in definitions if isinstance(node, DEFINITION) and not ast.get_docstring(node)]
    assert bare == []


def test_every_module_has_a_noun_of_its_own() -> None:
    assert [name for name, path in MODULES.items() if HOMELESS & set(path.with_suffix("").parts)] == []


SOURCES = {".cpp", ".css", ".h", ".html", ".js", ".py"}
FOLDERS = {
    str(path.relative_to(PROJECT)): path
    for path in sorted([PACKAGE, *PACKAGE.rglob("*")])
    if path.is_dir() and path.name != "__pycache__"
}
ONE_TOO_MANY = PACKAGE / "models" / "kernels" / "native" / "cpp"
"""The one exception: it has thirteen."""

BEHIND_A_DOOR = {name: path for name, path in FOLDERS.items() if path != PACKAGE and (path / "__init__.py").exists()}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    n_files = len([path for path in folder.iterdir() if path.suffix in SOURCES])
    assert n_files == 13 if folder == ONE_TOO_MANY else n_files <= MAX_FILES_A_FOLDER


@pytest.mark.parametrize("folder", BEHIND_A_DOOR.values(), ids=BEHIND_A_DOOR)
def test_a_door_names_what_is_behind_it(folder: Path) -> None:
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    door = ast.get_docstring(tree_of(folder / "__init__.py")) or ""
    assert (modules | folders) - set(re.findall(r"`(\w+)`", door)) == set()


# Files and folders as prose names them: `lstmlm/files.py`, `corpus/stream.py`, `models/cells/`, `data/README.md`.
A_PATH = re.compile(r"(?<![\w./<-])(?:[\w.-]+/)+(?:[\w-]+\.(?:py|md|yaml|toml|txt)\b|(?=[\s`),.;:]|$))")

# What the reader puts there, or training does.
NOT_IN_THE_PROJECT = re.compile(r"(runs|texts|data/(?!README|tiny)[\w.-]+)/")


def paths_named_in(text: str) -> set[str]:
    without_addresses = re.sub(r"\w+://\S+", "", text)
    return {name for name in A_PATH.findall(without_addresses) if not NOT_IN_THE_PROJECT.match(name)}


def prose_of(path: Path) -> str:
    """Return the comments and strings of a Python file."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def exists(name: str) -> bool:
    return (PROJECT / name).exists() or (PACKAGE / name).exists()


def test_paths_in_prose_are_recognised() -> None:
    text = (
        "`lstmlm/files.py`, models/cells/ (and/or 40 tokens/s), corpus/x.py:7 https://a.org/b/c.md runs/a/config.yaml"
    )
    assert paths_named_in(text) == {"lstmlm/files.py", "models/cells/", "corpus/x.py"}
    assert exists("lstmlm/files.py")
    assert exists("models/cells/")
    assert not exists("corpus/x.py")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "lstmlm/workflows.py"])
def test_every_path_named_exists(name: str) -> None:
    path = PROJECT / name
    named = paths_named_in(prose_of(path) if path.suffix == ".py" else path.read_text(encoding="utf-8"))
    assert named
    assert sorted(filter(lambda path: not exists(path), named)) == []
