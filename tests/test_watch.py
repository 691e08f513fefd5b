"""What a command plants where the user's programs would obey it: found from outside, moved away."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.context import Cage
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import Wanted
from commands.sandbox.repository import unplain
from commands.workspace import Workspace
from tests.caged import SECRET, bash, cage, ended

PLAIN = "user.name=A", "user.email=a@example.org", "init.defaultBranch=main"
GIT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_COUNT": "3",
    **{f"GIT_CONFIG_KEY_{n}": each.partition("=")[0] for n, each in enumerate(PLAIN)},
    **{f"GIT_CONFIG_VALUE_{n}": each.partition("=")[2] for n, each in enumerate(PLAIN)},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = A\n\temail = a@example.org\n")
    return home


@pytest.fixture
def root(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    return root


def caged(
    root: Path, *protect: str, quarantine: Path | None = None, kind: Wanted = "bubblewrap"
) -> Cage:
    """A cage as a session makes it: the workspace's own lists, a quarantine outside."""
    workspace = Workspace(root, protected=protect)
    bounds = Bounds(
        workspace.root,
        workspace.protected_paths,
        workspace.masked_paths,
        quarantine=quarantine or root.parent / "quarantine",
    )
    return cage(kind, bounds, root.parent)


def git(root: Path, *args: str) -> str:
    """What the user's own git says, outside."""
    done = subprocess.run(
        ["git", *args], cwd=root, env=GIT, check=True, capture_output=True, text=True
    )
    return done.stdout


def repository(root: Path) -> None:
    git(root, "init", "-q")
    (root / "a").write_text("a")
    git(root, "add", "a")
    git(root, "commit", "-qm", "first")


PLANTED = [
    ("mkdir .vscode; echo x > .vscode/tasks.json", ".vscode"),
    ("echo x > .bashrc", ".bashrc"),
    ("ln -s made .mcp.json", ".mcp.json"),
    ("mkfifo .idea", ".idea"),
    ("mkdir -p .config/fish; echo x > .config/fish/config.fish", ".config/fish"),
    ("echo max_cost = 9 > autoagent.toml", "autoagent.toml"),
    ("mkdir -p checks; echo x > checks/test_a.py", "checks/test_a.py"),
]


@pytest.mark.parametrize(("script", "path"), PLANTED)
def test_what_appears_at_a_protected_path_is_moved_out_and_told(
    script: str, path: str, root: Path, home: Path
) -> None:
    """The user's shell or editor would run it, later and outside."""
    made = caged(root, "checks/test_a.py")

    done = ended(made, script)
    after = ended(made, "true")

    name = path.replace("/", "+")
    assert done.notices == (
        f"{path} (protected from change) was moved out of the workspace, to quarantine/1-{name}",
    )
    assert not os.path.lexists(root / path)
    assert os.path.lexists(home / f"quarantine/1-{name}/it")
    assert after.notices == ()


LOOSE = pytest.mark.parametrize("kind", ["landlock", "none"])


@LOOSE
@pytest.mark.parametrize(("script", "path"), PLANTED)
def test_also_where_nothing_can_be_mounted_it_is_moved_out(
    script: str, path: str, kind: Wanted, root: Path
) -> None:
    """The look is from outside, so it needs no namespace."""
    (root / "checks").mkdir()
    made = caged(root, "checks/test_a.py", kind=kind)

    done = ended(made, script)

    assert not os.path.lexists(root / path)
    assert done.notices == (
        f"{path} (protected from change) was moved out of the workspace, "
        f"to quarantine/1-{path.replace('/', '+')}",
    )


@LOOSE
def test_there_the_users_own_repository_is_known_and_what_is_new_in_it_isnt(
    kind: Wanted, root: Path
) -> None:
    """Their hooks and settings stay; what a command adds to them goes."""
    repository(root)
    hook = root / ".git/hooks/post-commit"
    hook.write_text("#!/bin/sh\n")
    made = caged(root, kind=kind)

    first = ended(made, "echo b > b; git add b; git commit -qm second")
    second = ended(made, "echo x > .git/hooks/pre-push; git config core.fsmonitor ./a")

    assert (first.exit, first.notices) == (0, ())
    assert hook.exists()
    assert not (root / ".git/hooks/pre-push").exists()
    assert [said.partition(" was ")[0] for said in second.notices] == [
        ".git/config (sets core.fsmonitor)",
        ".git/hooks/pre-push (a hook)",
    ]


def test_a_link_of_the_user_is_put_back(root: Path) -> None:
    """A protected path may lead to a file that is kept elsewhere; both ends are protected."""
    (root / "editor").mkdir()
    (root / "editor/tasks.json").write_text("mine")
    (root / ".vscode").symlink_to("editor")
    made = caged(root)

    done = ended(made, "echo x > .vscode/tasks.json; rm .vscode; mkdir .vscode; mv editor e")

    assert done.notices == (
        ".vscode (put in the place of a link) was moved out of the workspace, "
        "to quarantine/1-.vscode",
    )
    assert (root / ".vscode/tasks.json").read_text() == "mine"


