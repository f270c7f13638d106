"""SentencePiece models as a tokenizer.json: the same ids, without the package that has learnt them.

A `.model` is a message of protocol buffers (sentencepiece_model.proto): pieces with scores, and how a text is
normalised. The `tokenizers` library has the same two algorithms: the likeliest segmentation by unigram scores, and
merges by rank, where a rank is the score of the merged piece. What it has no way to express is refused. One thing
differs: a text that spells a control piece such as `</s>` is read as it by a unigram model.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers as library
from tokenizers import decoders, models, normalizers

from lstmlm.corpus.tokenizers.components import EXTRA_SPACES, OUTER_SPACES
from lstmlm.errors import DataError

SPACE = "▁"

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)
_UNIGRAM, _BPE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Kinds of values in a message."""


@dataclass(frozen=True)
class _Piece:
    text: str
    score: float
    kind: int


def to_tokenizer_json(content: bytes) -> str:
    """Convert the content of a `.model`. Raises DataError if it is none, or does what a tokenizer.json cannot say."""
    try:
        model = _repeated(content)
        pieces = [_piece(_single(piece)) for piece in model.get(1, [])]
        trainer, normalizer = (_single(model[field][-1]) if field in model else {} for field in (2, 3))
    except (ValueError, IndexError, TypeError, struct.error):
        raise DataError(
            "is neither a tokenizer.json nor a SentencePiece model. Give another data.tokenizer.path."
        ) from None
    _require_expressible(pieces, trainer, normalizer)
    unknown_id = next(piece_id for piece_id, piece in enumerate(pieces) if piece.kind == _UNKNOWN)
    engine = library.Tokenizer((_unigram if trainer.get(3, _UNIGRAM) == _UNIGRAM else _bpe)(pieces, unknown_id))
    add_prefix = bool(normalizer.get(3, True))
    engine.normalizer = _normalizer(normalizer, add_prefix=add_prefix)
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    engine.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if add_prefix else steps)
    return engine.to_str(pretty=True)


def _require_expressible(pieces: Sequence[_Piece], trainer: Mapping[int, Any], normalizer: Mapping[int, Any]) -> None:
    kinds = {piece.kind for piece in pieces}
    problems = {
        "has no pieces": not pieces,
        "has no unknown piece": _UNKNOWN not in kinds,
        "is of words or characters": trainer.get(3, _UNIGRAM) not in (_UNIGRAM, _BPE),
        "has white space at the end of its pieces": bool(trainer.get(24, False)),
        "does not escape white space": not normalizer.get(5, True),
        "has unused pieces": _UNUSED in kinds,
        "has symbols of its user's own among merges": _USER_DEFINED in kinds and trainer.get(3) == _BPE,
    }
    for problem, is_there in problems.items():
        if is_there:
            raise DataError(
                f"{problem}, which cannot be converted to a tokenizer.json. Give another data.tokenizer.path."
            )


def _normalizer(spec: Mapping[int, Any], *, add_prefix: bool) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if charsmap := spec.get(2, b""):
        steps.append(normalizers.Precompiled(charsmap))
    if spec.get(4, True):
        steps.append(normalizers.Replace(library.Regex(EXTRA_SPACES), " "))
        steps.append(normalizers.Replace(library.Regex(OUTER_SPACES), ""))
    if add_prefix:
        steps.append(normalizers.Prepend(SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])


def _unigram(pieces: Sequence[_Piece], unknown_id: int) -> models.Model:
    best = max((piece.score for piece in pieces if piece.kind == _NORMAL), default=0.0)
    vocabulary = [(piece.text, _unigram_score(piece, best)) for piece in pieces]
    return models.Unigram(vocabulary, unknown_id, byte_fallback=_has_bytes(pieces))


def _unigram_score(piece: _Piece, best: float) -> float:
    """The score of a piece; one of the user's own beats every other segmentation, as SentencePiece has it."""
    return len(piece.text.encode()) * best - 0.1 if piece.kind == _USER_DEFINED else piece.score


def _bpe(pieces: Sequence[_Piece], unknown_id: int) -> models.Model:
    ids = {piece.text: piece_id for piece_id, piece in enumerate(pieces)}
    mergeable = {piece.text for piece in pieces if piece.kind == _NORMAL}
    by_rank = sorted((piece for piece in pieces if piece.kind == _NORMAL), key=lambda piece: -piece.score)
    merges = [
        (piece.text[:place], piece.text[place:])
        for piece in by_rank
        for place in range(1, len(piece.text))
        if piece.text[:place] in mergeable and piece.text[place:] in mergeable
    ]
    unknown = pieces[unknown_id].text
    return models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=_has_bytes(pieces))


def _has_bytes(pieces: Sequence[_Piece]) -> bool:
    return any(piece.kind == _BYTE for piece in pieces)


def _piece(fields: Mapping[int, Any]) -> _Piece:
    [score] = struct.unpack("<f", fields.get(2, bytes(4)))
    return _Piece(fields[1].decode("utf-8"), score, fields.get(3, _NORMAL))


def _single(message: bytes) -> dict[int, Any]:
    """The fields of a message; of one that is repeated the last counts."""
    return {number: values[-1] for number, values in _repeated(message).items()}


def _repeated(message: bytes) -> dict[int, list[Any]]:
    """All values of the fields of a message, by the numbers of the fields."""
    found: dict[int, list[Any]] = {}
    for number, value in _fields(message):
        found.setdefault(number, []).append(value)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"no such kind of value: {kind}")
        if place + length > len(message):
            raise ValueError("a value goes on after the end")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + shift // 7 + 1
    raise ValueError("an integer of more than 64 bits")
