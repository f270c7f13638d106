"""Proofs that a figure is what it says: `--prove` of `lstmlm eval`, and `lstmlm prove`.

`scorer` says what can be put under proof: whatever gives tokens surprisals and says from which distributions. `checks`
asks it, and knows nothing else of it. Evaluations are made from scorers, so that the proof asks what has made the
figure; `server` and `transformer` make scorers of other people's models, and `others` proves these.
"""
