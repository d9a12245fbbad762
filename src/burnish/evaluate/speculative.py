"""Speculative decoding: how often a small model guesses what a large one says, and what that saves.

The small model drafts a few tokens, the large one reads them at once and keeps those that it would have said itself, and
adds one of its own: its output is what it would have been, token for token.
Source: Leviathan et al. 2023, arXiv 2211.17192, algorithm 1, of which this is the greedy case.

Legend: T tokens read at once, V vocabulary.
"""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.artifacts.evidence import counted
from burnish.errors import RecipeError
from burnish.learn.running_text import Ends, records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn.same_tokens import token_difference
from burnish.nn.weights import device, open_model, open_tokenizer
from burnish.runtime import Workdir, need

READINGS = "documents.jsonl"


@dataclass(frozen=True)
class DraftConfig:
    """Say what is continued and how far ahead is guessed.

    Attributes:
        split: of the dataset; the beginnings of its first `num_documents` with a text are continued.
        prompt_tokens: of each document, the token that all begin with counted.
        max_tokens: that are made of each, at most; the end of text ends it sooner.
        num_draft_tokens: guessed before the large model looks; 3 to 7 are common.
        num_repeats: each document is continued so often in both ways, in turns; its median times count.
    """

    split: str = "test"
    num_documents: int = 20
    prompt_tokens: int = 64
    max_tokens: int = 64
    num_draft_tokens: int = 4
    num_repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_draft_tokens", "num_repeats"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("num_documents", "max_tokens"):
            if getattr(self, name) < 2:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 2")
        if self.prompt_tokens < 2:
            raise RecipeError(
                f"prompt_tokens is {self.prompt_tokens}; it must be at least 2, since the first begins every document"
            )


@dataclass(frozen=True)
class Speculated:
    """What one continuation took.

    Attributes:
        tokens: that were made.
        num_drafted, num_accepted: guesses that the large model read, and those it kept.
        num_steps: passes of the large model.
    """

    tokens: list[int]
    num_drafted: int
    num_accepted: int
    num_steps: int


def measure_draft(
    out: Workdir, teacher: ModelArtifact, student: ModelArtifact, data: DatasetArtifact, *, config: DraftConfig
) -> Draft[ReportArtifact]:
    """Let the student draft for the teacher, greedily and in float32, and check the output against the teacher alone.

    Raises:
        RecipeError: the tokenizers differ.
        BurnishError: the split has no text.
    """
    found = token_difference(teacher.payload, student.payload)
    if found is not None:
        raise RecipeError(f"the student cannot draft for the teacher, their tokenizers differ ({found})")
    large, small = (open_model(artifact.payload, precision="fp32") for artifact in (teacher, student))
    ends = Ends.of(open_tokenizer(teacher.payload), None)
    records = records_with_text(data, config.split)[: config.num_documents]
    documents = list(ends.documents(out, config.split, records))
    rows: list[Speculated] = []
    num_equal, seconds = 0, []
    with out.progress("drafting", total=len(documents), unit="documents") as bar:
        for document in documents:
            prompt = list(document[: min(config.prompt_tokens, len(document) - 1)])
            if not rows:  # what the first calls set up is no part of a later one
                _continued(large, small, prompt, config, ends.end)
            row, alone, times = _continued(large, small, prompt, config, ends.end)
            rows.append(row)
            num_equal += row.tokens == alone.tokens
            seconds.append(times)
            bar.advance()
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    (out / READINGS).write_text(lines, encoding="utf-8")
    summary = (
        f"{student.digest[:12]} drafts {config.num_draft_tokens} tokens at a time for {teacher.digest[:12]}, "
        f"{len(rows)} documents of split {config.split}."
    )
    return Draft(ReportArtifact, _evidence(rows, num_equal, seconds, config), summary)


def speculate(
    teacher: Any, student: Any, prompt: Sequence[int], *, num_draft: int, max_tokens: int, stop: int
) -> Speculated:
    """Continue a prompt greedily with the teacher's tokens, the student guessing ahead.

    Args:
        student: None where there is none and `num_draft` is 0.
        prompt: at least one token.
        stop: the token that ends the text; it is given too.
    """
    torch = need("torch", extra="train")
    tokens = list(prompt)
    large, small = _Reader(teacher), _Reader(student)
    num_drafted, num_accepted, num_steps = 0, 0, 0
    with torch.inference_mode():
        while (left := max_tokens - (len(tokens) - len(prompt))) > 0 and tokens[len(prompt) :][-1:] != [stop]:
            drafts = small.draft(tokens, min(num_draft, left - 1), len(teacher.get_output_embeddings().weight))
            said = large.read([*tokens[large.num_read :], *drafts], len(drafts) + 1)
            num_right = next((at for at, token in enumerate(drafts) if token != said[at]), len(drafts))
            made = [*drafts[:num_right], said[num_right]]
            if stop in made:
                made = made[: made.index(stop) + 1]
            large.rewind(len(tokens) + num_right)
            small.rewind(len(tokens) + num_right)
            num_drafted, num_steps = num_drafted + len(drafts), num_steps + 1
            num_accepted += min(num_right, len(made))
            tokens += made
    return Speculated(tokens[len(prompt) :], num_drafted, num_accepted, num_steps)


