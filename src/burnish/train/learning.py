"""What a training learns: each kind of it is a configuration, and the stage that it configures."""

from collections.abc import Callable
from typing import Concatenate, assert_never

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.runtime import Workdir
from burnish.train.converse import ConverseConfig, converse
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.multitask import MultitaskConfig, multitask
from burnish.train.prefer import PreferConfig, prefer
from burnish.train.pretrain import PretrainConfig, pretrain

Learning = FinetuneConfig | PretrainConfig | ConverseConfig | PreferConfig | MultitaskConfig
Stage = Callable[Concatenate[Workdir, ModelArtifact, DatasetArtifact, ...], Draft[ModelArtifact]]


def stage_of(train: Learning) -> Stage:
    """Give the stage of a configuration."""
    match train:
        case FinetuneConfig():
            return finetune
        case PretrainConfig():
            return pretrain
        case ConverseConfig():
            return converse
        case PreferConfig():
            return prefer
        case MultitaskConfig():
            return multitask
        case _:
            assert_never(train)
