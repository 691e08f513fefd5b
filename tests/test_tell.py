"""Speaking to a running session: what is told reaches the model once, and none of it is lost."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

import pytest

from autoagent.errors import ConfigError, StateError
from autoagent.events import Event as Happened
from autoagent.events import Executed, Fed
from autoagent.inbox import INBOX, LARGEST, MOST, Inbox
from autoagent.model import Completion, Format, Message
from autoagent.scripted import Scripted
from autoagent.state import fold
from commands.cancel import Cancel
from tests.fake_openai import Answer, FakeOpenAI
from tests.program import ROOT, Program, at_once, of_type, says
from tests.runs import DONE, Mind, Run, prompt_text

AMPLE = LARGEST
FINISH = says("finish", answer="42")


def fed(events: Sequence[Happened]) -> list[str]:
    return [event.text for event in events if isinstance(event, Fed)]


class Interrupted(Mind):
    """A model during whose n-th call somebody does something."""

    def __init__(self, answers: Sequence[str], number: int, then: Callable[[], object]) -> None:
        super().__init__(answers)
        self._number = number
        self._then = then

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        if len(self.prompts) + 1 == self._number:
            self._then()
        return super().complete(messages, cap=cap, cancel=cancel, format=format, hear=hear)


def test_what_is_told_stands_in_the_next_prompt_in_order_and_leaves_the_folder(
    tmp_path: Path,
) -> None:
    """Surface: what is told reaches the model with its next prompt."""
    inbox = Inbox(tmp_path / "one" / INBOX)

    def told() -> None:
        inbox.put("Use tabs.", AMPLE)
        inbox.put("No: four blanks.\n[end]", AMPLE)

    model = Interrupted([says("list_files"), DONE], 1, told)
    run = Run(tmp_path, model=model)

    events = list(run)

    assert fed(events) == ["Use tabs.", "No: four blanks.\n[end]"]
    said = "[the user says]\nUse tabs.\n[end]\n[the user says]\nNo: four blanks."
    assert said in model.prompts[1][-1].content
    assert inbox.names() == []
    assert fold(run.loaded()) == run.state


def test_what_is_told_while_the_model_says_it_is_done_is_read_before_the_end(
    tmp_path: Path,
) -> None:
    """Else the words would be taken, and nobody would ever read them."""
    inbox = Inbox(tmp_path / "one" / INBOX)
    model = Interrupted([DONE, DONE], 1, lambda: inbox.put("Write b as well.", AMPLE))

    events = list(Run(tmp_path, model=model))

    first, last = (event for event in events if isinstance(event, Executed))
    assert (first.ok, first.note) == (False, "not accepted: the user has said something since")
    assert last.ok
    assert "Write b as well." in prompt_text(model.prompts[1])


def test_what_is_told_while_a_proof_runs_is_read_before_the_end(tmp_path: Path) -> None:
    """A proof may take minutes; the agent then answers what was said, and is proven again."""
    inbox = Inbox(tmp_path / "one" / INBOX)
    inbox.folder.mkdir(parents=True)
    waiting = inbox.folder / "00000001-0123456789abcdef"
    seen = tmp_path / "seen"
    line = f"test -e {seen} || {{ echo 'Stop at noon.' > {waiting}; echo > {seen}; }}"
    model = Scripted([DONE, DONE])

    events = list(Run(tmp_path, model=model, verify=[line]))

    assert fed(events) == ["Stop at noon.\n"]
    assert [e.ok for e in events if isinstance(e, Executed)] == [False, True]
    assert "Stop at noon." in prompt_text(model.prompts[1])


def test_a_secret_that_is_told_is_neither_kept_nor_sent(tmp_path: Path) -> None:
    key = "sk-proj-0123456789abcdef"
    model = Scripted([DONE])
    run = Run(tmp_path, model=model, secrets={"API_KEY": key})
    run.inbox.put(f"The key is {key}.", AMPLE)

    list(run)

    assert fed(run.loaded()) == ["The key is [secret API_KEY]."]
    assert not any(key in prompt_text(prompt) for prompt in model.prompts)
    assert not any(key.encode() in p.read_bytes() for p in run.folder.rglob("*") if p.is_file())


DYING = """
import os, signal, sys
from pathlib import Path
from tests.runs import DONE, Run

