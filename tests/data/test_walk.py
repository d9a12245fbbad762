"""Walk: a fixed order, patterns as people write them, names of any bytes."""

from pathlib import Path

import pytest

from burnish.data.readers.walk import glob_regex, walk

TREE = ("b.txt", "a/z.txt", "a/b/c.md", "a.txt", "中文/一.txt", "d/[x].txt")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "tree"


def test_the_order_is_that_of_the_names_and_sizes_are_told(tree: Path) -> None:
    found = list(walk(tree, "**/*"))
    assert [each.name for each in found] == ["a/b/c.md", "a/z.txt", "a.txt", "b.txt", "d/[x].txt", "中文/一.txt"]
    assert [each.num_bytes for each in found] == [len(each.name.encode()) for each in found]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("**/*.md", ["a/b/c.md"]),
        ("a/**", ["a/b/c.md", "a/z.txt"]),
        ("a/*", ["a/z.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[a-b].txt", ["a.txt", "b.txt"]),
        ("**/[[]x].txt", ["d/[x].txt"]),
        ("中文/*", ["中文/一.txt"]),
    ],
)
def test_patterns(tree: Path, pattern: str, names: list[str]) -> None:
    assert [found.name for found in walk(tree, pattern)] == names, glob_regex(pattern)


def test_a_file_is_its_own_tree(tree: Path) -> None:
    (found,) = walk(tree / "a" / "z.txt", "*.md")
    assert (found.name, found.num_bytes) == ("z.txt", 7)


def test_many_folders_that_link_to_each_other_are_each_read_once(tmp_path: Path) -> None:
    """Without a memory of what was read, 12 folders with links to all others are more than a million paths."""
    folders = [tmp_path / f"f{number:02}" for number in range(12)]
    for folder in folders:
        folder.mkdir()
        (folder / "own.txt").write_text("x")
    for folder in folders:
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    found = list(walk(tmp_path, "**/*"))
    assert sum(each.fault is None for each in found) == 12
    assert len(found) <= 12 * 13
    assert all(each.name.count("/") == 1 for each in found)  # a folder goes by its own name, not by a link's
