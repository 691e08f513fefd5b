"""A person's machine for what a page shows: a home, autoagent on PATH, settings where cron
finds them, too."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.fake_openai import FakeOpenAI, Scripted
from tests.program import KEY, LIMIT_S, ROOT, Done

MODEL = "gpt-5-mini"


def served(answers: Iterable[Scripted], **more: Any) -> FakeOpenAI:
    """A server that has the model of the machine's settings."""
    return FakeOpenAI(answers, models=[MODEL], **more)


class Machine:
    """Commands run in `folder`, one of the home's, as the person's shell or cron would."""

    def __init__(self, root: Path, server: FakeOpenAI, folder: str = "shop") -> None:
        self.home = root / "home" / "me"
        self.folder = self.home / folder
        self._bin = root / "bin"
        for each in (self.folder, self._bin):
            each.mkdir(parents=True)
        self.tool("autoagent", f'exec env PYTHONPATH={ROOT} {sys.executable} -m autoagent "$@"')
        settings = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.base_url,
            "SMART_LLM": MODEL,
            "AUTOAGENT_PRICE": "0.25,0.025,2",  # so that a limit of money counts
            "AUTOAGENT_MEMORY": "none",
        }
        config = self.home / ".config" / "autoagent"
        config.mkdir(parents=True)
        (config / ".env").write_text("".join(f"{n}={v}\n" for n, v in settings.items()))

    @property
    def environment(self) -> dict[str, str]:
        """What cron gives, and no more."""
        path = f"{self._bin}:/usr/local/bin:/usr/bin:/bin"
        return {"HOME": str(self.home), "PATH": path, "SHELL": "/bin/sh"}

    @property
    def sessions(self) -> list[str]:
        """The IDs of all sessions, the oldest first."""
        folder = self.home / ".local" / "state" / "autoagent" / "sessions"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    def tool(self, name: str, script: str) -> None:
        """A program on PATH."""
        (self._bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self._bin / name).chmod(0o755)

    def run(self, *argv: str, **variables: str) -> Done:
        """Run it in the folder, to its end."""
        done = subprocess.run(
            argv, cwd=self.folder, env={**self.environment, **variables},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def git(self) -> None:
        """Make the folder a repository with a change that isn't committed."""
        git = "git -c user.name=me -c user.email=me@example.org"
        done = self.run(
            "sh", "-ec", f"git init -q; echo 1 >a; git add a; {git} commit -qm a; echo 2 >a"
        )
        assert done.code == 0, done.err
