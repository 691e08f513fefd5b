"""Allowed hosts, seen from inside the cage: with real programs, a real proxy, a real index."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from commands.execution import execute_shell
from commands.fetch import Host
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.bubblewrap import Bubblewrap
from commands.sandbox.packages import Packages, packages
from commands.sandbox.seccomp import program
from commands.sandbox.wayout import WayOut
from tests.caged import bash, ended, environment
from tests.proxied import Upstream, echoing, here, serving
from tests.test_execution import context

NO_PACKAGES = Packages()
FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).status)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def root(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    return root


@pytest.fixture(scope="module")
def web() -> Iterator[Upstream]:
    with serving() as upstream:
        yield upstream


@contextmanager
def cage(
    root: Path, home: Path, *hosts: Host, packages: Packages = NO_PACKAGES
) -> Iterator[tuple[Bubblewrap, WayOut]]:
    """A filtered cage with this way out; a skipped test where there is no bubblewrap."""
    env = environment(home)
    with WayOut(hosts, env, packages=packages, resolver=here) as way:
        bounds = Bounds(root, outlet=way.outlet, extra_read=way.certificates)
        try:
            made = Bubblewrap(bounds, env, seccomp=program())
            reason = made.probe()
        except CageFault as fault:
            reason = str(fault)
        if reason:
            assert "CI" not in os.environ, reason
            pytest.skip(reason)
        with made:
            yield made, way


def test_an_allowed_host_is_reached_and_another_is_refused_with_a_sentence(
    home: Path, root: Path, web: Upstream
) -> None:
    """The command sees a 403 at once, not a minute of silence."""
    allowed, other = f"http://web.test:{web.port}/x", "http://other.test/"

    with cage(root, home, Host("web.test", web.port)) as (made, way):
        reached = bash(made, f"python3 -c '{FETCH}' {allowed}")
        refused = ended(made, f"python3 -c '{FETCH}' {other}")
        contacts = {contact.host: contact.refused for contact in way.contacts()}
        again = way.contacts()

    assert reached == "200\n"
    assert b"403: Forbidden by autoagent: other.test:80 is not allowed" in refused.stderr
    assert b"--allow-host other.test" in refused.stderr
    assert contacts[f"web.test:{web.port}"] == ""
    assert "--allow-host other.test" in contacts["other.test:80"]
    assert (again, web.seen[-1][:2]) == ([], ("GET", "/x"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_sees_the_refusal_for_http_and_for_tunnels(
    home: Path, root: Path, web: Upstream
) -> None:
    """It is what most scripts fetch with."""
    with cage(root, home, Host("web.test", web.port)) as (made, _):
        plain = bash(made, "curl -s http://other.test/")
        tunnel = ended(made, "curl -sS https://other.test/")
        body = bash(made, f"curl -s -d abc http://web.test:{web.port}/post")

    assert plain.endswith("the user can allow it: --allow-host other.test\n")
    assert tunnel.exit != 0 and b"403" in tunnel.stderr
    assert '"Host": "web.test' in body
    assert web.seen[-1] == ("POST", "/post", f"web.test:{web.port}", b"abc")


def test_who_asks_no_proxy_is_told_how_the_user_can_allow_a_host(home: Path, root: Path) -> None:
    """Their own error says that a name is unknown, and the proxy's sentence never reaches them."""
    with cage(root, home, Host("allowed.test")) as (made, _):
        ctx = replace(context(root, kind="none"), cage=made)
        text = execute_shell.run(ctx, "getent hosts example.org || ! echo ENOTFOUND").text

    assert text == (
        "ENOTFOUND\n[commands reach no host but those that the user allowed, and these by the "
        "proxy in http_proxy. The user can allow another with --allow-host NAME: do without, or "
        "give_up and name it]"
    )


def test_nothing_but_the_proxy_leads_out(home: Path, root: Path, web: Upstream) -> None:
    """A program that asks no proxy finds no network, and loopback is the cage's own."""
    server = (
        "import http.server as h;"
        " s = h.HTTPServer(('127.0.0.1', 8000), h.SimpleHTTPRequestHandler);"
        " print('up', flush=True); s.handle_request()"
    )
    script = f'exec 3< <(python3 -c "{server}"); read -u 3; python3 -c "{FETCH}" $1'

    with cage(root, home, Host("web.test", web.port)) as (made, way):
        named = ended(made, "exec 3<>/dev/tcp/web.test/80")
        direct = ended(made, f"exec 3<>/dev/tcp/127.0.0.1/{web.port}")
        own = bash(made, script.replace("$1", "http://127.0.0.1:8000/"))
        contacts = way.contacts()

    assert named.exit != 0 and direct.exit != 0
    assert own.startswith("200\n")
    assert contacts == []


