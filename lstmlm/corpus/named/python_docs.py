"""The embedded corpus: the documentation that comes with the user's own Python, as running English.

Two sources are read, never shipped: the language reference in `pydoc_data.topics` and the docstrings of the standard
library. Both are parsed as source text, so no module is imported and nothing of it runs. That takes seconds: the text
is kept in the cache.
"""

import ast
import hashlib
import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from lstmlm.cache import keep_text, kept_text
from lstmlm.corpus.named import prose
from lstmlm.corpus.reading.splits import SPLITS
from lstmlm.errors import CheckpointError, ConfigError, DataError

HELD_OUT_SHARE = 0.05
"""Share of the text's words in each of `valid` and `test`."""

_SKIPPED_FOLDERS = frozenset("__pycache__ idlelib lib2to3 pydoc_data test tests turtledemo".split())


MOST_KEPT_BYTES = 1 << 26
"""Of the texts in the cache, which are some million characters."""


@cache
def python_docs() -> dict[str, str]:
    """The text of each split, from the library of this Python or, if it was read before, from the cache.

    Raises:
        DataError: this Python comes without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    rules = [Path(str(source)).read_bytes() for source in (__file__, prose.__file__)]
    origin = hashlib.sha256(b"\0".join([sys.version.encode(), os.fsencode(library), *rules]))
    name = f"python-docs/{origin.hexdigest()}.json"
    # Without a cache, or with a damaged one, it takes some seconds and no more.
    with suppress(CheckpointError, ConfigError, ValueError):
        digest, _, content = (kept_text(name, MOST_KEPT_BYTES) or "").partition("\n")
        if digest == _digest(content):
            texts: dict[str, str] = json.loads(content)
            return texts
    texts = read_python_docs(library)
    content = json.dumps(texts)
    with suppress(CheckpointError, ConfigError):
        keep_text(name, f"{_digest(content)}\n{content}")
    return texts


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def read_python_docs(library: Path) -> dict[str, str]:
    """The text of each split, one paragraph a line, read from the standard library in folder `library`.

    The same Python version gives the same text: documents (a topic, or the docstrings of a module) are read in a fixed
    order, a sentence that has been seen before is left out, and whole documents are dealt to the splits.

    Raises:
        DataError: this Python comes without the sources of its library.
    """
    documents = _without_repetitions(_documents(library))
    if not documents:
        raise DataError(
            "python-docs: this Python comes without the sources of its standard library. "
            "Use another Python, or set data.corpus to a text of your own."
        )
    return _deal(documents)


def _documents(library: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """The name of every document with its raw texts, in a fixed order."""
    topics = library / "pydoc_data" / "topics.py"
    if topics.is_file():
        for name, text in sorted(_topics(topics.read_text(encoding="utf-8")).items()):
            yield f"topic {name}", iter([text])
    for path in sorted(_modules(library), key=lambda path: path.relative_to(library).as_posix()):
        yield ".".join(path.relative_to(library).with_suffix("").parts), _docstrings(path.read_bytes())


def _modules(library: Path) -> Iterator[Path]:
    """The sources of the standard library alone, whatever else a distribution has put beside them."""
    for folder, subfolders, files in os.walk(library):
        if Path(folder) == library:
            subfolders[:] = sys.stdlib_module_names.intersection(subfolders)
            files = [name for name in files if name.removesuffix(".py") in sys.stdlib_module_names]
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _topics(source: str) -> dict[str, str]:
    """The dictionary of texts that is all there is in `pydoc_data/topics.py`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            topics: dict[str, str] = ast.literal_eval(node.value)
            return topics
    return {}


def _docstrings(source: bytes) -> Iterator[str]:
    """The docstrings of a module, its classes and functions, in the order of the source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old escape sequence in somebody else's source
            module = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    pending: list[ast.stmt | ast.Module] = [module]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
            pending.extend(reversed(node.body))


def _without_repetitions(documents: Iterator[tuple[str, Iterator[str]]]) -> dict[str, list[str]]:
    """The paragraphs of every document, without the sentences that have been in the same or an earlier one."""
    seen: set[str] = set()
    kept: dict[str, list[str]] = {}
    for name, texts in documents:
        for sentences in (sentences for text in texts for sentences in prose.paragraphs(text)):
            new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in seen]
            seen.update(new)
            if new:
                kept.setdefault(name, []).append(" ".join(new))
    return kept


def _deal(documents: dict[str, list[str]]) -> dict[str, str]:
    """Give every document to a split, in the order of the digests of their names.

    A split that is held out takes the next document as long as it keeps within its share of the words.
    """
    n_words = {name: sum(len(line.split()) for line in lines) for name, lines in documents.items()}
    room = {split: HELD_OUT_SHARE * sum(n_words.values()) for split in ("test", "valid")}
    split_of = dict.fromkeys(documents, "train")
    for name in sorted(documents, key=lambda name: hashlib.sha256(name.encode()).digest()):
        for split in room:
            if n_words[name] <= room[split]:
                room[split] -= n_words[name]
                split_of[name] = split
                break
    return {
        split: "".join(f"{line}\n" for name, lines in documents.items() if split_of[name] == split for line in lines)
        for split in SPLITS
    }
