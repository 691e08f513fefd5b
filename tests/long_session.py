"""A session of any length in which facts of early steps are asked for late in other words.

The script: line 3, 5, 7 … tell one fact each, by a note, in a thought, or in a file that is
read; all other lines are work of about 350 new tokens. In the second half every few lines a
thought asks for one fact (its words shared with nothing that was told, which
`test_thousand_steps.py` checks), beside work of another kind; the line after it asks with
`recall`, in the same words. No line after a fact was told holds it again, so where it stands
in a prompt then, memory brought it there.

The server knows its place by the last reply in the prompt, not by how often it was asked: a
program that was killed and resumed gets the line that it never read.

Its embeddings are a stand-in, not a model: a table of what means the same (`SUBJECTS`,
`SAYINGS`), each meaning a direction of its own of weight 1, every other word one of weight
0.25. So a paraphrase is near, a text about the same subject or the same question half as near,
and unrelated text is not. What is measured is what the program keeps, finds within its floors
and has room for; how well a real model ranks is not.
"""

import functools
import json
import math
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Literal

from tests.fake_openai import DIMENSIONS, Answer, Body, FakeOpenAI, tokens
from tests.program import LIMIT_S, Program

SUBJECTS = (
    ("staging database", "rehearsal copy of the customer tables"),
    ("billing service", "invoicing program"),
    ("login page", "sign-in form"),
    ("nightly backup", "overnight safety copy"),
    ("search index", "lookup catalogue"),
    ("mail gateway", "outgoing letter relay"),
    ("photo uploader", "picture intake"),
    ("payment webhook", "card callback"),
    ("log collector", "journal gatherer"),
    ("test cluster", "trial machines"),
    ("image resizer", "thumbnail maker"),
    ("report generator", "summary writer"),
    ("licence checker", "permit validator"),
    ("session cache", "visitor store"),
    ("release script", "shipping routine"),
    ("audit trail", "compliance record"),
    ("weather feed", "forecast import"),
    ("map renderer", "chart painter"),
    ("chat bot", "talking assistant"),
    ("price list", "tariff sheet"),
)
"""As told and as asked for."""

SAYINGS = (
    ("listens on port", "at which number does the {} answer connections"),
    ("belongs to the group", "who is responsible for the {}"),
    ("is pinned to version", "what edition of the {} did we freeze"),
    ("gives up after this many seconds:", "how long may the {} keep us waiting"),
    ("keeps its files under", "where does the {} put what it writes"),
    ("takes its password from slot", "in which vault lies the secret of the {}"),
    ("broke because of ticket", "what brought the {} down"),
    ("runs once in this many minutes:", "how often is the {} started"),
    ("was moved away from host", "on which computer did the {} live before"),
    ("accepts at most this many calls:", "what ceiling on load has the {}"),
    ("costs in dollars a month:", "what bill comes for the {}"),
    ("is tried again this many times:", "after what number of attempts is the {} abandoned"),
    ("wants its dates in format", "how must a calendar day be written for the {}"),
    ("was reviewed in pull request", "in what discussion was the {} approved"),
    ("is switched by flag", "what toggle turns the {} off"),
    ("wakes the engineer with number", "whose pager rings when the {} is ill"),
    ("has its tests in suite", "by which checks is the {} proved right"),
    ("was promised to customer", "for which client is the {} made"),
    ("is described on page", "where can one read how the {} works"),
    ("goes through proxy", "by what detour does the {} reach outside"),
    ("is signed by key", "with what seal is the {} made trustworthy"),
    ("is deleted after days:", "when does the {} expire for good"),
    ("was begun in sprint", "during what iteration did work at the {} start"),
    ("loses this percentage of packets:", "what share of traffic goes missing at the {}"),
    ("is built by pipeline", "what automation compiles the {}"),
)
"""What is said of a subject, and the question for it."""

_VOCABULARY = 4000
_SYLLABLES = tuple(a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "ar", "en"))

