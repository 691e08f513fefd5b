"""Allowed hosts through the whole program: what command, model, journal and script see."""

from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from tests.program import Program, says
from tests.proxied import serving

FETCH = (
    "import sys, urllib.request as u\n"
    "for url in sys.argv[1:]:\n"
    "    try: print(u.urlopen(url, timeout=20).status)\n"
    "    except OSError as error: print(error)\n"
)


def test_a_reached_host_is_told_to_the_person_and_a_refused_one_to_the_model(
    tmp_path: Path,
) -> None:
    """surface.md: `hosts` in the object; a sentence on how the user can allow another."""
    with serving() as web:
        here = f"127.0.0.1:{web.port}"
        line = f"python3 -c '{FETCH}' http://{here}/ http://other.test/"
        answers = [says("execute_shell", command_line=line), says("finish", answer="ok")]
        with FakeOpenAI(answers) as server:
            program = Program(tmp_path, server.base_url)
            options = ("--allow-host", here, "--output-format", "json")
            done = program.run("--goal", "fetch", *options)
            first = server.chats[0]["messages"]
            last = server.chats[-1]["messages"][-1]["content"]

    if "Cage: bubblewrap" not in done.err:
        pytest.skip("no bubblewrap here")
    said = "only, reach no host but those named below (web_search and read_webpage work), and see"
    assert said in first[0]["content"]
    assert (
        f"[commands reach these hosts alone, by a proxy that is set for them: {here}]"
        in (first[1]["content"])
    )
    journal = (program.sessions[0] / "journal.jsonl").read_text()
    assert (done.code, done.object["hosts"]) == (0, [here])
    assert "\n200\nHTTP Error 403: Forbidden by autoagent: other.test:80" in last
    assert "[other.test:80 is not allowed; the user can allow it: --allow-host other.test]" in last
    assert f"a command reached {here}" in journal
    assert "no network but the allowed hosts" in done.err


def test_what_a_proof_asks_for_stands_in_the_journal_before_the_end(tmp_path: Path) -> None:
    """The receipt and the object name every host that was reached."""
    with serving() as web, FakeOpenAI([says("finish", answer="ok")] * 2) as server:
        here = f"127.0.0.1:{web.port}"
        # Before the first call it asks for nothing and fails, at the end it asks and passes.
        proof = f"test -e a || ! : > a && python3 -c '{FETCH}' http://{here}/ http://other.test/"
        program = Program(tmp_path, server.base_url)
        options = ("--allow-host", here, "--output-format", "json")
        done = program.run("--goal", "prove", "--verify", proof, *options)

    if "Cage: bubblewrap" not in done.err:
        pytest.skip("no bubblewrap here")
    *_, refused, stopped = program.journal()
    assert (done.code, done.object["hosts"]) == (0, [here])
    assert (stopped["type"], refused["topic"]) == ("Stopped", "host")
    assert refused["text"].startswith("other.test:80 is not allowed")


@pytest.mark.parametrize("kind", ["landlock", "none"])
def test_a_cage_without_a_proxy_promises_no_hosts(kind: str, tmp_path: Path) -> None:
    """The model must not look for a way that isn't there, nor miss one that is."""
    with FakeOpenAI([says("finish", answer="ok")]) as server:
        program = Program(tmp_path, server.base_url)
        options = ("--allow-host", "allowed.test", "--sandbox", kind, "--unsafe")
        done = program.run("--goal", "x", *options, "--protect", "tests")
        system, opening = (message["content"] for message in server.chats[0]["messages"])

    if f"Cage: {kind}" not in done.err:
        pytest.skip(f"no {kind} here")
    assert ("only, have no network (web_search and read_webpage work), and" in system) == (
        kind == "landlock"
    )
    assert "allowed.test" not in opening
    assert "--protect binds the file commands only" in " ".join(done.err.split())


def test_a_resume_without_the_hosts_takes_them_back_from_the_model(tmp_path: Path) -> None:
    """It was told of them in the same conversation."""
    with FakeOpenAI([says("finish", answer="ok")] * 2) as server:
        program = Program(tmp_path, server.base_url)
        first = program.run("--goal", "x", "--allow-host", "allowed.test")
        program.run("--resume", "--goal", "y")
        last = server.chats[-1]["messages"][-1]["content"]

    if "Cage: bubblewrap" not in first.err:
        pytest.skip("no bubblewrap here")
    assert "[commands reach no hosts any more]" in last


def test_of_many_hosts_the_model_is_told_some(tmp_path: Path) -> None:
    """An index may name hundreds, and the prompt keeps them for ever."""
    hosts = [word for n in range(30) for word in ("--allow-host", f"h{n:02}.test")]
    with FakeOpenAI([says("finish", answer="ok")]) as server:
        done = Program(tmp_path, server.base_url).run("--goal", "x", *hosts)
        opening = server.chats[0]["messages"][-1]["content"]

    if "Cage: bubblewrap" not in done.err:
        pytest.skip("no bubblewrap here")
    assert "h00.test, " in opening
    assert "h19.test and 10 more]" in opening


def test_a_host_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    """One line and exit 2."""
    with FakeOpenAI([]) as server:
        program = Program(tmp_path, server.base_url)
        done = program.run("--goal", "x", "--allow-host", "http://127.1/")

    assert done.code == 2
    assert "--allow-host: 'http://127.1/' isn't a host like example.org" in done.err
    assert done.out == ""
