"""The tree of files, against the plainest model there is: a dictionary of paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.repo.tree import Folder, Misfit, Tree

names = st.sampled_from(["a", "b", "c", ".d"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


def tree_of(*files: str) -> Tree[str]:
    tree: Tree[str] = Tree()
    for path in files:
        tree.put(path, path)
    return tree


@given(st.lists(st.tuples(st.sampled_from(["put", "take"]), paths), max_size=30))
def test_putting_and_taking_agree_with_a_dictionary(steps: list[tuple[str, str]]) -> None:
    tree: Tree[int] = Tree()
    model: dict[str, int] = {}
    for number, (step, path) in enumerate(steps):
        if step == "put":
            try:
                replaced = tree.put(path, number)
            except Misfit:
                continue
            assert replaced == ([(path, model[path])] if path in model else [])
            model[path] = number
        else:
            tree.take(path)
            model = {name: value for name, value in model.items() if name != path and not name.startswith(path + "/")}
    assert dict(tree.walk()) == model


def test_a_file_and_a_folder_cannot_share_a_name() -> None:
    tree = tree_of("a/b")
    with pytest.raises(Misfit, match="a is a folder"):
        tree.put("a", "file")
    with pytest.raises(Misfit, match="a/b is a file"):
        tree.put("a/b/c", "file")
    with pytest.raises(Misfit, match="a/b is a file"):
        tree.put("a/b", Folder())
    with pytest.raises(Misfit, match="a/b is a file"):
        tree.make_folder("a/b")


def test_folders_that_meet_become_one() -> None:
    tree = tree_of("a/x", "b/x", "b/y")
    folder = tree.take("b")
    assert folder is not None
    assert tree.put("a", folder) == [("a/x", "a/x")]
    assert dict(tree.walk()) == {"a/x": "b/x", "a/y": "b/y"}


def test_a_copy_is_a_tree_of_its_own() -> None:
    tree = tree_of("a/x")
    copy = tree.copy()
    copy.take("a/x")
    assert dict(tree.walk()) == {"a/x": "a/x"}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a", ["a"]),
        ("missing", []),
        ("a/*", ["a/1.txt", "a/sub"]),
        ("a/.*", ["a/.hidden"]),
        ("*", ["A", "[odd]", "a", "b.txt"]),
        ("?.txt", ["b.txt"]),
        ("[ab]*", ["a", "b.txt"]),
        ("*/1.txt", ["A/1.txt", "a/1.txt"]),
        ("**/1.txt", ["A/1.txt", "a/1.txt"]),
        ("**", ["A", "[odd]", "a", "b.txt"]),
        ("a/*/*", ["a/sub/2.txt"]),
        ("[odd]", ["[odd]"]),
        ("b.txt/*", []),
        ("", [""]),
    ],
)
def test_patterns(pattern: str, found: list[str]) -> None:
    tree = tree_of("a/1.txt", "a/.hidden", "a/sub/2.txt", "A/1.txt", "b.txt", "[odd]", ".top")
    assert tree.match(pattern) == found


@given(st.lists(paths, max_size=10), paths)
def test_a_path_without_wildcards_matches_itself_or_nothing(files: list[str], path: str) -> None:
    tree: Tree[str] = Tree()
    for file in files:
        try:
            tree.put(file, file)
        except Misfit:
            continue
    assert tree.match(path) == ([path] if tree.find(path) is not None else [])
