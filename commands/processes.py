"""Commands for programs that go on while other commands run: a development server, say."""

from commands.command import Result, command
from commands.context import Context
from commands.execution import as_text, exit_note, joined, noted, shell
from commands.sandbox.lasting import Seen

_FIRST_S = 1.0  # what fails at once is told at once
_WAIT_S = 5.0  # so that nobody asks again and again for something that takes a moment


@command(
    "execute",
    aliases=("run_in_background", "start_server", "background"),
    argument_aliases={"command": "command_line", "cmd": "command_line"},
)
def start_process(context: Context, command_line: str) -> Result:
    """goes on beside other commands (a server, say); gives its id"""
    lasting = context.cage.lasting
    number = lasting.start(shell(command_line))
    return _told(context, number, lasting.read(number, wait_s=_FIRST_S, cancel=context.cancel))


@command("read", aliases=("process_output",), argument_aliases={"process": "id", "number": "id"})
def read_process(context: Context, id: int) -> Result:
    """new output, and whether it runs"""
    seen = context.cage.lasting.read(id, wait_s=_WAIT_S, cancel=context.cancel)
    return _told(context, id, seen)


@command(
    "note",
    aliases=("kill_process", "end_process"),
    argument_aliases={"process": "id", "number": "id"},
)
def stop_process(context: Context, id: int) -> Result:
    """and all it started"""
    seen = context.cage.lasting.stop(id, context.cancel)
    notices = context.cage.notices()
    text = joined(as_text(seen.output), noted(notices))
    note = f"process {id}: {'has ended' if seen.ended else 'does not end'}"
    return Result(text, note, notices=notices)


COMMANDS = (start_process, read_process, stop_process)


def _told(context: Context, number: int, seen: Seen) -> Result:
    ended = seen.ended
    state = "runs" if ended is None else exit_note(ended.exit, ended.stopped)
    notices = context.cage.notices()
    text = joined(as_text(seen.output), noted(notices))
    ok = ended is None or (ended.exit == 0 and not ended.stopped)
    return Result(text, note=f"process {number}: {state}", ok=ok, notices=notices)
