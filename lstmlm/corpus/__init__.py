"""Text in, token ids out: files, named corpora, tokenizers, and the stream of windows.

In the order in which a text passes through:

- `reading`: files, compressed or not, as blocks of text; documents, and the splits of a corpus that is a path.
- `named`: corpora that have a name, fetched and compared with what they have to be.
- `tokenizers`: text to token ids and back.
- `encoded_text`: one pass over a text, which leaves its ids and all that is counted of it.
- `store`: encoded texts on disk, those that a user made and those that are kept between commands.
- `loading`: where these meet. A training or an evaluation asks here for a corpus or a split, by path or name.
- `stream`: the ids as columns, read in windows by the training.
- `inspection`: what `lstmlm data check` and `stats` say of a text.

Others take `loading`, `encoded_text`, `stream` and `tokenizers`, and `reading` for files of their own; the commands of
`lstmlm data` take also what they show.
"""
