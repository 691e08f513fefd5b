"""What `autoagent doctor` says, in which case with which exit code, and that it was tried."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoagent.subcommands.doctor import remedy
from commands.sandbox.bounds import CageFault
from commands.sandbox.guarantees import GUARANTEES, kept
from tests.caged import environment, needs
from tests.fake_openai import Answer, FakeOpenAI
from tests.program import KEY, Done, Program, at_once

FRONT = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all") if os.getuid() == 0 else ()
ALWAYS = {"stays", "time", "memory", "file", "hooks"}
WITH_LANDLOCK = ALWAYS | {
    *("write", "read", "state", "agent", "signal", "trace"),
    *("network", "sockets", "abstract", "namespaces"),
}


def lines(done: Done, mark: str) -> list[str]:
    return [line[4:] for line in done.out.splitlines() if line.startswith(f"{mark}  ")]


def table(done: Done) -> dict[str, list[str]]:
    """The answers of the table, by the guarantee's name."""
    rows = {words: name for name, words in GUARANTEES.items()}
    cut = 56
    return {
        rows[line[:cut].strip()]: line[cut:].split()
        for line in done.out.splitlines()
        if line[:cut].strip() in rows
    }


def test_all_in_place_is_said_line_by_line_and_the_table_was_tried(tmp_path: Path) -> None:
    """Bubblewrap keeps everything; what the others don't is known from the docs."""
    needs("bubblewrap", tmp_path)
    needs("landlock", tmp_path)
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url, front=FRONT)
        (program.workspace / ".env").write_text("AUTOAGENT_NETWORK=1\n")
        done = program.run("doctor")
        asked = {request.path for request in server.requests}

    assert (done.code, done.err) == (0, "")
    assert lines(done, "!!") == []
    assert lines(done, "ok")[-1] == "A run can start."
    assert f"{server.base_url} answers and has fake-model." in lines(done, "ok")
    assert [line for line in lines(done, "--") if "ignored: AUTOAGENT_NETWORK" in line]
    assert KEY not in done.out
    assert "/v1/chat/completions" not in asked
    assert "What was tried here" in done.out
    found = table(done)
    assert list(found) == list(GUARANTEES)
    assert {row[0] for row in found.values()} == {"yes"}
    assert {name for name, row in found.items() if row[1] == "yes"} == WITH_LANDLOCK
    assert {name for name, row in found.items() if row[2] == "yes"} == ALWAYS | {"agent"}
    assert not list(program.home.glob("probe-*"))


def test_in_a_long_path_no_socket_counts_as_closed_that_is_open(tmp_path: Path) -> None:
    """Its address has 107 bytes at most, and what is too long can't be reached anyway."""
    folder = tmp_path / ("a-folder-with-a-long-name-" * 4)
    folder.mkdir()
    with FakeOpenAI() as server:
        done = Program(folder, server.base_url, front=FRONT).run("doctor")

    assert table(done)["sockets"][2] == "no"


def test_each_fault_has_the_exit_code_that_a_run_would_have(tmp_path: Path) -> None:
    """The first one in the order of a run counts, and every other is named as well."""
    needs("landlock", tmp_path)
    refusing = Answer(status=401, body={"error": {"message": f"wrong key {KEY}"}})
    with FakeOpenAI(routes={"/v1/models": refusing}) as server:
        programs = [
            Program(tmp_path / name, url, {"AUTOAGENT_SANDBOX": "landlock", **variables})
            for name, url, variables in (
                ("nobody", "http://127.0.0.1:9/v1", {}),
                ("key", server.base_url, {}),
                ("none", "", {"OPENAI_API_KEY": ""}),
                ("cage", server.base_url, {"AUTOAGENT_SANDBOX": "none"}),
                ("home", server.base_url, {"HOME": str(tmp_path / "home/work")}),
            )
        ]
        for program in programs:
            program.folder.mkdir()
        done = at_once(*((program, ["doctor"]) for program in programs))

    assert [each.code for each in done] == [5, 5, 2, 6, 2]
    assert "doesn't answer" in " ".join(lines(done[0], "!!"))
    assert "refuses the key: HTTP 401" in " ".join(lines(done[1], "!!"))
    assert "There is no model to ask" in lines(done[2], "!!")[0]
    assert "There is no cage for commands" in lines(done[3], "!!")[0]
    assert "is your home folder" in lines(done[4], "!!")[0]
    for each in done:
        assert lines(each, "!!")[-1] == f"A run would end with exit code {each.code}."
        assert KEY not in each.out + each.err


