"""Tidy: the same as `repair.normalise` on whatever is composed already; and batches, slices and bytes come through."""

import itertools
import unicodedata

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_texts import ALPHABETS, arrays, broken, raw_arrays, texts, tidied
from oracle import decoded

from burnish.data.kernel.batch import to_arrays, to_column
from burnish.data.kernel.tidy import tidy
from burnish.data.repairs.repair import normalise

blanks = st.lists(st.sampled_from([*ALPHABETS["spaces"], *ALPHABETS["breaks"], "\r\n", "a", "中", "\x1f"]), max_size=24)
drawn_texts = (texts | blanks.map("".join)).map(lambda text: unicodedata.normalize("NFC", text))


@settings(max_examples=500, deadline=None)
@given(st.lists(drawn_texts, max_size=5))
def test_tidy_is_normalise(drawn: list[str]) -> None:
    once = tidied(drawn)
    assert once == [normalise(text) for text in drawn]
    assert tidied(once) == once


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("  a\n\n\n\nb \t\r\n  c  ", "a\n\nb\n  c"),
        ("def f(x):\n    return x\t# y", "def f(x):\n    return x\t# y"),
        ("中\u3000文\u3000\u3000\n\u3000\u3000段", "中 文\n段"),
        ("a \u00a0 b\r\rc\x85d\u2028e\x0bf\x1eg", "a b\n\nc\nd\ne\nf\ng"),
        (" \n\u3000\t", ""),
        ("", ""),
    ],
)
def test_by_example(text: str, tidy: str) -> None:
    assert tidied([text, "x", text]) == [tidy, "x", tidy]


@settings(max_examples=200, deadline=None)
@given(st.lists(broken(), max_size=4))
def test_bytes_that_are_no_text_stay(drawn: list[bytes]) -> None:
    data, offsets = tidy(*raw_arrays(drawn))
    after = [bytes(data[start:end]) for start, end in itertools.pairwise(offsets)]
    assert [decoded(each) for each in after] == tidied([decoded(each) for each in drawn])


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=8), st.data())
def test_a_slice_of_a_column_is_tidied_as_if_alone(drawn: list[str], choose: st.DataObject) -> None:
    start = choose.draw(st.integers(0, len(drawn)))
    stop = choose.draw(st.integers(start, len(drawn)))
    column = pyarrow.array(drawn, pyarrow.string())
    chunked = pyarrow.chunked_array([column[:start], column[start:stop], column[stop:]])
    for part in (column.slice(start, stop - start), chunked.slice(start, stop - start)):
        assert to_column(*tidy(*to_arrays(part))).to_pylist() == tidied(drawn[start:stop])


def test_columns_of_nothing() -> None:
    for column in (pyarrow.array([], pyarrow.string()), pyarrow.chunked_array([], pyarrow.string())):
        data, offsets = to_arrays(column)
        assert (len(data), offsets.tolist()) == (0, [0])
    assert to_column(*arrays(["", ""])).to_pylist() == ["", ""]
