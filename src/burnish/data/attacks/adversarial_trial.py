"""Adversarial trial: attack clean records in every way there is, and count what the detector finds.

The injected instructions are those that no pattern was written against (`attack_templates.HELD_OUT`).
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import Measurement, counted
from burnish.data.attacks.attacks import ATTACKS, attacker_of
from burnish.data.ledger import Verdict
from burnish.data.scoring.sample import Sampled
from burnish.data.text import IDEOGRAPH

Detect = Callable[[Sequence[str]], Sequence[Verdict]]

_MAX_CHARS = 8000  # of an attacked record: enough to lose an attack in, and quick to read nine times
_MAX_WORDS_PER_TEXT = 50
_WORD = re.compile(rf"[A-Za-z]{{3,}}|[{IDEOGRAPH}]{{2,4}}")


def evaluate_detector(
    detect: Detect,
    trial: Sequence[Sampled],
    others: Sequence[str],
    *,
    seed: int,
    advance: Callable[[float], None] = lambda _: None,
) -> tuple[Measurement, ...]:
    """Measure the share of attacks found, a kind each, and of records set aside unattacked.

    An attack is tried on records that pass unattacked, so that it alone is what is found.

    Args:
        detect: gives the verdicts on texts.
        trial: records to attack.
        others: texts whose words attacks may use.
    """
    if not trial:
        return ()
    flagged = _flagged(detect, [row.text for row in trial])
    how = f"generated attacks on {len(trial)} records of the stage's own input, held-out instructions, seed {seed}"
    evidence = [
        counted(
            "adversarial_false_alarm_frac",
            int(flagged.sum()),
            of=len(trial),
            how="records of a sample that are set aside as they came; real attacks among them count as well",
        )
    ]
    words = [word for text in others for word in _WORD.findall(text[:_MAX_CHARS])[:_MAX_WORDS_PER_TEXT]]
    passing = [row for row, is_flagged in zip(trial, flagged, strict=True) if not is_flagged]
    for name, attack in ATTACKS.items():
        tried = [attack(row.text[:_MAX_CHARS], attacker_of(seed, f"{name}/{row.id}", words)) for row in passing]
        attacked = [text for text in tried if text is not None]
        if attacked:
            found = int(_flagged(detect, attacked).sum())
            evidence.append(counted(f"adversarial_recall_{name}_frac", found, of=len(attacked), how=how))
        advance(len(trial) / len(ATTACKS))
    return tuple(evidence)


def _flagged(detect: Detect, texts: Sequence[str]) -> NDArray[np.bool_]:
    return np.asarray(np.any([verdict.fails for verdict in detect(texts)], axis=0))
