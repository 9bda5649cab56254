"""The tree as a whole: looking, making, placing, moving, removing, and what is refused of each."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tieline.errors import CallError, Conflict, InvalidArgument, NotFound, TooLarge
from tieline.limits import Limits
from tieline.store.files.beneath import Walk
from tieline.store.files.names import parse, shown
from tieline.store.files.tree import Tree

Stage = Callable[[str], tuple[int, str]]


def put(tree: Tree, staged: Stage, path: str, text: str, *, replace: bool = True) -> None:
    parts = parse(path)
    with tree.folder(parts[:-1], make=True) as folder:
        folder.place(*staged(text), parts[-1], replace=replace)
        folder.sync()


def everything(tree: Tree) -> list[str]:
    return sorted(shown(parts) for parts, _ in tree.walk(()))


def read(tree: Tree, path: str) -> str:
    opened = tree.open(parse(path))
    try:
        return os.read(opened.fd, 1000).decode()
    finally:
        os.close(opened.fd)


def test_a_file_is_placed_read_moved_and_removed(tree: Tree, root: Path, staged: Stage) -> None:
    put(tree, staged, "/lab/data/x.bin", "hello")
    assert (root / "lab" / "data" / "x.bin").read_text() == "hello", "an ordinary file, where one would look for it"
    assert read(tree, "/lab/data/x.bin") == "hello"
    assert tree.stat(parse("/lab/data/x.bin")).size == 5
    assert tree.move(parse("/lab/data/x.bin"), parse("/lab/y.bin")).kind == "file"
    assert everything(tree) == ["/lab", "/lab/data", "/lab/y.bin"]
    assert tree.remove(parse("/lab/y.bin")).kind == "file"
    assert everything(tree) == ["/lab", "/lab/data"]


def test_placing_over_a_file_replaces_it_in_one_step_and_tells_what_was_there(
    tree: Tree, root: Path, staged: Stage
) -> None:
    put(tree, staged, "/x", "old")
    reading = os.open(root / "x", os.O_RDONLY)
    before = tree.stat(("x",))
    with tree.folder(()) as folder:
        assert folder.place(*staged("new"), "x", replace=True) == before
    assert os.read(reading, 10) == b"old", "who reads the old file goes on reading it"
    os.close(reading)
    assert read(tree, "/x") == "new"


def test_only_the_very_file_that_was_seen_is_replaced_or_removed(tree: Tree, root: Path, staged: Stage) -> None:
    put(tree, staged, "/x", "seen")
    seen = tree.stat(("x",))
    put(tree, staged, "/x", "other")
    now = tree.stat(("x",))
    with tree.folder(()) as folder:
        with pytest.raises(Conflict, match="is not the file any more") as refused:
            folder.place(*staged("new"), "x", replace=True, expected=seen)
        assert refused.value.data == {"path": "/x", "changed": True}
        with pytest.raises(Conflict, match="is not the file any more"):
            folder.place(*staged("new"), "nothing", replace=True, expected=seen)
        source, one = staged("one")
        _, two = staged("two")
        answers = folder.place_all(source, [(one, "x"), (two, "z")], replace=True, expected={"x": seen})
        assert [type(answer) for answer in answers] == [Conflict, type(None)]
        folder.place(*staged("new"), "x", replace=True, expected=now)
    assert read(tree, "/x") == "new"
    with pytest.raises(Conflict, match="is not the file any more"):
        tree.remove(("x",), expected=now)
    tree.remove(("x",), expected=tree.stat(("x",)))
    assert everything(tree) == ["/z"]


def test_placing_only_where_nothing_is(tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/x", "first", replace=False)
    with pytest.raises(Conflict, match="/x is there already"):
        put(tree, staged, "/x", "second", replace=False)
    assert read(tree, "/x") == "first"


def test_a_file_takes_no_folders_place_and_no_folder_a_files(tree: Tree, staged: Stage) -> None:
    tree.make(("a",))
    with pytest.raises(Conflict, match="/a is a folder"):
        put(tree, staged, "/a", "x")
    put(tree, staged, "/b", "x")
    for path in ("/b/c", "/b/c/d"):
        with pytest.raises(Conflict, match=r"^/b is a file, not a folder$"):
            put(tree, staged, path, "x")
    with pytest.raises(NotFound, match="no folder"):
        tree.page(parse("/b/c"))
    with pytest.raises(Conflict):
        tree.make(("b",))


def test_names_that_are_one_on_other_systems_do_not_come_beside_each_other(
    tree: Tree, root: Path, staged: Stage
) -> None:
    put(tree, staged, "/README.md", "x")
    put(tree, staged, "/cafe\u0301/menu", "x")
    for path in ("/readme.md", "/Readme.MD", "/caf\u00e9/other", "/CAFE\u0301/menu"):
        with pytest.raises(Conflict, match="would be the same as"):
            put(tree, staged, path, "y")
    with pytest.raises(Conflict):
        tree.make(parse("/readme.MD"))
    with pytest.raises(Conflict):
        tree.move(parse("/cafe\u0301/menu"), parse("/readme.md"))
    put(tree, staged, "/README.md", "replaced")
    (root / "byhand").write_text("")
    with pytest.raises(Conflict):
        put(tree, staged, "/ByHand", "z")
    (root / "byhand").unlink()
    put(tree, staged, "/ByHand", "z")


def test_only_its_case_may_change(tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/readme", "x")
    tree.move(("readme",), ("README",))
    assert everything(tree) == ["/README"]
    put(tree, staged, "/README", "y")
    with pytest.raises(Conflict):
        put(tree, staged, "/readme", "z")


def test_a_full_folder_takes_no_more_but_what_is_there(root: Path) -> None:
    with Tree(root, resolver=Walk(), limits=Limits(folder_entries=5)) as tree:
        for number in range(3):  # and the trash
            tree.make((f"d{number}",))
        tree.make(("d3",))
        with pytest.raises(TooLarge, match="holds 5 entries"):
            tree.make(("d4",))
        tree.remove(("d0",))
        tree.make(("d4",))


def test_folders_are_made_one_or_all_on_the_way(tree: Tree) -> None:
    with pytest.raises(NotFound):
        tree.make(parse("/a/b/c"))
    tree.make(parse("/a/b/c"), parents=True)
    tree.make(parse("/a/b/c"), parents=True)
    with pytest.raises(Conflict, match="/a/b/c is there already"):
        tree.make(parse("/a/b/c"))
    with pytest.raises(Conflict):
        tree.make(())


def test_an_empty_folder_is_removed_and_a_full_one_only_whole(tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/a/b/c", "x")
    with pytest.raises(Conflict, match="not empty"):
        tree.remove(("a",))
    assert tree.remove(("a",), whole=True).kind == "folder"
    assert everything(tree) == []
    assert tree.empty_trash() == 3
    assert tree.empty_trash() == 0
    with pytest.raises(NotFound):
        tree.remove(("a",), whole=True)
    with pytest.raises(InvalidArgument):
        tree.remove((), whole=True)


def test_nothing_is_moved_over_something(tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/a/x", "x")
    put(tree, staged, "/b/x", "other")
    for source, target in (("/a", "/b"), ("/a/x", "/b/x"), ("/a/x", "/b"), ("/a", "/b/x")):
        with pytest.raises(Conflict, match="is there already"):
            tree.move(parse(source), parse(target))
        if (source, target) != ("/a/x", "/b/x"):
            with pytest.raises(Conflict, match="is there already"):
                tree.move(parse(source), parse(target), replace=True)
    tree.move(parse("/a/x"), parse("/b/x"), replace=True)
    assert read(tree, "/b/x") == "x"
    with pytest.raises(NotFound):
        tree.move(parse("/nothing"), parse("/c"))
    with pytest.raises(NotFound):
        tree.move(parse("/b/x"), parse("/nowhere/c"))
    for target in ("/b/b", "/b/c/d"):
        with pytest.raises(Conflict, match="into itself"):
            tree.move(parse("/b"), parse(target))
    with pytest.raises(InvalidArgument):
        tree.move((), ("x",))


def test_a_whole_folder_moves_with_all_in_it(tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/a/b/x", "x")
    tree.make(("c",))
    tree.move(("a",), ("c", "a"))
    assert everything(tree) == ["/c", "/c/a", "/c/a/b", "/c/a/b/x"]


@pytest.fixture
def wild(root: Path, outside: Path, tree: Tree) -> Path:
    """What people may have put there by hand."""
    (root / "real").mkdir()
    (root / "real" / "x").write_text("x")
    for name, target in {
        "out": outside,
        "out-file": outside / "secret.txt",
        "relative-out": "../outside/secret.txt",
        "dangling": outside / "new.txt",
        "within": "real/x",
        "folder": "real",
        "loop": "loop",
    }.items():
        os.symlink(target, root / name)
    os.mkfifo(root / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(root / "sock"))
    sock.close()
    os.link(root / "real" / "x", root / "hard")
    return root


def test_links_are_listed_as_links_and_tell_only_what_lies_within(tree: Tree, wild: Path) -> None:
    entries = {entry.name: entry for entry in tree.page(()).entries}
    assert {name: entry.kind for name, entry in entries.items()} == {
        **dict.fromkeys(("out", "out-file", "relative-out", "dangling", "within", "folder", "loop"), "link"),
        **dict.fromkeys(("fifo", "sock"), "other"),
        "real": "folder",
        "hard": "file",
    }
    assert {name: entry.target for name, entry in entries.items() if entry.target} == {
        "within": "real/x",
        "folder": "real",
        "loop": "loop",
    }


@pytest.mark.parametrize(
    "name", ["out", "out-file", "relative-out", "dangling", "within", "folder", "loop", "fifo", "sock"]
)
def test_what_is_no_file_is_not_opened_and_not_gone_through(tree: Tree, wild: Path, outside: Path, name: str) -> None:
    with pytest.raises(Conflict, match=r"links are not followed|not a file"):
        tree.open((name,))
    with pytest.raises(NotFound):
        tree.folder((name,))
    with pytest.raises(NotFound):
        tree.open((name, "secret.txt"))
    with pytest.raises(CallError):
        tree.make((name, "new"), parents=True)
    with pytest.raises(CallError):
        tree.page((name,))
    assert sorted(path.name for path in outside.rglob("*")) == ["inner", "secret.txt", "secret.txt"]


@pytest.mark.parametrize("name", ["out-file", "dangling", "within", "loop"])
def test_a_link_as_the_final_target_is_replaced_itself(
    tree: Tree, wild: Path, outside: Path, staged: Stage, name: str
) -> None:
    put(tree, staged, f"/{name}", "new")
    assert not (wild / name).is_symlink()
    assert (wild / name).read_text() == "new"
    assert (outside / "secret.txt").read_text() == "SECRET"
    assert not (outside / "new.txt").exists()
    assert (wild / "real" / "x").read_text() == "x"


@pytest.mark.parametrize("name", ["fifo", "sock"])
def test_a_special_file_is_not_replaced_but_may_be_removed(tree: Tree, wild: Path, staged: Stage, name: str) -> None:
    with pytest.raises(Conflict, match="not replaced"):
        put(tree, staged, f"/{name}", "new")
    tree.remove((name,))
    assert not os.path.lexists(wild / name)


def test_a_hard_link_is_replaced_and_not_written_through(tree: Tree, wild: Path, staged: Stage) -> None:
    put(tree, staged, "/hard", "new")
    assert (wild / "real" / "x").read_text() == "x"


def test_removing_whole_removes_links_and_not_what_they_lead_to(
    tree: Tree, root: Path, wild: Path, outside: Path
) -> None:
    (root / "all").mkdir()
    for path in list(root.iterdir()):
        if path.name not in ("all", ".tieline-trash"):
            path.rename(root / "all" / path.name)
    tree.remove(("all",), whole=True)
    tree.empty_trash()
    assert everything(tree) == []
    assert (outside / "secret.txt").read_text() == "SECRET"
    assert (outside / "inner" / "secret.txt").read_text() == "SECRET"


def test_links_are_kept_when_they_lead_into_the_tree(tree: Tree, root: Path) -> None:
    tree.make(("a",))
    with tree.folder(("a",)) as folder:
        folder.link("up", "../b")
        folder.link("up", "../b")
        folder.link("up", "../c")
        for target in ("../../x", "/etc/passwd", ""):
            with pytest.raises(InvalidArgument, match="not kept"):
                folder.link("bad", target)
        with pytest.raises(Conflict):
            folder.link("UP", "x")
    assert os.readlink(root / "a" / "up") == "../c"
    tree.make(("a", "folder"))
    with tree.folder(("a",)) as folder, pytest.raises(Conflict):
        folder.link("folder", "x")


def test_what_has_an_impossible_name_is_counted_and_not_shown(tree: Tree, root: Path) -> None:
    for name in (b"good", b"a:b", b"bell\x07", b"not utf-8 \xff", b"CON", b"end."):
        os.close(os.open(os.fsencode(root) + b"/" + name, os.O_CREAT))
    page = tree.page(())
    assert [entry.name for entry in page.entries] == ["good"]
    assert page.unnamed == 4, "and what is not even text is not counted"


def test_folders_of_our_own_are_out_of_reach(tree: Tree, root: Path, staged: Stage) -> None:
    staged("a secret upload")
    assert everything(tree) == []
    with pytest.raises(InvalidArgument):
        parse("/.tieline-staging/upload-0")


def test_a_walk_sees_everything_once_folders_first(tree: Tree, root: Path, staged: Stage) -> None:
    for folder in range(5):
        for file in range(30):
            put(tree, staged, f"/d{folder}/e{file % 3}/f{file}", "x")
    seen = [shown(parts) for parts, _ in tree.walk(())]
    assert len(seen) == len(set(seen)) == 5 + 15 + 150
    for path in seen:
        above = path.rpartition("/")[0]
        assert not above or seen.index(above) < seen.index(path)


def test_a_tree_deeper_than_paths_may_be_is_walked_and_removed(tree: Tree, root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert len(list(tree.walk(()))) == Limits().path_depth
    tree.remove(("d",), whole=True)
    assert tree.empty_trash() == 1500
    assert everything(tree) == []


def test_a_folder_held_open_stays_itself_when_it_is_moved(tree: Tree, root: Path, outside: Path, staged: Stage) -> None:
    tree.make(("a",))
    with tree.folder(("a",)) as folder:
        (root / "a").rename(root / "moved")
        os.symlink(outside, root / "a")
        folder.place(*staged("x"), "x", replace=True)
    assert (root / "moved" / "x").read_text() == "x"
    assert not (outside / "x").exists()


def test_the_disk_says_how_much_room_there_is(tree: Tree) -> None:
    space = tree.space()
    assert 0 < space.free <= space.total


def test_what_was_removed_is_deleted_at_the_next_start_too(root: Path, tree: Tree, staged: Stage) -> None:
    put(tree, staged, "/a/x", "x")
    tree.remove(("a",), whole=True)
    with Tree(root) as again:
        assert again.empty_trash() == 2


def test_emptying_stops_when_told(tree: Tree, root: Path) -> None:
    for number in range(50):
        (root / "a" / str(number)).mkdir(parents=True)
    tree.remove(("a",), whole=True)
    asked = iter(range(1000))
    assert tree.empty_trash(lambda: next(asked) > 10) < 50
    tree.empty_trash()
    assert list((root / ".tieline-trash").iterdir()) == []
