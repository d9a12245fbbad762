"""A translator behind an OpenAI-compatible endpoint: a few requests at once, tried again where that can help."""

import logging
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from burnish.data.readers.fetching import retry_after_s
from burnish.errors import RecipeError
from burnish.runtime import need

_NAMES = {
    "ar": "Arabic", "de": "German", "en": "English", "es": "Spanish", "fr": "French", "hi": "Hindi", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian",
    "tr": "Turkish", "vi": "Vietnamese", "zh": "Simplified Chinese",
}  # fmt: skip
_PROMPT = (
    "Translate the user's text from {source} to {target}. Keep its meaning, tone and line breaks. "
    "Answer with the translation alone."
)
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_FIRST_WAIT_S = 0.5  # doubled at every try
_LONGEST_WAIT_S = 30.0
_GIVE_UP_AFTER = 16  # texts in succession without an answer: the endpoint is gone
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_ONLY_THIS_TEXT = (400, 413, 422)  # too long, or refused for its content


@dataclass(frozen=True)
class OpenaiEndpoint:
    """Ask a chat model for translations.

    Attributes:
        url: up to and with `/v1`.
        api_key_env: name of the environment variable that holds the key; empty sends none. The key itself enters no
            recipe, lineage or log.
        timeout_s: for one answer.
        parallel: requests at once.
        num_tries: of one text; waits double in between, or are what the endpoint asks for.
        max_tokens: of one answer; one that is cut there counts as none.
    """

    url: str
    model: str
    api_key_env: str = ""
    timeout_s: float = 60.0
    parallel: int = 8
    num_tries: int = 4
    max_tokens: int = 2048

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc:
            raise RecipeError(f"url is {self.url!r}; it must start with http:// or https:// and end with /v1")
        if not self.model:
            raise RecipeError("model is empty; give the name that the endpoint knows it by")
        if self.timeout_s <= 0 or self.parallel < 1 or self.num_tries < 1 or self.max_tokens < 1:
            raise RecipeError(
                f"timeout_s is {self.timeout_s}, parallel {self.parallel}, num_tries {self.num_tries}, max_tokens "
                f"{self.max_tokens}; the first must be above 0, the others at least 1"
            )

    def speaks(self, source: str, target: str) -> bool:
        """Tell whether both languages have a name here."""
        return source in _NAMES and target in _NAMES

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """Translate each text in a request of its own; after many without an answer the rest are not asked for.

        Raises:
            RecipeError: the endpoint refuses the key, the model or the address.
        """
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request, for each text a line
        prompt = _PROMPT.format(source=_NAMES[source], target=_NAMES[target])
        found: list[str | None] = []
        num_failed = 0
        with ThreadPoolExecutor(self.parallel) as pool:
            for first in range(0, len(texts), self.parallel):
                part = texts[first : first + self.parallel]
                if num_failed >= _GIVE_UP_AFTER:
                    found += [None] * len(part)
                    continue
                answers = list(pool.map(lambda text: self._ask(text, prompt), part))
                num_failed = 0 if any(answers) else num_failed + len(answers)
                found += answers
        return found

    def _ask(self, text: str, prompt: str) -> str | None:
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": self.max_tokens}
        httpx = need("httpx", extra="data")
        for attempt in range(self.num_tries):
            asked_s = None
            try:
                answer = self._post(body)
                if answer.is_success:
                    return _content(answer.json())
                if answer.status_code in _ONLY_THIS_TEXT:
                    return None
                if answer.status_code not in _AGAIN:
                    raise RecipeError(self._refusal(answer))
                asked_s = retry_after_s(answer.headers.get("retry-after", ""))
            except (httpx.HTTPError, ValueError):  # no connection, a time-out, no JSON
                pass
            if attempt + 1 < self.num_tries:
                time.sleep(min(max(_FIRST_WAIT_S * 2**attempt, asked_s or 0.0), _LONGEST_WAIT_S))
        return None

    def _post(self, body: dict[str, Any]) -> Any:
        """Give the answer; a redirection is one too, so that the key goes to no other address."""
        headers = {}
        if self.api_key_env:
            key = os.environ.get(self.api_key_env)
            if not key:
                raise RecipeError(
                    f"the environment variable {self.api_key_env} is not set; put the endpoint's key there"
                )
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.url.rstrip('/')}/chat/completions"
        return need("httpx", extra="data").post(address, json=body, headers=headers, timeout=self.timeout_s)

    def _refusal(self, answer: Any) -> str:
        return (
            f"{self.url} answered {answer.status_code} {answer.reason_phrase} for model {self.model!r}; check url, model, "
            "api_key_env"
        )


def _content(answer: Any) -> str | None:
    """Take the translation out of a chat completion, without a reasoning model's thoughts; None where it was cut."""
    try:
        choice = answer["choices"][0]
        text = _THOUGHT.sub("", choice["message"]["content"] or "").strip()
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("not a chat completion") from error
    is_whole = choice.get("finish_reason") in (None, "stop") and not text.startswith("<think>")
    return text if is_whole and text else None
