"""Paths cannot leave the workspace, what is out of reach stays so, files change as a whole."""

import os
import resource
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.beneath import Beneath
from commands.command import CommandError
from commands.guard import ForbiddenPath
from commands.workspace import MissingPath, Workspace

SECRET = b"known to nobody inside"
both_ways = pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "steps"])


@pytest.fixture(params=[True, False], ids=["kernel", "steps"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """An empty workspace with an empty folder beside it, opened by the kernel or in steps."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "ws").mkdir()
    return Workspace(tmp_path / "ws", kernel=request.param)


def standing(path: Path) -> bytes | str:
    """What a file holds or where a link leads."""
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else "folder"


def everything(folder: Path) -> dict[str, bytes | str]:
    """All beneath a folder, by path."""
    return {str(path.relative_to(folder)): standing(path) for path in folder.rglob("*")}


def test_both_ways_of_opening_are_really_tried(tmp_path: Path) -> None:
    """Without this, a kernel that lacks openat2 would turn every kernel test into the other."""
    ways = [Beneath(tmp_path.resolve(), kernel=wanted).by_kernel for wanted in (True, False)]

    assert ways == [True, False]


HOSTILE = ["..", "..", ".", "", "out", "file", "abs", "up", "self", "in", "sub", "a", "loop"]
PIECES = st.sampled_from([*HOSTILE, "{outside}", "{root}", "secret.txt", "\0", "n" * 300, "~"])


@both_ways
@settings(max_examples=120, deadline=None)
@given(
    source=st.lists(PIECES, max_size=6).map("/".join),
    target=st.lists(PIECES, max_size=6).map("/".join),
    change=st.sampled_from(["write", "move", "delete", "read"]),
)
def test_no_path_reads_or_changes_anything_outside(
    kernel: bool, source: str, target: str, change: str
) -> None:
    """The boundary of every file command: dots, links of all sorts, absolute paths, bad names."""
    with TemporaryDirectory() as place:
        top = Path(place).resolve()
        root, outside = top / "ws", top / "outside"
        for folder in (root / "sub", outside / "a"):
            folder.mkdir(parents=True)
        (outside / "secret.txt").write_bytes(SECRET)
        links = {"out": "../outside", "file": "../outside/secret.txt", "abs": str(outside)}
        links |= {"up": "..", "self": ".", "in": "sub", "loop": "loop", "sub/out": "../../outside"}
        for name, leads in links.items():
            (root / name).symlink_to(leads)
        before = everything(outside)
        names = {"outside": str(outside), "root": str(root)}
        source, target = source.format(**names), target.format(**names)
        workspace = Workspace(root, kernel=kernel)
        read = b""

        with suppress(CommandError):
            match change:
                case "write":
                    workspace.write(source, b"planted")
                case "move":
                    workspace.write("sub/new", b"planted")
                    workspace.move("sub/new" if len(source) % 2 else source, target)
                case "delete":
                    workspace.delete(source)
                case "read":
                    read = workspace.read(source, 100).data

        assert everything(outside) == before
        assert sorted(path.name for path in top.iterdir()) == ["outside", "ws"]
        assert SECRET not in read


def flip(link: Path, targets: Iterator[str], over: Event) -> None:
    """Let a link lead now here, now there, without a moment at which it is missing."""
    while not over.is_set():
        (link.parent / "next").symlink_to(next(targets))
        (link.parent / "next").rename(link)


def test_a_link_that_is_swapped_meanwhile_never_lets_a_write_or_read_out(
    workspace: Workspace,
) -> None:
    """A background process of the agent can win any race between a check and its use."""
    root, outside = workspace.root, workspace.root.parent / "outside"
    (root / "inside").mkdir()
    (root / "inside" / "x").write_bytes(b"inside")
    (outside / "x").write_bytes(SECRET)
    (root / "door").symlink_to("inside")
    over = Event()
    targets = cycle(["../outside", "inside"])
    swapper = Thread(target=flip, args=(root / "door", targets, over))
    outcomes: set[str] = set()

    swapper.start()
    try:
        for n in range(20_000):
            try:
                assert workspace.read("door/x", 100).data != SECRET
                workspace.write("door/x", b"written")
                outcomes.add("written")
            except CommandError:
                outcomes.add("refused")
            if n >= 400 and len(outcomes) == 2:
                break
    finally:
        over.set()
        swapper.join(10)

    assert everything(outside) == {"x": SECRET}
    assert outcomes == {"written", "refused"}


@pytest.mark.parametrize(
    "path",
    [
        *(".git/config", "a/../.git/config", "./.git//config", "g/config", "a/up/.git/config"),
        *(".GIT/config", ".git/hooks/pre-commit", "h/pre-commit", ".git/HEAD", "a/.git"),
        *(".vscode/tasks.json", ".bashrc", "autoagent.toml", ".mcp.json", "{root}/.git/config"),
        *("tests/test_a.py", "t/test_a.py", "not/yet/there", "not/yet", "c"),
    ],
)
def test_a_protected_path_is_recognised_in_every_spelling(workspace: Workspace, path: str) -> None:
    """The list would be worthless if a link or some dots led around it."""
    root = workspace.root
    for folder in (".git/hooks", "a", "tests"):
        (root / folder).mkdir(parents=True)
    (root / ".git/config").write_text("[core]")
    links = {"g": ".git", "h": ".git/hooks", "a/up": "..", "t": "tests", "c": "g/config"}
    for name, leads in links.items():
        (root / name).symlink_to(leads)
    guarded = Workspace(root, protected=["tests", "not/yet"])
    before = everything(root)

    with pytest.raises(ForbiddenPath, match="final; take another way"):
        guarded.write(path.format(root=root), b"changed")

    assert everything(root) == before


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *[(".git", "g"), ("a", ".git"), ("a", ".vscode"), ("tests", "t"), ("up", "u")],
        *[("a", "up/er/file"), ("deep", "d"), (".env", "e"), ("a/f", "a/.env.local")],
        *[("a/f", ".git/hooks/f"), ("a/f", "tests/f"), ("a", "not")],
    ],
)
def test_no_move_leads_around_protection(workspace: Workspace, source: str, target: str) -> None:
    """Renaming `.git` and putting another in its place planted a hook elsewhere."""
    root = workspace.root
    for folder in (".git/hooks", "a", "tests", "deep/er"):
        (root / folder).mkdir(parents=True)
    (root / "a/f").write_text("")
    (root / ".env").write_text("KEY=1")
    (root / "up").symlink_to("deep")
    guarded = Workspace(root, protected=["tests", "deep/er/file", "up/er", "not/yet"])
    before = everything(root)

    with pytest.raises(ForbiddenPath):
        guarded.move(source, target)

    assert everything(root) == before


def test_masked_files_are_neither_read_nor_written_anywhere(workspace: Workspace) -> None:
    """They hold the user's keys; the templates beside them hold none."""
    root = workspace.root
    (root / "sub").mkdir()
    for name in (".env", "sub/.env.local", ".env.example", "sub/.env.template", "environment"):
        (root / name).write_text("KEY=1")
    (root / "link").symlink_to("sub/.env.local")

    for path in (".env", "sub/.env.local", "link", "sub/../.env", ".ENV"):
        with pytest.raises(ForbiddenPath, match="masked"):
            workspace.read(path, 10)
        with pytest.raises(ForbiddenPath, match="masked"):
            workspace.write(path, b"")

    assert workspace.masked_paths() == (".env", "sub/.env.local")
    assert workspace.read(".env.example", 10).data == b"KEY=1"


def test_what_a_masked_link_leads_to_is_masked_as_well(workspace: Workspace) -> None:
    """Some keep one secrets file and link `.env` to it."""
    workspace.write("secrets/prod.txt", b"KEY=1")
    (workspace.root / ".env").symlink_to("secrets/prod.txt")

    for path in (".env", "secrets/prod.txt"):
        with pytest.raises(ForbiddenPath, match="masked"):
            workspace.read(path, 10)

    assert workspace.masked_paths() == (".env", "secrets/prod.txt")


def test_the_list_names_the_users_paths_and_what_links_among_them_lead_to(tmp_path: Path) -> None:
    """The cage binds by this list: a protected link would leave its target open."""
    (tmp_path / "real").mkdir()
    (tmp_path / "tests").symlink_to("real")

    workspace = Workspace(tmp_path, protected=["./tests/", f"{tmp_path}/not/yet"])

    listed = workspace.protected_paths()
    assert {".git/hooks", ".git/config", ".vscode", "tests", "real", "not/yet"} <= set(listed)
    for outside in ("../other", "/etc", "a/../../b"):
        with pytest.raises(ValueError, match="outside"):
            Workspace(tmp_path, protected=[outside])


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [(os.mkfifo, "named pipe"), (make_socket, "socket|regular"), (os.mkdir, "folder")],
)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    workspace: Workspace, make: Callable[[Path], None], said: str
) -> None:
    """Opening a named pipe plainly would hang for ever; replacing it would be a surprise."""
    make(workspace.root / "odd")

    with pytest.raises(CommandError, match=said):
        workspace.read("odd", 10)
    with pytest.raises(CommandError, match=said):
        workspace.write("odd", b"x")

    assert not stat.S_ISREG((workspace.root / "odd").stat().st_mode)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        *[("", "empty"), ("  ", "empty"), ("a\0b", "NUL"), ("~/x", "~"), ("n" * 5000, "too long")],
        *[("n" * 300, "too long"), ("\ud800", "file name"), ("/etc/passwd", "outside")],
        *[
            ("../x", "outside"),
            ("loop", "circle"),
            ("abs", "absolute target"),
            ("file/x", "file for a folder"),
        ],
        *[("missing/../x", "doesn't exist|There is no"), ("dangling", "nowhere|There is no")],
        *[("dangling/x", "nowhere|There is no"), (".", "folder")],
    ],
)
def test_an_impossible_path_gets_a_sentence(workspace: Workspace, path: str, said: str) -> None:
    """The model must learn what to do instead; a traceback would be our bug."""
    (workspace.root / "file").write_text("")
    (workspace.root / "loop").symlink_to("loop")
    (workspace.root / "abs").symlink_to(workspace.root / "file")
    (workspace.root / "dangling").symlink_to("nothing")
    before = everything(workspace.root)

    for change in (lambda: workspace.read(path, 10), lambda: workspace.write(path, b"")):
        with pytest.raises(CommandError, match=said):
            change()

    assert everything(workspace.root) == before


