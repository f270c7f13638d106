"""What a corpus with a name is: where its splits are, how they are read, and what they have to be."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lstmlm.cache import cache_directory
from lstmlm.corpus.named.download import Download
from lstmlm.corpus.named.python_docs import python_docs_provenance, read_python_docs
from lstmlm.corpus.reading.splits import SPLITS, Text
from lstmlm.corpus.reading.text_files import Version, in_blocks, read_blocks
from lstmlm.errors import DataError

Unit = Literal["word", "char", "byte"]
"""What figures about a corpus count as a token; a line end is one, of words too (`<eos>`)."""

MOST_SPLIT_BYTES = 1 << 30
"""More than any split has: what an archive unpacks to is bounded, whatever it says."""


class Dataset(ABC):
    """A corpus with a name."""

    name: str
    licence: str

    @property
    @abstractmethod
    def place(self) -> Path | None:
        """The folder of its splits, whether they are there or not; None if they are made when they are read."""

    @abstractmethod
    def missing(self) -> list[str]:
        """The splits that are not there, or not as long as they have to be."""

    @abstractmethod
    def texts(self) -> dict[str, Text]:
        """The splits, not read yet.

        Raises:
            DataError: the corpus is not there.
        """

    def provenance(self) -> dict[str, str]:
        """What the text depends on besides this package."""
        return {}

    @property
    @abstractmethod
    def how_to_get(self) -> str:
        """What makes it ready to be read, in a few words."""

    def facts(self) -> dict[str, Any]:
        """All that is known of it without reading it, under the names of its JSON."""
        return {
            "name": self.name,
            "licence": self.licence,
            "is_there": not self.missing(),
            "place": None if self.place is None else str(self.place),
            "how_to_get": self.how_to_get,
            "unit": None,
            "splits": {},
            "verified": None,
            "addresses": [],
            "download_bytes": None,
            "download_sha256": None,
        }


class PythonDocs(Dataset):
    """The documentation that comes with the user's own Python."""

    name = "python-docs"
    licence = "PSF-2.0"
    place = None
    how_to_get = "nothing to do: read from your Python"

    def missing(self) -> list[str]:
        """None: reading says so if this Python lacks its sources."""
        return []

    def texts(self) -> dict[str, Text]:
        """The splits; see `Dataset.texts`."""

        def text(split: str) -> Text:
            return Text(f"{self.name} ({split})", lambda: in_blocks([read_python_docs()[split]]))

        return {split: text(split) for split in SPLITS}

    def provenance(self) -> dict[str, str]:
        """The version of Python."""
        return python_docs_provenance()


@dataclass(frozen=True)
class SplitFile:
    """What the file of a split has to be. None: nobody has published it, so that it is not compared."""

    n_tokens: int
    n_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class FileDataset(Dataset):
    """A corpus of files that are known beforehand."""

    name: str
    licence: str
    unit: Unit
    splits: Mapping[str, SplitFile]

    def file(self, split: str) -> Path:
        """Where a split is, or has to be put."""
        return self.place / f"{split}.txt"

    @property
    @abstractmethod
    def place(self) -> Path:
        """The folder of its splits."""

    def facts(self) -> dict[str, Any]:
        """All that is known of it; see `Dataset.facts`."""
        has_digests = all(expected.sha256 for expected in self.splits.values())
        return super().facts() | {
            "unit": self.unit,
            "splits": {split: asdict(expected) for split, expected in self.splits.items()},
            "verified": "splits" if has_digests else "download",
        }

    @property
    @abstractmethod
    def absence(self) -> str:
        """What is said where the corpus is missing, and what to do."""

    def missing(self) -> list[str]:
        """The splits that are not there, or not as long as they have to be."""
        return [split for split, expected in self.splits.items() if not _is_there(self.file(split), expected)]

    def texts(self) -> dict[str, Text]:
        """The splits; see `Dataset.texts`."""
        if self.missing():
            raise DataError(f"{self.name}: {self.absence}")

        def text(split: str) -> Text:
            file = self.file(split)
            version = Version.of(file)
            return Text(f"{self.name} ({split})", lambda: read_blocks(file, version=version), (file,))

        return {split: text(split) for split in self.splits}


@dataclass(frozen=True)
class Piece:
    """Which bytes of a download a split is: those of a member of the zip file, or of the file itself."""

    member: str | None = None
    start: int = 0
    stop: int = MOST_SPLIT_BYTES


@dataclass(frozen=True)
class FetchedDataset(FileDataset):
    """A corpus that `lstmlm data get` fetches into the cache."""

    download: Download
    pieces: Mapping[str, Piece]

    @property
    def place(self) -> Path:
        """A folder of the cache."""
        return cache_directory() / "corpora" / self.name

    @property
    def how_to_get(self) -> str:
        """The command that fetches it."""
        return f"lstmlm data get {self.name}"

    @property
    def absence(self) -> str:
        """How to fetch it."""
        return f"is not on this machine. Fetch it: {self.how_to_get}"

    def facts(self) -> dict[str, Any]:
        """All that is known of it; see `Dataset.facts`."""
        return super().facts() | {
            "addresses": list(self.download.addresses),
            "download_bytes": self.download.n_bytes,
            "download_sha256": self.download.sha256,
        }


@dataclass(frozen=True)
class OwnDataset(FileDataset):
    """A corpus that may not be handed on: the user has a copy, which is only read."""

    terms: str

    @property
    def place(self) -> Path:
        """A folder of the project's data."""
        return Path("data") / self.name

    @property
    def how_to_get(self) -> str:
        """Where to put the copy."""
        return f"put your own copy into {self.place}"

    @property
    def absence(self) -> str:
        """What is missing, why, and where to put it."""
        files = ", ".join(self.file(split).name for split in self.missing())
        return f"{files} not in {self.place} as published. {self.terms} Put your own copy there."


def _is_there(path: Path, expected: SplitFile) -> bool:
    return path.is_file() and expected.n_bytes in (None, path.stat().st_size)
