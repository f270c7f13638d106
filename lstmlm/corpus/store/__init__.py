"""Encoded texts on disk, so that a text is encoded once.

- `shards`: arrays of numbers in files that are written once, checked, and mapped into memory as one array.
- `token_store`: a folder of such arrays with an index and a tokenizer; `lstmlm data encode` makes one for the user.
- `token_cache`: the same in the user's cache directory, made and removed without being asked for.

`loading` chooses among them. Others take `token_store`; `shards` is for these two alone.
"""
