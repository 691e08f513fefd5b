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
    assert "have no network" not in first[0]["content"]
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


def test_a_host_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    """One line and exit 2."""
    with FakeOpenAI([]) as server:
        program = Program(tmp_path, server.base_url)
        done = program.run("--goal", "x", "--allow-host", "http://127.1/")

    assert done.code == 2
    assert "--allow-host: 'http://127.1/' isn't a host like example.org" in done.err
    assert done.out == ""
