"""Pairs of answers for preference tuning: from where they come, rendered by the base's own chat template."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, assert_never

from burnish.artifacts import DatasetArtifact, Measurement, counted
from burnish.errors import BurnishError, RecipeError
from burnish.learn.examples import Preference, Turn, read_preferences
from burnish.learn.packing import Sample
from burnish.learn.preference import Pair
from burnish.learn.records import Record, read_labelled
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.runtime import Workdir

OnUnusable = Literal["leave_out", "stop"]
Reason = Literal["too_long", "control_token", "same_answers", "empty_answer", "no_question"]


@dataclass(frozen=True)
class FromPreferences:
    """Learn the dataset's own pairs: answers that people, or a model in their place, have compared."""


@dataclass(frozen=True)
class FromLabels:
    """Make pairs of labelled records: the record's label is chosen, another label, drawn by the seed, is rejected.

    Nobody has compared anything here: it teaches the right label against one wrong label, which `finetune` does
    against all at once. It serves after a fine-tuning whose model still wavers, and to try the method.
    """

    task: LabelTask


PairSource = FromPreferences | FromLabels


@dataclass(frozen=True)
class LeftOut:
    """A pair that is not learnt.

    Attributes:
        reason: too_long: both answers do not fit a row together; control_token: a turn spells out a token that ends
            turns; same_answers: nothing to prefer; no_question: its turns do not end with the user's.
        detail: how long, which token.
    """

    id: str
    split: str
    reason: Reason
    detail: str = ""


@dataclass
class PairDesk:
    """Turns preferences into pairs of token ids, and keeps account of those that cannot be learnt."""

    chat: ChatFormat
    row_tokens: int
    on_unusable: OnUnusable
    left_out: list[LeftOut] = field(default_factory=list)
    num_read: int = 0

    def prepare(self, out: Workdir, split: str, preferences: Sequence[Preference]) -> list[Pair]:
        """Render a split's pairs, and set aside what cannot be learnt.

        Raises:
            RecipeError: there is such a pair and the recipe says stop, or no pair is left.
            BurnishError: the chat template refuses a pair's turns.
        """
        found: list[Pair] = []
        left_out: list[LeftOut] = []
        with out.progress(f"rendering {split}", total=len(preferences), unit="pairs") as bar:
            for preference in preferences:
                pair, reason, detail = self._render(preference)
                if reason is None:
                    found.append(pair)
                else:
                    left_out.append(LeftOut(preference.id, split, reason, detail))
                bar.advance()
        self.left_out += left_out
        self.num_read += len(preferences)
        if left_out and (self.on_unusable == "stop" or not found):
            raise RecipeError(f"{_said(left_out, len(preferences))}. {_remedy(left_out, self.on_unusable)}")
        if left_out:
            out.warn(f"{_said(left_out, len(preferences))}; left_out.jsonl lists them")
        return found

    def evidence(self) -> tuple[Measurement, ...]:
        """Count what was set aside."""
        how = "pairs of both splits that cannot be learnt: too long for a row, or nothing to prefer"
        return (counted("left_out_frac", len(self.left_out), of=self.num_read, how=how),)

    def _render(self, preference: Preference) -> tuple[Pair, Reason | None, str]:
        """Give the pair, and why it cannot be learnt where it cannot."""
        messages = [asdict(turn) for turn in preference.turns]
        answers = preference.chosen, preference.rejected
        nothing = Pair(preference.id, Sample((), ()), Sample((), ()))
        if not messages or messages[-1]["role"] != "user":
            return nothing, "no_question", ""
        if not all(answer.strip() for answer in answers):
            return nothing, "empty_answer", ""
        whole = [[*messages, {"role": "assistant", "content": answer}] for answer in answers]
        token = next(filter(None, map(self.chat.control_token, whole)), None)
        if token is not None:
            return nothing, "control_token", token
        try:
            chosen, rejected = (Sample(*self.chat.conversation(turns, learn="last_answer")) for turns in whole)
        except BurnishError as error:
            raise BurnishError(f"pair {preference.id}: {error}") from error
        pair = Pair(preference.id, chosen, rejected)
        if chosen.ids == rejected.ids:
            return pair, "same_answers", ""
        if pair.num_tokens > self.row_tokens:
            return pair, "too_long", f"{pair.num_tokens} tokens"
        return pair, None, ""


def read_pairs(
    data: DatasetArtifact, split: str, source: PairSource, *, seed: int, at_most: int | None = None
) -> list[Preference]:
    """Read a split's pairs, or make them of its labels.

    Raises:
        BurnishError: the split holds none, or a label is not among the task's.
    """
    match source:
        case FromPreferences():
            return read_preferences(data, split, at_most=at_most)
        case FromLabels(task=task):
            return [_of_label(one, task, seed) for one in read_labelled(data, split, task.labels, at_most=at_most)]
        case _:
            assert_never(source)


def _of_label(record: Record, task: LabelTask, seed: int) -> Preference:
    wrong = [label for label in task.labels if label != record.label]
    turns = tuple(Turn(**message) for message in task.messages(record.text))
    return Preference(record.id, turns, str(record.label), random.Random(f"{seed}/{record.id}").choice(wrong))


def _said(left_out: Sequence[LeftOut], num_read: int) -> str:
    parts = []
    for reason, count in Counter(one.reason for one in left_out).items():
        first = next(one for one in left_out if one.reason == reason)
        parts.append(f"{count} {reason} (first: {first.id}{f', {first.detail}' if first.detail else ''})")
    return f"{len(left_out)} of {num_read} pairs of split {left_out[0].split!r} cannot be learnt: {'; '.join(parts)}"


def _remedy(left_out: Sequence[LeftOut], on_unusable: OnUnusable) -> str:
    ways = ["Clean the data"]
    if any(one.reason == "too_long" for one in left_out):
        ways.append("raise loop.row_tokens")
    if on_unusable == "stop":
        ways.append("set on_unusable: leave_out")
    return f"{', '.join(ways[:-1])} or {ways[-1]}" if len(ways) > 1 else ways[0]
