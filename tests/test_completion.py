"""The completion scripts: loaded by the shells themselves, keys pressed at a terminal."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pytest

from autoagent.configuration.options import OPTIONS, parse
from autoagent.configuration.usage import ACTIONS, OWN, SUBCOMMANDS, WORDS
from autoagent.errors import ConfigError
from autoagent.subcommands.completion import script
from tests.program import ROOT, Program

SESSION = "20261120-231800-5f3a"
LIMIT_S = 20
STARTS = {
    "bash": ("bash", ["--norc", "--noprofile", "-i"], ""),
    "zsh": ("zsh", ["-f", "-i"], "autoload -Uz compinit; compinit -u -D; "),
}
# What is typed, TAB keys and all, and the words that the program would get.
TYPED = {
    "autoagent --sandb\tb\t": ["--sandbox", "bubblewrap"],
    "autoagent --color=al\t": ["--color=always"],
    "autoagent --role rev\t": ["--role", "reviewer"],
    "autoagent --role myo\t": ["--role", "myown"],
    "autoagent --role aud\t": ["--role", "audit"],
    "autoagent --role tes\t": ["--role", "tester"],
    "autoagent --effort mi\t": ["--effort", "minimal"],
    "autoagent doc\t": ["doctor"],
    "autoagent memory reem\t": ["memory", "reembed"],
    "autoagent completion f\t": ["completion", "fish"],
    "autoagent --resume 2\t": ["--resume", SESSION],
    "autoagent undo 2\t": ["undo", SESSION],
    "autoagent undo --forc\t": ["undo", "--force"],
    "autoagent undo --max-st\t": ["undo", "--max-st"],
    "autoagent memory delete 2\t": ["memory", "delete", "2"],
    "autoagent --config an\t": ["--config", "an other.toml"],
    "autoagent -w wi\t": ["-w", "within"],
    "autoagent --goal wi\t": ["--goal", "wi"],
    "autoagent sessions export --format ma\t": ["sessions", "export", "--format", "markdown"],
    "autoagent sandbox -- --sandb\t": ["sandbox", "--", "--sandb"],
    "autoagent sandbox -- ls wi\t": ["sandbox", "--", "ls", "within"],
    "autoagent -- --sandb\t": ["--", "--sandb"],
}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """One with a session, and a workspace with a file, a folder and roles."""
    program = Program(tmp_path)
    here = program.workspace / ".agents" / "agents"
    for folder, name in (
        (program.home / "agents", "myown.md"),
        (here, "audit.md"),
        (here, "tes$(touch gotcha)`touch gotcha`.md"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (program.home / "sessions" / SESSION).mkdir(parents=True)
    (program.workspace / "an other.toml").touch()
    (program.workspace / "within").mkdir()
    return program


@contextmanager
def started(shell: str, program: Program) -> Iterator[pexpect.spawn]:
    """The shell at a terminal with the script in it; `autoagent` prints what it is given."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here; .ci/run installs it")
    name, arguments, before = STARTS[shell]
    (program.folder / "completion").write_text(program.run("completion", shell).out)
    environ = {**program.environment, "TERM": "dumb", "PS1": "$ ", "INPUTRC": "/dev/null"}
    child = pexpect.spawn(
        name, arguments, env=environ, cwd=str(program.workspace), encoding="utf-8", timeout=LIMIT_S
    )
    child.setwinsize(60, 2000)
    child.sendline(f"{before}source ../completion; autoagent() {{ printf '<%s>' \"$@\"; echo .; }}")
    child.sendline("echo rea''dy")
    child.expect("ready\r\n")
    try:
        yield child
    finally:
        child.close(force=True)


def got(child: pexpect.spawn, keys: str) -> list[str]:
    """The words that `autoagent` got after these keys and Enter; no slash after a folder."""
    child.send(f"{keys}\r")
    child.expect(r"(?:\r|\n)(<[^\r\n]*>)\.\r\n")
    assert child.match is not None
    return [word.rstrip("/") for word in re.findall("<(.*?)>", child.match[1])]


@pytest.mark.parametrize("shell", STARTS)
def test_keys_pressed_at_a_terminal_become_these_words(shell: str, program: Program) -> None:
    """Options, closed words, subcommands, actions, sessions, files and folders."""
    with started(shell, program) as child:
        words = {keys: got(child, keys) for keys in TYPED}

    assert words == TYPED
    assert not (program.workspace / "gotcha").exists()


