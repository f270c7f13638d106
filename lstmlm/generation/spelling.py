"""What tokens spell, and whether a tokenizer would cut that into them: others that spell a word count for nothing."""

from collections.abc import Iterable, Sequence

from lstmlm.corpus.reading.white_space import is_white, space_before, words_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DataError

UNSETTLED_BYTES = 64
"""How the rest of what is begun is cut does not depend on what follows these at its end."""


class Spelling:
    """The tokens of white space and a word after a text, the first ones of which may be settled.

    Args:
        tokenizer: What cuts texts; it has delimiters.
        is_first: Whether the word is the first of its line, so that there need be no white space before it.
    """

    def __init__(self, tokenizer: Tokenizer, *, is_first: bool) -> None:
        self._tokenizer = tokenizer
        self._before = [] if is_first else ["a"]
        # Some tokenizers put a space before what they take for the beginning of a text.
        self._added_space = " " if is_first and tokenizer.encode_prompt("a")[0] in tokenizer.delimiter_ids else ""
        self._settled = ""
        """What the settled tokens spell."""
        self._context = ""
        """As much of its end as how the tokens after it are cut depends on."""

    def settle(self, beginning: str) -> list[int]:
        """Return the first tokens of a long beginning, up to a character near its end; none of a short one.

        From here on, tokens are those that follow these.
        """
        content, is_space = beginning.encode(), is_white(beginning)
        if len(content) <= UNSETTLED_BYTES:
            return []
        # Of white space, the last character alone may belong to the first token of a word.
        ids = self._cut(beginning[:-1] if is_space else beginning)
        most = len(content) - (len(beginning[-1].encode()) if is_space else UNSETTLED_BYTES)
        n_tokens, end = {0: 0}, 0  # of each place where a token and a character end, how many tokens there are before
        for number, token_id in enumerate(ids, 1):
            token = self._tokenizer.content(token_id)
            if not token or not content.startswith(token, end) or end + len(token) > most:
                break
            end += len(token)
            if content[end] & 0xC0 != 0x80:
                n_tokens[end] = number
        end = max(n_tokens)
        if not is_space:
            near = max((place for place in n_tokens if place + UNSETTLED_BYTES <= end), default=0)
            rest = ids[n_tokens[end] :]
            for start in (near, 0):
                self._context = (space_before(beginning) if start else "") + content[start:end].decode()
                # What repeats may be cut otherwise from another place on.
                if self._cut(self._context + content[end:].decode())[-len(rest) :] == rest:
                    break
        self._settled = content[:end].decode()
        return ids[: n_tokens[end]]

    def text(self, ids: Iterable[int]) -> str:
        """What tokens are in a text."""
        return b"".join(map(self._tokenizer.content, ids)).decode("utf-8", "replace")

    def word(self, ids: Sequence[int]) -> str:
        """The word that the settled tokens and these make."""
        return " ".join(words_of(self._settled + self._tokenizer.decode(ids)))

    def may_begin(self, ids: Sequence[int]) -> bool:
        """Whether the tokenizer cuts words so that they begin with these tokens; a part of a character cannot tell."""
        if ids[-1] in (self._tokenizer.start_id, self._tokenizer.unk_id):
            return False
        text = self.text(ids)
        # Some tokenizers have a token for white space that they use before words only.
        return (len(ids) == 1 and is_white(text)) or text.endswith("\ufffd") or self.is_canonical(ids)

    def is_canonical(self, ids: Sequence[int]) -> bool:
        """Whether the tokenizer would cut what these tokens spell into them; `<unk>` spells nothing."""
        if self._tokenizer.unk_id in ids:
            return True
        found = self._cut(self._context + self.text(ids))
        return (found[-len(ids) :] if self._context else found) == [*ids]

    def _cut(self, piece: str) -> list[int]:
        """The tokens of a piece of a line; none where it is several words that are cut otherwise."""
        try:
            return self._tokenizer.encode_pieces([*self._before, piece.removeprefix(self._added_space)])[-1]
        except DataError:
            return []
