"""Left out: the list of examples that a training cannot learn, each with its reason."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from burnish.runtime import Workdir


def write_left_out(out: Workdir, left_out: Sequence[Any]) -> None:
    """List dataclasses in `left_out.jsonl`, a line each; no file where there are none."""
    if left_out:
        lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in left_out)
        (out / "left_out.jsonl").write_text("".join(lines), encoding="utf-8")
