"""Text in, token ids out: sources, tokenizers, named corpora and the stream of windows."""
