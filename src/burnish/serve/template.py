"""Chat templates: messages to the prompt's text, exactly as transformers renders them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from burnish.errors import ArtifactError, RecipeError
from burnish.serve.folder import read_json

_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplate:
    """Render messages with a model's own template, in a sandbox: a template is code from wherever the model is.

    Source: transformers 5 `utils/chat_template_utils.py`, whose environment this repeats.

    Args:
        source: the Jinja template.
        special_tokens: values of `bos_token` and its like, which templates name.

    Raises:
        ArtifactError: the template is not valid.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        # Prompts are not HTML: escaping would change the tokens.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _tojson
        environment.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
            "dict": _dict,
            "namespace": _namespace,
        }
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise ArtifactError(
                f"the chat template is not valid Jinja (line {error.lineno}: {error.message})"
            ) from error
        self._special_tokens = dict(special_tokens)

    @staticmethod
    def read(folder: Path) -> "ChatTemplate | None":
        """Read `chat_template.jinja`, or the template inside `tokenizer_config.json`; None where there is neither."""
        path, config_path = folder / "chat_template.jinja", folder / "tokenizer_config.json"
        config = read_json(config_path) if config_path.exists() else {}
        source = path.read_text(encoding="utf-8") if path.exists() else config.get("chat_template")
        if isinstance(source, list):  # the older form: several named ones
            source = {entry["name"]: entry["template"] for entry in source}.get("default")
        if source is None:
            return None
        tokens = {name: config[name] for name in _NAMED_TOKENS if config.get(name) is not None}
        return ChatTemplate(source, {name: _content(token) for name, token in tokens.items()})

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Render messages up to where the assistant answers.

        Raises:
            RecipeError: the template refuses these messages; its own words are in the message.
        """
        given = [{key: value for key, value in message.items() if value is not None} for message in messages]
        try:
            return self._template.render(
                messages=given, tools=None, documents=None, add_generation_prompt=True, **self._special_tokens
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise RecipeError(f"the model's chat template refuses these messages: {error}") from error


class _Generation(Extension):
    """Let `{% generation %}` through, by which training marks the assistant's part."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 names and types it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(jinja2.utils.Namespace):
    """Refuse underscore names, which lead to Python's internals."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a chat template may not set {name!r}")
        super().__setitem__(name, value)


def _namespace(*args: Any, **kwargs: Any) -> _Namespace:
    namespace = _Namespace()
    for name, value in dict(*args, **kwargs).items():
        namespace[name] = value
    return namespace


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005  # templates mean the wall clock, as transformers does


def _content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token)