_LONGEST_S = 600.0  # a whole session: the program says nothing on stdout before its end
_STOP = frozenset(
    "a an and at by did do does for has in is it may of on or the this to was we".split()  # noqa: SIM905
)
_LINE = re.compile(r"Script line (\d+)\.")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to be learned and, much later, needed."""

    text: str
    question: str


def facts(count: int) -> list[Fact]:
    """Distinct ones, at most 100; of each subject and of each saying there are several."""
    pairs = [
        (subject, saying)
        for number, subject in enumerate(SUBJECTS)
        for saying in SAYINGS[number % 5 :: 5]
    ]
    random.Random(1).shuffle(pairs)
    return [
        Fact(
            f"The {told} {said} {4001 + 37 * number}.",
            f"{asking.format(asked).capitalize()}?",
        )
        for number, ((told, asked), (said, asking)) in enumerate(pairs[:count])
    ]


@dataclass(frozen=True, slots=True)
class Script:
    """What the model says, line by line, and when which fact is needed."""

    lines: Sequence[str]
    files: dict[str, str]  # that stand in the workspace
    needed: dict[int, Fact]  # by the line whose thought asks; the next line is `recall`


def script(steps: int, count: int) -> Script:
    """So many lines, the last one `finish`, about so many facts."""
    chosen = facts(count)
    told = {2 * number + 3: number for number in range(count)}
    order = random.Random(2).sample(chosen, count)
    apart = (steps - steps // 2 - 3) // count
    needed = {steps // 2 + apart * number: fact for number, fact in enumerate(order)}
    assert max(told) < steps // 2 and apart > 2
    files = {f"found-{n}.txt": _found(n, chosen[n]) for n in told.values() if n % 3 == 2}
    lines = []
    for line in range(1, steps):
        if line in told:
            lines.append(_telling(line, told[line], chosen[told[line]]))
        elif line in needed:
            lines.append(_work(line, f"{needed[line].question} {sentence(line)}"))
        elif line - 1 in needed:
            query = needed[line - 1].question
            lines.append(_said(line, "I ask my memory.", "recall", query=query))
        else:
            lines.append(_work(line, _thought(line)))
    lines.append(_said(steps, "All is done.", "finish", answer="done"))
    return Script(lines, files, needed)


def _telling(line: int, number: int, fact: Fact) -> str:
    match number % 3:
        case 0:
            return _said(line, sentence(line), "remember", text=fact.text)
        case 1:
            return _work(line, f"{sentence(line)} {fact.text}")
        case _:
            return _said(line, sentence(line), "read_file", path=f"found-{number}.txt")


def _found(number: int, fact: Fact) -> str:
    return f"{_text(-2 * number, 2)}\n{fact.text}\n{_text(-2 * number - 1, 10)}\n"


def _work(line: int, thoughts: str) -> str:
    """Write a file, or read the one that was written last."""
    path = f"part-{line // 2 % 20}.txt"
    if line % 2 and line > 1:
        return _said(line, thoughts, "read_file", path=path)
    return _said(line, thoughts, "write_file", path=path, content=_text(line, 14))


def _said(line: int, thoughts: str, name: str, **args: str) -> str:
    command = {"name": name, "args": args}
    reasoning = f"Script line {line}. {_text(-line - 10_000, 2)}"
    return json.dumps({"thoughts": thoughts, "reasoning": reasoning, "command": command})


def _thought(line: int) -> str:
    """Every tenth is about a subject and says nothing of it that is asked: in 1,000 lines
    each subject is spoken of as often beside the point as it has facts."""
    about = SUBJECTS[line // 10 % len(SUBJECTS)][line // 200 % 2]
    also = f" The {about} looks as before." if line % 20 in (6, 17) else ""
    return f"{sentence(line)}{also}"


def sentence(seed: int) -> str:
    """Nine words, spread as in a language (Zipf) without its most frequent ones, so that
    texts share some."""
    chosen = random.Random(seed)
    words = (_word(int(_VOCABULARY ** chosen.uniform(0.25, 1))) for _ in range(9))
    return f"{' '.join(words).capitalize()}."


def _word(number: int) -> str:
    return _SYLLABLES[number % 84] + _SYLLABLES[number // 84]


def _text(seed: int, sentences: int) -> str:
    return "\n".join(sentence(seed * 100 + number) for number in range(sentences))


def vector(text: str) -> list[float]:
    """The stand-in embedding, of unit length: the table's meanings, then all other words."""
    text = text.lower()
    total = [0.0] * DIMENSIONS
    for kind, table in (("subject", SUBJECTS), ("saying", _asked_sayings())):
        for number, phrases in enumerate(table):
            if any(phrase in text for phrase in phrases):
                _add(total, f"{kind} {number}", 1.0)
    for words in _PHRASES:
        text = text.replace(words, " ")
    for word in set(re.findall(r"\w+", text)) - _STOP:
        _add(total, word, 0.25)
    length = math.sqrt(sum(n * n for n in total)) or 1.0
    return [n / length for n in total]


def _asked_sayings() -> list[tuple[str, str]]:
    return [(told, _around(asked)) for told, asked in SAYINGS]


def _around(question: str) -> str:
    """The longer part of a question beside the subject's name."""
    return max((part.strip() for part in question.split("the {}")), key=len)


_PHRASES = [phrase for pair in (*SUBJECTS, *_asked_sayings()) for phrase in pair]


def _add(total: list[float], meaning: str, weight: float) -> None:
    for place, part in _direction(meaning):
        total[place] += weight * part


