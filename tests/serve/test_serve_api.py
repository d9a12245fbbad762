"""The API, through the stock client and by hand, against a real server."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import serving
from serving import Running

from burnish.serve.prompts import Prompts

served_folder, server, client = serving.served_folder, serving.server, serving.client
MESSAGES = [{"role": "user", "content": "今天 why?"}]
LOOSE = {"ignore_eos": True}


@pytest.fixture(scope="module")
def prompts(served_folder: Path) -> Prompts:
    return Prompts(served_folder)


def post(server: Running, path: str, body: Any, **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(server.url + path, content=content, timeout=30, trust_env=False, **options)


def test_a_chat_is_answered(client: Any) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=9, temperature=0, extra_body=LOOSE
    )
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 9
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9


@pytest.mark.parametrize("has_usage", [True, False])
def test_a_streamed_chat_is_the_whole_one_in_pieces(client: Any, has_usage: bool) -> None:
    asked = {"model": "tiny", "messages": MESSAGES, "max_completion_tokens": 40, "temperature": 0, "extra_body": LOOSE}
    whole = client.chat.completions.create(**asked)
    options = {"stream_options": {"include_usage": True}} if has_usage else {}
    chunks = list(client.chat.completions.create(**asked, stream=True, **options))
    said = [chunk for chunk in chunks if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == whole.choices[0].message.content
    assert [chunk.choices[0].delta.role for chunk in said] == ["assistant"] + [None] * (len(said) - 1)
    assert [chunk.choices[0].finish_reason for chunk in said] == [None] * (len(said) - 1) + ["length"]
    assert [chunk.usage for chunk in chunks if chunk.usage] == ([whole.usage] if has_usage else [])
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_who_asks_for_token_ids_gets_every_token_when_it_comes(client: Any) -> None:
    """Bytes of an unfinished character and special tokens show no text; a client that times tokens needs them too."""
    extra = {**LOOSE, "return_token_ids": True}
    asked = {"model": "tiny", "messages": MESSAGES, "max_completion_tokens": 40, "temperature": 0, "extra_body": extra}
    whole = client.chat.completions.create(**asked).choices[0].model_extra["token_ids"]
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True) if chunk.choices]
    assert [token for chunk in chunks for token in chunk.model_extra["token_ids"]] == whole
    assert any(not chunk.delta.content and chunk.finish_reason is None for chunk in chunks[1:])


def test_an_event_stream_is_as_the_protocol_says(server: Running) -> None:
    body = {"prompt": "ab", "max_tokens": 3, "stream": True, **LOOSE}
    response = post(server, "/v1/completions", body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: "))["object"] == "text_completion" for event in events[:-2])


def test_a_prompt_means_the_same_as_text_and_as_tokens(client: Any, prompts: Prompts) -> None:
    tokens = list(prompts.plain("congress is"))
    asked = {"model": "tiny", "max_tokens": 8, "temperature": 0, "extra_body": {**LOOSE, "return_token_ids": True}}
    found = [
        client.completions.create(prompt=prompt, **asked).choices[0]
        for prompt in ("congress is", tokens, ["congress is"], [tokens])
    ]
    assert {choice.text for choice in found} == {found[0].text}
    assert {tuple(choice.model_extra["token_ids"]) for choice in found} == {tuple(found[0].model_extra["token_ids"])}
    assert len(found[0].model_extra["token_ids"]) == 8
    assert prompts.decode(found[0].model_extra["token_ids"]) == found[0].text


def test_echo_gives_the_prompt_with_its_logprobs(client: Any, prompts: Prompts) -> None:
    tokens = list(prompts.plain("dogs demand"))
    answer = client.completions.create(
        model="tiny", prompt=tokens, max_tokens=2, temperature=0, echo=True, logprobs=1, extra_body=LOOSE
    )
    logprobs = answer.choices[0].logprobs
    assert answer.choices[0].text.startswith("dogs demand")
    assert logprobs.token_logprobs[0] is None
    assert all(logprob < 0 for logprob in logprobs.token_logprobs[1:])
    assert logprobs.tokens[: len(tokens)] == [prompts.spell(token) for token in tokens]
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == len(tokens) + 2
    assert answer.usage.prompt_tokens == len(tokens)
    assert answer.usage.completion_tokens == 2


def test_echo_without_new_tokens_scores_the_prompt(client: Any) -> None:
    answer = client.completions.create(model="tiny", prompt=[5, 6, 7], max_tokens=0, echo=True, logprobs=0)
    assert len(answer.choices[0].logprobs.token_logprobs) == 3
    assert answer.usage.completion_tokens == 0


def test_a_chat_gives_logprobs_of_its_tokens(client: Any) -> None:
    asked = {"model": "tiny", "messages": MESSAGES, "max_tokens": 6, "temperature": 0, "logprobs": True}
    whole = client.chat.completions.create(**asked, extra_body=LOOSE).choices[0].logprobs.content
    chunks = client.chat.completions.create(**asked, stream=True, extra_body=LOOSE)
    streamed = [entry for chunk in chunks for entry in chunk.choices[0].logprobs.content]
    assert [entry.token for entry in streamed] == [entry.token for entry in whole]
    assert len(whole) == 6
    assert all(entry.logprob < 0 for entry in whole)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_text_before_it(client: Any, stream: bool) -> None:
    asked = {"model": "tiny", "prompt": "area man", "temperature": 0, "max_tokens": 60, "extra_body": LOOSE}
    free = client.completions.create(**asked).choices[0].text
    stop = free[20:23]
    answer = client.completions.create(**asked, stop=[stop, "never said"], stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
    assert "".join(choice.text for choice in choices) == free[: free.index(stop)]
    assert choices[-1].finish_reason == "stop"


def test_a_stop_token_ends_the_text_before_it(client: Any, prompts: Prompts) -> None:
    asked = {"model": "tiny", "prompt": "area man", "temperature": 0, "max_tokens": 20}
    extra = {**LOOSE, "return_token_ids": True}
    free = client.completions.create(**asked, extra_body=extra).choices[0].model_extra["token_ids"]
    answer = client.completions.create(**asked, extra_body={**extra, "stop_token_ids": [free[5]]})
    end = free.index(free[5])
    assert answer.choices[0].model_extra["token_ids"] == free[: end + 1]
    assert answer.choices[0].text == prompts.decode(free[:end])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == end + 1


def test_a_seed_repeats_a_sample_and_none_does_not(client: Any) -> None:
    def sample(**seed: int) -> str:
        answer = client.completions.create(model="tiny", prompt="sea", max_tokens=24, extra_body=LOOSE, **seed)
        return str(answer.choices[0].text)

    assert sample(seed=-5) == sample(seed=-5)
    assert sample() != sample()


def test_models_and_health_and_tokenize(client: Any, server: Running, prompts: Prompts) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    health = httpx.get(server.url + "/health", trust_env=False)
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert post(server, "/tokenize", {"messages": MESSAGES}).json()["tokens"] == list(prompts.chat(MESSAGES))
    assert post(server, "/tokenize", {"prompt": "你好"}).json()["tokens"] == list(prompts.plain("你好"))
    parts = [{"role": "user", "content": [{"type": "text", "text": "今天 "}, {"type": "text", "text": "why?"}]}]
    assert post(server, "/tokenize", {"messages": parts}).json()["tokens"] == list(prompts.chat(MESSAGES))


def test_metrics_count_what_was_asked(client: Any, server: Running) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def values() -> dict[tuple[str, str], float]:
        text = httpx.get(server.url + "/metrics", trust_env=False).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return {
            (sample.name, sample.labels.get("code", sample.labels.get("kind", ""))): sample.value for sample in samples
        }

    before = values()
    client.completions.create(model="tiny", prompt="x", max_tokens=3, extra_body=LOOSE)
    list(client.completions.create(model="tiny", prompt="x", max_tokens=3, stream=True, extra_body=LOOSE))
    assert post(server, "/v1/completions", b"{").status_code == 400
    after = values()
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert grown["burnish_requests_total", "200"] == 2
    assert grown["burnish_requests_total", "400"] == 1
    assert grown["burnish_inference_seconds_count", ""] == 2
    assert grown["burnish_time_to_first_token_seconds_count", ""] == 2
    assert after["burnish_inference_seconds_sum", ""] >= after["burnish_time_to_first_token_seconds_sum", ""] > 0
    assert after["burnish_requests_waiting", ""] == 0
    assert after["burnish_memory_bytes", "engine"] > 1e7
    assert after["burnish_memory_bytes", "server"] > 1e7


CHAT: dict[str, Any] = {"messages": MESSAGES}
TEXT: dict[str, Any] = {"prompt": "x"}


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({**CHAT, "n": 2}, "n", "n is not supported"),
        ({**CHAT, "tools": [{"type": "function"}]}, "tools", "tools is not supported"),
        ({**CHAT, "response_format": {"type": "json_object"}}, "response_format", "not supported"),
        ({**CHAT, "logit_bias": {"1": 5}}, "logit_bias", "not supported"),
        ({**CHAT, "top_logprobs": 3, "logprobs": True}, "top_logprobs", "not supported"),
        ({**CHAT, "temperature": 3}, "temperature", "<= 2"),
        ({**CHAT, "top_p": 0}, "top_p", "> 0"),
        ({**CHAT, "max_tokens": "many"}, "max_tokens", "Expected `int"),
        ({"messages": []}, "messages", "length >= 1"),
        ({}, "messages", "missing required field"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages", "image_url"),
        ({**TEXT, "max_tokens": 0}, "max_tokens", "at least 1"),
        ({**TEXT, "logprobs": 5}, "logprobs", "<= 1"),
        ({"prompt": ["a", "b"]}, "prompt", "one text"),
        ({"prompt": [1, 320]}, "prompt", "token 320 is not in the vocabulary"),
        ({"prompt": [1, 2.5]}, "prompt", "one text"),
        ({"prompt": ""}, "prompt", "empty"),
        ({**TEXT, "stop": ["a"] * 17}, "stop", "length <= 16"),
        ({"prompt": [5] * 600}, "prompt", "600 tokens; this model's context is 512"),
        ({"prompt": [5] * 500, "max_tokens": 13}, "max_tokens", "together 513; this model's context is 512"),
    ],
)
def test_what_is_not_served_is_refused_by_name(server: Running, body: dict[str, Any], param: str, message: str) -> None:
    path = "/v1/completions" if "prompt" in body else "/v1/chat/completions"
    response = post(server, path, body)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]


def test_fields_that_change_nothing_are_accepted(server: Running) -> None:
    idle = {"user": "me", "metadata": {}, "store": False, "n": 1, "tools": [], "response_format": {"type": "text"}}
    response = post(server, "/v1/chat/completions", {**CHAT, **idle, "max_tokens": 1, "frequency_penalty": 0})
    assert response.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"\xff"', b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}'])
def test_what_is_no_json_is_refused(server: Running, body: bytes) -> None:
    response = post(server, "/v1/completions", body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_body_too_large_is_refused_before_it_is_read(server: Running) -> None:
    response = post(server, "/v1/completions", {"prompt": "x" * (1 << 20)})
    assert response.status_code == 413
    assert "larger than 1048576 bytes" in response.json()["error"]["message"]


def test_a_long_text_is_refused_with_its_length(server: Running) -> None:
    response = post(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 50_000}]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_another_model_and_another_path_are_not_found(client: Any, server: Running) -> None:
    from openai import NotFoundError

    with pytest.raises(NotFoundError, match="'tiny' is"):
        client.chat.completions.create(model="huge", messages=MESSAGES)
    assert post(server, "/v1/nothing", {}).json()["error"]["message"] == "POST /v1/nothing: Not Found"
    assert httpx.get(server.url + "/v1/completions", trust_env=False).status_code == 405
