"""What a run comes to when the model, its server or the machine fails: exit codes and ways on."""

import re
import shlex
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted, tokens
from tests.program import KEY, Done, Program, at_once, of_type, says, served

GOAL = ("--goal", "go")
STREAM = (*GOAL, "--output-format", "stream-json")
FINISH = says("finish", answer="42")
# A call is silent for at most 2 s, and a faulty server is borne with for twice that.
SHORT = {"AUTOAGENT_MODEL_TIMEOUT": "2"}


def folder_of(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def looks(count: int) -> list[Scripted]:
    """Commands that differ from each other."""
    return [says("list_files", path=f"./{'./' * number}") for number in range(count)]


def failed(status: int, **headers: str) -> Answer:
    return Answer(status=status, headers=headers, body={"error": {"message": f"words {status}"}})


TRANSIENT: dict[str, Answer] = {
    "HTTP 408: words 408": failed(408),
    "HTTP 409: words 409": failed(409),
    "HTTP 429: words 429": failed(429, **{"Retry-After": "2"}),
    "HTTP 500: words 500": failed(500),
    "HTTP 502: words 502": failed(502),
    "HTTP 503: words 503": failed(503),
    "HTTP 529: words 529": failed(529),
    "the connection broke": Answer(disconnect=True),
    "broke": Answer(FINISH, cut_after=3),
    "no sign of life in time": Answer(FINISH, hold=Event()),
    "the answer broke off": Answer(body=b'{"choices": [{"mess'),
}


@pytest.fixture(scope="module")
def borne(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Done, list[Body], list[str]]]:
    """Runs in which each transient fault comes once, before a step that then succeeds."""
    names = list(TRANSIENT)
    batches = [names[:4], names[4:8], names[8:]]
    scripts = [
        [*(a for n, look in zip(b, looks(9), strict=False) for a in (TRANSIENT[n], look)), FINISH]
        for b in batches
    ]
    folder = tmp_path_factory.mktemp("borne")
    with served(folder, *scripts, variables=SHORT) as pairs:
        runs = at_once(*[(program, STREAM) for program, _ in pairs])
    return list(zip(runs, [server.chats for _, server in pairs], batches, strict=True))


def test_transient_faults_are_tried_again_each_an_event_and_a_line(
    borne: list[tuple[Done, list[Body], list[str]]],
) -> None:
    for done, _, batch in borne:
        retried = of_type(done.lines, "Retried")

        assert (done.code, done.object["answer"]) == (0, "42")
        assert [e["attempt"] for e in retried] == [1] * len(batch)
        for event, words in zip(retried, batch, strict=True):
            assert words in event["reason"]
            assert event["reason"][:80] in done.err


def test_a_server_that_says_how_long_to_wait_is_obeyed(
    borne: list[tuple[Done, list[Body], list[str]]],
) -> None:
    waits = {e["reason"][-9:]: e["wait_s"] for e in of_type(borne[0][0].lines, "Retried")}

    assert waits == {"words 408": 1.0, "words 409": 1.0, "words 429": 2.0, "words 500": 1.0}


def test_the_same_prompt_is_sent_again(borne: list[tuple[Done, list[Body], list[str]]]) -> None:
    """A failed attempt leaves nothing in the conversation."""
    for _, chats, batch in borne:
        for attempt, again in zip(chats[: 2 * len(batch) : 2], chats[1::2], strict=True):
            assert attempt["messages"] == again["messages"]


def test_an_unusable_reply_is_answered_with_what_was_wrong(tmp_path: Path) -> None:
    """Each kind has its own words (issue 2, point 4). A server that tells no usage and ignores
    `stream` is borne with: tokens are counted here."""
    one, two, three, four = looks(4)
    answers = [
        *(Answer(""), one),
        *(Answer(refusal="I can't help with that."), two),
        *(Answer("", finish="content_filter"), three),
        *(Answer(says("write_file", path="a", content="long")[:-9], finish="length"), four),
        Answer(FINISH, stream=False),
    ]
    with FakeOpenAI(answers, usage=False) as server:
        program = Program(tmp_path, server.base_url)
        done = program.run(*STREAM)
        sent = server.chats[-1]["messages"]
        told = [chat["messages"][-1]["content"] for chat in server.chats[1::2]]

    assert (done.code, done.object["steps"]) == (0, 9)
    assert list(program.workspace.iterdir()) == []
    counted = of_type(done.lines, "Replied")[-1]["usage"]
    assert counted["estimated"]
    assert counted["prompt"] > sum(tokens(m["content"]) for m in sent) / 2
    assert "Your reply was empty." in told[0]
    assert "You declined instead of replying with a command." in told[1]
    assert "content filter stopped your reply" in told[2]
    assert "length limit" in told[3]


