"""Same tokens: whether two models mean the same by a token, which all that goes token by token between them needs."""

from pathlib import Path

from burnish.nn.weights import open_tokenizer


def token_difference(one: Path, other: Path) -> str | None:
    """Say where two folders' tokenizers differ, in words; None where they do not.

    Special tokens and templates may differ: they change what is asked, not what an answer's tokens mean.
    """
    files = [folder / "tokenizer.json" for folder in (one, other)]
    if all(file.exists() for file in files) and files[0].read_bytes() == files[1].read_bytes():
        return None
    first, second = (open_tokenizer(folder).get_vocab() for folder in (one, other))
    if first == second:
        return None
    token = next(each for each in {**first, **second} if first.get(each) != second.get(each))
    return f"{len(first):,} and {len(second):,} tokens; {token!r} is {first.get(token)} and {second.get(token)}"
