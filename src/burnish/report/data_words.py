"""Words for what a data run measures: rules, bounds and values as people read them."""

from dataclasses import dataclass

from burnish.report.figures import show_share, significant


@dataclass(frozen=True)
class Measured:
    """Say what a rule measures.

    Attributes:
        words: of the value, such as "share of letters".
        unit: "1" for a share, "count" for whole numbers with `noun`, "" for any other number.
        noun: what a count counts.
        is_likeness: whether it says how alike two records are.
    """

    words: str
    unit: str = "1"
    noun: str = ""
    is_likeness: bool = False

    def show(self, value: float) -> str:
        """Show one value."""
        match self.unit:
            case "1":
                return show_share(value)
            case "count":
                return f"{value:,.6g} {self.noun.removesuffix('s') if value == 1 else self.noun}"
            case _:
                return f"{significant(value)}{f' {self.noun}' if self.noun else ''}"

    def show_round(self, value: float) -> str:
        """Show a bound, which people mostly chose, with no more digits than it has."""
        scaled = round(100 * value, 10) if self.unit == "1" else value
        shown = (f"{scaled:,.0f}" if scaled == int(scaled) else f"{scaled:,.4g}").replace("-", "−")
        noun = "%" if self.unit == "1" else self.noun.removesuffix("s") if value == 1 else self.noun
        return f"{shown} {noun}".rstrip()


_MEASURED = {
    "too_few_words": Measured("words, as a segmenter finds them", "count", "words"),
    "language": Measured("probability of a wanted language"),
    "few_letters": Measured("letters and digits among the visible characters"),
    "mixed_words": Measured("words that mix letters, digits and cases"),
    "word_salad": Measured("mean length of words that nothing joins", "", "characters"),
    "random_letters": Measured("surprise of the next letter, by English", "", "bits"),
    "random_ideographs": Measured("rare characters among the Chinese ones"),
    "lost_characters": Measured("characters that an earlier program lost"),
    "short_words": Measured("mean length of a word", "", "characters"),
    "long_words": Measured("mean length of a word", "", "characters"),
    "symbols": Measured("# and ellipses to words"),
    "few_alphabetic_words": Measured("words with a letter in them"),
    "few_function_words": Measured("function words, English and Chinese", "count", "words"),
    "repeated_phrase_2": Measured("words in the commonest phrase of two"),
    "repeated_phrase_3": Measured("words in the commonest phrase of three"),
    "repeated_phrase_4": Measured("words in the commonest phrase of four"),
    "repeated_passages": Measured("words in passages of five that were there before"),
    "bullets": Measured("lines that begin with a bullet"),
    "ellipses": Measured("lines that end with an ellipsis"),
    "line_ends": Measured("lines that end with a mark"),
    "repeated_lines": Measured("bytes in lines that were there before"),
    "short_lines": Measured("lines under 30 bytes"),
    "exact_copy": Measured("similarity to the kept record", is_likeness=True),
    "near_copy": Measured("shingles shared with the kept record", is_likeness=True),
    "semantic_copy": Measured("cosine to the kept record", "", is_likeness=True),
    "mixed_scripts": Measured("words with look-alike letters of two scripts", "count", "words"),
    "invisible_characters": Measured("characters that show nothing", "count", "characters"),
    "split_words": Measured("words whose letters stand apart or are respelt", "count", "words"),
    "repeated_passage": Measured("repeats of a passage without a break", "count", "repeats"),
    "injection_pattern": Measured("weight of sentences that speak to the model", ""),
    "surprising_passage": Measured("surprise of the strangest passage, in standard deviations", ""),
    "too_predictable": Measured("surprise of the text, to a language model", ""),
    "too_surprising": Measured("surprise of the text, to a language model", ""),
    "unlike_good_text": Measured("likeness to good text, by a classifier", ""),
    "ungrammatical": Measured("score of the text's grammar", ""),
    "undersampled": Measured("place among its group"),
    "near_copy_of_source": Measured("shingles shared with its source", is_likeness=True),
    "too_far": Measured("shingles shared with its source", is_likeness=True),
    "label_flip": Measured("probability of another label"),
    "negation_changed": Measured("negations more or fewer than the source has", "count", "negations"),
    "off_domain": Measured("likeness to the domain, in standard deviations", ""),
    "oversized_document": Measured("size of the text", "count", "bytes"),
    "timed_out": Measured("time without an answer", "count", "s"),
}
_PLAIN = Measured("value", "")

_MASKED = {
    "email": "e-mail addresses",
    "url_credentials": "passwords in URLs",
    "key": "keys and tokens",
    "cn_id": "Chinese identity numbers",
    "card": "bank card numbers",
    "iban": "bank account numbers",
    "cn_mobile": "Chinese mobile numbers",
    "phone": "telephone numbers",
    "ip": "IP addresses",
}
_REPAIRED = {
    "html": "HTML residue",
    "mojibake": "mojibake",
    "invalid_characters": "control and invisible characters",
    "lost_characters": "lost characters (U+FFFD)",
    "unicode_form": "Unicode form",
}
_LANGUAGES = {
    "zh": "Chinese", "en": "English", "ja": "Japanese", "ko": "Korean", "de": "German", "fr": "French", "es": "Spanish",
    "ru": "Russian", "it": "Italian", "pt": "Portuguese", "ar": "Arabic", "nl": "Dutch", "pl": "Polish", "tr": "Turkish",
    "vi": "Vietnamese", "id": "Indonesian", "hi": "Hindi", "th": "Thai", "uk": "Ukrainian", "cs": "Czech",
    "sv": "Swedish",
}  # fmt: skip


def measured_by(rule: str) -> Measured:
    """Say what a rule measures; of a rule that this report does not know only that it measures."""
    return _MEASURED.get(rule, _PLAIN)


def rule_words(rule: str) -> str:
    """Name a rule, a repair or a mask for people."""
    for prefix, names in (("masked_", _MASKED), ("repaired_", _REPAIRED)):
        if rule.startswith(prefix):
            kind = rule.removeprefix(prefix)
            return names.get(kind, kind.replace("_", " "))
    return rule.replace("_", " ")


def change_words(rule: str) -> str:
    """Say what was done to a record that stayed."""
    for prefix, verb in (("masked_", "masked"), ("repaired_", "repaired")):
        if rule.startswith(prefix):
            return f"{verb} {rule_words(rule)}"
    return rule_words(rule)


def language_words(code: str) -> str:
    """Name a language; a code without a name here stays a code."""
    return _LANGUAGES.get(code, code)


def bound_words(rule: str, threshold: float | None, *, is_floor: bool, is_inclusive: bool = False) -> str:
    """Say what a rule removes: "below 10 words", "above 30 %", "1 and more", "80 % alike and more".

    Args:
        is_inclusive: whether a value that equals an upper bound is removed.
    """
    if threshold is None:
        return ""
    measured = measured_by(rule)
    shown = measured.show_round(threshold) + (" alike" if measured.is_likeness and measured.unit == "1" else "")
    if rule == "exact_copy":
        return "the same words and symbols"
    if is_floor:
        return f"{'less than' if measured.is_likeness else 'below'} {shown}"
    return f"{shown} and more" if is_inclusive or measured.is_likeness else f"above {shown}"