def test_a_missing_file_names_the_nearest_one(workspace: Workspace) -> None:
    """A slip in a name should cost one step, not three."""
    workspace.write("src/slugs.py", b"")

    with pytest.raises(MissingPath, match=r"no 'src/slug\.py'. Did you mean 'src/slugs\.py'"):
        workspace.read("src/slug.py", 10)


def test_a_write_makes_parents_follows_links_inside_and_keeps_the_mode(
    workspace: Workspace,
) -> None:
    """A script stays executable, a private file private, and a link a link."""
    root = workspace.root
    (root / "run.sh").write_text("old")
    (root / "run.sh").chmod(0o776)
    (root / "link").symlink_to("run.sh")

    made = workspace.write("a/b/c.txt", b"new")
    written = workspace.write("link", b"new")
    absolute = workspace.write(f"{root}/a/d.txt", b"new")

    assert (made, written, absolute) == ("a/b/c.txt", "run.sh", "a/d.txt")
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o776
    assert everything(root) == {
        "a": "folder",
        "a/b": "folder",
        "a/b/c.txt": b"new",
        "a/d.txt": b"new",
        "link": "run.sh",
        "run.sh": b"new",
    }


def test_a_workspace_named_through_a_link_takes_absolute_paths_of_either_name(
    tmp_path: Path,
) -> None:
    """People say /home/me/project where the disk says /data/project."""
    (tmp_path / "real").mkdir()
    (tmp_path / "name").symlink_to("real")
    workspace = Workspace(tmp_path / "name")

    written = [workspace.write(f"{tmp_path}/{name}/{name}.txt", b"") for name in ("name", "real")]

    assert written == ["name.txt", "real.txt"]


