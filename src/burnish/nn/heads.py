"""Task heads: linear classifiers on one vector of a text, that of a trunk which the tasks share.

Legend: E examples, T tokens of the longest, D width of the trunk, C classes of a task.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from burnish.errors import BurnishError, RecipeError
from burnish.nn.encoders import encoded, is_encoder, open_encoder
from burnish.nn.forward import decoder_of, evaluating, hidden_at
from burnish.nn.weights import open_model, open_tokenizer, quiet_transformers
from burnish.runtime import need

Pooling = Literal["last", "mean", "cls"]

HEADS_JSON, HEADS_WEIGHTS = "heads.json", "heads.safetensors"
_NAME = "task_heads"  # of the heads in a model, while they are there
_INITIAL_STD = 0.02  # Devlin et al. 2019, arXiv 1810.04805: BERT's own heads start so
_BATCH_TOKENS = 2048  # of a prediction's batch


@dataclass(frozen=True)
class TaskLabels:
    """Name a task and its labels, in the order of the head's outputs."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class HeadsSpec:
    """Say what is needed beside the weights to read a text as training did.

    Attributes:
        pooling: which vector stands for a text: of its last token, the mean of all, or of its first ([CLS]).
        max_tokens: what comes after is not read; the closing token is.
        trunk: whether the weights beside the heads are a whole model or an adapter.
    """

    tasks: tuple[TaskLabels, ...]
    pooling: Pooling
    max_tokens: int
    trunk: Literal["model", "adapter"]


@dataclass(frozen=True)
class Prediction:
    """One task's answer on one text; `probability` is of `label`."""

    label: str
    probability: float


@dataclass
class Opened:
    """A trunk with its heads, ready to predict."""

    model: Any
    tokenizer: Any
    spec: HeadsSpec


def check_pooling(pooling: Pooling, *, reads_both_ways: bool) -> None:
    """Refuse, by a RecipeError, a vector that has seen one token alone."""
    if pooling == "cls" and not reads_both_ways:
        raise RecipeError("pooling is cls and the base a decoder, whose first token sees no other; use last or mean")


def attach_heads(model: Any, tasks: Sequence[TaskLabels]) -> dict[str, Any]:
    """Hang a head in float32 for each task into a model, and give them by task."""
    torch = need("torch", extra="train")
    heads = torch.nn.ModuleDict()
    trunk = decoder_of(model)
    place = trunk.get_input_embeddings().weight.device
    for task in tasks:
        head = torch.nn.Linear(trunk.config.hidden_size, len(task.labels))
        torch.nn.init.normal_(head.weight, std=_INITIAL_STD)
        torch.nn.init.zeros_(head.bias)
        heads[task.name] = head.to(place)
    model.add_module(_NAME, heads)
    return dict(heads.items())


def heads_of(model: Any) -> dict[str, Any]:
    """Give a model's heads by task."""
    return dict(getattr(model, _NAME).items())


def take_heads_off(model: Any) -> None:
    """Leave a model as it was before `attach_heads`, for saving."""
    delattr(model, _NAME)


def tokenise(tokenizer: Any, texts: Sequence[str], *, max_tokens: int) -> tuple[list[tuple[int, ...]], int]:
    """Turn texts into tokens that end with the tokenizer's closing token; count those that were cut."""
    with quiet_transformers():
        found = tokenizer(list(texts))["input_ids"] if texts else []
    closing = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    ids = [tuple(each) if closing is None or each[-1:] == [closing] else (*each, closing) for each in found]
    num_cut = sum(len(each) > max_tokens for each in ids)
    return [each if len(each) <= max_tokens else (*each[: max_tokens - 1], each[-1]) for each in ids], num_cut


def pooled(model: Any, sequences: Sequence[Sequence[int]], pooling: Pooling, *, num_filler: int = 0) -> Any:
    """Compute the vector of each example, (E, D) in the model's precision; no example sees another.

    A decoder reads them laid end to end in one row, an encoder side by side.

    Args:
        num_filler: tokens that bring a decoder's row to a length that compiled code knows.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if decoder_of(model) is inner:
        return _pool_encoded(*encoded(inner, sequences), pooling)
    torch = need("torch", extra="train")
    ids = [token for sequence in sequences for token in sequence] + [0] * num_filler
    lengths = [len(sequence) for sequence in sequences]
    positions = [at for length in (*lengths, num_filler) for at in range(length)]
    example = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    if pooling == "mean":
        chosen = torch.arange(len(ids)) < len(example)
        hidden = hidden_at(model, ids, positions, chosen)
        example = example.to(hidden.device)
        sums_ED = hidden.new_zeros(len(lengths), hidden.shape[1]).index_add(0, example, hidden)
        return sums_ED / torch.tensor(lengths, device=hidden.device)[:, None].to(hidden.dtype)
    chosen = torch.zeros(len(ids), dtype=torch.bool)
    chosen[torch.tensor(lengths).cumsum(0) - 1] = True
    return hidden_at(model, ids, positions, chosen)


def _pool_encoded(hidden_ETD: Any, is_token_ET: Any, pooling: Pooling) -> Any:
    if pooling == "cls":
        return hidden_ETD[:, 0]
    lengths_E = is_token_ET.sum(1)
    if pooling == "last":
        return hidden_ETD[range(len(lengths_E)), lengths_E - 1]
    mask_ET1 = is_token_ET[:, :, None].to(hidden_ETD.dtype)
    return (hidden_ETD * mask_ET1).sum(1) / mask_ET1.sum(1)


def save_heads(model: Any, spec: HeadsSpec, folder: Path) -> None:
    """Write the heads' weights, and beside them what they are."""
    save_file = need("safetensors.torch", extra="train").save_file
    tensors = {
        f"{task}.{name}": parameter.detach().cpu().contiguous()
        for task, head in heads_of(model).items()
        for name, parameter in head.named_parameters()
    }
    save_file(tensors, folder / HEADS_WEIGHTS, metadata={"format": "pt"})
    body = json.dumps(asdict(spec), indent=1, ensure_ascii=False, sort_keys=True)
    (folder / HEADS_JSON).write_text(body + "\n", encoding="utf-8")


