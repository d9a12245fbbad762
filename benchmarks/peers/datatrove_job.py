"""datatrove as shipped: its own tokenizers, spaCy for English and spaCy with jieba for Chinese."""

from datatrove_pipeline import CHINESE_QUALITY, CHINESE_REPETITION, ENGLISH_QUALITY, Split, run
from reading import Reading, arguments


def main() -> None:
    """Run the job and write its reading."""
    reading = Reading()
    corpus, out = arguments(__doc__)
    splits = (
        Split("en", "eng", ENGLISH_QUALITY),
        # `cmn`, not `zho`: the latter silently splits at white space, so that a Chinese paragraph is one word.
        Split("zh", "cmn", CHINESE_QUALITY, CHINESE_REPETITION),
    )
    run(corpus, out, splits, reading)
    settings = {"tokenizers": "spaCy (eng), spaCy + jieba (cmn)", "minhash": "14 bands of 8, word 5-grams"}
    reading.report(out, ("datatrove", "spacy", "jieba", "ftfy", "xxhash", "numpy"), settings)


if __name__ == "__main__":
    main()
