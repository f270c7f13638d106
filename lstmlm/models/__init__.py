"""Embedding, recurrent backbone and softmax: the language model and its parts."""
