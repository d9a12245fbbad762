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


TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "your dogs demand walks?"},
    {"role": "assistant", "content": "longer walks"},
    {"role": "user", "content": "央行宣布?"},
    {"role": "assistant", "content": "下调 <think> 存款"},
]
# answers marked, without their end of turn; a line of the template's own after each turn
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# as DeepSeek-R1's: a prompt opens thoughts, and an answered conversation holds none
THINKING = (
    "{% for message in messages %}{% set said = message['content'].split('</think>')[-1].lstrip() %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + said + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)


def with_template(template: str) -> Any:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def spans(tokenizer: Any, ids: tuple[int, ...], weights: tuple[float, ...]) -> list[str]:
    """Decode each run of learnt tokens."""
    assert len(ids) == len(weights)
    assert set(weights) <= {0.0, 1.0}
    edges = [0.0, *weights, 0.0]
    starts = [t for t in range(len(ids)) if edges[t + 1] > edges[t]]
    ends = [t for t in range(1, len(ids) + 1) if edges[t + 1] < edges[t]]
    return [tokenizer.decode(ids[start:end]) for start, end in zip(starts, ends, strict=True)]


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, MARKED, MARKED.replace("{% endgen", "{{ '<|im_end|>' }}{% endgen", 1)]
)
def test_every_answer_is_learnt_with_its_end_and_nothing_else(template: str) -> None:
    tokenizer = with_template(template)
    ids, weights = ChatFormat(tokenizer).conversation(TALK)
    rendered = tokenizer.apply_chat_template(TALK, return_dict=False)
    assert list(ids) == rendered[: len(ids)]
    learnt = spans(tokenizer, ids, weights)
    assert [text.removesuffix("<|im_end|>") for text in learnt] == ["longer walks", "下调 <think> 存款"]
    assert all(text.endswith("<|im_end|>") for text in learnt)


def test_marks_and_prompts_find_the_same_tokens() -> None:
    """Two ways that know nothing of each other: the template's own marks, and prompts as beginnings."""
    assert ChatFormat(with_template(MARKED)).conversation(TALK) == ChatFormat(make_tokenizer()).conversation(TALK)


def test_what_is_learnt_follows_what_the_model_is_asked_with(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    ids, weights = chat.conversation(TALK)
    for index in (2, 4):
        asked = chat.prompt(TALK[:index]).ids
        assert ids[: len(asked)] == asked
        assert weights[len(asked)] == 1.0
        assert weights[len(asked) - 1] == 0.0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(min_size=1, max_size=12).filter(lambda t: t.strip() and "<|" not in t)] * 2),
        min_size=1,
        max_size=4,
    )
)
def test_answers_are_found_whatever_they_say(pairs: list[tuple[str, str]]) -> None:
    tokenizer = make_tokenizer()
    talk = [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    found = spans(tokenizer, *ChatFormat(tokenizer).conversation(talk))
    assert found == [tokenizer.decode(tokenizer(f"{answer}<|im_end|>")["input_ids"]) for _, answer in pairs]


def test_the_last_answer_alone_is_learnt_where_the_recipe_says_so(tokenizer: Any) -> None:
    ids, weights = ChatFormat(tokenizer).conversation(TALK, learn="last_answer")
    assert ids == ChatFormat(tokenizer).conversation(TALK)[0]
    assert spans(tokenizer, ids, weights) == ["下调 <think> 存款<|im_end|>"]


@pytest.mark.parametrize(
    "template",
    [
        THINKING,
        CHAT_TEMPLATE.replace(
            "+ message['content']", "+ ('' if loop.last else '!') + message['content']"
        ),  # as Qwen3's
        CHAT_TEMPLATE.replace("{% for", "{{ messages | length }}{% for", 1),
    ],
)
def test_a_template_that_renders_answers_otherwise_later_is_refused(template: str) -> None:
    with pytest.raises(BurnishError, match=r"renders the answer in turn 3 of 5 otherwise .* set learn: last_answer"):
        ChatFormat(with_template(template)).conversation(TALK)


@pytest.mark.parametrize(
    ("answer", "learnt"),
    [
        ("walks", "\n</think>\n\nwalks"),
        ("<think>\nare dogs fed?\n</think>\nwalks", "are dogs fed?\n</think>\nwalks"),
        ("are dogs fed?</think>walks", "are dogs fed?</think>walks"),
    ],
)
def test_thoughts_that_a_prompt_opens_are_learnt_or_closed(answer: str, learnt: str) -> None:
    tokenizer = with_template(THINKING)
    talk = [*TALK[:-1], {"role": "assistant", "content": answer}]
    ids, weights = ChatFormat(tokenizer).conversation(talk, learn="last_answer")
    asked = tokenizer.apply_chat_template(TALK[:-1], add_generation_prompt=True, return_dict=False)
    assert list(ids[: len(asked)]) == asked
    assert spans(tokenizer, ids, weights) == [f"{learnt}<|im_end|>"]


def test_a_template_that_refuses_a_role_is_named() -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + CHAT_TEMPLATE
    chat = ChatFormat(with_template(template))
    assert chat.conversation(TALK[1:])[0]
    with pytest.raises(BurnishError, match=r"refuses turns of system, user, assistant.*no system here"):
        chat.conversation(TALK)


def test_a_control_token_spelt_out_is_found(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    assert chat.control_token(TALK) is None
    assert chat.control_token([{"role": "user", "content": "stop<|im_end|>here"}]) == "<|im_end|>"


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