@functools.cache
def _direction(meaning: str) -> tuple[tuple[int, float], ...]:
    """Of unit length, one for each meaning: a quarter, more or less, at 16 places."""
    chosen = random.Random(zlib.crc32(meaning.encode()))
    places = chosen.sample(range(DIMENSIONS), 16)
    return tuple((place, chosen.choice((-0.25, 0.25))) for place in places)


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat request: which line answers it, its size by the server's own count."""

    line: int
    prompt: int  # tokens
    cached: int  # tokens of the messages with which the prompt before it began as well
    cap: int  # tokens that the answer may have
    messages: list[dict[str, str]]

    def holds(self, fact: Fact) -> bool:
        return any(fact.text in message["content"] for message in self.messages)


Place = Literal["request", "stream", "embedding"]
"""Where a program can be killed: its chat request has come, half of the answer was sent, or
the embedding of the step before has been asked for."""


class Player:
    """Speaks the script; `asked` keeps each request. At `stop_at` (line, place) it sets
    `stopped` and holds its answer back until `released` is set."""

    def __init__(self, played: Script) -> None:
        self._lines = played.lines
        self._line = 1
        self.asked: list[Asked] = []
        self.stop_at: tuple[int, Place] | None = None
        self.stopped = Event()
        self.released = Event()

    def stop(self, line: int, place: Place) -> None:
        self.stop_at, self.stopped, self.released = (line, place), Event(), Event()

    def answer(self, body: Body) -> Answer:
        messages = body["messages"]
        self._line = line_after(messages)
        sizes = [tokens(json.dumps(message)) for message in messages]
        before = self.asked[-1].messages if self.asked else []
        same = takewhile(lambda n: messages[n] == before[n], range(min(len(messages), len(before))))
        cached = sum(sizes[n] for n in same)
        cap: int = body.get("max_tokens") or body["max_completion_tokens"]
        self.asked.append(Asked(self._line, sum(sizes), cached, cap, messages))
        text = self._lines[self._line - 1]
        match self.stop_at:
            case (self._line, "request"):
                return self._held(Answer(text))
            case (self._line, "stream"):
                return self._held(Answer(text, piece=40, hold_after=4))
        return Answer(text, piece=400)

    def _held(self, answer: Answer) -> Answer:
        self.stop_at = None
        self.stopped.set()
        return replace(answer, hold=self.released)

    def vector_of(self, text: str) -> list[float]:
        if self.stop_at == (self._line + 1, "embedding"):
            self.stop_at = None
            self.stopped.set()
            self.released.wait(LIMIT_S)
        return vector(text)


def line_after(messages: Sequence[dict[str, str]]) -> int:
    """Which line of the script comes next, by the last reply in the prompt."""
    last = next((m["content"] for m in reversed(messages) if m["role"] == "assistant"), "")
    found = _LINE.search(last)
    return int(found[1]) + 1 if found else 1


def played(
    folder: Path,
    spoken: Script,
    window: int,
    *options: str,
    kills: Sequence[tuple[int, Place]] = (),
    embeds: bool = True,
) -> list[Asked]:
    """Run the real program to the script's end; killed (by SIGKILL) and resumed at `kills`."""
    player = Player(spoken)
    answers = [player.answer] * (len(spoken.lines) + len(kills))
    with FakeOpenAI(answers, embeds=embeds, vector_of=player.vector_of) as server:
        program = Program(folder, server.base_url)
        for name, text in spoken.files.items():
            (program.workspace / name).write_text(text)
        ample = ("--max-steps", "100000", "--max-tokens", "1000000000")
        args = ["--goal", "Put the files in order.", "--window", f"{window}", *ample, *options]
        for line, place in kills:
            player.stop(line, place)
            with program.started(*args) as running:
                assert player.stopped.wait(LIMIT_S), f"line {line} never came:\n{running.errors}"
                running.process.kill()
                running.process.wait(LIMIT_S)
            player.released.set()
            args = ["--resume"]
        with program.started(*args) as running:
            done = running.finish(limit_s=_LONGEST_S)
    assert done.code == 0, done.err
    return player.asked


def present(spoken: Script, asked: Sequence[Asked]) -> tuple[int, int]:
    """How many facts stood in the prompt after a thought that needs them, and how many after
    `recall` as well."""
    line = {each.line: each for each in asked}
    by_itself = sum(line[n + 1].holds(fact) for n, fact in spoken.needed.items())
    return by_itself, sum(line[n + 2].holds(fact) for n, fact in spoken.needed.items())


def by_line(asked: Sequence[Asked], folder: Path) -> dict[int, set[str]]:
    """The prompts for each line of the script, without the run's folder and the day."""
    found: dict[int, set[str]] = {}
    for each in asked:
        text = re.sub(r"Today is [\d-]+", "", json.dumps(each.messages))
        found.setdefault(each.line, set()).add(text.replace(str(folder), ""))
    return found


def content_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower())) - _STOP
