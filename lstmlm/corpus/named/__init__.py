"""Corpora that have a name: where they come from, whose they are, and what they have to be to the byte.

What a corpus is says `dataset`, and `catalogue.yaml` lists those of files; `download` fetches a file, `preparation`
makes its splits and checks them. The corpus that needs no download is read by `python_docs`, of which `prose` keeps the
running English. Others take `DATASETS` and `find_dataset`, and `lstmlm data get` takes `preparation`.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from lstmlm.corpus.named.dataset import Dataset, FileDataset, PythonDocs
from lstmlm.errors import ConfigError, unknown

__all__ = ["DATASETS", "Dataset", "find_dataset"]

_CATALOGUE = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"))

DATASETS: Mapping[str, Dataset] = {PythonDocs.name: PythonDocs()} | {
    name: TypeAdapter(FileDataset).validate_python({"name": name, **fields}) for name, fields in _CATALOGUE.items()
}


def find_dataset(name: str) -> Dataset:
    """Return the corpus of that name. Raises ConfigError if there is none."""
    if name not in DATASETS:
        raise ConfigError(f"NAME: {unknown('corpus', name, DATASETS)}")
    return DATASETS[name]
