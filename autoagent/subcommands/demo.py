"""A scripted session that needs no key: the real loop, real commands, a temporary folder."""

import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from autoagent import sessions
from autoagent.assembling import Inputs
from autoagent.configuration.places import Places
from autoagent.configuration.settings import Settings
from autoagent.events import Limits
from autoagent.journal import Entry
from autoagent.models.choosing import Chosen
from autoagent.scripted import Scripted
from autoagent.starting import begin
from autoagent.terminal.output import Output
from autoagent.terminal.plain import Plain
from autoagent.terminal.receipt import receipt, typed_name

_SALES = {
    "north.csv": "month,amount\n2026-01,120\n2026-02,90\n2026-03,150\n",
    "south.csv": "month,amount\n2026-01,80\n2026-02,110\n2026-03,60\n",
}
_GOAL = "Add up the CSV files per month and write report.md with the total of each month."
_VERIFY = "grep -q '2026-03 | 210' report.md"

_ANSWERS = (
    """\
{"thoughts": "Nothing seen yet.", "reasoning": "Look at what there is.", "plan": ["look at \
the files", "add them up by a script", "check the report"], "criticism": "", "command": {"name": \
"batch", "args": {"commands": [{"name": "list_files", "args": {}}, {"name": "read_file", "args": \
{"path": "north.csv"}}, {"name": "read_file", "args": {"path": "south.csv"}}]}}}""",
    # Quotes that aren't escaped: the reply is refused and nothing of it runs.
    """\
{"thoughts": "Two files, the same columns.", "command": {"name": "execute_python", "args": \
{"code": "print("total")"}}}""",
    """\
{"thoughts": "My quotes broke the JSON.", "reasoning": "A block needs no escaping.", "plan": \
["add them up by a script", "check the report"], "criticism": "", "command": {"name": \
"execute_python", "args": {"code": {"block": "CODE"}}}}
<<<CODE
import csv
from collections import Counter
from pathlib import Path

totals = Counter()
for path in sorted(Path().glob("*.csv")):
    for row in csv.DictReader(path.open()):
        totals[row["month"]] += int(row["amount"])
lines = ["| month | total |", "|---|---|"]
lines += [f"| {month} | {total} |" for month, total in sorted(totals.items())]
Path("report.md").write_text("\\n".join(lines) + "\\n")
print("\\n".join(lines))
CODE>>>""",
    """\
{"thoughts": "The totals are right: 200, 200, 210.", "reasoning": "The report lacks a title.", \
"plan": ["check the report"], "criticism": "", "command": {"name": "edit_file", "args": {"path": \
"report.md", "old": "| month | total |", "new": {"block": "NEW"}}}}
<<<NEW
# Sales per month

| month | total |
NEW>>>""",
    """\
{"thoughts": "The edit left an empty line in the table.", "reasoning": "Write the head anew.", \
"criticism": "", "command": {"name": "edit_file", "args": {"path": "report.md", "old": {"block": \
"OLD"}, "new": {"block": "NEW"}}}}
<<<OLD
| month | total |

|---|---|
OLD>>>
<<<NEW
| month | total |
|---|---|
NEW>>>""",
    """\
{"thoughts": "report.md is complete.", "reasoning": "Nothing is open.", "plan": [], "criticism": \
"", "command": {"name": "finish", "args": {"answer": "report.md has the totals per month: 200 in \
January, 200 in February, 210 in March 2026."}}}""",
)


def demo(settings: Settings, environ: Mapping[str, str], out: Output) -> int:
    """Run the script in a new temporary folder and leave it there to look at."""
    folder = Path(tempfile.mkdtemp(prefix="autoagent-demo-"))
    workspace = folder / "workspace"
    workspace.mkdir()
    for name, text in _SALES.items():
        (workspace / name).write_text(text)
    home = folder / "home"
    settings = replace(
        settings,
        workspace=workspace,
        places=Places(settings.places.home, home, home),
        verify=(_VERIFY,),
        memory="demo",
        unsafe=True,  # its commands are ours
    )
    limits = Limits(steps=20, tokens=100_000)
    pick = Chosen("scripted", None, Scripted(()).card, 32_000, limits)
    out.line("A scripted session: the replies were written beforehand, all else is real.", "bold")
    with ExitStack() as stack:
        model = stack.enter_context(Scripted(_ANSWERS))
        inputs = Inputs(settings, environ, attended=False)
        session = begin(inputs, [_GOAL], pick, lambda _: model)
        view = Plain(out, watched=True, quiet=settings.quiet)
        with session:
            for item in session.items():
                if isinstance(item, Entry):
                    view.show(item.event)
    stopped = view.state.stopped
    assert stopped is not None
    receipt(out, view.state, session.journal.path, program=typed_name(sys.argv[0]))
    out.line()
    out.line("Files it made:", "bold")
    out.line(f"  {workspace / 'report.md'}")
    for line in (workspace / "report.md").read_text().splitlines():
        out.line(f"  | {line}")
    out.line(f"The journal, every event a line: {session.folder / sessions.JOURNAL}")
    out.line(f"To try the lines above: export AUTOAGENT_HOME={home}")
    out.line("Now with a model: autoagent --goal '…' (OPENAI_API_KEY or OPENAI_BASE_URL).")
    return stopped.exit_code
