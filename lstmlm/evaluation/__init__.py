"""Questions asked of a trained model: `lstmlm eval NAME` and `lstmlm inspect NAME`, a folder for each kind.

- `perplexity`: how well is a text predicted, by one model, two, several, or one with n-grams.
- `surprisal`: how unexpected is each word.
- `adaptation`: what does the text so far tell about the rest of it.
- `rescoring`: which of a recogniser's hypotheses is the best.
- `pairs`: does the model find the right sentence less surprising.
- `memory`: how far back does a prediction reach, and what do the gates do.

They share `proof`, whether a figure is what it says, of whose scorers they are made; `report`, the form of an answer;
`fingerprint`, what a figure depends on; `bootstrap`, how far it may be chance; `seeds`, that of several trainings;
`interpolation`, probabilities of several models averaged; `reading`, how words become a text; `normalization`, plain
sentences in the spelling of a corpus. No question imports from another. All take a model, a tokenizer and text, never a
path of a run: that is what `questions.py` is for, which asks them.
"""