def open_heads(folder: Path, base: Path | None = None, *, precision: str = "fp32") -> Opened:
    """Open what `multitask` wrote.

    Args:
        folder: payload of its artifact.
        base: payload of the base model, needed where an adapter was trained.

    Raises:
        BurnishError: the folder holds no heads, or the base is missing.
    """
    spec = read_spec(folder)
    if spec.trunk == "adapter" and base is None:
        raise BurnishError(f"{folder} holds an adapter and heads; give the folder of the base model too")
    trunk = base if spec.trunk == "adapter" and base is not None else folder
    model = (open_encoder if is_encoder(trunk) else open_model)(trunk, precision=precision)
    if spec.trunk == "adapter":
        with quiet_transformers():
            model = need("peft", extra="train").PeftModel.from_pretrained(model, folder).eval()
    heads = attach_heads(model, spec.tasks)
    tensors = need("safetensors.torch", extra="train").load_file(folder / HEADS_WEIGHTS)
    for task, head in heads.items():
        head.load_state_dict({name: tensors[f"{task}.{name}"] for name in ("weight", "bias")})
    return Opened(model, open_tokenizer(trunk), spec)


def read_spec(folder: Path) -> HeadsSpec:
    """Read what the heads of a folder are.

    Raises:
        BurnishError: there are none.
    """
    path = folder / HEADS_JSON
    if not path.is_file():
        raise BurnishError(f"{folder} holds no {HEADS_JSON}; give the payload of a model that multitask trained")
    body = json.loads(path.read_text(encoding="utf-8"))
    tasks = tuple(TaskLabels(task["name"], tuple(task["labels"])) for task in body.pop("tasks"))
    return HeadsSpec(tasks, **body)


def predict(opened: Opened, texts: Sequence[str], *, tasks: Sequence[str] | None = None) -> list[dict[str, Prediction]]:
    """Predict each text's label of each task; the trunk runs once for all tasks.

    Args:
        tasks: names of those wanted; None: all.

    Raises:
        RecipeError: there is no such task.
    """
    labels = {task.name: task.labels for task in opened.spec.tasks}
    wanted = list(labels) if tasks is None else list(tasks)
    for name in wanted:
        if name not in labels:
            raise RecipeError(f"no head is for task {name!r}; there are: {', '.join(labels)}")
    ids, _ = tokenise(opened.tokenizer, texts, max_tokens=opened.spec.max_tokens)
    given = probabilities(opened.model, ids, opened.spec.pooling, wanted, lambda _: None)
    return [{name: best(labels[name], rows[at]) for name, rows in given.items()} for at in range(len(texts))]


def probabilities(
    model: Any, sequences: Sequence[Sequence[int]], pooling: Pooling, tasks: Sequence[str], say: Callable[[int], object]
) -> Mapping[str, list[list[float]]]:
    """Compute each task's probabilities of its classes for each example; `say` is told the size of each batch done."""
    torch = need("torch", extra="train")
    heads = heads_of(model)
    found: dict[str, list[list[float]]] = {name: [[] for _ in sequences] for name in tasks}
    with evaluating(model), torch.inference_mode():
        for batch in _batches(sequences):
            vectors_ED = pooled(model, [sequences[at] for at in batch], pooling).float()
            for name in tasks:
                rows = torch.softmax(heads[name](vectors_ED), -1).tolist()
                for at, row in zip(batch, rows, strict=True):
                    found[name][at] = row
            say(len(batch))
    return found


def _batches(sequences: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group examples of like length, so that they pad each other little."""
    batches: list[list[int]] = []
    for at in sorted(range(len(sequences)), key=lambda index: -len(sequences[index])):
        if not batches or (len(batches[-1]) + 1) * len(sequences[batches[-1][0]]) > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(at)
    return batches


def best(labels: Sequence[str], row: Sequence[float]) -> Prediction:
    """Give the likeliest label; of equals the first."""
    at = max(range(len(labels)), key=lambda index: row[index])
    return Prediction(labels[at], row[at])
