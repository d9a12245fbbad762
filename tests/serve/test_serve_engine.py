"""The OpenVINO engine, against transformers and against its own promises."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import serving

from burnish.errors import BurnishError, RecipeError
from burnish.serve.engine.openvino import OpenvinoEngine
from burnish.serve.engine.protocol import Delta, Engine, Request, RequestRefused, Sampling
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.folder import ServableFolder

served_folder = serving.served_folder
PROMPT = (1, 50, 60, 70, 80, 9, 200)
GREEDY = Sampling(8, ignore_eos=True, logprobs=True)


def start(folder: Path, settings: EngineSettings) -> Engine:
    return OpenvinoEngine(ServableFolder.read(folder), settings)


@pytest.fixture(scope="module")
def engine(served_folder: Path) -> Iterator[Engine]:
    engine = start(served_folder, EngineSettings(num_threads=1))
    yield engine
    engine.close()


def complete(engine: Engine, *requests: Request) -> dict[int, Delta]:
    """Run requests to their end; give each one's deltas as one."""
    whole = {request.id: Delta(request.id) for request in requests}
    for request in requests:
        engine.add(request)
    for _ in range(1000):
        for delta in engine.step():
            old = whole[delta.id]
            assert old.finish_reason is None
            joined = (old.tokens + delta.tokens, old.logprobs + delta.logprobs)
            whole[delta.id] = Delta(delta.id, *joined, delta.finish_reason)
        if all(delta.finish_reason for delta in whole.values()):
            assert engine.stats().num_running == engine.stats().num_waiting == 0
            return whole
    raise AssertionError(f"not finished: {whole}")


