"""Embedding, recurrent backbone and softmax: the language model and its parts; n-gram models to compare it with."""
