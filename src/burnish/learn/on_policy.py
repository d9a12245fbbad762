"""On-policy text: rows that a model writes itself, from the beginnings of the data's own.

A student that learns only from people's text never sees the mistakes that it will have to go on from.
Source: Agarwal et al. 2023, arXiv 2306.13649, algorithm 1; its λ is `frac` here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from burnish.errors import RecipeError
from burnish.learn.packing import Row, Sample, lay
from burnish.nn import varlen
from burnish.nn.forward import decoder_of
from burnish.runtime import need


@dataclass(frozen=True)
class OnPolicy:
    """Say how much of the training text models write themselves.

    Attributes:
        frac: chance that a row is written anew, in (0, 1].
        writer: which model writes; the student's text changes as it learns.
        prompt_tokens: of the data's own, at the beginning of each example; the rest is written.
        temperature: of the sampling, above 0.
    """

    frac: float = 0.25
    writer: Literal["student", "teacher"] = "student"
    prompt_tokens: int = 32
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.frac <= 1:
            raise RecipeError(f"frac is {self.frac}; it must lie in (0, 1], on_policy null writes nothing")
        if self.prompt_tokens < 1 or self.temperature <= 0:
            raise RecipeError(
                f"prompt_tokens is {self.prompt_tokens}, temperature {self.temperature}; the first must be at least 1, "
                "the second above 0"
            )


def own_words(config: OnPolicy, end: int, student: Any, teacher: Any, batch: Sequence[Row]) -> list[Row]:
    """Let a model write a share of the rows; chance comes from torch's generator, which snapshots keep.

    Args:
        end: the token that ends a text.

    Returns:
        a row for each of the batch, and as long.
    """
    torch = need("torch", extra="train")
    chosen = (torch.rand(len(batch)) < config.frac).tolist()
    writer = student if config.writer == "student" else teacher
    return [_rewritten(config, end, writer, row) if is_own else row for is_own, row in zip(chosen, batch, strict=True)]


def _rewritten(config: OnPolicy, end: int, writer: Any, row: Row) -> Row:
    """Write each example of a row anew from its beginning; what is written is learnt, the prompt is not."""
    starts = [at for at, position in enumerate(row.positions[: row.num_tokens]) if position == 0]
    examples = [row.ids[low:high] for low, high in zip(starts, [*starts[1:], row.num_tokens], strict=True)]
    place = decoder_of(writer).get_input_embeddings().weight.device
    prompts = [ids[: max(1, min(config.prompt_tokens, len(ids) - 1))] for ids in examples]
    left = [max(1, len(ids) - len(prompt)) for ids, prompt in zip(examples, prompts, strict=True)]
    with _writing(config, end, writer):
        written = _continued(writer, prompts, max(left), place)
    samples = []
    for prompt, words, most in zip(prompts, written, left, strict=True):
        stop = words.index(end) + 1 if end in words else most
        ids = (*prompt, *words[: min(stop, most)])
        samples.append(Sample(ids, (0.0,) * len(prompt) + (1.0,) * (len(ids) - len(prompt))))
    return lay(samples, fill_to=len(row.ids))  # a row of another length would be compiled anew


def _continued(writer: Any, prompts: Sequence[list[int]], most: int, place: Any) -> list[list[int]]:
    """Sample what follows each prompt, all at once."""
    torch = need("torch", extra="train")
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=place)
    sees = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=place)
    made = writer.generate(input_ids=ids, attention_mask=sees, max_new_tokens=most)[:, longest:]
    words: list[list[int]] = made.tolist()
    return words


@contextmanager
def _writing(config: OnPolicy, end: int, model: Any) -> Iterator[None]:
    """Let a model in training write: no dropout, no packed attention, no code compiled for one length.

    Of the model's own generation config nothing holds: its penalties and bounds are made for chats, what it draws would
    no longer be what the model says, and its end is not that of running text. A config that is merely handed to
    `generate` is filled up from the model's.
    """
    torch = need("torch", extra="train")
    was_training, attention, generation = model.training, model.config._attn_implementation, model.generation_config
    model.generation_config = need("transformers", extra="train").GenerationConfig(
        do_sample=True, temperature=config.temperature, top_k=0, top_p=1.0, eos_token_id=end, pad_token_id=0
    )
    model.eval()
    if varlen.is_varlen(model.config):
        model.set_attn_implementation("sdpa")
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        if varlen.is_varlen(model.config) is not attention.startswith(varlen.NAME):
            model.set_attn_implementation(attention)
        model.generation_config = generation
        model.train(was_training)