def test_greedy_tokens_and_logprobs_are_those_of_transformers(served_folder: Path, tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    truth = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    exact = start(served_folder, EngineSettings(num_threads=1, max_batched_tokens=16, precision="f32"))
    prompt = PROMPT * 6  # three chunks
    echoed = complete(exact, Request(1, prompt, replace(GREEDY, echo=True)))[1]
    assert echoed.tokens[: len(prompt)] == prompt
    assert echoed.logprobs[0] is None
    with torch.no_grad():
        logprobs = truth(torch.tensor([echoed.tokens])).logits[0].log_softmax(-1)
    expected = logprobs[:-1].gather(1, torch.tensor(echoed.tokens)[1:, None])[:, 0]
    assert echoed.logprobs[1:] == pytest.approx(expected.tolist(), abs=1e-3)
    assert echoed.tokens[len(prompt) :] == tuple(logprobs[len(prompt) - 1 : -1].argmax(-1).tolist())


def test_requests_together_get_what_each_gets_alone(engine: Engine) -> None:
    requests = [Request(i, (*PROMPT, 30 + i), GREEDY) for i in range(5)]
    alone = [complete(engine, request)[request.id].tokens for request in requests]
    together = complete(engine, *requests)
    assert [together[request.id].tokens for request in requests] == alone


def test_an_equal_seed_gives_equal_tokens_and_another_gives_others(engine: Engine) -> None:
    sampled = replace(GREEDY, temperature=1.0, top_p=0.9, max_tokens=16)
    seeds = (7, 7, 8)
    found = complete(engine, *(Request(i, PROMPT, replace(sampled, seed=seed)) for i, seed in enumerate(seeds)))
    assert found[0].tokens == found[1].tokens != found[2].tokens


def test_a_stop_token_ends_a_completion_and_is_its_last(engine: Engine) -> None:
    free = complete(engine, Request(1, PROMPT, GREEDY))[1]
    assert (len(free.tokens), free.finish_reason) == (8, "length")
    stopped = complete(engine, Request(1, PROMPT, replace(GREEDY, stop_token_ids=(free.tokens[3],))))[1]
    first = free.tokens.index(free.tokens[3])
    assert stopped.tokens == free.tokens[: first + 1]
    assert stopped.finish_reason == "stop"


def test_the_models_own_end_is_passed_only_where_asked(served_folder: Path, engine: Engine) -> None:
    free = complete(engine, Request(1, PROMPT, GREEDY))[1]
    folder = replace(ServableFolder.read(served_folder), eos_token_ids=(free.tokens[2],))
    other = OpenvinoEngine(folder, EngineSettings(num_threads=1))
    assert complete(other, Request(1, PROMPT, GREEDY))[1].tokens == free.tokens
    ended = complete(other, Request(1, PROMPT, replace(GREEDY, ignore_eos=False)))[1]
    assert ended.tokens == free.tokens[: free.tokens.index(free.tokens[2]) + 1]
    assert ended.finish_reason == "stop"


def test_no_new_token_with_echo_scores_the_prompt(engine: Engine) -> None:
    prompt = PROMPT * 50  # more than one chunk
    scored = complete(engine, Request(1, prompt, Sampling(0, logprobs=True, echo=True)))[1]
    assert scored.tokens == prompt
    assert len(scored.logprobs) == len(prompt)
    assert all(logprob is not None and logprob < 0 for logprob in scored.logprobs[1:])


def test_an_aborted_request_says_nothing_more_and_frees_its_cache(engine: Engine) -> None:
    engine.add(Request(1, PROMPT, Sampling(400, ignore_eos=True)))
    engine.add(Request(2, PROMPT, GREEDY))
    assert {delta.id for delta in engine.step()} == {1, 2}
    assert engine.stats().cache_used_frac > 0
    engine.abort(1)
    engine.abort(99)  # unknown ones are ignored
    ids = {delta.id for _ in range(8) for delta in engine.step()}
    assert ids == {2}
    assert engine.step() == []
    assert (engine.stats().num_running, engine.stats().cache_used_frac) == (0, 0)


@pytest.mark.parametrize("prompt", [(320,), (-1,), (1, 2**40), ()])
def test_a_prompt_outside_the_vocabulary_is_refused_and_others_go_on(engine: Engine, prompt: tuple[int, ...]) -> None:
    with pytest.raises(RequestRefused):
        engine.add(Request(1, prompt, GREEDY))
    assert len(complete(engine, Request(2, PROMPT, GREEDY))[2].tokens) == 8


@pytest.mark.parametrize("num_prompt", [7, 33, 60])
def test_a_cache_too_small_for_all_at_once_serves_them_all(served_folder: Path, num_prompt: int) -> None:
    engine = start(served_folder, EngineSettings(num_threads=1, cache_tokens=64, precision="f32"))
    sampling = replace(GREEDY, max_tokens=64 - num_prompt)
    found = complete(engine, *(Request(i, (PROMPT * 9)[:num_prompt], sampling) for i in range(4)))
    assert {len(delta.tokens) for delta in found.values()} == {64 - num_prompt}
    assert len({delta.tokens for delta in found.values()}) == 1


def test_a_request_larger_than_the_cache_is_refused_and_others_go_on(served_folder: Path) -> None:
    engine = start(served_folder, EngineSettings(num_threads=1, cache_tokens=64))
    engine.add(Request(1, PROMPT, GREEDY))
    with pytest.raises(RequestRefused, match="have 65 tokens; the KV cache holds 64"):
        engine.add(Request(2, (PROMPT * 9)[:57], GREEDY))
    assert sum(len(delta.tokens) for _ in range(8) for delta in engine.step()) == 8


def test_prompts_that_begin_alike_get_the_same_with_a_prefix_cache(served_folder: Path, engine: Engine) -> None:
    cached = start(served_folder, EngineSettings(num_threads=1, has_prefix_cache=True))
    for last in range(3):  # one after the other: the second finds the first one's cache
        request = Request(last, (*PROMPT * 12, last), GREEDY)
        assert complete(cached, request)[last].tokens == complete(engine, request)[last].tokens
    with pytest.raises(RequestRefused, match="prefix cache"):
        cached.add(Request(9, PROMPT, replace(GREEDY, echo=True)))


def test_a_model_that_is_none_is_refused(served_folder: Path, tmp_path: Path) -> None:
    for path in served_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.suffix != ".xml" else b"<net/>")
    with pytest.raises(BurnishError, match="cannot be loaded"):
        start(tmp_path, EngineSettings())


@pytest.mark.parametrize("wrong", [{"num_threads": 0}, {"cache_tokens": 31}, {"max_running": 0}])
def test_sizes_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        EngineSettings(**wrong)
