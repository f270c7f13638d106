"""`lstmlm data stats`: how large a corpus is, and how its words are spread."""

from lstmlm.cli.options import CorpusArgument, CorpusConfigOption, JsonOption, SetOption, corpus_config
from lstmlm.cli.render import print_json, print_table, warn


def stats(
    corpora: CorpusArgument = None,
    config: CorpusConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count a corpus in every unit, and measure its vocabulary.

    Words are pieces between white space; tokens are words with an <eos> a line. heaps_exponent is the β of types =
    K · words^β, zipf_exponent the α of count = C / rank^α, share_of_10000_types what share of the text the 10,000 most
    frequent types cover.

    Examples:

    lstmlm data stats data/tiny

    lstmlm data stats texts/novel.txt texts/chapter.txt --json

    lstmlm data stats texts/posts.jsonl --set data.field=body
    """
    from lstmlm.corpus.inspection.statistics import measure
    from lstmlm.corpus.loading import open_texts

    options = corpus_config(config, overrides or [], corpora or []).data
    measured = {name: measure(text) for name, text in open_texts(corpora or [options.corpus], options).items()}
    pruned = {name: text.words.n_dropped for name, text in measured.items() if text.words.n_dropped}
    warn(
        f"{name}: {count:,} rare types were forgotten on the way, to save memory: types are counted too often."
        for name, count in pruned.items()
    )
    if as_json:
        texts = [
            {"text": name, **text.sizes(), **text.vocabulary(), "most_frequent": text.most_frequent()}
            for name, text in measured.items()
        ]
        print_json({"texts": texts})
        return
    print_table([{"text": name, **text.sizes()} for name, text in measured.items()])
    print()
    print_table([{"text": name, **text.vocabulary()} for name, text in measured.items()])
    name, first = next(iter(measured.items()))
    if most_frequent := first.most_frequent():
        print(f"\nmost frequent in {name}")
        print_table(most_frequent)
