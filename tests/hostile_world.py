"""A world around a hostile run: what it may reach for, who listens, and what became of it."""

import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from uuid import uuid4

from tests.fake_openai import Body
from tests.hostile_cases import PLANTS, STAYS, WRITES, Attempt
from tests.program import KEY, Program, processes_with, says

HOME_SECRET = "home-2f7b61c04e9d4a55"
STATE_SECRET = "state-93c1d07ae8f24b16"
DOTENV_SECRET = "dotenv-5e8a40b7c6d14f92"
SECRETS = (HOME_SECRET, STATE_SECRET, DOTENV_SECRET, KEY)
# An ordinary user's rights, when we are root: nobody's files but root's are root's then.
FRONT = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all") if os.getuid() == 0 else ()


def slug(attempt: Attempt) -> str:
    """The attempt's own name in the world: a path stays one."""
    return attempt.name.replace(" ", "-").replace("'", "")


@dataclass(slots=True)
class World:
    """What lies around a run: folders, secrets, listeners; `heard` is what reached these."""

    folder: Path
    kind: str
    program: Program = field(init=False)
    name: str = field(default_factory=lambda: f"hostile-{uuid4().hex}")
    heard: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    before: Mapping[str, object] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)

    def plant(self, base_url: str) -> None:
        self.folder.mkdir(mode=0o755)
        variables = {"GIT_CONFIG_GLOBAL": "/dev/null"}
        self.program = Program(self.folder, base_url, variables, FRONT)
        for place in (self.outside, self.home, self.state):
            place.mkdir()
        (self.home / "key").write_text(HOME_SECRET)
        (self.home / "spare").write_text(HOME_SECRET)
        (self.state / "planted").write_text(STATE_SECRET)
        for attempt in WRITES:
            if attempt.name.startswith("own"):
                (self.outside / slug(attempt)).write_text("kept")
        root = self.program.workspace
        (root / ".env").write_text(f"SERVICE_TOKEN={DOTENV_SECRET}\n")
        (root / "sub").mkdir()
        (root / "sub/.env.local").write_text(f"SERVICE_TOKEN={DOTENV_SECRET}\n")
        (root / "kept.txt").write_text("kept")
        subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=30)
        self.before = self.seen()

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def tmp(self) -> Path:
        """A folder of the machine's /tmp; nobody has made it yet."""
        return Path("/tmp") / f"{self.name}-made"

    @property
    def loot(self) -> Path:
        return self.program.workspace / "loot"

    def seen(self) -> dict[str, object]:
        """Everything that an attempt could have changed, by the attempt's own name."""
        places = (self.outside, self.home, self.state, self.tmp)
        found: dict[str, object] = {
            attempt.name: [_look(place / slug(attempt)) for place in places] for attempt in WRITES
        }
        root = self.program.workspace
        return found | {attempt.name: _look(root / attempt.name) for attempt in PLANTS}

    def changed(self) -> set[str]:
        now = self.seen()
        return {name for name, was in self.before.items() if now[name] != was}

    def looted(self, attempts: Sequence[Attempt], words: Sequence[str]) -> set[str]:
        """The attempts whose output holds one of the words."""
        return {
            attempt.name
            for attempt in attempts
            if any(word.encode() in content(self.loot / slug(attempt)) for word in words)
        }

    def says_all(self, attempts: Sequence[Attempt]) -> Callable[[Body], str]:
        """A reply with one command that tries them all; the ports are known by then."""
        return lambda _: shell(self.command(attempts))

    def command(self, attempts: Sequence[Attempt]) -> str:
        """One command line that tries them all, each in a shell of its own."""
        known = {
            "out": self.outside,
            "home": self.home,
            "state": self.state,
            "tmp": self.tmp,
            "name": self.name,
            **self.ports,
        }
        lines = ["mkdir -p loot", *(f"{key}={value}" for key, value in known.items()), _FIND]
        for attempt in attempts:
            me = slug(attempt)
            into = f"loot/{me.replace('/', '-')}"
            lines += [f"( me={me}", _SLEEPER, attempt.script, f") </dev/null >{into} 2>/dev/null"]
        return "\n".join([*lines, "true"])

    def look_for_what_stays(self) -> None:
        lines = processes_with(self.name)
        self.left = {a.name for a in STAYS if any(f"{slug(a)}-{self.name}" in x for x in lines)}


# The goal holds the name in two halves, or this command line would find itself.
_FIND = """
agent=""
for each in /proc/[0-9]*; do
    grep -qa "goal.*the ${name/hostile/HOSTILE}" "$each/cmdline" && agent=${each#/proc/}
done 2>/dev/null
"""
_SLEEPER = 'sleeper=(bash -c \'exec -a "$0" sleep 300\' "$me-$name")'


def _look(path: Path) -> object:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_mode, status.st_mtime_ns, status.st_nlink, content(path)


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def listening(world: World) -> Iterator[None]:
    """Listeners of each sort, which note what they hear and from where nothing may come."""
    with ExitStack() as stack:

        def opened(family: int, kind: int, place: object) -> socket.socket:
            one = stack.enter_context(socket.socket(family, kind))
            one.bind(place)  # type: ignore[arg-type]
            if kind == socket.SOCK_STREAM:
                one.listen()
            return one

        unix, stream, datagram = socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
        tcp = opened(socket.AF_INET, stream, ("127.0.0.1", 0))
        udp = opened(socket.AF_INET, datagram, ("127.0.0.1", 0))
        places = (
            (stream, world.outside / "stream"),
            (stream, Path("/tmp") / world.name),
            (stream, world.program.workspace / "here"),
            (stream, f"\0{world.name}"),
            (datagram, world.outside / "datagrams"),
        )
        sockets = [tcp, udp, *(opened(unix, kind, str(place)) for kind, place in places)]
        stack.callback((Path("/tmp") / world.name).unlink)
        world.ports = {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}
        stopping, stop = os.pipe()
        stack.callback(os.close, stopping)
        ears = Thread(target=_listen, args=(world, sockets, stopping))
        ears.start()
        try:
            yield
        finally:
            os.close(stop)
            ears.join()


def _listen(world: World, sockets: Sequence[socket.socket], stopping: int) -> None:
    """Hear everything out until `stopping` ends, then what is still there."""
    ended = False
    while not ended:
        ready = select.select([*(one.fileno() for one in sockets), stopping], [], [])[0]
        ended = ready == [stopping]
        for one in (each for each in sockets if each.fileno() in ready):
            if one.type == socket.SOCK_DGRAM:
                world.heard.append(one.recv(1024).decode().strip())
            else:
                with one.accept()[0] as peer:
                    peer.settimeout(5)
                    world.heard.append(peer.recv(1024).decode().strip())


def shell(command_line: str, timeout_s: float = 60) -> str:
    return says("execute_shell", command_line=command_line, timeout_s=timeout_s)
