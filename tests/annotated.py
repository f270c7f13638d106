"""Source code as the documentation shows it: the blocks of a page below `<!-- code: FILE NAME -->`, kept up to date.

`python tests/annotated.py` writes the code of today into the pages; a test says when that is due.
"""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PAGES = (PROJECT / "docs" / "lstm.md", PROJECT / "docs" / "window.md")

A_BLOCK = re.compile(r"(<!-- code: (\S+) (.+?) -->\n\n```(\w+)\n).*?(^```$)", re.DOTALL | re.MULTILINE)


def updated(page: str) -> str:
    """Return a page whose blocks are the code of today.

    Raises:
        KeyError: a block names what its file does not have.
    """
    return A_BLOCK.sub(lambda block: block[1] + source_of(block[2], block[3]) + block[5], page)


def source_of(file: str, name: str) -> str:
    """Return the code of one class or function of a file, as it stands there; in C++ by a part of its first line."""
    lines = (PROJECT / file).read_text(encoding="utf-8").splitlines()
    start, end = _in_python(lines, name) if file.endswith(".py") else _in_cpp(lines, name)
    indent = len(lines[start]) - len(lines[start].lstrip())
    return "".join(line[indent:] + "\n" for line in lines[start:end])


def _in_python(lines: list[str], name: str) -> tuple[int, int]:
    node: ast.AST = ast.parse("\n".join(lines))
    for part in name.split("."):
        found = [child for child in ast.walk(node) if getattr(child, "name", None) == part]
        if not found:
            raise KeyError(name)
        node = found[0]
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    return node.lineno - 1, node.end_lineno or node.lineno


def _in_cpp(lines: list[str], name: str) -> tuple[int, int]:
    """The definition ends where its braces are closed; the comment and the template above belong to it."""
    start = next((number for number, line in enumerate(lines) if name in line), None)
    if start is None:
        raise KeyError(name)
    end, n_opened, n_closed = start, 0, 0
    while n_opened == 0 or n_closed < n_opened:
        n_opened, n_closed = n_opened + lines[end].count("{"), n_closed + lines[end].count("}")
        end += 1
    while lines[start - 1].lstrip().startswith(("//", "template")):
        start -= 1
    return start, end


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
