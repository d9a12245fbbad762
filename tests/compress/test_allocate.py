"""Which bits each unit gets: the exchange by itself, and measured on a tiny model."""

from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.compress.allocate import Allocated, allocate
from burnish.compress.clip import NoClip
from burnish.compress.exchange import Trial, best_uniform, choose
from burnish.compress.grids import IntGrid, place
from burnish.errors import RecipeError
from burnish.nn.weights import open_model
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog

ROWS = [[1, 50, 60, 70, 2, 9, 200, 33, 7, 8, 9, 10], [5, 6, 7, 8, 90, 100, 110, 120, 11, 12, 13, 14]]
CANDIDATES = (IntGrid(2, 32), IntGrid(3, 32), IntGrid(4, 32), IntGrid(8, 32))


@pytest.fixture
def out(tmp_path: Path) -> Workdir:
    (tmp_path / "out/payload").mkdir(parents=True)
    return Workdir(tmp_path / "out", "test", EventLog(tmp_path / "out.jsonl", ()))


def total(trials: list[list[Trial]], chosen: list[int]) -> tuple[float, int]:
    picked = [row[at] for row, at in zip(trials, chosen, strict=True)]
    return sum(trial.kl_nats for trial in picked), sum(trial.num_bytes for trial in picked)


@st.composite
def measured(draw: st.DrawFn) -> list[list[Trial]]:
    """Up to five units on three candidates whose cost falls with their bytes, as a rule."""
    sizes = draw(st.lists(st.integers(1, 50), min_size=1, max_size=5))
    return [[Trial(draw(st.floats(0, 1)) / (4.0**at), size * (3 + at)) for at in range(3)] for size in sizes]


@settings(max_examples=200, deadline=None)
@given(measured(), st.floats(0, 1))
def test_the_exchange_fits_and_is_no_worse_than_one_grid_for_all(trials: list[list[Trial]], share: float) -> None:
    least, most = (sum(pick(t.num_bytes for t in row) for row in trials) for pick in (min, max))
    max_bytes = int(least + share * (most - least))
    chosen = choose(trials, max_bytes)
    assert chosen is not None
    cost, num_bytes = total(trials, chosen)
    assert num_bytes <= max_bytes
    same = best_uniform(trials, max_bytes)
    assert same is None or cost <= total(trials, [same] * len(trials))[0] + 1e-12
    assert choose(trials, least - 1) is None


def test_the_exchange_finds_the_best_where_slopes_fall() -> None:
    trials = [[Trial(kl * 4.0**-at, (at + 1) * 100) for at in range(4)] for kl in (8.0, 1.0, 0.5, 3.0, 0.1)]
    for max_bytes in range(500, 2001, 100):
        chosen = choose(trials, max_bytes)
        assert chosen is not None
        everything = (total(trials, list(each)) for each in product(range(4), repeat=5))
        best = min(cost for cost, size in everything if size <= max_bytes)
        assert total(trials, chosen)[0] == pytest.approx(best)


@pytest.mark.parametrize("unit", ["kind", "linear"])
def test_allotted_bits_beat_one_grid_of_the_same_bytes(out: Workdir, tiny_model: Path, unit: str) -> None:
    model = open_model(tiny_model, precision="fp32")
    with torch.no_grad():  # a layer that hardly speaks: its bits are better spent elsewhere
        for linear in (model.model.layers[0].mlp.down_proj, model.model.layers[1].self_attn.o_proj):
            linear.weight *= 0.02
    names = [f"{n}.weight" for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = Allocated(CANDIDATES, max_bits_mean=4.5, unit=unit, num_tokens=24)  # type: ignore[arg-type]
    found = allocate(out, model, ROWS, names, config, NoClip())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert len(found.units) == (4 if unit == "kind" else 14)
    assert set(found.grids) == set(names)
    assert found.num_bits_mean <= 4.5
    assert found.uniform is not None
    at, uniform_kl = found.uniform
    assert CANDIDATES[at] == IntGrid(4, 32)
    assert found.kl_nats < 0.8 * uniform_kl
    quiet = next(i for i, each in enumerate(found.units) if "layers.0.mlp" in each.name)
    loud = next(i for i, each in enumerate(found.units) if "layers.0.self_attn" in each.name)
    assert found.chosen[loud] >= found.chosen[quiet]
    assert found.as_json()["units"][0]["kl_nats"] == [trial.kl_nats for trial in found.trials[0]]


def test_a_trial_is_the_divergence_of_the_whole_model(out: Workdir, tiny_model: Path) -> None:
    """The second layer's trial, measured from its own inputs on, beside a plain run of the changed model."""
    model = open_model(tiny_model, precision="fp32")
    names = [f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")]
    found = allocate(out, model, ROWS, names, Allocated(CANDIDATES, max_bits_mean=9, num_tokens=24), NoClip())

    def log_probs() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(torch.tensor([row])).logits[0].double().log_softmax(-1) for row in ROWS])

    plain = log_probs()
    with torch.no_grad():
        for name in names:
            weight = model.get_parameter(name)
            weight.copy_(place(weight, CANDIDATES[0]).dequantize())
    expected = (plain.exp() * (plain - log_probs())).sum(1).mean()
    assert found.trials[0][0].kl_nats == pytest.approx(float(expected), rel=1e-4)


def test_what_cannot_fit_is_refused(out: Workdir, tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    with pytest.raises(RecipeError, match=r"max_bits_mean is 2\.0; the smallest candidates need 2\.50 bits"):
        allocate(out, model, ROWS, ["model.layers.0.mlp.up_proj.weight"], Allocated(CANDIDATES, 2.0), NoClip())
    with pytest.raises(RecipeError, match="at least two"):
        Allocated((IntGrid(4, 32),))