def test_a_tunnel_from_inside_carries_and_ends_with_the_session(home: Path, root: Path) -> None:
    """As `git clone https://…` uses it."""
    script = """
import socket, sys
port = int(sys.argv[1])
s = socket.create_connection(("127.0.0.1", 61080), 20)
s.sendall(b"CONNECT echo.test:%d HTTP/1.1\\r\\n\\r\\n" % port)
head = s.recv(1000)
s.sendall(b"x" * 100000); s.shutdown(socket.SHUT_WR)
n = 0
while data := s.recv(65536): n += len(data)
print(head.split()[1].decode(), n)
"""
    (root / "tunnel.py").write_text(script)

    with echoing() as port, cage(root, home, Host("echo.test", port)) as (made, _):
        said = bash(made, f"python3 tunnel.py {port}")

    assert said == "200 100000\n"


def test_the_filter_holds_in_the_cage(home: Path, root: Path) -> None:
    """Given to bubblewrap as a file; the cage says that it is there."""
    script = "python3 -c 'import socket; socket.socket(40, 1)'; grep Seccomp: /proc/self/status"

    with cage(root, home) as (made, _):
        said = bash(made, script)

    assert "Seccomp:\t2" in said and "Operation not permitted" in said
    assert made.filtered


def wheel(folder: Path, name: str) -> str:
    """A wheel of one module; the line of an index that leads to it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "ANSWER = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(inside, text)
    return f"{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a package index that has `pip`, as each has, and `tiny`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    pages = tmp_path / "index"
    for name in ("pip", "tiny"):
        link = wheel(pages / "files", name)
        (pages / "simple" / name).mkdir(parents=True)
        page = f'<!DOCTYPE html><a href="../../files/{link}">{link.partition("#")[0]}</a>'
        (pages / "simple" / name / "index.html").write_text(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages)))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def person(home: Path) -> dict[str, str]:
    """A person with pip alone, which has no settings of this machine's."""
    pip = Path(sys.executable).parent / "pip"
    if not pip.exists():
        assert "CI" not in os.environ
        pytest.skip("no pip beside this Python")
    (home / "bin").mkdir()
    (home / "bin/pip").symlink_to(pip)
    return {"HOME": str(home), "PATH": str(home / "bin"), "PIP_CONFIG_FILE": os.devnull}


def test_a_package_is_installed_through_allow_packages(
    home: Path, root: Path, index: str, person: dict[str, str]
) -> None:
    """Into the workspace's own environment, from the index that the user's pip is set up for."""
    found = packages({**person, "PIP_INDEX_URL": index}, root)
    made_it = [sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")]
    subprocess.run(made_it, check=True, timeout=60)
    script = (
        "export PIP_CONFIG_FILE=/dev/null; pip --python .venv/bin/python install -q --retries 0 "
        "--no-cache-dir tiny && "
        ".venv/bin/python -c 'import tiny; print(tiny.ANSWER)'"
    )

    with cage(root, home) as (made, _):
        without = ended(made, script)
    with cage(root, home, packages=found) as (made, way):
        said = bash(made, script, timeout_s=60)
        contacts = way.contacts()

    host = index.removeprefix("http://").removesuffix("/simple")
    assert [str(each) for each in found.named] == [host]
    assert (found.learned, found.notices) == ((), ())
    assert without.exit != 0
    assert said.splitlines()[-1] == "42"
    assert {contact.host for contact in contacts} == {host}


def test_a_password_of_an_index_stays_outside(
    home: Path, root: Path, person: dict[str, str]
) -> None:
    """It would be in every command's environment; the person is told."""
    settings = home / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = http://me:secret@127.0.0.1:9/simple\n"
        "[install]\nextra-index-url =\n    https://one.test/simple\n    https://two.test:8443/x\n"
    )

    found = packages({**person, "PIP_CONFIG_FILE": str(settings)}, root)

    hosts = [str(host) for host in found.named]
    assert hosts == ["127.0.0.1:9", "one.test", "two.test:8443"]
    assert found.env["PIP_INDEX_URL"] == "http://127.0.0.1:9/simple"
    assert found.env["PIP_EXTRA_INDEX_URL"] == "https://one.test/simple https://two.test:8443/x"
    assert "secret" not in repr(found)
    assert any("127.0.0.1 needs a password" in notice for notice in found.notices)
    assert any("where its files lie" in notice for notice in found.notices)


def test_tools_of_the_workspace_are_not_asked(home: Path, root: Path) -> None:
    """They run outside the cage, and a stranger's repository may bring a pip of its own."""
    (root / "bin").mkdir()
    (root / "bin/pip").write_text("#!/bin/sh\ntouch ran\n")
    (root / "bin/pip").chmod(0o755)

    found = packages({"HOME": str(home), "PATH": f"{root}/bin"}, root)

    assert not (root / "ran").exists()
    assert found.named == ()
    assert "none of pip, uv and npm" in found.notices[0]
