"""docs/web.md: every command line in it is one that the program takes."""

import re
import shlex
from pathlib import Path

from autoagent.configuration import options

_PAGE = Path(__file__).parent.parent / "docs" / "web.md"


def test_every_command_line_of_the_page_is_read() -> None:
    """A page that was typed by hand rots."""
    page = _PAGE.read_text("utf-8")
    blocks = [line for line in page.splitlines() if line.startswith("autoagent ")]
    inline = re.findall(r"`autoagent ([^`]*)`", page)

    read = [options.parse(shlex.split(line)[1:]) for line in blocks]
    read += [options.parse(shlex.split(line)) for line in inline if "ID" not in line]

    assert len(blocks) == 5 and len(inline) >= 3
    assert [given.command for given in read[:5]] == ["run", "run", "run", "memory", "run"]
    assert read[0].allow_host == ["docs.example.org"]
    assert read[2].disable == ["web_search", "read_webpage"]
    assert read[3].words == ["trust", "17", "18"]
