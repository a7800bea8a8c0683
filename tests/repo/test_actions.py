"""Actions: what each does, and that no file is lost without a word."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.faults import Code, InputFault
from knossosd.repo.actions import Performance
from knossosd.repo.models import Action
from knossosd.repo.tree import Folder, Misfit, Tree


def perform(files: str, *actions: Action) -> tuple[str, list[str]]:
    """Perform actions on files that are named in a string; returns where each is, and the codes of warnings."""
    tree: Tree[str] = Tree()
    for path in files.split():
        tree.put(path, path)
    performance = Performance(tree)
    performance.perform(actions)
    where = " ".join(f"{path}={file}" if path != file else path for path, file in sorted(tree.walk()))
    return where, [warning.code.value for warning in performance.warnings]


def do(kind: Any, *paths: str, to: str | None = None, glob: bool = True) -> Action:
    return Action(kind, paths, to, glob)


@pytest.mark.parametrize(
    ("files", "action", "result"),
    [
        # delete
        ("a/x a/.y b", do("delete", "a"), "b"),
        ("a/x b", do("delete", "b"), "a/x"),
        ("a/x a/.y b", do("delete", "a/*"), "a/.y b"),
        # move: renames
        ("a/x b", do("move", "a", to="c"), "b c/x=a/x"),
        ("x", do("move", "x", to="new/parents/y"), "new/parents/y=x"),
        ("a/x", do("move", "a", to="new/parents/b"), "new/parents/b/x=a/x"),
        ("a", do("move", "a", to="a"), "a"),
        # move: into a folder
        ("a/x d/y", do("move", "a", to="d"), "d/a/x=a/x d/y"),
        ("a/x b", do("move", "a/x", to=""), "b x=a/x"),
        ("a/x a/y", do("move", "a/*", to=""), "x=a/x y=a/y"),
        ("a/x a/y", do("move", "a/*", to="d"), "d/x=a/x d/y=a/y"),
        ("a/x", do("move", "a/*", to="d"), "d/x=a/x"),
        ("x y", do("move", "x", "y", to="d"), "d/x=x d/y=y"),
        ("x y d/z", do("move", "*", to="d"), "d/x=x d/y=y d/z"),
        ("x y", do("move", "*", to="d/e"), "d/e/x=x d/e/y=y"),
        ("a/b/x b/y", do("move", "a/*", to=""), "b/x=a/b/x b/y"),
        # copy: a folder's contents, or a file
        ("a/x a/b/y", do("copy", "a", to="c"), "a/b/y a/x c/b/y=a/b/y c/x=a/x"),
        ("a/x c/z", do("copy", "a", to="c"), "a/x c/x=a/x c/z"),
        ("x", do("copy", "x", to="c/y"), "c/y=x x"),
        ("x d/z", do("copy", "x", to="d"), "d/x=x d/z x"),
        ("a/x a/b/y", do("copy", "a/*", to="c"), "a/b/y a/x c/b/y=a/b/y c/x=a/x"),
        ("a/x", do("copy", "a", to="a/b"), "a/b/x=a/x a/x"),
        # names that look like patterns
        ("[a] a", do("delete", "[a]"), "a"),
        ("a* ab", do("delete", "a*", glob=False), "ab"),
    ],
)
def test_what_an_action_does(files: str, action: Action, result: str) -> None:
    assert perform(files, action) == (result, [])


def test_mkdir_makes_a_folder_to_move_into() -> None:
    assert perform("x", do("mkdir", "a/b"), do("move", "x", to="a/b")) == ("a/b/x=x", [])
    assert perform("x", do("mkdir", "a/b", glob=False), do("move", "x", to="a/b")) == ("a/b/x=x", [])


def test_a_folder_that_was_emptied_is_still_there() -> None:
    assert perform("a/x y", do("move", "a/x", to=""), do("move", "y", to="a")) == ("a/y=y x=a/x", [])


def test_a_folder_that_was_moved_can_be_deleted() -> None:
    assert perform("a/x b", do("move", "a", to="c"), do("delete", "c")) == ("b", [])


@pytest.mark.parametrize("kind", ["delete", "move", "copy"])
@pytest.mark.parametrize("glob", [True, False])
def test_a_path_that_names_nothing_is_a_warning(kind: str, glob: bool) -> None:
    to = None if kind == "delete" else "d"
    assert perform("x", do(kind, "missing", to=to, glob=glob)) == ("x", ["action_without_effect"])


def test_a_file_that_is_replaced_is_a_warning() -> None:
    assert perform("a/x x", do("move", "a/x", to="")) == ("x=a/x", ["file_replaced"])
    assert perform("a/x b/x", do("copy", "a", to="b")) == ("a/x b/x=a/x", ["file_replaced"])


def test_copying_something_onto_itself_changes_nothing() -> None:
    assert perform("a/x", do("copy", "a", to="a")) == ("a/x", [])


@pytest.mark.parametrize(
    ("files", "action", "reason"),
    [
        ("a/x", do("move", "a", to="a/b"), "moved into itself"),
        ("a/x b", do("move", "a", "b", to="b"), "is a file"),
        ("a/x b/a", do("move", "a", to="b"), "is a file"),
        ("x a/x/y", do("move", "x", to="a"), "is a folder"),
        ("x", do("mkdir", "x/y"), "is a file"),
    ],
)
def test_what_cannot_be_done_says_which_action_it_is(files: str, action: Action, reason: str) -> None:
    with pytest.raises(InputFault, match=reason) as caught:
        perform(files, do("mkdir", "harmless"), action)
    assert caught.value.finding.code is Code.ACTION_FAILED
    assert caught.value.finding.message.startswith("actions[1] ")


def test_copies_of_copies_are_limited() -> None:
    """Each action doubles what is there, so forty of them would need a disk that nobody has."""
    with pytest.raises(InputFault, match="copy more than") as caught:
        perform("x", do("mkdir", "d"), *[do("copy", "*", to=f"d{number}") for number in range(40)])
    assert caught.value.finding.code is Code.ACTION_FAILED


def test_many_copies_of_many_files_are_limited() -> None:
    files = " ".join(f"{number}.txt" for number in range(2000))
    assert perform(files, *[do("copy", "*.txt", to=f"d{number}") for number in range(50)])[1] == []
    with pytest.raises(InputFault, match="copy more than"):
        perform(files, *[do("copy", "*.txt", to=f"d{number}") for number in range(51)])


parts = st.sampled_from(["a", "b", "c", "*", ".d"])
some_paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
targets = st.lists(st.sampled_from(["a", "b", "new"]), max_size=2).map("/".join)
some_actions = st.builds(
    lambda kind, paths, to, glob: Action(kind, tuple(paths), to if kind in ("move", "copy") else None, glob),
    st.sampled_from(["move", "copy", "mkdir"]),
    st.lists(some_paths, min_size=1, max_size=2),
    targets,
    st.booleans(),
)


@given(st.lists(some_paths, max_size=8), st.lists(some_actions, max_size=5))
def test_without_delete_no_file_is_lost_without_a_word(files: list[str], actions: list[Action]) -> None:
    tree: Tree[str] = Tree()
    for path in files:
        try:
            tree.put(path, path)
        except Misfit:
            continue
    before = {file for _, file in tree.walk()}
    performance = Performance(tree)
    try:
        performance.perform(actions)
    except InputFault as fault:
        assert fault.finding.code is Code.ACTION_FAILED
        return
    after = {file for _, file in tree.walk()}
    assert before <= after | set(performance.replaced)
    assert bool(performance.replaced) == any(one.code is Code.FILE_REPLACED for one in performance.warnings)
    assert isinstance(tree.top, Folder)
