"""What a caged command can do to the world outside, looked at from outside."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from commands.sandbox.bounds import Bounds, CageFault, Limits
from commands.sandbox.bubblewrap import Bubblewrap
from commands.sandbox.choose import Wanted, choose, describe
from commands.sandbox.none import NoCage
from commands.sandbox.toolchains import toolchains
from tests.caged import KINDS, SECRET, bash, cage, ended, environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").write_text(SECRET)
    return home


@pytest.fixture
def root(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    return root


@KINDS
def test_commands_write_outside_the_workspace_only_without_a_cage(
    kind: Wanted, home: Path, root: Path
) -> None:
    """The first guarantee; without a cage the same attempt succeeds, so it is a real one."""
    outside = (home / "made", home.parent / "made", Path(f"/var/tmp/made-{uuid4()}"))

    for place in outside:
        bash(cage(kind, Bounds(root), home), f"touch {place}; touch inside")

    assert [place.exists() for place in outside] == [kind == "none"] * 3
    assert (root / "inside").exists()
    outside[2].unlink(missing_ok=True)


@KINDS
def test_commands_read_the_home_folder_only_without_a_cage(
    kind: Wanted, home: Path, root: Path
) -> None:
    """Keys lie in home folders."""
    seen = bash(cage(kind, Bounds(root), home), f"cat ~/key {home}/key {root}/../key")

    assert (SECRET in seen) == (kind == "none")


def test_system_files_cannot_be_changed(home: Path, root: Path) -> None:
    """Also by root, who may do so outside."""
    said = bash(cage("bubblewrap", Bounds(root), home), "touch /usr/bin/x /etc/x /x /dev/x")

    assert said.count("Read-only file system") == 4


@KINDS
def test_no_kind_hands_the_key_on_in_the_environment(kind: Wanted, home: Path, root: Path) -> None:
    """The model's key would end up in a result, or at a stranger's server."""
    seen = bash(cage(kind, Bounds(root, pass_env=["TZ"]), home), "env")

    assert SECRET not in seen
    assert "\nTERM=dumb\n" in seen
    assert "TZ=UTC\n" in seen


@KINDS
def test_other_processes_are_seen_only_without_a_cage(kind: Wanted, home: Path, root: Path) -> None:
    """A scrubbed environment is worth nothing while the agent's own can be read in /proc."""
    with subprocess.Popen(["sleep", "1000"], env={"PATH": "/usr/bin:/bin", "K": SECRET}) as other:
        seen = bash(cage(kind, Bounds(root), home), "cat /proc/[0-9]*/environ 2>/dev/null")
        other.kill()

    assert (SECRET in seen) == (kind == "none")


@pytest.fixture
def server() -> Iterator[int]:
    """The port of something that listens on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


@pytest.mark.parametrize(("kind", "network"), [("bubblewrap", False), ("bubblewrap", True)])
def test_the_machines_own_ports_are_reached_only_with_the_network(
    kind: Wanted, network: bool, home: Path, root: Path, server: int
) -> None:
    """A database or a model server on this machine is nobody's business in the cage."""
    made = cage(kind, Bounds(root, network=network), home)

    done = ended(made, f"exec 3<>/dev/tcp/127.0.0.1/{server}")

    assert (done.exit == 0) == network == made.network


def test_programs_in_the_cage_can_speak_to_each_other_by_loopback(home: Path, root: Path) -> None:
    """Tests that start a server and ask it must work."""
    script = (
        "import socket; a = socket.create_server(('127.0.0.1', 0));"
        "socket.create_connection(a.getsockname()); print('met')"
    )

    assert "met" in bash(cage("bubblewrap", Bounds(root), home), f'python3 -c "{script}"')


def test_masked_files_are_empty_and_state_is_not_there(home: Path, root: Path) -> None:
    """A workspace's .env holds keys, and the state may lie in the workspace."""
    (root / ".env").write_text(SECRET)
    (root / "state").mkdir()
    (root / "state/journal").write_text(SECRET)
    bounds = Bounds(root, masked=lambda: [".env", "absent/.env"], hidden=[root / "state"])

    made = cage("bubblewrap", bounds, home)
    seen = bash(made, "cat .env state/journal; ls -A state; echo x > .env; mv .env y")

    assert SECRET not in seen
    assert (root / ".env").read_text() == SECRET
    assert sorted(path.name for path in root.iterdir()) == [".env", "state"]


def test_protected_paths_stay_as_they_are_and_a_commit_works(home: Path, root: Path) -> None:
    """A planted hook would run as the user, outside; `git commit` is daily work."""
    (home / ".gitconfig").write_text('[user]\n\tname = A \\"B\\" C\n\temail = a@example.org\n')
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / "tests").mkdir()
    (root / "tests/test_a.py").write_text("assert False")
    guarded = [".git/hooks", ".git/config", "tests/test_a.py", "absent/file"]
    made = cage("bubblewrap", Bounds(root, protected=lambda: guarded), home)
    attacks = [
        "echo x > .git/hooks/pre-commit",
        "echo x >> .git/config",
        "mv .git .g",
        "rm -rf .git/hooks",
        "echo x > tests/test_a.py",
        "mv tests t",
        "rm tests/test_a.py",
    ]

    failed = [ended(made, attack).exit != 0 for attack in attacks]
    commit = bash(made, "git add tests && git commit -qm one && git log --format='%an %ae'")

    assert failed == [True] * len(attacks)
    assert commit == 'A "B" C a@example.org\n'
    assert (root / "tests/test_a.py").read_text() == "assert False"
    assert not (root / ".git/hooks/pre-commit").exists()
    assert not (root / "absent").exists()


