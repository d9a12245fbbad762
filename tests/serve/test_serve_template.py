"""Chat templates against transformers, which is the truth for them."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from burnish.errors import ArtifactError, RecipeError
from burnish.serve.prompts import Prompts
from burnish.serve.template import ChatTemplate

CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "english": [{"role": "user", "content": '  What\'s "this" <b>& that</b>?\n'}],
    "chinese": [{"role": "user", "content": "央行为什么下调存款准备金率？😀"}],
    "turns": [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "两个"},
        {"role": "user", "content": "three\n\nlines"},
    ],
    "system": [{"role": "system", "content": "你是一个助手。"}, {"role": "user", "content": "hello"}],
    "nothing said": [{"role": "user", "content": None, "name": "a"}],
}
TEMPLATES = {
    "chatml": None,  # the folder's own
    "default system": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "blocks": """
        {%- set ns = namespace(count=0) %}
        {% for message in messages %}
            {% if message.role == 'system' %}{% continue %}{% endif %}
            {% set ns.count = ns.count + 1 %}
    {{ bos_token }}{{ message | tojson }} {{ ns.count }}
            {% if message.role == 'assistant' %}
                {% generation %}
    {{ message.content | trim }}{{ eos_token }}
                {% endgeneration %}
            {% endif %}
        {% endfor %}
        {{ dict(a=tools is none, b=documents is none) | tojson(indent=1) }}
    """,
}


def with_template(folder: Path, copy: Path, source: str | None) -> Path:
    """Copy a folder's tokenizer, with another template."""
    copy.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (copy / name).write_bytes((folder / name).read_bytes())
    if source is not None:
        (copy / "chat_template.jinja").write_text(source, encoding="utf-8")
    return copy


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_tokens_are_those_of_transformers(tiny_model: Path, tmp_path: Path, template: str, conversation: str) -> None:
    folder = with_template(tiny_model, tmp_path / "model", TEMPLATES[template])
    messages = CONVERSATIONS[conversation]
    if template != "blocks":
        messages = [{**message, "content": message["content"] or ""} for message in messages]
    truth = PreTrainedTokenizerFast.from_pretrained(folder)
    expected = truth.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert Prompts(folder).chat(messages) == tuple(expected)


def test_a_template_that_refuses_says_why() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}", {})
    with pytest.raises(RecipeError, match="roles must alternate"):
        template.render([{"role": "user", "content": "x"}])


def test_a_broken_template_is_named_on_loading() -> None:
    with pytest.raises(ArtifactError, match="line 2"):
        ChatTemplate("\n{% if %}", {})


@pytest.mark.parametrize(
    "attack",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% set ns = namespace() %}{% set ns._x = 1 %}",
        "{{ dict.mro() }}",
    ],
)
def test_a_template_cannot_reach_out(attack: str) -> None:
    with pytest.raises(RecipeError):
        ChatTemplate(attack, {}).render([{"role": "user", "content": "x"}])


def test_the_older_places_of_a_template_are_read(tmp_path: Path) -> None:
    assert ChatTemplate.read(tmp_path) is None
    named = [{"name": "default", "template": "{{ bos_token }}!"}, {"name": "rag", "template": "no"}]
    config = {"chat_template": named, "bos_token": {"content": "<s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    template = ChatTemplate.read(tmp_path)
    assert template is not None
    assert template.render([]) == "<s>!"