def test_whoever_reads_during_writes_sees_a_whole_file(workspace: Workspace) -> None:
    """A half-written file never stands under its name (a test runner may be reading it)."""
    contents = [b"a" * 300_000, b"b" * 300_000]
    workspace.write("f", contents[0])
    over = Event()
    seen: list[bytes] = []

    def look() -> None:
        while not over.is_set():
            seen.append(workspace.read("f", 10**6).data)
            seen[:] = list(dict.fromkeys(seen))

    reader = Thread(target=look)
    reader.start()
    try:
        for n in range(60):
            workspace.write("f", contents[n % 2])
    finally:
        over.set()
        reader.join(10)

    assert seen
    assert set(seen) <= set(contents)
    assert [path.name for path in workspace.root.iterdir()] == ["f"]


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(
    workspace: Workspace,
) -> None:
    """As on a full disk: the system refuses more after the first bytes."""
    workspace.write("f", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(CommandError, match="not changed"):
            workspace.write("f", b"x" * (2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert everything(workspace.root) == {"f": b"old"}


def test_a_read_only_file_is_not_replaced(workspace: Workspace) -> None:
    """Renaming over it would work, but its mode says that it is meant to stay."""
    workspace.write("f", b"old")
    (workspace.root / "f").chmod(0o444)

    with pytest.raises(CommandError, match="chmod"):
        workspace.write("f", b"new")

    assert everything(workspace.root) == {"f": b"old"}


def test_a_move_overwrites_nothing_and_a_folder_cannot_enter_itself(workspace: Workspace) -> None:
    """What stood at the target would be lost without a word."""
    workspace.write("a/f", b"1")
    workspace.write("g", b"2")

    moved = workspace.move("a/f", "new/h")
    for source, target in (("g", "new/h"), ("g", "new"), ("new", "new/deeper"), ("g", "g")):
        with pytest.raises(CommandError):
            workspace.move(source, target)

    assert moved == ("a/f", "new/h")
    assert everything(workspace.root) == {"a": "folder", "g": b"2", "new": "folder", "new/h": b"1"}


def test_delete_takes_a_file_a_link_itself_or_an_empty_folder_only(workspace: Workspace) -> None:
    """A whole tree is never gone by one word; the shell can do that, visibly."""
    workspace.write("full/f", b"1")
    (workspace.root / "empty").mkdir()
    (workspace.root / "link").symlink_to("full/f")

    for path in ("full", ".", "full/..", "nothing"):
        with pytest.raises(CommandError):
            workspace.delete(path)
    deleted = [workspace.delete(path) for path in ("link", "empty")]

    assert deleted == [("link", "link"), ("folder", "empty")]
    assert everything(workspace.root) == {"full": "folder", "full/f": b"1"}


@pytest.mark.parametrize("folder", [".git", ".git/hooks", "docs", "docs/deep", ".VSCode", "led"])
def test_a_part_of_what_is_protected_is_protected_as_a_whole(tmp_path: Path, folder: str) -> None:
    """Whoever works in `.git` alone could else write a hook, which the user's git runs."""
    for name in (".git/hooks", "docs/deep", ".VSCode", "led"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".idea").symlink_to("led")
    part = Workspace(tmp_path, protected=["docs"]).part(folder)

    with pytest.raises(ForbiddenPath):
        part.write("new", b"x")

    assert part.is_protected
    assert list((tmp_path / folder).glob("new")) == []


def test_in_a_part_all_is_out_of_reach_that_is_so_in_the_whole(tmp_path: Path) -> None:
    """By the names that it has there, also in a part of a part."""
    for name in ("a/docs/b", "a/b/docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/b/settings").write_bytes(SECRET)
    (tmp_path / ".env").symlink_to("a/b/settings")
    whole = Workspace(tmp_path, protected=["a/b/docs/kept"])
    part = whole.part("a").part("b")

    for refused in (
        lambda: part.read("settings", 100),
        lambda: part.write("docs/kept", b"x"),
        lambda: part.write(".git/config", b"x"),
    ):
        with pytest.raises(ForbiddenPath):
            refused()

    assert part.write("docs/other", b"x") == "docs/other"
    assert part.masked_paths() == ("settings",)
    assert not part.is_protected


@both_ways
def test_a_part_follows_no_link_that_is_put_in_its_place(tmp_path: Path, kernel: bool) -> None:
    """Programs of another agent can do that at any time, also further up."""
    (tmp_path / "ws/a/b").mkdir(parents=True)
    (tmp_path / "outside/b").mkdir(parents=True)
    (tmp_path / "outside/b/secret.txt").write_bytes(SECRET)
    whole = Workspace(tmp_path / "ws", kernel=kernel)
    part = whole.part("a/b")

    (tmp_path / "ws/a").rename(tmp_path / "ws/old")
    (tmp_path / "ws/a").symlink_to("../outside")

    for tried in (
        lambda: part.read("secret.txt", 100),
        lambda: part.write("new", b"x"),
        lambda: part.entries(""),
        lambda: whole.part("a/b"),
    ):
        with pytest.raises(CommandError):
            tried()
    assert list(everything(tmp_path / "outside")) == ["b", "b/secret.txt"]
