"""Places: where the agent may work, and where autoagent keeps its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from autoagent.configuration import options, settings
from autoagent.configuration.places import find, private_folder, workspace_name
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, StateError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder inside an otherwise empty home."""
    folder = tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    return folder


def loaded(workspace: Path, *argv: str, **environ: str) -> Settings:
    """The settings when started in the workspace with its parent as home."""
    environ = {"HOME": str(workspace.parent), **environ}
    return settings.load(options.parse(list(argv)), environ, cwd=workspace)


def refusal(workspace: Path, *argv: str, **environ: str) -> str:
    """The line that answers these settings."""
    with pytest.raises(ConfigError) as refused:
        loaded(workspace, *argv, **environ)
    return str(refused.value)


def test_a_workspace_that_can_not_be_one_is_refused(workspace: Path) -> None:
    """Missing, a file, the home folder, above it, the root; links don't hide it."""
    home = workspace.parent
    (home / "file").touch()
    (home / "link").symlink_to(home)

    lines = [
        refusal(workspace, "-w", str(w)) for w in ("no", home / "file", "..", "/", home / "link")
    ]
    lines.append(refusal(workspace, "-w", str(home.parent)))

    expected = [
        f"The workspace '{workspace / 'no'}' can't be opened: No such file or directory.",
        f"The workspace '{home / 'file'}' is a file; --workspace takes a folder.",
        f"The workspace '{home}' is your home folder: commands could change everything in it.",
        "The workspace '/' is the root of this machine: commands could change everything in it.",
        f"The workspace '{home}' is your home folder: commands could change everything in it.",
        f"The workspace '{home.parent}' is a folder above your home folder: commands could change",
    ]
    assert [line[: len(said)] for line, said in zip(lines, expected, strict=True)] == expected


def test_a_workspace_on_a_read_only_file_system_is_refused(workspace: Path) -> None:
    """Also for root, to whom modes mean nothing."""
    code = (
        "import sys; from pathlib import Path\n"
        "from autoagent.configuration import options, settings\n"
        "try: settings.load(options.parse([]), {'HOME': sys.argv[1]}, cwd=Path(sys.argv[2]))\n"
        "except settings.ConfigError as error: print(error)"
    )
    bind = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--chdir", str(ROOT)]

    run = subprocess.run(
        [*bind, sys.executable, "-B", "-c", code, str(workspace.parent), str(workspace)],
        capture_output=True,
        text=True,
        check=True,
    )

    said = f"The workspace '{workspace}' isn't writable; name another with --workspace.\n"
    assert run.stdout == said


def test_the_home_folder_will_do_where_nothing_in_it_is_changed(workspace: Path) -> None:
    """`autoagent demo` is the first thing that people run, at home."""
    found = settings.load(
        options.parse(["demo"]), {"HOME": str(workspace.parent)}, cwd=workspace.parent
    )

    assert found.workspace == workspace.parent


@pytest.mark.parametrize("inside", ["work/state", "work", "."])
def test_the_users_own_folder_and_the_workspace_lie_apart(workspace: Path, inside: str) -> None:
    """Commands could change trust and sessions, and nothing of ours may lie in a workspace."""
    own = workspace.parent / inside

    said = refusal(workspace, AUTOAGENT_HOME=str(own))

    assert said.startswith(f"The workspace '{workspace}' and autoagent's own folder '{own}' lie in")


@pytest.mark.parametrize("option", ["--allow-read", "--allow-write"])
def test_the_cage_opens_no_way_to_the_users_own_folder(workspace: Path, option: str) -> None:
    """State, keys and settings are out of reach of every command (law 6)."""
    assert "would open autoagent's own folder" in refusal(workspace, option, "~")
    assert "would open autoagent's own folder" in refusal(workspace, option, "/")
    assert "there is no such path" in refusal(workspace, option, "nowhere")


def test_a_protected_path_outside_the_workspace_is_refused(workspace: Path) -> None:
    """It would look as if it did something."""
    assert "lies outside the workspace" in refusal(workspace, "--protect", "../x")


def test_one_variable_puts_everything_into_one_folder(workspace: Path) -> None:
    """surface.md: AUTOAGENT_HOME."""
    places = loaded(workspace, AUTOAGENT_HOME="../own").places

    assert places.config.resolve() == workspace.parent / "own"
    assert places.state == places.config


def test_the_xdg_folders_are_used_and_relative_ones_ignored() -> None:
    """The XDG base directory specification."""
    environ = {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "relative"}

    places = find(environ, cwd=Path("/w"))

    assert (places.config, places.state) == (
        Path("/c/autoagent"),
        Path("/h/.local/state/autoagent"),
    )


def test_without_home_the_password_database_tells() -> None:
    """cron and systemd leave HOME out."""
    assert find({}, cwd=Path("/w")) == find({"HOME": str(Path.home())}, cwd=Path("/w"))


def test_without_any_home_a_sentence_says_what_to_set() -> None:
    """Containers run under a user that isn't in the password database."""
    # An unprivileged user of a namespace stands for one that the database doesn't know.
    bind = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--chdir", str(ROOT)]
    bind += ["--unshare-user", "--uid", "4242", "--gid", "4242"]
    code = (
        "import pathlib; from autoagent import errors; from autoagent.configuration import places\n"
        "try: places.find({}, cwd=pathlib.Path('/'))\n"
        "except errors.ConfigError as error: print(error)\n"
        "print(places.find({'AUTOAGENT_HOME': '/a'}, cwd=pathlib.Path('/')).state)"
    )

    run = subprocess.run(
        [*bind, sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    )

    line, folder = run.stdout.splitlines()
    assert line.startswith("There is no home folder: HOME isn't set")
    assert line.endswith("Set AUTOAGENT_HOME to a folder for settings and sessions.")
    assert folder == "/a"


def test_a_state_folder_that_can_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    """Exit 8, and what to set."""
    (tmp_path / "file").touch()

    for wanted in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StateError, match="Set AUTOAGENT_HOME to a folder that you can write"):
            private_folder(wanted)


def test_a_workspace_is_known_by_its_real_path(workspace: Path) -> None:
    """A link to it has the same memory; another folder of the same name has its own."""
    link = workspace.parent / "link"
    link.symlink_to(workspace)
    other = workspace.parent / "other" / "work"
    other.mkdir(parents=True)

    assert workspace_name(link) == workspace_name(workspace) == loaded(workspace).memory
    assert workspace_name(other) != workspace_name(workspace)
    assert workspace_name(workspace).startswith("work-")


def test_odd_names_make_usable_file_names(tmp_path: Path) -> None:
    """A folder's name may be any bytes."""
    names = ["\udcff", "a b\n", "…", "x" * 200, "-rf"]

    made = [workspace_name(tmp_path / name) for name in names]

    assert all(name.isascii() and name[0].isalnum() and len(name) < 60 for name in made)
    assert len(set(made)) == len(names)
