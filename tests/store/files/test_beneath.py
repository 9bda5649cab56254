"""Both ways of going down: what they open, and that nothing leads them out."""

import errno
import os
import socket
from pathlib import Path

import pytest

from tieline.store.files import beneath
from tieline.store.files.beneath import FILE, FOLDER, Openat2, Resolver, Walk, best, is_file


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """root/a/b/c.txt, and links of every kind."""
    inner = tmp_path / "root" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c.txt").write_text("here")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "c.txt").write_text("outside")
    for name, target in {
        "out": "../etc",
        "absolute": str(tmp_path / "etc"),
        "within": "a",
        "file": "a/b/c.txt",
        "dangling": "nowhere",
        "loop": "loop",
        "a/up": "..",
        "a/b/self": ".",
        "proc": "/proc/self/root",
    }.items():
        os.symlink(target, tmp_path / "root" / name)
    return tmp_path / "root"


def open_(resolver: Resolver, root: Path, *parts: str, flags: int = FILE) -> int:
    top = os.open(root, FOLDER)
    try:
        return resolver.open(top, parts, flags)
    finally:
        os.close(top)


def test_real_folders_lead_to_the_file(resolver: Resolver, here: Path) -> None:
    fd = open_(resolver, here, "a", "b", "c.txt")
    assert os.read(fd, 100) == b"here"
    os.close(fd)


def test_no_parts_are_the_root_itself(resolver: Resolver, here: Path) -> None:
    fd = open_(resolver, here, flags=FOLDER)
    assert os.path.samestat(os.fstat(fd), here.stat())
    os.close(fd)


@pytest.mark.parametrize(
    "path",
    [
        "out/c.txt",
        "absolute/c.txt",
        "within/b/c.txt",
        "file",
        "dangling",
        "loop",
        "loop/x",
        "a/up/a/b/c.txt",
        "a/b/self/c.txt",
        "proc/etc/passwd",
        "out",
    ],
)
def test_a_link_anywhere_on_the_way_leads_nowhere(resolver: Resolver, here: Path, path: str) -> None:
    with pytest.raises(OSError) as refused:
        open_(resolver, here, *path.split("/"))
    assert refused.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_what_is_not_there_is_not_found(resolver: Resolver, here: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_(resolver, here, "a", "nothing", "x")
    with pytest.raises(NotADirectoryError):
        open_(resolver, here, "a", "b", "c.txt", "x")


def test_special_files_are_told_apart_and_do_not_hang(resolver: Resolver, here: Path) -> None:
    os.mkfifo(here / "fifo")
    fd = open_(resolver, here, "fifo")
    assert not is_file(fd)
    os.close(fd)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(here / "sock"))
        with pytest.raises(OSError):
            open_(resolver, here, "sock")


def test_nothing_stays_open(resolver: Resolver, here: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for path in ("a/b/c.txt", "out/x", "a/nothing/x", "a/b/c.txt/x/y"):
        try:
            os.close(open_(resolver, here, *path.split("/")))
        except OSError:
            pass
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_where_the_kernel_has_no_openat2_the_walk_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self) -> None:
            raise PermissionError(errno.EPERM, "by a sandbox")

    assert isinstance(best(), Openat2 | Walk)
    monkeypatch.setattr(beneath, "Openat2", Refused)
    assert isinstance(best(), Walk)


def test_an_openat2_that_lets_everything_pass_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sandboxes and emulators take a call they do not know for another."""

    def open_anything(self: Openat2, root: int, parts: tuple[str, ...], flags: int) -> int:
        return os.open("/", FOLDER)

    monkeypatch.setattr(Openat2, "open", open_anything)
    with pytest.raises(OSError, match="does not keep its promise"):
        Openat2()


def test_an_openat2_that_is_never_sure_hands_over_to_the_walk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        resolver = Openat2()
    except OSError:
        pytest.skip("this kernel or sandbox has no openat2")
    monkeypatch.setattr(resolver, "_syscall", lambda *_: -1)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EAGAIN)
    fd = open_(resolver, here, "a", "b", "c.txt")
    assert os.read(fd, 100) == b"here"
    os.close(fd)
