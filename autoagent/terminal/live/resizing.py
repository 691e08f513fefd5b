"""What stands beneath is taken off the screen after the terminal has another width."""

from collections.abc import Mapping

from prompt_toolkit.renderer import Renderer

from autoagent.terminal.live.layout import Bottom
from autoagent.terminal.live.writing import Batched


def reflows(environ: Mapping[str, str]) -> bool:
    """Whether this terminal wraps what stands on it at a new width; most do."""
    cuts = "XTERM_VERSION" in environ or environ.get("TERM", "").startswith(("linux", "vt"))
    return not cuts and "STY" not in environ


def take_off_at_new_width(
    renderer: Renderer, output: Batched, bottom: Bottom, reflowed: bool
) -> None:
    """Before a drawing: where the terminal has wrapped the last one (`reflowed`), that takes more
    rows than it did; where it cut lines instead, it doesn't."""
    columns = output.get_size().columns
    last, size = renderer.last_rendered_screen, renderer._last_size
    if last is None or size is None or size.columns == columns:
        return
    above = bottom.rows_above_cursor(last, columns) if reflowed else 0
    output.cursor_up(max(0, above - renderer._cursor_pos.y))
    with output.batch():
        renderer.erase(leave_alternate_screen=False)