class Disk:
    fed = False
    def write(self, descriptor, data):
        self.fed |= b'"Fed"' in data
        return os.write(descriptor, data)
    def fsync(self, descriptor):
        os.fsync(descriptor)
        if self.fed:
            os.kill(os.getpid(), signal.SIGKILL)

list(Run(Path(sys.argv[1]), DONE, disk=Disk()))
"""


def test_a_kill_between_the_journal_and_the_removal_gives_no_message_twice(tmp_path: Path) -> None:
    """The event is on disk, the file still there: the name says that it was read."""
    inbox = Inbox(tmp_path / "one" / INBOX)
    inbox.folder.parent.mkdir()
    inbox.put("Only once.", AMPLE)
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], cwd=ROOT, timeout=60)
    left = inbox.names()
    model = Scripted([DONE])
    run = Run(tmp_path, model=model)

    list(run)

    assert (died.returncode, len(left)) == (-9, 1)
    assert fed(run.loaded()) == ["Only once."]
    assert prompt_text(model.prompts[0]).count("Only once.") == 1
    assert inbox.names() == []


def test_many_tellers_at_once_all_get_through_each_in_its_order(tmp_path: Path) -> None:
    """No name is taken twice, and none is written over."""
    inbox = Inbox(tmp_path / INBOX)

    def tell(number: int) -> None:
        for message in range(10):
            inbox.put(f"{number} {message}", AMPLE)

    tellers = [Thread(target=tell, args=[number]) for number in range(8)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join(30)

    read = [inbox.read(name).text.split() for name in inbox.names()]

    for n in range(8):
        assert [int(m) for of, m in read if of == str(n)] == list(range(10))


def test_only_the_user_can_read_what_waits(tmp_path: Path) -> None:
    """It may hold anything that a person would say to their agent (surface.md, Places)."""
    before = os.umask(0)
    try:
        Inbox(tmp_path / INBOX).put("x", AMPLE)
    finally:
        os.umask(before)

    (message,) = (tmp_path / INBOX).iterdir()
    assert (tmp_path / INBOX).stat().st_mode & 0o777 == 0o700
    assert message.stat().st_mode & 0o777 == 0o600


def test_a_message_has_an_end_and_so_has_the_folder(tmp_path: Path) -> None:
    """A person's words never leave the prompt, so they must not fill the window."""
    inbox = Inbox(tmp_path / INBOX)

    with pytest.raises(ConfigError, match="longer than 100 bytes"):
        inbox.put("é" * 51, 100)
    inbox.put("é" * 49, 100)
    with pytest.raises(StateError, match="1 messages of 98 bytes wait already"):
        inbox.put("xyz", 100)

    assert len(inbox.names()) == 1
    for _ in range(MOST - 1):
        inbox.put("x", AMPLE)
    with pytest.raises(StateError, match=f"{MOST} messages"):
        inbox.put("x", AMPLE)


def test_what_isnt_a_message_is_left_alone(tmp_path: Path) -> None:
    """A teller that was killed leaves a file that was not finished."""
    inbox = Inbox(tmp_path / INBOX)
    inbox.put("whole", AMPLE)
    (inbox.folder / ".0123456789abcdef").write_text("half")
    (inbox.folder / "notes.txt").write_text("mine")

    assert [inbox.read(name).text for name in inbox.names()] == ["whole"]