def test_folders_beside_the_workspace_are_there_when_allowed(home: Path, root: Path) -> None:
    """--allow-read and --allow-write."""
    read, write = home / "read", home / "write"
    read.mkdir()
    write.mkdir()
    made = cage("bubblewrap", Bounds(root, extra_read=[read], extra_write=[write]), home)

    bash(made, f"touch {read}/x {write}/x")

    assert (list(read.iterdir()), list(write.iterdir())) == ([], [write / "x"])


def test_a_workspace_below_tmp_is_the_only_thing_seen_of_it(
    home: Path, root: Path, tmp_path: Path
) -> None:
    """/tmp holds other people's sockets."""
    (tmp_path / "other").write_text(SECRET)
    made = cage("bubblewrap", Bounds(root), home)

    assert bash(made, f"ls {tmp_path}") == "home\n"


def test_further_user_namespaces_are_refused_or_said(home: Path, root: Path) -> None:
    """They open parts of the kernel that are made for root."""
    cage("bubblewrap", Bounds(root), home)
    tight, loose = (Bubblewrap(Bounds(root), environment(home), tight=on) for on in (True, False))
    if not tight.tight:
        pytest.skip("this bubblewrap can't forbid them")

    assert ended(tight, "unshare -U true").exit != 0
    assert [" namespaces possible" in describe(made) for made in (tight, loose)] == [False, True]


@KINDS
def test_limits_of_each_process_hold(kind: Wanted, home: Path, root: Path) -> None:
    """A runaway command must not take the disk or the memory."""
    limits = Limits(file_bytes=10_000, memory_share=0.02, open_files=50, cpu_s=1)
    made = cage(kind, Bounds(root, limits=limits), home)

    bash(made, "head -c 20000 /dev/zero > big")
    greedy = ended(made, "python3 -c 'bytearray(1 << 40)'")
    opened = ended(made, "python3 -c 'a = [open(\"big\") for _ in range(60)]'")
    busy = ended(made, "while :; do :; done")

    assert (root / "big").stat().st_size == 10_000
    assert b"MemoryError" in greedy.stderr
    assert b"Too many open files" in opened.stderr
    assert (busy.exit, busy.stopped) == (137, "")


def test_a_cage_that_cannot_be_built_says_why(home: Path, root: Path) -> None:
    """Whoever gave --allow-read a wrong path must learn which."""
    cage("bubblewrap", Bounds(root), home)

    with pytest.raises(CageFault, match="no/such/folder"):
        choose("bubblewrap", Bounds(root, extra_read=[Path("/no/such/folder")]), environment(home))


def test_no_cage_is_taken_when_it_is_asked_for_by_name(home: Path, root: Path) -> None:
    """Running without a cage is the person's choice."""
    made = choose("none", Bounds(root), environment(home))

    assert isinstance(made, NoCage)
    assert describe(made).startswith("Cage: none.")


def test_the_line_about_a_cage_tells_what_it_lacks(home: Path, root: Path) -> None:
    """A person decides by it whether to leave."""
    bounds = Bounds(root, network=True)
    line = describe(cage("auto", bounds, home))
    unfiltered = describe(Bubblewrap(bounds, environment(home)))

    assert line.startswith("Cage: bubblewrap.")
    assert "the whole network" in line
    assert "(no filter of system calls" not in line
    assert "(no filter of system calls" in unfiltered


def test_the_line_says_where_protect_binds_the_file_commands_only(home: Path, root: Path) -> None:
    """Who named a path to be kept must not learn in the morning that a shell changed it."""
    said = {
        kind: "--protect binds the file commands only" in describe(made, protect=True)
        for kind in ("bubblewrap", "landlock", "none")
        for made in [cage(kind, Bounds(root), home)]
    }

    assert said == {"bubblewrap": False, "landlock": True, "none": True}


def test_toolchains_are_shown_whole_but_never_what_people_keep(tmp_path: Path) -> None:
    """~/.local and a project hold keys and work; an installation doesn't."""
    home = tmp_path / "home"
    python = home / ".pyenv/versions/3.12/bin/python3.12"
    tool = home / ".local/share/uv/tools/ruff"
    for folder in (home / ".pyenv/shims", home / ".local/bin", home / ".cargo/bin"):
        folder.mkdir(parents=True)
    for file in (python, tool / "bin/ruff", home / ".rustup/settings.toml"):
        file.parent.mkdir(parents=True)
        file.touch()
    for file in (home / ".cargo/bin/rustup", tool / "pyvenv.cfg", home / ".cargo/credentials"):
        file.touch(0o755)
    (home / ".local/bin/ruff").symlink_to(tool / "bin/ruff")
    (home / ".local/bin/mine").symlink_to(home / ".cargo/credentials")

    path = [home / ".pyenv/shims", home / ".local/bin", home / ".cargo/bin", Path("/usr/bin")]
    shown = toolchains(path, home, {})

    assert shown == {
        home / ".pyenv",
        home / ".local/bin",
        tool,
        home / ".cargo/bin",
        home / ".rustup",
    }


def test_a_strangers_link_for_python_shows_no_folder_of_the_user(home: Path, root: Path) -> None:
    """A cloned repository may bring a .venv that points at anything."""
    for name in ("bin", "lib"):
        (home / ".ssh" / name).mkdir(parents=True)
    target = home / ".ssh/bin/python"
    target.write_text(SECRET)
    target.chmod(0o755)
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(target)

    assert SECRET not in bash(cage("bubblewrap", Bounds(root), home), "cat .venv/bin/python")
