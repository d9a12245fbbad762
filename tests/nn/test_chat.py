"""Chat examples: the tokens are the template's own, the spans are where they say."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.errors import BurnishError, RecipeError
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.precision import bf16_speedup, resolve
from burnish.nn.weights import open_tokenizer, read_gguf
from conftest import CHAT_TEMPLATE, HEADLINES, make_tokenizer

TASK = LabelTask("Which?", ("serious", "sarcastic"))


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return open_tokenizer(tiny_model)


@pytest.mark.parametrize("text", [text for text, _ in HEADLINES])
def test_a_prompt_is_what_the_template_makes(tokenizer: Any, text: str) -> None:
    messages = TASK.messages(text)
    example = ChatFormat(tokenizer).prompt(messages)
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(example.ids) == expected
    assert tokenizer.decode(example.ids[example.text_start : example.text_end]) == text
    assert example.answer_start == len(example.ids)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and "<|" not in text))
def test_the_text_span_decodes_to_any_text(text: str) -> None:
    tokenizer = make_tokenizer()
    example = ChatFormat(tokenizer).prompt(TASK.messages(text))
    assert text.strip() in tokenizer.decode(example.ids[example.text_start : example.text_end])


def test_an_answer_begins_with_its_prompt_and_ends_the_turn(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    messages = TASK.messages(HEADLINES[0][0])
    prompt, answered = chat.prompt(messages), chat.answered(messages, "sarcastic")
    assert answered.ids[: answered.answer_start] == prompt.ids
    assert tokenizer.decode(answered.ids[answered.answer_start :]) == "sarcastic<|im_end|>"
    assert (answered.text_start, answered.text_end) == (prompt.text_start, prompt.text_end)


def test_a_tokenizer_without_a_template_is_refused() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(BurnishError, match="no chat template"):
        ChatFormat(tokenizer)


def test_a_template_that_renders_answers_unlike_prompts_is_refused() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% if messages|length > 2 %}!{% endif %}" + CHAT_TEMPLATE
    with pytest.raises(BurnishError, match="unlike its prompt"):
        ChatFormat(tokenizer).answered(TASK.messages("some text"), "serious")


def test_a_template_that_changes_the_text_is_refused() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace("message['content']", "message['content'] | upper")
    with pytest.raises(BurnishError, match="changes the text 'some text'"):
        ChatFormat(tokenizer).prompt(TASK.messages("some text"))


@pytest.mark.parametrize("labels", [(), ("one",), ("a", "a")])
def test_a_task_needs_two_labels(labels: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="at least two"):
        LabelTask("", labels)


def test_no_instruction_leaves_out_the_system_turn() -> None:
    assert LabelTask("", ("a", "b")).messages("x") == [{"role": "user", "content": "x"}]


def test_precision_auto_is_what_was_measured() -> None:
    assert resolve("auto") == ("bf16" if bf16_speedup() >= 1.2 else "fp32")
    assert resolve("fp32") == "fp32"


def test_a_damaged_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(BurnishError, match="cannot be read as GGUF"):
        read_gguf(tmp_path / "m.gguf")
