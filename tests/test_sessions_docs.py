"""What docs/sessions.md shows can be typed."""

import io
import os
import re
from pathlib import Path

from autoagent.configuration import settings as setting
from autoagent.configuration.options import parse
from autoagent.configuration.usage import ACTIONS
from autoagent.sessions.summary import STATUSES
from autoagent.subcommands.sessions import run
from autoagent.terminal.output import Output
from tests.past import DONE, kept, started, step
from tests.program import Program

PAGE = (Path(__file__).parent.parent / "docs" / "sessions.md").read_text("utf-8")
LINES = re.findall(r"^autoagent (sessions .*?)(?:   .*)?$", PAGE, re.MULTILINE)


def test_every_command_line_on_the_page_does_something(tmp_path: Path) -> None:
    """By the program itself, one after the other, on a session named ID."""
    program = Program(tmp_path)
    kept(program.home, [started("ID", str(program.workspace)), *step(1), DONE], at=4e9)
    made = Path.cwd()

    os.chdir(program.workspace)
    try:
        for line in LINES:
            if line == "sessions delete ID":
                continue  # the last one
            given = parse(line.replace("replay ID", "replay ID --at-once").split())
            settings = setting.load(given, program.environment, cwd=program.workspace)
            out = io.StringIO()
            run(given, settings, {}, Output(out))
        done = program.run("sessions", "delete", "ID")
    finally:
        os.chdir(made)

    assert len(LINES) > 15
    assert (program.workspace / "night.md").read_text().startswith("# Session ID")
    assert done.code == 0
    assert "ID" not in [folder.name for folder in program.sessions]


def test_every_action_and_status_stands_on_the_page() -> None:
    """What isn't there isn't found."""
    for word in (*ACTIONS["sessions"], *STATUSES):
        assert re.search(rf"\b{word}\b", PAGE), word


def test_the_settings_on_the_page_are_understood(tmp_path: Path) -> None:
    """They are copied into config.toml."""
    block = re.search(r"```toml\n(keep_days.*?)```", PAGE, re.DOTALL)
    assert block is not None
    program = Program(tmp_path)
    program.home.mkdir()
    (program.home / "config.toml").write_text(block[1])

    settings = setting.load(parse(["sessions", "list"]), program.environment, cwd=tmp_path)

    assert (settings.keep_days, settings.keep_size) == (90, 5 << 30)
