import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.artifacts.digest import canonical_json, file_digest, json_digest, plain, tree_digests
from burnish.errors import ArtifactError


@dataclass(frozen=True)
class Lora:
    rank: int = 8


@dataclass(frozen=True)
class Other:
    rank: int = 8


@dataclass(frozen=True)
class Nested:
    method: Lora | Other = Lora()
    sizes: tuple[int, ...] = (1, 2)
    name: str = "a"
    is_on: bool = True
    rate: float | None = None


class Colour(enum.Enum):
    RED = "red"


def test_a_known_file_has_its_published_digest(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-4, the example of one block
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "other",
    [
        Nested(method=Other()),
        Nested(method=Lora(9)),
        Nested(sizes=(2, 1)),
        Nested(name="b"),
        Nested(is_on=False),
        Nested(rate=0.0),
    ],
)
def test_every_value_and_every_type_name_matters(other: Nested) -> None:
    assert json_digest(plain(other)) != json_digest(plain(Nested()))


def test_equal_configurations_are_equal() -> None:
    assert plain(Nested(method=Lora(8), sizes=(1, 2))) == plain(Nested())
    assert plain(Colour.RED) == "red"


def test_a_path_enters_by_content_not_by_name(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("same")
    second.write_text("same")
    inputs: dict[str, str] = {}
    assert plain(first, inputs=inputs) == plain(second)
    assert list(inputs.values()) == [str(first)]
    second.write_text("other")
    assert plain(first) != plain(second)


def test_a_folder_enters_by_its_files_and_their_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("x")
    assert plain(tmp_path / "one") == plain(tmp_path / "two")
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "b")
    assert plain(tmp_path / "one") != plain(tmp_path / "two")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nowhere does not exist; give the path"):
        plain(tmp_path / "nowhere")


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", len])
def test_a_value_without_a_stable_form_is_refused(value: object) -> None:
    with pytest.raises(ArtifactError, match=r"no stable form; use numbers, text"):
        plain({"key": [value]})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ArtifactError, match=r"numbers must be finite"):
        json_digest(plain({"lr": value}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(body: dict[str, Any]) -> None:
    backwards = dict(reversed(list(body.items())))
    assert canonical_json(body) == canonical_json(backwards)


@given(JSON, JSON)
def test_different_json_has_different_digests(a: object, b: object) -> None:
    assert (json_digest(a) == json_digest(b)) == (canonical_json(a) == canonical_json(b))


def test_a_tree_is_its_regular_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("1")
    (tmp_path / "a").write_text("2")
    (tmp_path / "empty").mkdir()
    assert list(tree_digests(tmp_path)) == ["a", "b/x"]


@pytest.mark.parametrize("target", ["file", "folder", "nothing"])
def test_a_link_in_a_tree_is_refused_whatever_it_points_to(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("x")
    (tmp_path / "outside" / "folder").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside" / target)
    with pytest.raises(ArtifactError, match=r"link is not a regular file; copy its content"):
        tree_digests(tmp_path / "tree")


def test_a_pipe_in_a_tree_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match=r"pipe is not a regular file"):
        tree_digests(tmp_path)
