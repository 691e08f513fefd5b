"""The settings of git that a cage's empty home folder gets from the user's own."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from commands.sandbox.toolchains import search_path

_ASK_S = 5.0


def git_settings(env: Mapping[str, str]) -> bytes:
    """The user's name and address for commits; and the workspace may be anybody's."""
    path = os.pathsep.join(map(str, search_path(env.get("PATH", ""))))
    settings = b"[safe]\n\tdirectory = *\n"
    if git := shutil.which("git", path=path):
        told = asked(
            [git, "config", "--global", "-z", "--get-regexp", "^user[.](name|email)$"], env
        )
        for setting in told.split(b"\0")[:-1]:
            name, _, value = setting.partition(b"\n")
            quoted = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            settings += b'[user]\n\t%s = "%s"\n' % (name.rpartition(b".")[2], quoted)
    return settings


def asked(argv: Sequence[str], env: Mapping[str, str]) -> bytes:
    """What a program of the user's own says on stdout; nothing when it fails."""
    try:
        return subprocess.run(  # noqa: S603 (a program of the system or the user)
            argv, cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return b""
