"""datatrove with the cheapest tokenizer that suits both languages plugged in: one regular expression."""

import re

from datatrove.utils.word_tokenizers import WordTokenizer
from datatrove_pipeline import CHINESE_QUALITY, CHINESE_REPETITION, ENGLISH_QUALITY, Split, run
from reading import Reading, arguments

# A word is one Chinese character or a run of other letters, digits and underscores; punctuation is no word.
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


class RegexTokenizer(WordTokenizer):
    """Split text into words by `WORD`; the job asks for nothing else of a tokenizer."""

    def word_tokenize(self, text: str) -> list[str]:
        """Give the words of a text."""
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        """Refuse: no step of the job splits sentences."""
        raise NotImplementedError

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Refuse: no step of the job splits sentences."""
        raise NotImplementedError


def main() -> None:
    """Run the job and write its reading."""
    reading = Reading()
    corpus, out = arguments(__doc__)
    tokenizer = RegexTokenizer()
    splits = (
        Split("en", tokenizer, ENGLISH_QUALITY),
        Split("zh", tokenizer, CHINESE_QUALITY, CHINESE_REPETITION),
    )
    run(corpus, out, splits, reading)
    settings = {"tokenizers": WORD.pattern, "minhash": "14 bands of 8, word 5-grams"}
    reading.report(out, ("datatrove", "ftfy", "xxhash", "numpy"), settings)


if __name__ == "__main__":
    main()