def test_an_agents_own_repository_works(root: Path) -> None:
    """Init, commit, branch and settings of a name are daily work, and plain."""
    made = caged(root)
    script = (
        "git init -q && echo x > a && git add a && git commit -qm one && git checkout -qb side"
        " && git config user.name B && git remote add origin https://example.org/a.git"
        " && git commit -q --allow-empty -m two && git log --format=%an:%s"
    )

    done = ended(made, script)
    more = ended(made, "git commit -q --allow-empty -m three && git status -sb")

    assert done.stdout == b"B:two\nA:one\n"
    assert more.stdout == b"## side\n"
    assert done.notices + more.notices == ()
    assert git(root, "log", "--format=%s") == "three\ntwo\none\n"


OWN = [
    ("echo x > .git/hooks/pre-commit", ".git/hooks/pre-commit", "a hook"),
    ("git config core.fsmonitor x", ".git/config", "sets core.fsmonitor"),
    ("git config alias.st '!x'", ".git/config", "sets alias.st"),
    ("git config include.path ../x", ".git/config", "sets include.path"),
    ("git config core.hooksPath x", ".git/config", "sets core.hookspath"),
    ("git config remote.o.url 'ext::sh -c x'", ".git/config", "sets remote.o.url"),
    ("rm -r .git/hooks; ln -s ../h .git/hooks", ".git/hooks", "leads git elsewhere"),
    ("mv .git .g; cp -r .g .git; echo x > .git/hooks/a", ".git/hooks/a", "a hook"),
    ("mv .git .g; ln -s .g .git", ".git", "leads git elsewhere"),
    ("mv .git .g; echo 'gitdir: .g' > .git", ".git", "leads git elsewhere"),
]
ANY = [
    ("echo ../.g > .git/commondir", ".git/commondir", "leads git elsewhere"),
    (
        "echo '[core]fsmonitor=x' > .git/config.worktree",
        ".git/config.worktree",
        "sets core.fsmonitor",
    ),
    (
        "mkdir -p .git/modules/a/hooks; echo x | tee .git/modules/a/HEAD .git/modules/a/hooks/b",
        ".git/modules/a/hooks/b",
        "a hook",
    ),
    ("ln -s ../m .git/modules", ".git/modules", "leads git elsewhere"),
    (
        "git worktree add -q w && echo ../../../.g > .git/worktrees/w/commondir",
        ".git/worktrees/w/commondir",
        "leads git elsewhere",
    ),
]


@pytest.mark.parametrize(("script", "path", "why"), OWN)
def test_what_an_agents_own_repository_would_run_is_moved_out(
    script: str, path: str, why: str, root: Path
) -> None:
    """The user's next commit would run it."""
    made = caged(root)
    bash(made, "git init -q && git commit -q --allow-empty -m one")

    done = ended(made, script)

    assert not os.path.lexists(root / path)
    assert [notice.partition(" was moved")[0] for notice in done.notices] == [f"{path} ({why})"]


def test_none_of_that_can_be_done_to_a_repository_that_was_there(root: Path) -> None:
    """`mv .git .g; cp -r .g .git` got around read-only hooks in other cages."""
    repository(root)
    made = caged(root)

    done = [ended(made, f"set -e; {script}") for script, _, _ in OWN]

    assert [each.exit != 0 for each in done] == [True] * len(OWN)
    assert [each.notices for each in done] == [()] * len(OWN)
    assert git(root, "config", "--local", "-l").count("\n") == 4  # as git init writes it
    assert not list(root.glob(".git/hooks/*[!e]"))


@pytest.mark.parametrize(("script", "path", "why"), ANY)
def test_what_appears_in_a_repository_that_was_there_is_moved_out(
    script: str, path: str, why: str, root: Path
) -> None:
    """Its folder is writable, since every commit writes there."""
    repository(root)
    made = caged(root)

    done = ended(made, script)

    assert not os.path.lexists(root / path)
    assert [notice.partition(" was moved")[0] for notice in done.notices] == [f"{path} ({why})"]


def test_the_users_own_repository_keeps_working_for_commits(root: Path) -> None:
    """What an agent does daily works; what changes the repository's settings is refused."""
    repository(root)
    (root / ".git/hooks/pre-commit").write_text("#!/bin/sh\ntrue\n")
    (root / ".git/hooks/pre-commit").chmod(0o755)
    git(root, "config", "alias.mine", "!true")
    config = (root / ".git/config").read_bytes()
    made = caged(root)

    works = ended(
        made,
        "git checkout -qb side && echo b > b && git add b && git commit -qm two && git tag t"
        " && git stash list && git merge -q main && git worktree add -q w && git gc -q",
    )
    refused = [ended(made, f"git {args}") for args in ("config a.b c", "remote add o ../x")]

    assert (works.exit, works.stderr, works.notices) == (0, b"", ())
    assert [done.exit != 0 for done in refused] == [True, True]
    assert [done.notices for done in refused] == [(), ()]
    assert (root / ".git/config").read_bytes() == config
    assert git(root, "log", "-1", "--format=%s", "side") == "two\n"