REFUSED: dict[str, Answer] = {
    "HTTP 401: wrong key …. Check OPENAI_API_KEY.": Answer(
        status=401, body={"error": {"message": f"wrong key {KEY}."}}
    ),
    "HTTP 403: not for you": Answer(status=403, body={"error": {"message": "not for you"}}),
    "HTTP 404: no model fake-model": Answer(
        status=404, body={"error": {"message": "no model fake-model"}}
    ),
    "HTTP 429: You exceeded your quota": Answer(
        status=429,
        body={"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}},
    ),
    "answers with a web page": Answer(body="<html><title>Sign in</title></html>"),
}


def test_what_trying_again_cannot_help_ends_at_once_in_the_servers_words(tmp_path: Path) -> None:
    """Exit 5 after one request, without the key (issue 2, point 4)."""
    with served(tmp_path, *[[answer] for answer in REFUSED.values()]) as pairs:
        runs = at_once(*[(program, GOAL) for program, _ in pairs])

    for words, (_, server), done in zip(REFUSED, pairs, runs, strict=True):
        assert (done.code, done.out, len(server.chats)) == (5, "", 1)
        assert words in done.err
        assert KEY not in done.err
        assert line_that_goes_on(done)[0] == "--resume"


def test_nobody_there_ends_after_a_few_quick_tries(tmp_path: Path) -> None:
    """A closed port or an unknown name: exit 5 within 10 s, of which pauses are known."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    closed = Program(folder_of(tmp_path, "closed"), f"http://127.0.0.1:{port}/v1")
    unknown = Program(folder_of(tmp_path, "unknown"), "http://no-such-host.invalid/v1")

    runs = at_once((closed, GOAL), (unknown, GOAL))

    for done, program in zip(runs, (closed, unknown), strict=True):
        waits = [event["wait_s"] for event in of_type(program.journal(), "Retried")]
        assert done.code == 5
        assert 2 <= len(waits) <= 5
        assert sum(waits) < 5
        assert done.err.count("Start the server") == 1
        assert done.err.count("Nothing answers at http") == 2
        assert done.err.count("step 1: attempt") == 2
        assert "Errno" not in done.err
        assert ".;" not in done.err


def test_nobody_there_is_not_told_of_the_embeddings_as_well(tmp_path: Path) -> None:
    """The call for the next reply, to the same address, says it."""
    with FakeOpenAI([says("remember", text="Port 5433."), FINISH]) as server:
        program = Program(tmp_path, server.base_url)
        program.run(*GOAL)

    done = program.run(*GOAL)

    assert done.code == 5
    kinds = [event["purpose"] for event in of_type(program.journal(), "Reserved")]
    assert "embedding" in kinds
    assert "emor" not in done.err


def test_the_same_failure_is_told_in_full_only_once(tmp_path: Path) -> None:
    """Who reads the log in the morning looks for what was different."""
    with FakeOpenAI([failed(500), failed(500), failed(503), FINISH]) as server:
        done = Program(tmp_path, server.base_url).run(*GOAL)

    assert done.code == 0
    assert done.err.count("words 500") == 1
    assert "step 1: attempt 2 failed the same way; again in 2 s" in done.err
    assert done.err.count("words 503") == 1


def test_a_server_that_dies_in_the_middle_ends_the_run_and_another_goes_on(tmp_path: Path) -> None:
    hold = Answer(FINISH, hold=Event())
    program = Program(tmp_path)
    with FakeOpenAI([*looks(2), hold]) as server:
        first = replace(program, base_url=server.base_url)
        with first.started(*STREAM) as running:
            while running.until("Reserved")["step"] < 3:
                pass
            assert server.wait_for(8)  # of /models and its like, of chats and of embeddings
            server.__exit__()
            done = running.finish()
    with FakeOpenAI([FINISH]) as server:
        again = replace(program, base_url=server.base_url).run("--resume")

    assert (done.code, done.object["status"]) == (5, "unreachable")
    assert done.object["resume"] == f"autoagent --resume {done.object['session']}"
    assert (again.code, again.out) == (0, "42\n")


def test_a_server_that_stays_faulty_is_left_after_a_bounded_time(tmp_path: Path) -> None:
    """Twice the longest silence (AUTOAGENT_MODEL_TIMEOUT), pauses included."""
    with FakeOpenAI([failed(503)] * 9) as server:
        program = Program(tmp_path, server.base_url, SHORT)
        done = program.run(*GOAL)

        assert 2 <= len(server.chats) <= 4
    waits = [event["wait_s"] for event in of_type(program.journal(), "Retried")]
    assert done.code == 5
    assert sum(waits) <= 4
    assert "words 503 The model did not answer" in done.err


def too_long_over(window: int, *, words: str) -> FakeOpenAI:
    """A server that refuses prompts of more tokens than that, after steps with long results."""

    def check(body: Body) -> Answer | None:
        if sum(tokens(m["content"]) for m in body["messages"]) <= window * 3 // 4:
            return None
        error = {"message": words, "code": "context_length_exceeded"}
        return Answer(status=400, body={"error": error})

    read = [
        says("read_file", path="long.txt", start_line=n, lines=100) for n in range(1, 1200, 100)
    ]
    return FakeOpenAI([*read, FINISH, FINISH], check=check, embeds=False)


def test_what_a_session_learns_of_its_server_is_kept_for_the_next(tmp_path: Path) -> None:
    """A window that is smaller than was thought: the history is cut and the run goes on. A
    server without embeddings: asked once, and said in each session."""
    words = "This model's maximum context length is 9000 tokens. Please reduce the messages."
    with too_long_over(9000, words=words) as server:
        program = Program(tmp_path, server.base_url)
        text = "".join(f"{number} a line of some length to be read\n" for number in range(1300))
        (program.workspace / "long.txt").write_text(text)
        done = program.run(*STREAM)
        second = program.run(*GOAL)

        assert len(server.embeddings) == 1
    journal = program.journal(done.object["session"])
    assert done.code == 0
    assert [event["window"] for event in of_type(journal, "Changed")] == [9000]
    assert len(of_type(journal, "Cut")) >= 1
    assert (second.code, program.journal()[0]["window"]) == (0, 9000)
    for each in (done, second):
        assert each.err.count("no embeddings: memories are ranked by words alone") == 1


def test_a_window_of_4096_is_an_honest_refusal(tmp_path: Path) -> None:
    """Told beforehand, or only by the refusal of the first prompt."""
    words = "maximum context length is 4096 tokens"
    refusal = Answer(status=400, body={"error": {"message": words}})
    with FakeOpenAI(window=4096) as telling, FakeOpenAI([refusal]) as silent:
        one = Program(folder_of(tmp_path, "telling"), telling.base_url)
        two = Program(folder_of(tmp_path, "silent"), silent.base_url)
        told, learned = at_once((one, GOAL), (two, GOAL))

        assert telling.chats == []
    for done in (told, learned):
        assert done.code == 2
        assert "4,096 tokens" in done.err
        assert "at least 8,000" in done.err
        assert "num_ctx" in done.err
    assert one.sessions == []


def test_what_was_remembered_comes_back_in_the_next_session_of_the_workspace(
    tmp_path: Path,
) -> None:
    """By meaning, through the server's embeddings; in another workspace it does not."""
    note = says("remember", text="The staging database listens on port 5433.")
    with FakeOpenAI([note, FINISH, FINISH, FINISH]) as server:
        program = Program(tmp_path, server.base_url)
        program.run("--goal", "prepare")
        (program.workspace / "inner").mkdir()
        find = ("--goal", "Find the port of the staging database.", "-v")
        here, elsewhere = at_once((program, find), (program, [*find, "--workspace", "inner"]))
        openings = [chat["messages"][1]["content"] for chat in server.chats[2:]]
        asked = [text for body in server.embeddings for text in body["input"]]

    assert "The staging database listens on port 5433." in asked
    told = [opening for opening in openings if "[memories, not orders]" in opening]
    assert len(told) == 1
    assert "note: The staging database listens on port 5433." in told[0]
    assert "5433" not in "".join(opening for opening in openings if opening not in told)
    assert (here.code, elsewhere.code) == (0, 0)


def test_faulty_embeddings_do_not_hold_the_run_up_again_and_again(tmp_path: Path) -> None:
    """A silent endpoint costs its time limit; after three of them the run asks no more."""
    silent = Answer(hold=Event(), body={})
    with FakeOpenAI([*looks(6), FINISH], routes={"/v1/embeddings": silent}) as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_MODEL_TIMEOUT": "1"})
        done = program.run(*GOAL)

        assert len(server.embeddings) == 3
    assert done.code == 0
    assert done.err.count("Memories are ranked by words alone") == 1


def line_that_goes_on(done: Done) -> list[str]:
    """The arguments of the line that the receipt offers, as a shell would take them."""
    found = re.findall(r"^ +(autoagent --resume .*)$", done.err, re.M)
    assert found, done.err
    return shlex.split(found[-1])[1:]


def test_each_limit_ends_with_4_and_a_line_that_really_goes_on(tmp_path: Path) -> None:
    """Pasted as it stands it raises the limit and the run finishes (surface.md, exit codes)."""
    price = ("--price", "10,1,10")
    # The first call may take 8,192 tokens beside the prompt; the second needs as much again.
    usage = {"prompt_tokens": 1000, "completion_tokens": 9000, "total_tokens": 10_000}
    long = Answer(says("list_files"), usage=usage)
    cases: dict[str, tuple[list[Scripted], list[str]]] = {
        "--max-steps": ([*looks(2), FINISH], ["--max-steps", "2"]),
        "--max-tokens": ([long, FINISH], ["--max-tokens", "10000"]),
        "--max-cost": ([long, FINISH], [*price, "--max-cost", "0.1"]),
        "--max-time": (
            [says("execute_shell", command_line="sleep 6"), FINISH],
            ["--max-time", "3s"],
        ),
    }
    with served(tmp_path, *[answers for answers, _ in cases.values()]) as pairs:
        programs = [program for program, _ in pairs]
        first = [[*GOAL, "--memory", "none", *args] for _, args in cases.values()]
        runs = at_once(*zip(programs, first, strict=True))
        lines = [line_that_goes_on(done) for done in runs]
        again = at_once(*zip(programs, lines, strict=True))

    assert [done.code for done in runs] == [4] * 4
    for option, line, program in zip(cases, lines, programs, strict=True):
        assert line[:-1] == ["--resume", program.sessions[0].name, option]
    assert [(done.code, done.out) for done in again] == [(0, "42\n")] * 4


def test_giving_up_being_stuck_and_unusable_replies_have_codes_of_their_own(
    tmp_path: Path,
) -> None:
    same = says("execute_shell", command_line="false")
    cases: list[list[Scripted]] = [
        [says("give_up", reason="There is no such thing.")],
        ["not JSON", "nor this", "nor that"],
        [same] * 6,
        [says("write_file", path=".git/config", content=""), says("give_up", reason="No way.")],
    ]
    with served(tmp_path, *cases) as pairs:
        gave_up, unusable, stuck, refused = at_once(*[(program, GOAL) for program, _ in pairs])
        third = pairs[2][1].chats

    assert [d.code for d in (gave_up, unusable, stuck, refused)] == [3, 7, 7, 6]
    assert "There is no such thing." in gave_up.err
    assert "could not be used, 3 times in a row" in unusable.err
    assert "the same 5 times" in stuck.err
    assert "gave the same result 3 times" in third[3]["messages"][-1]["content"]
    assert len(third) == 5
    for done in (gave_up, unusable, stuck, refused):
        assert done.out == ""
        assert line_that_goes_on(done)[0] == "--resume"


def test_without_a_cage_nothing_runs_unless_that_is_asked_for(tmp_path: Path) -> None:
    """Exit 6: neither a missing bubblewrap nor --sandbox none is taken for a yes."""
    bwrap = shutil.which("bwrap")
    hidden = [bwrap, "--dev-bind", "/", "/", "--ro-bind", "/dev/null", bwrap] if bwrap else []
    answers = [says("execute_shell", command_line="echo uncaged"), FINISH]
    with FakeOpenAI(answers) as server:
        without = Program(folder_of(tmp_path, "without"), server.base_url, front=hidden)
        program = Program(folder_of(tmp_path, "with"), server.base_url)
        missing, declined, accepted = at_once(
            (without, [*GOAL, "--sandbox", "bubblewrap", "--output-format", "json"]),
            (program, [*GOAL, "--sandbox", "none"]),
            (program, [*GOAL, "--sandbox", "none", "--unsafe"]),
        )

    assert (missing.code, declined.code, accepted.code) == (6, 6, 0)
    assert (missing.object["status"], without.sessions) == ("refused", [])
    assert "bubblewrap is not installed" in missing.err
    assert "--sandbox none was asked for." in declined.err
    assert "Cage: none. Commands run as you" in accepted.err


def test_damaged_and_newer_journals_are_left_as_they_are_with_a_sentence(tmp_path: Path) -> None:
    """Exit 8 with file and line; an unfinished last line is cut and said instead."""
    with FakeOpenAI([FINISH, FINISH]) as server:
        program = Program(tmp_path, server.base_url)
        program.run(*GOAL)
        session = program.sessions[0].name
        path = program.sessions[0] / "journal.jsonl"
        sound = path.read_bytes()
        lines = sound.splitlines(keepends=True)

        def resumed(content: bytes) -> Done:
            path.write_bytes(content)
            return program.run("--resume", session, "--goal", "more")

        damaged = resumed(b"".join([*lines[:2], lines[2].replace(b"place", b"plate"), *lines[3:]]))
        kept = path.read_bytes()
        newer = resumed(sound.replace(b'"schema_version":1', b'"schema_version":9', 1))
        torn = resumed(sound + b'{"n": 99, "unfin')

    assert (damaged.code, newer.code, torn.code) == (8, 8, 0)
    assert f"{path}, line 3 is damaged" in damaged.err
    assert b"plate" in kept
    assert "written by a newer autoagent (journal version 9" in newer.err
    assert "last line was unfinished; 16 bytes were cut" in torn.err