class _Reader:
    """A model that reads on from what it has read."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = need("transformers", extra="train").DynamicCache()
        self.num_read = 0

    def read(self, ids: Sequence[int], num_last: int, num_vocabulary: int | None = None) -> list[int]:
        """Read tokens; give what the model would say after each of the last few."""
        torch = need("torch", extra="train")
        given = torch.tensor([list(ids)], device=device())
        logits = self._model(
            input_ids=given, past_key_values=self._cache, use_cache=True, logits_to_keep=num_last
        ).logits
        self.num_read += len(ids)
        said: list[int] = logits[0, -num_last:, :num_vocabulary].argmax(1).tolist()
        return said

    def draft(self, tokens: Sequence[int], num: int, num_vocabulary: int) -> list[int]:
        """Guess how the tokens go on."""
        drafts: list[int] = []
        while len(drafts) < num:
            unread = [*tokens, *drafts][self.num_read :]
            drafts += self.read(unread, 1, num_vocabulary)
        return drafts

    def rewind(self, num_tokens: int) -> None:
        """Forget what was read after so many tokens."""
        if self.num_read > num_tokens:
            self._cache.crop(num_tokens - self.num_read)  # negative: so many are taken off
            self.num_read = num_tokens


def _continued(
    teacher: Any, student: Any, prompt: Sequence[int], config: DraftConfig, stop: int
) -> tuple[Speculated, Speculated, tuple[float, float]]:
    """Continue with the student and without, in turns; give what was made and both median times in seconds."""
    made: dict[bool, Speculated] = {}
    times: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(config.num_repeats):
        for drafts in (True, False) if repeat % 2 == 0 else (False, True):
            num_draft = config.num_draft_tokens if drafts else 0
            start_s = time.perf_counter()
            made[drafts] = speculate(
                teacher,
                student if drafts else None,
                prompt,
                num_draft=num_draft,
                max_tokens=config.max_tokens,
                stop=stop,
            )
            # the tokens are on the CPU when it returns, so nothing is under way
            times[drafts].append(time.perf_counter() - start_s)
    return made[True], made[False], (statistics.median(times[True]), statistics.median(times[False]))


def _evidence(
    rows: Sequence[Speculated], num_equal: int, seconds: Sequence[tuple[float, float]], config: DraftConfig
) -> tuple[Measurement, ...]:
    many = len(rows) > 1
    drawn = f"bootstrap over documents, {DRAWS} draws, 95 %" if many else "one document gives no interval"
    setting = (
        f"greedy, float32, {config.num_draft_tokens} drafted tokens, {len(rows)} beginnings of split {config.split}"
    )

    def share(
        name: str, unit: str, above: Sequence[float], below: Sequence[float], n: int, how: str = setting
    ) -> Measurement:
        def ratio(at: Sequence[int]) -> float:
            return sum(above[i] for i in at) / max(sum(below[i] for i in at), 1e-9)

        low, high = bootstrap(ratio, len(rows), seed=config.seed) if many else (None, None)
        return Measurement(name, ratio(range(len(rows))), unit, n, low, high, f"{how}; {drawn}")

    drafted, accepted = [row.num_drafted for row in rows], [row.num_accepted for row in rows]
    steps = [row.num_steps for row in rows]
    return (
        share("acceptance_frac", "1", accepted, drafted, sum(drafted)),
        share("accepted_tokens_per_step", "tokens/step", accepted, steps, sum(steps)),
        share("tokens_per_step", "tokens/step", [len(row.tokens) for row in rows], steps, sum(steps)),
        counted("identical_frac", num_equal, of=len(rows), how="continuations that are the teacher's own, token for token"),
        share(
            "speedup", "1", [alone_s for _, alone_s in seconds], [both_s for both_s, _ in seconds], len(rows),
            "time of the teacher alone over that of both, one text at a time, float32, this machine; medians of "
            f"{config.num_repeats} in turns, after a warm-up",
        ),
    )  # fmt: skip
