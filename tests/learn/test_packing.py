"""Packing: nothing lost, nothing cut, no attention across borders."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.errors import RecipeError
from burnish.learn.packing import IGNORED, Sample, pack, pack_once
from burnish.learn.scoring import token_logprobs
from burnish.nn.forward import logits_at
from burnish.nn.weights import device, open_model

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def samples_of(lengths: list[int]) -> list[Sample]:
    return [Sample((number,) * length, (1.0,) * length) for number, length in enumerate(lengths)]


@given(LENGTHS, st.integers(0, 3))
def test_an_epoch_uses_every_sample_once_and_whole(lengths: list[int], seed: int) -> None:
    samples = samples_of(lengths)
    seen: list[int] = []
    for row in pack(samples, row_tokens=16, seed=seed):
        assert len(row.ids) == len(row.positions) == len(row.labels) <= 16
        starts = [i for i, position in enumerate(row.positions) if position == 0]
        for start, end in zip(starts, [*starts[1:], len(row.ids)], strict=True):
            number = row.ids[start]
            assert row.ids[start:end] == [number] * lengths[number]
            assert row.positions[start:end] == list(range(lengths[number]))
            assert row.labels[start:end] == [*([number] * (lengths[number] - 1)), IGNORED]
            assert row.weights[start:end] == [*([1.0] * (lengths[number] - 1)), 0.0]
            seen.append(number)
        if len(seen) >= len(samples):
            break
    assert sorted(seen[: len(samples)]) == list(range(len(samples)))


def test_packing_is_the_same_for_a_seed_and_another_for_another() -> None:
    samples = samples_of([3, 4, 5, 6, 7, 8])
    first, again, other = (list(islice(pack(samples, row_tokens=16, seed=s), 6)) for s in (1, 1, 2))
    assert first == again != other


def test_pack_once_keeps_order() -> None:
    rows = pack_once(samples_of([3, 4, 10, 2]), row_tokens=8)
    assert [row.ids for row in rows] == [[0] * 3 + [1] * 4, [2] * 10, [3] * 2]


@pytest.mark.parametrize(("lengths", "words"), [([], "no training samples"), ([20], "20 tokens; row_tokens is 16")])
def test_what_cannot_be_packed_is_refused(lengths: list[int], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        next(pack(samples_of(lengths), row_tokens=16, seed=0))


def test_a_packed_example_gets_the_logits_it_gets_alone(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    a, b = [5, 9, 200, 31, 7], [44, 3, 100]
    everywhere = torch.ones(8, dtype=torch.bool)
    with torch.inference_mode():
        packed = logits_at(model, a + b, [0, 1, 2, 3, 4, 0, 1, 2], everywhere)
        alone = torch.cat([logits_at(model, ids, range(len(ids)), everywhere[: len(ids)]) for ids in (a, b)])
        unmasked = logits_at(model, a + b, range(8), everywhere)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)
    assert (unmasked[5:] - alone[5:]).abs().max() > 1e-2  # without the borders the second example sees the first


def test_token_logprobs_equal_the_plain_forward(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    sequences = [[5, 9, 200], [7, 7], [1, 2, 3, 4, 5, 6]]
    counts: list[int] = []
    scores = token_logprobs(model, sequences, row_tokens=8, each=counts.append)
    assert sum(counts) == 3
    for ids, score in zip(sequences, scores, strict=True):
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids], device=device())).logits[0].log_softmax(-1)
        expected = [float(logprobs[t, token]) for t, token in enumerate(ids[1:])]
        assert score == pytest.approx(expected, abs=1e-4)