def test_the_options_offered_are_those_that_the_program_takes(program: Program) -> None:
    """By the parser itself, for each subcommand; one that is refused is worse than none."""
    every = {**OPTIONS, **{o.key: o for own in OWN.values() for o in own}}
    flags = {f"--{key.replace('_', '-')}": option.kind == "flag" for key, option in every.items()}

    with started("bash", program) as child:
        offered = {name: got(child, f"autoagent {name} --\x1b*") for name in SUBCOMMANDS}
        plain = got(child, "autoagent --\x1b*")

    def taken(command: str, flag: str, bare: bool) -> bool:
        action = next(iter(ACTIONS.get(command, {"": ""})))
        words = [action] if action else ["x"] * WORDS.get(command, (0, 0))[0]
        words = ["--", "x"] if command == "sandbox" else words
        try:
            parse([*filter(None, [command]), flag if bare else f"{flag}=x", *words])
        except ConfigError:
            return False
        return True

    for name, words in (*offered.items(), ("", [*plain, ""])):
        want = {flag for flag, bare in flags.items() if taken(name, flag, bare)}
        assert set(filter(None, words)) - {name} == want | {"--help", "--version"}, name


def test_a_script_is_what_its_shell_can_read(tmp_path: Path) -> None:
    """Each shell's own check, where the shell is there."""
    checked = []
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell):
            file = tmp_path / shell
            file.write_text(script(shell))
            done = subprocess.run([shell, "-n", str(file)], capture_output=True, timeout=LIMIT_S)
            assert (done.returncode, done.stderr) == (0, b"")
            checked.append(shell)

    assert "bash" in checked


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("autoagent --sandbox b", ["bubblewrap"]),
        ("autoagent --role re", ["researcher", "reviewer"]),
        ("autoagent --role myo", ["myown"]),
        ("autoagent --role tes", ["tester"]),
        ("autoagent doc", ["doctor"]),
        ("autoagent memory reem", ["reembed"]),
        ("autoagent undo --forc", ["--force"]),
        ("autoagent --resume 2", [SESSION]),
        ("autoagent undo 2", [SESSION]),
        ("autoagent completion f", ["fish"]),
    ],
)
def test_fish_offers_the_words(program: Program, line: str, words: Sequence[str]) -> None:
    """By fish's own `complete -C`, which is what its TAB key shows."""
    file = program.folder / "completion"
    file.write_text(script("fish"))
    code = f"source {file}; complete -C '{line}'"

    done = subprocess.run(
        ["fish", "--no-config", "-c", code],
        env=program.environment,
        cwd=program.workspace,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_subcommand_and_action_is_in_each_script(shell: str) -> None:
    """They are made from one table, so a new row is in all three."""
    text = script(shell)
    names = [key.replace("_", "-") for key in OPTIONS]
    words = [*SUBCOMMANDS, *(action for each in ACTIONS.values() for action in each)]

    assert [name for name in [*names, *words] if not re.search(rf"\b{name}\b", text)] == []


def test_an_unknown_shell_is_answered_with_the_three(tmp_path: Path) -> None:
    """One line, exit 2, nothing on standard output that a shell would source."""
    program = Program(tmp_path)

    done = program.run("completion", "tcsh")
    none = program.run("completion")

    assert (done.code, done.out) == (2, "")
    said = "autoagent: There is no completion for 'tcsh'; give bash, zsh or fish.\n"
    assert done.err == said
    assert (none.code, none.err) == (2, "autoagent: Write `autoagent completion bash|zsh|fish`.\n")


def test_a_broken_config_file_does_not_keep_a_shell_from_starting(tmp_path: Path) -> None:
    """`source <(autoagent completion bash)` stands in people's .bashrc."""
    program = Program(tmp_path)
    program.home.mkdir()
    (program.home / "config.toml").write_text("max_steps =")

    done = program.run("completion", "bash")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# bash completion")


def test_a_script_is_made_without_anything_heavy() -> None:
    """It runs whenever a terminal is opened."""
    code = (
        "import sys; before = set(sys.modules); from autoagent import cli;"
        "code = cli.main(['completion', 'zsh']); print(sorted(set(sys.modules) - before))"
    )

    run = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(ast.literal_eval(run.stdout.splitlines()[-1]))
    assert "autoagent.subcommands.completion" in loaded
    assert loaded & {"dataclasses", "json", "pathlib", "typing", "difflib", "shutil"} == set()