def test_a_key_is_not_sent_after_a_redirect(tmp_path: Path) -> None:
    """A configured server may not hand the key on to another."""
    needs("landlock", tmp_path)
    with FakeOpenAI() as thief:
        away = Answer(status=302, headers={"Location": f"{thief.base_url}/models"}, body="")
        with FakeOpenAI(routes={"/v1/models": away}) as server:
            done = Program(tmp_path, server.base_url).run("doctor", "--sandbox", "landlock")

    assert done.code == 0
    assert "answers with HTTP 302" in done.out
    assert thief.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux's")
def test_bubblewrap_that_cannot_work_is_said_with_why_and_what_to_do(tmp_path: Path) -> None:
    """Where the kernel gives no user namespaces; Landlock is then what a run gets."""
    needs("landlock", tmp_path)
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    front = ["unshare", "-Ur", "sh", "-c", script, "sh"]
    if subprocess.run([*front, "true"], capture_output=True, timeout=30).returncode:
        pytest.skip("no user namespace whose limit could be set")
    with FakeOpenAI() as server:
        done = Program(tmp_path, server.base_url, front=front).run("doctor")

    (said,) = [line for line in lines(done, "--") if line.startswith("bubblewrap ")]
    assert "doesn't work: The sandbox could not be set up" in said
    assert said.endswith("sudo sysctl -w user.max_user_namespaces=15000")
    assert done.code == 0
    assert any(line.startswith("Cage: landlock.") for line in lines(done, "ok"))


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor"),
    ],
)
def test_the_kernels_own_settings_say_what_to_do(
    tmp_path: Path, setting: str, value: str, expected: str
) -> None:
    """The names of Debian's and Ubuntu's switches, as their kernels have them."""
    path = tmp_path / setting
    path.parent.mkdir()
    path.write_text(f"{value}\n")

    assert expected in remedy("bwrap: setting up uid map: Permission denied", tmp_path)


def test_a_missing_bubblewrap_is_to_be_installed(tmp_path: Path) -> None:
    """Whatever the kernel's settings are."""
    said = remedy("bubblewrap is not installed: there is no bwrap on PATH.", tmp_path)

    assert said.startswith("Install it: apt install bubblewrap")


def test_a_state_folder_that_cannot_be_written_is_a_fault_of_state(tmp_path: Path) -> None:
    """A run needs its journal; the code is that of a damaged state."""
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_HOME": "/proc/1/nowhere"})
        done = program.run("doctor", "--sandbox", "landlock")

    assert done.code == 8
    assert "can't be made" in lines(done, "!!")[0]


def test_trying_leaves_nothing_and_says_when_nothing_runs(tmp_path: Path) -> None:
    """Without any cage it always works, so it is what a machine without one shows."""
    home = tmp_path / "home"
    home.mkdir()

    found = kept("none", tmp_path, environment(home))

    assert set(found) == set(GUARANTEES)
    assert {name for name, held in found.items() if held} >= ALWAYS
    assert list(tmp_path.iterdir()) == [home]
    with pytest.raises(CageFault):
        kept("landlock", tmp_path, {"PATH": "/nowhere", "HOME": "/nowhere"})


def test_settings_memory_and_terminal_are_told(tmp_path: Path) -> None:
    """Which files count, how much is remembered, whether a person could be asked here."""
    alone = ("doctor", "--sandbox", "none", "--unsafe")
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        before = program.run(*alone)
        (program.home / "config.toml").write_text("max_steps = 7\n")
        added = program.run("memory", "add", "the port is 5433")
        done = program.run(*alone)

    assert (before.code, added.code, done.code) == (0, 0, 0)
    assert "Settings from no file; each: autoagent config" in lines(before, "ok")
    assert [line for line in lines(before, "ok") if line.endswith(": nothing in it yet")]
    toml = program.home / "config.toml"
    assert f"Settings from {toml}; each: autoagent config" in lines(done, "ok")
    assert [line for line in lines(done, "ok") if line.endswith(": 1 memory")]
    assert "No terminal here: a run asks nobody, so give it a --goal." in lines(done, "--")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=404, body={"error": "no"}), "answers with HTTP 404 when asked"),
        (Answer(body={"models": []}), "answers, but doesn't list its models."),
        (Answer(body={"data": [{"id": "x"}]}), "isn't among its models (x; --model)."),
    ],
)
def test_a_server_that_does_not_name_the_model_leaves_a_run_possible(
    tmp_path: Path, answer: Answer, said: str
) -> None:
    """Many gateways list nothing; the line says how to choose."""
    with FakeOpenAI(routes={"/v1/models": answer}) as server:
        done = Program(tmp_path, server.base_url).run("doctor", "--sandbox", "none", "--unsafe")

    (line,) = [line for line in lines(done, "--") if server.base_url in line]
    assert done.code == 0
    assert said in line
    assert "--model" in line
