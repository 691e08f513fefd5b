"""What a step costs in time, memory and tokens, outside the model and the command."""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from yardstick import Answer, Driven, FakeOpenAI, client, drive, environ, figure, says

from autoagent.tokens import MESSAGE_OVERHEAD, estimate

STEPS = 50
LONG = 300  # steps, in a window so small that the history is cut again and again
WINDOW = 8000
ALONE = [
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "bash", "-c", "sh hello.sh"),
]
CALM = 5  # first steps that are left out: what is imported at first use isn't a step's cost
ASKING = f"""
import json, sys, time, openai
client = openai.OpenAI(max_retries=0)
for number, messages in enumerate(json.load(sys.stdin)):
    if number == {CALM}:
        print(time.process_time())
    client.embeddings.create(model="e", input=[messages[-1]["content"]], encoding_format="float")
    for _ in client.chat.completions.create(model="m", messages=messages, stream=True):
        pass
print(time.process_time())
"""


def main(long: int = LONG) -> None:
    """Print one line a figure; `python bench/steps.py [STEPS OF THE LONG RUN]`."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "fifty"
        run = drive(work, [*islice(written_run_and_read(), STEPS), says("finish", answer="done")])
        report_steps(run)
        report_walls(run, work / "work")
        report_memory(run)
        report_first_prompt(run)
        options = (f"--window={WINDOW}", f"--max-steps={2 * long}", "--max-tokens=1000000000")
        replies = [*islice(written_and_read(), long), says("finish", answer="done")]
        lasting = drive(Path(folder) / "long", replies, *options)
    report_growth(lasting)
    report_prefix(lasting)


def written_run_and_read() -> Iterator[str]:
    for n in range(10_000):
        yield says("write_file", path="hello.sh", content=f"echo hello from {n}\nwc -c hello.sh\n")
        yield says("execute_shell", command_line="sh hello.sh")
        yield says("read_file", path="hello.sh")


def written_and_read() -> Iterator[str]:
    for n in range(10_000):
        yield says("write_file", path=f"{n}.txt", content=f"This is file {n}.\n" * 20)
        yield says("read_file", path=f"{n}.txt")


def cpu_of(run: Driven, first: int, last: int) -> float:
    """Seconds of CPU a step that the agent's own process used between two requests."""
    return (run.marks[last].cpu - run.marks[first].cpu) / (last - first)


def report_steps(run: Driven) -> None:
    """The model's part is its thread's: the one that imported openai, so the busiest at first."""
    threads = run.marks[0].threads
    caller = max(threads, key=lambda number: threads[number])
    model = (run.marks[STEPS].threads[caller] - run.marks[CALM].threads[caller]) / (STEPS - CALM)
    cpu = cpu_of(run, CALM, STEPS)
    made_of = f"{(cpu - model) * 1e3:.1f} ms (+ {model * 1e3:.1f} in the model's client)"
    figure(f"CPU of the agent a step, {STEPS - CALM} steps", made_of, "≤ 10 ms")
    theirs = asked_s(run)
    ratio = f"{cpu / theirs:.2f} × ({cpu * 1e3:.1f} ms / {theirs * 1e3:.1f} ms)"
    figure("  all of it / the same requests by openai's own client", ratio)


def asked_s(run: Driven) -> float:
    """Seconds of CPU that openai's own client takes for the two requests of a step."""
    answers = [Answer(says("read_file", path="hello.sh"))] * len(run.prompts)
    with FakeOpenAI(answers, usage=False) as server:
        done = subprocess.run(
            [sys.executable, "-c", ASKING],
            input=json.dumps(run.prompts),
            env=environ(OPENAI_BASE_URL=server.base_url),
            capture_output=True,
            check=True,
            text=True,
        )
    first, *_, last = (float(line) for line in done.stdout.split())
    return (last - first) / (len(run.prompts) - CALM)


