"""Corpora that have a name: where they come from, whose they are, and what they have to be to the byte.

This page is the catalogue, `DATASETS`. What an entry is says `dataset`; `download` fetches a file, `preparation` makes
its splits and checks them. The corpus that needs no download is read by `python_docs`, of which `prose` keeps the
running English. Others take `DATASETS` and `find_dataset`, and `lstmlm data get` takes `preparation`.

Figures count tokens as the literature does: words with an `<eos>` a line, characters, or bytes. Addresses and digests
have been compared with the places that comments name; a split without a digest is checked by its count of tokens and
through the digest of what it is cut from.
"""

from collections.abc import Mapping

from lstmlm.corpus.named.dataset import Dataset, FetchedDataset, OwnDataset, Piece, PythonDocs, SplitFile
from lstmlm.corpus.named.download import Download
from lstmlm.errors import ConfigError, did_you_mean

__all__ = ["DATASETS", "Dataset", "find_dataset"]


def _members(folder: str) -> dict[str, Piece]:
    """The word-level splits of an archive of WikiText."""
    return {split: Piece(f"{folder}/wiki.{split}.tokens") for split in ("train", "valid", "test")}


def _cut(first_valid: int, first_test: int, member: str | None = None) -> dict[str, Piece]:
    """A text cut in three at two bytes."""
    return {
        "train": Piece(member, 0, first_valid),
        "valid": Piece(member, first_valid, first_test),
        "test": Piece(member, first_test),
    }


# Size and SHA-256 of the archive: datasets/wikitext/dataset_infos.json of huggingface/datasets (2.x), which recorded
# them of the bucket that is gone; the author's own copy is byte for byte the same (its MD5 is that of torchtext).
# Splits: computed from train and valid; test is that of pytorch/examples, word_language_model, which has the same two.
# Token counts: Merity et al. 2017, table 1, with `<eos>`.
_WIKITEXT_2 = FetchedDataset(
    name="wikitext-2",
    licence="CC BY-SA 4.0",
    unit="word",
    splits={
        "train": SplitFile(2_088_628, 10_797_148, "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
        "valid": SplitFile(217_646, 1_121_681, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
        "test": SplitFile(245_569, 1_256_449, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
    },
    download=Download(
        ("https://wikitext.smerity.com/wikitext-2-v1.zip",),
        4_475_746,
        "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
    ),
    pieces=_members("wikitext-2"),
)

# As for WikiText-2, but nobody publishes digests of the splits.
_WIKITEXT_103 = FetchedDataset(
    name="wikitext-103",
    licence="CC BY-SA 4.0",
    unit="word",
    splits={"train": SplitFile(103_227_021), "valid": SplitFile(217_646), "test": SplitFile(245_569)},
    download=Download(
        ("https://wikitext.smerity.com/wikitext-103-v1.zip",),
        190_229_076,
        "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
    ),
    pieces=_members("wikitext-103"),
)

# SHA-256 of the archive: several repositories that pin it agree (its size: TensorFlow's word2vec tutorial). The cut is
# that of Mikolov et al. 2012 and of everyone since.
_TEXT8 = FetchedDataset(
    name="text8",
    licence="CC BY-SA, GFDL",
    unit="char",
    splits={
        "train": SplitFile(90_000_000, 90_000_000),
        "valid": SplitFile(5_000_000, 5_000_000),
        "test": SplitFile(5_000_000, 5_000_000),
    },
    download=Download(
        ("https://mattmahoney.net/dc/text8.zip", "https://data.deepai.org/text8.zip"),
        31_344_016,
        "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
    ),
    pieces=_cut(90_000_000, 95_000_000, "text8"),
)

# Size and SHA-256 of the archive: datasets/enwik8/dataset_infos.json of huggingface/datasets (2.x).
_ENWIK8 = FetchedDataset(
    name="enwik8",
    licence="CC BY-SA, GFDL",
    unit="byte",
    splits={
        "train": SplitFile(90_000_000, 90_000_000),
        "valid": SplitFile(5_000_000, 5_000_000),
        "test": SplitFile(5_000_000, 5_000_000),
    },
    download=Download(
        ("https://mattmahoney.net/dc/enwik8.zip", "https://data.deepai.org/enwik8.zip"),
        36_445_475,
        "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
    ),
    pieces=_cut(90_000_000, 95_000_000, "enwik8"),
)

# Digests: computed from the file, whose own is also in huggingface/datasets (2.x), tiny_shakespeare. The cut is where
# data.holdout 0.05 cuts a single file.
_TINY_SHAKESPEARE = FetchedDataset(
    name="tinyshakespeare",
    licence="public domain",
    unit="char",
    splits={
        "train": SplitFile(1_003_856, 1_003_856, "9e2b074a547cbfd351ab060c91fe430fe05ba8ff8d6ac79ea4a3ccae837d1ca6"),
        "valid": SplitFile(55_780, 55_780, "6b22105c9fd692bf7d1ceb899b2e236dd91f4419d2ea83cfb11392e6a39a658d"),
        "test": SplitFile(55_758, 55_758, "282b98af4caebab3f63bc519ed2caba7c15dfc76f11a063ecb83a96fd60c663a"),
    },
    download=Download(
        ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    pieces=_cut(1_003_856, 1_059_636),
)

# Digests: computed from train and valid; of test: those that repositories with the same two pin beside them.
_PTB = OwnDataset(
    name="ptb",
    licence="LDC User Agreement",
    unit="word",
    splits={
        "train": SplitFile(929_589, 5_101_618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
        "valid": SplitFile(73_760, 399_782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
        "test": SplitFile(82_430, None, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
    },
    terms="The Linguistic Data Consortium licenses it, so that it is never fetched.",
)

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (PythonDocs(), _TINY_SHAKESPEARE, _PTB, _WIKITEXT_2, _WIKITEXT_103, _TEXT8, _ENWIK8)
}


def find_dataset(name: str) -> Dataset:
    """Return the corpus of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in DATASETS:
        raise ConfigError(
            f"NAME: unknown corpus {name!r}. {did_you_mean(name, DATASETS)}Choose one of: {', '.join(DATASETS)}."
        )
    return DATASETS[name]
