"""What a corpus with a name is: where its splits are, how they are read, and what they have to be."""

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from lstmlm.cache import cache_directory
from lstmlm.corpus.named.download import Download
from lstmlm.corpus.named.python_docs import python_docs
from lstmlm.corpus.reading.splits import SPLITS, Text
from lstmlm.corpus.reading.text_files import Version, in_blocks, read_blocks
from lstmlm.errors import MissingTextError

Unit = Literal["word", "char", "byte"]
"""What figures about a corpus count as a token; a line end is one, of words too (`<eos>`)."""

MOST_SPLIT_BYTES = 1 << 30
"""More than any split has: what an archive unpacks to is bounded, whatever it says."""


@dataclass(frozen=True)
class SplitFile:
    """What the file of a split has to be. None: nobody has published it, so that it is not compared."""

    n_tokens: int
    n_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Piece:
    """Which bytes of a download a split is: those of a member of the zip file, or of the file itself."""

    member: str | None = None
    start: int = 0
    stop: int = MOST_SPLIT_BYTES


class Dataset(ABC):
    """A corpus with a name. Splits of which no file is known are made when they are read."""

    name: str
    licence: str
    unit: Unit | None
    splits: Mapping[str, SplitFile]
    download: Download | None

    @property
    def place(self) -> Path | None:
        """The folder of its splits, whether they are there or not."""
        return None

    def missing(self) -> list[str]:
        """The splits that are not there, or not as long as they have to be."""
        return []

    @abstractmethod
    def texts(self) -> dict[str, Text]:
        """The splits, not read yet. Raises DataError if the corpus is not there."""

    def provenance(self) -> dict[str, str]:
        """What the text depends on besides this package."""
        return {}

    @property
    @abstractmethod
    def how_to_get(self) -> str:
        """What makes it ready to be read, in a few words."""

    @property
    def how_to_replace(self) -> str:
        """What to do where there is no file of it below data/, as a sentence."""
        return f"Train with --set data.corpus={self.name} then."

    def facts(self) -> dict[str, Any]:
        """All that is known of it without reading it, under the names of its JSON."""
        is_verified = all(expected.sha256 for expected in self.splits.values())
        return {
            "name": self.name,
            "licence": self.licence,
            "is_there": not self.missing(),
            "place": None if self.place is None else str(self.place),
            "how_to_get": self.how_to_get,
            "unit": self.unit,
            "splits": {split: asdict(expected) for split, expected in self.splits.items()},
            "verified": ("splits" if is_verified else "download") if self.splits else None,
            "addresses": list(self.download.addresses) if self.download else [],
            "download_bytes": self.download.n_bytes if self.download else None,
            "download_sha256": self.download.sha256 if self.download else None,
        }


class PythonDocs(Dataset):
    """The documentation that comes with the user's own Python."""

    name = "python-docs"
    licence = "PSF-2.0"
    unit = download = None
    splits = MappingProxyType[str, SplitFile]({})
    how_to_get = "nothing to do: read from your Python"

    def texts(self) -> dict[str, Text]:
        """The splits; reading them says so if this Python lacks its sources."""

        def text(split: str) -> Text:
            return Text(f"{self.name} ({split})", lambda: in_blocks([python_docs()[split]]))

        return {split: text(split) for split in SPLITS}

    def provenance(self) -> dict[str, str]:
        """The version of Python."""
        return {"python": platform.python_version()}


@dataclass(frozen=True)
class FileDataset(Dataset):
    """A corpus of files that are known beforehand."""

    name: str
    licence: str
    unit: Unit
    splits: Mapping[str, SplitFile]
    download: Download | None = None
    """What `lstmlm data get` fetches into the cache; None for a corpus that may not be handed on: the user has a copy,
    which is only read."""
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    """What of the download each split is."""
    terms: str = ""
    """Why there is no download."""

    @property
    def place(self) -> Path:
        """A folder of the cache, or of the project's data."""
        return (cache_directory() / "corpora" if self.download else Path("data")) / self.name

    @property
    def how_to_get(self) -> str:
        """The command that fetches it, or where to put a copy."""
        return f"lstmlm data get {self.name}" if self.download else f"put your own copy into {self.place}"

    @property
    def how_to_replace(self) -> str:
        """Name the command that fetches it, or where the user's copy goes."""
        if self.download:
            return f"{self.how_to_get} fetches it; train with --set data.corpus={self.name} then."
        files = ", ".join(self.file(split).name for split in self.splits)
        return f"{self.terms} Put your own copy into {self.place}, below the working directory: {files}."

    def file(self, split: str) -> Path:
        """Where a split is, or has to be put."""
        return self.place / f"{split}.txt"

    def missing(self) -> list[str]:
        """The splits that are not there, or not as long as they have to be."""
        files = {split: self.file(split) for split in self.splits}
        return [
            split
            for split, file in files.items()
            if not file.is_file() or self.splits[split].n_bytes not in (None, file.stat().st_size)
        ]

    def texts(self) -> dict[str, Text]:
        """The splits; see `Dataset.texts`."""
        missing = self.missing()
        if missing and self.download:
            raise MissingTextError(f"{self.name}: is not on this machine. Fetch it: {self.how_to_get}")
        if missing:
            raise MissingTextError(
                f"{self.name}: {', '.join(self.file(split).name for split in missing)} not in {self.place} as "
                f"published. {self.terms} Put your own copy there, below the working directory."
            )
        files = {split: self.file(split) for split in self.splits}
        return {
            split: Text(f"{self.name} ({split})", partial(read_blocks, file, version=Version.of(file)), (file,))
            for split, file in files.items()
        }
