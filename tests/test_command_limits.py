"""Limits of one command, set by the person and seen by the command."""

from pathlib import Path

import pytest

from autoagent.configuration import options, settings
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from commands.sandbox.bounds import Limits
from tests.caged import needs
from tests.program import Program

_SEEN = "ulimit -t; ulimit -n; ulimit -f; df --output=size -B1 /tmp | tail -n 1"
_SET = {
    "AUTOAGENT_COMMAND_CPU": "2m",
    "AUTOAGENT_COMMAND_OPEN_FILES": "99",
    "AUTOAGENT_COMMAND_FILE_SIZE": "3M",
    "AUTOAGENT_COMMAND_SCRATCH": "8M",
}


def loaded(folder: Path, **environ: str) -> Settings:
    workspace = folder / "home" / "work"
    workspace.mkdir(parents=True, exist_ok=True)
    environ = {"HOME": str(workspace.parent), **environ}
    return settings.load(options.parse([]), environ, cwd=workspace)


def test_a_command_runs_under_the_limits_that_were_set(tmp_path: Path) -> None:
    """A number that only stands in the settings protects nothing."""
    needs("bubblewrap", tmp_path)
    program = Program(tmp_path, "", _SET)

    done = program.run("sandbox", "--", "bash", "-c", _SEEN)

    # ulimit -f counts blocks of 1,024 bytes
    assert done.out.split() == ["120", "99", str(3 * 1024), str(8 << 20)]


def test_every_limit_has_a_setting_and_the_cage_s_own_default(tmp_path: Path) -> None:
    given = {
        "AUTOAGENT_COMMAND_CPU": "90",
        "AUTOAGENT_COMMAND_MEMORY": "0.25",
        "AUTOAGENT_COMMAND_PROCESSES": "50",
        "AUTOAGENT_COMMAND_OPEN_FILES": "60",
        "AUTOAGENT_COMMAND_FILE_SIZE": "7",
        "AUTOAGENT_COMMAND_OUTPUT": "5K",
        "AUTOAGENT_COMMAND_SCRATCH": "2G",
    }

    assert loaded(tmp_path).command_limits == Limits()
    assert loaded(tmp_path, **given).command_limits == Limits(
        processes=50,
        memory_share=0.25,
        cpu_s=90,
        file_bytes=7,
        open_files=60,
        output_bytes=5 << 10,
        scratch_bytes=2 << 30,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTOAGENT_COMMAND_MEMORY", "1.5"),
        ("AUTOAGENT_COMMAND_MEMORY", "0"),
        ("AUTOAGENT_COMMAND_FILE_SIZE", "-1"),
        ("AUTOAGENT_COMMAND_FILE_SIZE", "2 GB"),
        ("AUTOAGENT_COMMAND_PROCESSES", "0"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        loaded(tmp_path, **{name: value})
