"""Converse: chat tuning on conversations, by the model's own template and with a loss on the answers alone."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Literal

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, counted
from burnish.errors import BurnishError, RecipeError
from burnish.learn.examples import Conversation, read_conversations
from burnish.learn.packing import Sample, pack, pack_once
from burnish.learn.task import TokenTask
from burnish.nn.chat import ChatFormat, Learn, Message
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir
from burnish.train.left_out import write_left_out
from burnish.train.tuning import TuneConfig, evidence_of, summary_of, tune


@dataclass(frozen=True)
class ConverseConfig(TuneConfig):
    """Say how to tune on conversations.

    Attributes:
        learn: every answer of a conversation, or the last alone, which suits any template.
        too_long: what to do with a conversation of more tokens than loop.row_tokens: truncate leaves out its oldest
            questions with their answers until it fits, refuse leaves it out; both are counted.
        smoothing_frac: label smoothing: share of the target that is spread over the vocabulary, in [0, 1).
    """

    learn: Learn = "every_answer"
    too_long: Literal["truncate", "refuse"] = "truncate"
    smoothing_frac: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        TokenTask(smoothing_frac=self.smoothing_frac)  # refuses what lies outside


def converse(
    out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: ConverseConfig
) -> Draft[ModelArtifact]:
    """Tune on the conversations; resume from the last snapshot if the run was killed.

    Conversations that cannot be learnt whole are listed with their reason in `left_out.jsonl`.

    Raises:
        BurnishError: the template renders answers otherwise than it asks for them, or the loss broke.
        RecipeError: no conversation of a split fits a row.
    """
    desk = _Desk(ChatFormat(open_tokenizer(base.payload)), config)
    train = desk.prepare(out, "train", read_conversations(data, "train"))
    held_out = desk.prepare(
        out, "validation", read_conversations(data, "validation", at_most=config.validation_records)
    )
    row_tokens = config.loop.row_tokens
    items = pack(train, row_tokens=row_tokens, seed=config.seed, is_filled=config.is_compiled)
    validation = pack_once(held_out, row_tokens=row_tokens, is_filled=config.is_compiled)
    tuned = tune(out, base, config, TokenTask(smoothing_frac=config.smoothing_frac), items, validation)
    write_left_out(out, desk.left_out)
    evidence = evidence_of(tuned, num_records=len(train), num_held_out=len(held_out))
    smoothed = f"; label smoothing {config.smoothing_frac:g}" if config.smoothing_frac else ""
    what = "every answer" if config.learn == "every_answer" else "the last answer"
    learnt = f"{what} of {len(train):,} conversations is learnt{smoothed}"
    return Draft(ModelArtifact, evidence + desk.evidence(train), summary_of(config, tuned.precision, learnt))


@dataclass(frozen=True)
class LeftOut:
    """A conversation that is not learnt whole.

    Attributes:
        reason: too_long; control_token: a turn spells out a token that ends turns; truncated: its oldest turns
            are left out, the rest is learnt.
        detail: how long, which token, how many turns.
    """

    id: str
    split: str
    reason: Literal["too_long", "control_token", "truncated"]
    detail: str


@dataclass
class _Desk:
    """Turns conversations into samples, and keeps account of those that do not fit."""

    chat: ChatFormat
    config: ConverseConfig
    left_out: list[LeftOut] = field(default_factory=list)
    num_read: int = 0

    def prepare(self, out: Workdir, split: str, conversations: list[Conversation]) -> list[Sample]:
        samples = []
        with out.progress(f"rendering {split}", total=len(conversations), unit="conversations") as bar:
            for conversation in conversations:
                sample = self._sample(split, conversation)
                samples += [] if sample is None else [sample]
                bar.advance()
        self.num_read += len(conversations)
        if not samples:
            first = self.left_out[0]
            raise RecipeError(
                f"none of the {len(conversations)} conversations of split {split!r} can be learnt: {first.id} "
                f"({first.reason}: {first.detail}), and others; make loop.row_tokens larger or clean the data"
            )
        return samples

    def _sample(self, split: str, conversation: Conversation) -> Sample | None:
        messages = [asdict(turn) for turn in conversation.turns]
        token = self.chat.control_token(messages)
        if token is not None:
            self.left_out.append(LeftOut(conversation.id, split, "control_token", token))
            return None
        try:
            sample, num_dropped = self._fitted(messages)
        except BurnishError as error:
            raise BurnishError(f"conversation {conversation.id}: {error}") from error
        if len(sample.ids) > self.config.loop.row_tokens:
            detail = f"{len(sample.ids)} tokens{f' without its first {num_dropped} turns' if num_dropped else ''}"
            self.left_out.append(LeftOut(conversation.id, split, "too_long", detail))
            return None
        if num_dropped:
            self.left_out.append(LeftOut(conversation.id, split, "truncated", f"{num_dropped} turns"))
        return sample

    def _fitted(self, messages: list[Message]) -> tuple[Sample, int]:
        """Render a conversation, its oldest turns left out where it is too long and the recipe says so."""
        system, spoken = (messages[:1], messages[1:]) if messages[0]["role"] == "system" else ([], messages)
        start = 0
        while True:
            sample = Sample(*self.chat.conversation([*system, *spoken[start:]], learn=self.config.learn))
            is_short = len(sample.ids) <= self.config.loop.row_tokens
            if is_short or self.config.too_long == "refuse" or start + 2 >= len(spoken):
                return sample, start
            start += 2

    def evidence(self, train: list[Sample]) -> tuple[Measurement, ...]:
        reasons = Counter(one.reason for one in self.left_out)
        num_tokens = sum(len(sample.ids) for sample in train)
        num_learnt = sum(sum(weight > 0 for weight in sample.weights) for sample in train)
        how = "of the conversations read, training and held out"
        return (
            Measurement("learnt_frac", num_learnt / num_tokens, "1", num_tokens, how="of the train split's tokens"),
            counted("truncated_frac", reasons["truncated"], of=self.num_read, how=how),
            counted("too_long_frac", reasons["too_long"], of=self.num_read, how=how),
            counted("control_token_frac", reasons["control_token"], of=self.num_read, how=how),
        )