def report_walls(run: Driven, workspace: Path) -> None:
    """From one request to the next, the server's own part taken out."""
    walls = [b.wall - a.wall for a, b in pairwise(run.marks)]
    served = median(served_s(run))
    for name, first in (("write_file", 0), ("execute_shell, caged", 1), ("read_file", 2)):
        wall = median(walls[CALM + 1 + first :: 3])
        made_of = f"{(wall - served) * 1e3:.1f} ms (+ {served * 1e3:.1f} of the server)"
        figure(f"wall a step, {name}", made_of, "≤ 30 ms")
    alone = []
    for _ in range(20):
        start = time.perf_counter()
        subprocess.run(ALONE, cwd=workspace, capture_output=True, check=True)
        alone.append(time.perf_counter() - start)
    figure("  the same command in bubblewrap alone", f"{median(alone) * 1e3:.1f} ms")


def served_s(run: Driven) -> Iterator[float]:
    """Seconds that the server takes for each request of the run, asked by a plain client."""
    reply = says("read_file", path="hello.sh")
    with FakeOpenAI([Answer(reply)] * len(run.prompts), usage=False) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for messages in run.prompts:
            body = json.dumps({"model": "fake-model", "messages": messages, "stream": True})
            embed = json.dumps({"model": "fake-embeddings", "input": [reply]})
            start = time.perf_counter()
            for path, sent in (("/v1/embeddings", embed), ("/v1/chat/completions", body)):
                connection.request("POST", path, sent)
                connection.getresponse().read()
            yield time.perf_counter() - start
        connection.close()


def report_memory(run: Driven) -> None:
    theirs = median(client().peak for _ in range(3))
    ours = run.marks[-1].peak
    figure(
        f"peak memory of {STEPS} steps / import openai with its client",
        f"{ours / theirs:.2f} × ({ours:.0f} MB / {theirs:.0f} MB)",
        "≤ 1.5",
    )


def report_first_prompt(run: Driven) -> None:
    texts = [message["content"] for message in run.prompts[0]]
    ours = sum(estimate(text) + MESSAGE_OVERHEAD for text in texts)
    figure(
        "tokens of the first prompt, all commands in it",
        f"{ours} (characters / 4: {sum(map(len, texts)) // 4})",
        "≤ 800",
    )


def report_growth(run: Driven) -> None:
    """Whether a late step costs more than an early one."""
    last = len(run.marks) - 1
    span = min(100, last // 3)
    early, late = cpu_of(run, CALM, CALM + span), cpu_of(run, last - span, last)
    figure(
        f"CPU a step, the last {span} of {last} / the first {span}",
        f"{late / early:.2f} × ({late * 1e3:.1f} ms / {early * 1e3:.1f} ms)",
        "flat",
    )


def report_prefix(run: Driven) -> None:
    """How much of each prompt is the beginning of the next one, byte for byte."""
    kept = [share_kept(before, after) for before, after in pairwise(map(as_bytes, run.prompts))]
    at_cut = [cut for _, cut in pairwise(with_cuts(run.journal))]
    between = [share for share, cut in zip(kept, at_cut, strict=True) if not cut]
    figure(
        f"prefix kept between cuts, {len(run.prompts)} prompts in {WINDOW:,} tokens",
        f"{min(between):.1%} at least ({sum(at_cut)} cuts)",
        "100 %",
    )
    figure("  cuts included, mean", f"{mean(kept):.1%}")


def as_bytes(messages: Sequence[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def share_kept(before: bytes, after: bytes) -> float:
    if after.startswith(before):
        return 1.0
    pairs = enumerate(zip(before, after, strict=False))
    return next((i for i, (a, b) in pairs if a != b), len(after)) / len(before)


def with_cuts(journal: Sequence[dict[str, Any]]) -> Iterator[bool]:
    """For each chat request of a journal whether a cut came right before it."""
    cut = False
    for event in journal:
        cut |= event["type"] == "Cut"
        if event["type"] == "Reserved" and event["purpose"] == "step":
            yield cut
            cut = False


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