def test_a_workspace_that_looks_like_a_repository_is_none(root: Path) -> None:
    """Git takes any folder with these names for one, and obeys its config."""
    made = caged(root)

    done = ended(made, "git init -q --bare . && git config core.fsmonitor x")

    assert [notice.partition(" ")[0] for notice in done.notices] == ["HEAD"]
    assert not (root / "HEAD").exists()


def test_a_worktrees_git_file_stays(root: Path, home: Path) -> None:
    """It points out of the workspace: git doesn't work there, and nobody redirects it."""
    main = home / "main"
    main.mkdir()
    repository(main)
    root.rmdir()
    git(main, "worktree", "add", "-q", str(root))
    made = caged(root)

    done = ended(made, "git status; rm -f .git; echo x > .git; mv .git g")

    assert b"not a git repository" in done.stderr
    assert done.notices == ()
    assert git(root, "status", "-s") == ""


def test_a_file_that_its_user_replaced_is_protected_again(root: Path) -> None:
    """An editor writes a new file and renames it: the cage's mount goes with the old one."""
    (root / "test_a.py").write_text("one")
    (root / ".env").write_text("A=1")
    made = caged(root, "test_a.py")
    bash(made, "touch /tmp/x")
    for name, text in (("test_a.py", "two"), (".env", SECRET)):
        (root / "new").write_text(text)
        (root / "new").replace(root / name)

    done = ended(made, "cat test_a.py .env; echo three > test_a.py; echo three > .env")

    assert done.stdout == b"two"
    assert (root / "test_a.py").read_text() == "two"
    assert (root / ".env").read_text() == SECRET
    assert len(done.notices) == 1
    assert done.notices[0].startswith("the cage was made anew (")


def test_secrets_that_the_user_adds_are_masked_and_an_agents_own_are_not(root: Path) -> None:
    """What a command wrote it knows; a new cage for it would end its processes for nothing."""
    made = caged(root)

    own = ended(made, "echo A=1 > .env.local")
    kept = ended(made, "cat .env.local")
    (root / ".env").write_text(SECRET)
    masked = ended(made, "cat .env")

    assert (own.notices, kept.stdout, kept.notices) == ((), b"A=1\n", ())
    assert masked.stdout == b""
    assert masked.notices[0].startswith("the cage was made anew (.env was changed from outside)")


def test_another_file_system_can_be_the_quarantine(root: Path, tmp_path: Path) -> None:
    """The state may lie on another disk; what others could still change is copied with care."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system here")
    quarantine = shared / f"quarantine-{os.getpid()}-{root.parent.parent.name}"
    made = caged(root, quarantine=quarantine)
    script = (
        "mkdir .vscode && echo x > .vscode/a && ln -s /etc/passwd .vscode/b && mkfifo .vscode/c"
        " && mkdir -p .vscode/d/e"
    )

    try:
        done = ended(made, script)
        kept = quarantine / "1-.vscode/it"
        there = sorted(str(path.relative_to(kept)) for path in kept.rglob("*"))
        link = (kept / "b").readlink()
    finally:
        subprocess.run(["rm", "-r", quarantine], check=True)

    assert len(done.notices) == 1
    assert not (root / ".vscode").exists()
    assert (there, link) == (["a", "b", "d", "d/e"], Path("/etc/passwd"))


def test_without_a_place_to_move_it_what_appears_is_told_once(root: Path) -> None:
    """A person must know at least, and a model must not read it in every result."""
    workspace = Workspace(root)
    made = cage("bubblewrap", Bounds(workspace.root, workspace.protected_paths), root.parent)

    first, second = ended(made, "touch .bashrc"), ended(made, "true")

    assert first.notices == (
        ".bashrc (protected from change) has appeared and stays: no quarantine",
    )
    assert second.notices == ()


HEADS = st.sampled_from(["[core]", "[ core ]", '[remote "o"]', "[include]", "[Core]", "[alias]"])
KEYS = st.sampled_from(["bare", "url", "path", "fsmonitor", "hooksPath", "pager", "name", "fetch"])
VALUES = st.sampled_from(
    ["", "= x", "= false", "= 'a", '= "a b"', "= a \\", "# c", "= a;b", "=\tx"]
)
LINES = st.one_of(
    HEADS,
    st.builds("\t{} {}".format, KEYS, VALUES),
    st.builds("{} {} {}".format, HEADS, KEYS, VALUES),
    st.sampled_from(["", "# fsmonitor = x", "; x", '[core "x"]', "[core.x]", "]", '\\"']),
)
OBEYED = ("core.bare", "remote.o.url", "remote.o.fetch")


@given(st.lists(LINES, max_size=6))
def test_a_configuration_taken_for_plain_has_plain_settings_for_git_as_well(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Git's own reading is the true one; ours may only be stricter."""
    file = tmp_path_factory.getbasetemp() / "config"
    text = "\n".join(lines)
    file.write_text(text)

    told = subprocess.run(
        ["git", "config", "-z", "-l", "-f", file], capture_output=True, text=True, env=GIT
    )

    if told.returncode == 0 and not unplain(text):
        names = {entry.partition("\n")[0] for entry in told.stdout.split("\0")[:-1]}
        assert names <= set(OBEYED) | {"core.x.bare"}