class Spoken:
    """A run to which several things are told while the model is silent, and after its end."""

    def __init__(self, folder: Path) -> None:
        hold = Event()
        list_files = Answer(says("list_files"), hold=hold)
        with FakeOpenAI([list_files, FINISH, FINISH]) as server:
            self.program = Program(folder, server.base_url, {"AUTOAGENT_MEMORY": "none"})
            with self.program.started("--goal", "go") as running:
                assert server.wait_for_chats(1)
                self.id = name = self.program.sessions[0].name
                self.told = at_once(
                    (self.program, ["tell", name, "First."]),
                    (self.program, ["tell", name, "--", "-v is second."]),
                )
                self.told.append(self.program.run("tell", name, "-", stdin=b"From a pipe.\n"))
                hold.set()
                self.done = running.finish()
            near = name[:-1] + "x"
            self.late, self.unknown, self.empty, self.words, self.long, self.none = at_once(
                (self.program, ["tell", name, "Too late."]),
                (self.program, ["tell", near, "Hello."]),
                (self.program, ["tell", name, " "]),
                (self.program, ["tell", name, "not", "quoted"]),
                (self.program, ["tell", "../x", "Hello."]),
                (self.program, ["tell", "", "Hello."]),
            )
            self.chats = server.chats


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return Spoken(tmp_path_factory.mktemp("spoken"))


def test_two_tellers_at_once_and_a_pipe_reach_a_running_session(spoken: Spoken) -> None:
    """The words come with the answer to the first step."""
    said = "Told: the agent reads it with its next prompt.\n"
    prompt = spoken.chats[1]["messages"][-1]["content"]

    assert [(done.code, done.out) for done in spoken.told] == [(0, said)] * 3
    assert spoken.done.code == 0
    for words in ("First.", "-v is second.", "From a pipe."):
        assert prompt.count(f"[the user says]\n{words}\n[end]") == 1


def test_the_journal_says_which_words_were_told(spoken: Spoken) -> None:
    journal = spoken.program.journal()

    assert all(event["told"] for event in of_type(journal, "Fed"))
    assert len(of_type(journal, "Fed")) == 3


def test_a_session_that_is_done_is_told_nothing_and_how_to_go_on_is_said(spoken: Spoken) -> None:
    """Nobody would read it."""
    assert spoken.late.code == 2
    assert f"autoagent --resume {spoken.id} --goal '…'" in spoken.late.err
    assert list((spoken.program.sessions[0] / INBOX).iterdir()) == []


def test_what_cannot_be_told_is_one_sentence(spoken: Spoken) -> None:
    for done, said in (
        (spoken.unknown, f"Did you mean {spoken.id}?"),
        (spoken.empty, "is done"),
        (spoken.words, "Write `autoagent tell ID TEXT`"),
        (spoken.long, "There is no session '../x'"),
        (spoken.none, "Say which session"),
    ):
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert done.err.count("\n") == 1


def test_a_session_that_nobody_runs_keeps_the_words_until_it_is_resumed(tmp_path: Path) -> None:
    """It was stopped by its limit at night; in the morning it reads them first."""
    with FakeOpenAI([says("list_files"), FINISH]) as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_MEMORY": "none"})
        limited = program.run("--goal", "go", "--max-steps", "1")
        name = program.sessions[0].name
        told = program.run("tell", name, "Take the other one.")
        waiting = list((program.sessions[0] / INBOX).iterdir())
        empty, long = at_once(
            (program, ["tell", name, ""]), (program, ["tell", name, "x" * (LARGEST + 1)])
        )
        resumed = program.run("--resume", name, "--max-steps", "5")
        prompt = server.chats[1]["messages"][-1]["content"]

    assert (limited.code, told.code, resumed.code) == (4, 0, 0)
    assert told.out.startswith("Kept: nobody works on that session now")
    assert f"  autoagent --resume {name} --max-steps 2\n" in told.out
    assert len(waiting) == 1
    assert "[the user says]\nTake the other one.\n[end]" in prompt
    assert "  Take the other one." not in told.err
    assert "The agent is told:\n  | Take the other one.\n" in resumed.err
    assert (empty.code, long.code) == (2, 2)
    assert "The message is empty" in empty.err
    assert "longer than" in long.err
