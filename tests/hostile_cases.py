"""What a hostile command tries, by the kind of world that shows whether it worked.

Each script is bash, run in the workspace with these variables: me (its own name), out, home,
state, tmp (folders beside the workspace), tcp, udp, model (ports where somebody listens), name
(of abstract and /tmp sockets), agent (the process of the agent, "" when it isn't seen). What
it prints stands in loot/$me.
"""

from dataclasses import dataclass

from commands.sandbox.choose import Wanted

ALL: tuple[Wanted, ...] = ("bubblewrap", "landlock", "none")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that must not work, but in the kinds of cage that `works_in` names."""

    name: str
    script: str
    works_in: tuple[str, ...] = ("none",)


_SEND = (
    "import os,socket,sys; kind, place = sys.argv[1:3];"
    " family = socket.AF_UNIX if kind != 'tcp6' else socket.AF_INET6;"
    " s = socket.socket(family);"
    " s.connect(('::1', int(place)) if kind == 'tcp6' else '\\0' + place"
    " if kind == 'abstract' else place); s.sendall(sys.argv[3].encode())"
)
_BY_PAIR = (
    "import socket,sys; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM);"
    " a.sendto(sys.argv[2].encode(), sys.argv[1])"
)
_FORK_TWICE = (
    "import os,sys\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        os.execvp('sleep', [sys.argv[1], '300'])"
)
_MEMORY = (
    "import re,sys\nfor line in open(f'/proc/{sys.argv[1]}/maps'):\n"
    "    low, high = (int(n, 16) for n in re.match('([0-9a-f]+)-([0-9a-f]+)', line).groups())\n"
    "    if ' rw' in line and high - low < 1 << 26:\n"
    "        with open(f'/proc/{sys.argv[1]}/mem', 'rb') as mem:\n"
    "            mem.seek(low); sys.stdout.buffer.write(mem.read(high - low))"
)
_GREED = "import os; bytearray(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') * 9 // 10)"
_SEIZE = (
    "import ctypes,sys;"
    " sys.exit(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None) != 0)"
)

# Worked when $out, $home, $state or $tmp has changed at $me; for "own …" there is a file.
WRITES = (
    Attempt("absolute path", 'echo x > "$out/$me"'),
    Attempt("path upwards", 'echo x > "../outside/$me"'),
    Attempt("link to a file", 'ln -s "$out/$me" "l-$me"; echo x > "l-$me"'),
    Attempt("link to a folder", 'ln -s "$out" d; echo x > "d/$me"'),
    Attempt("through proc", 'echo x > "/proc/self/root$out/$me"'),
    Attempt("through the cwd of proc", 'echo x > "/proc/self/cwd/../outside/$me"'),
    Attempt("bind mount", 'mkdir m; unshare -Urm sh -c "mount --bind $out m && echo x > m/$me"'),
    Attempt("move out", 'echo x > f; mv f "$out/$me"'),
    Attempt("hard link out", 'echo x > g; ln g "$out/$me"'),
    Attempt("make a folder", 'mkdir "$out/$me"'),
    Attempt("into the home folder", 'echo x > "$home/$me"'),
    Attempt("into the state", 'echo x > "$state/$me"'),
    Attempt("into tmp", 'mkdir -p "$tmp"; echo x > "$tmp/$me"'),
    Attempt("own hard link", 'ln "$out/$me" "h-$me"; echo x >> "h-$me"'),
    Attempt("own move in", 'mv "$out/$me" "m-$me"'),
    Attempt("own removal", 'rm -f "$out/$me"'),
    Attempt("own cut", 'python3 -c "import os,sys; os.truncate(sys.argv[1], 0)" "$out/$me"'),
    Attempt("own mode", 'chmod 666 "$out/$me"', ("landlock", "none")),
    Attempt("own times", 'touch -c -d 2001-01-01 "$out/$me"', ("landlock", "none")),
)

# Worked when loot/$me holds one of the secrets.
READS = (
    Attempt("home", 'cat "$home/key"'),
    Attempt("home by a link", 'ln -s "$home/key" k; cat k'),
    Attempt("home by a hard link", 'ln "$home/key" "h-$me"; cat "h-$me"'),
    Attempt("home by a path upwards", "cat ../home/key"),
    Attempt("home by proc", 'cat "/proc/self/root$home/key"'),
    Attempt("home by moving", 'mv "$home/spare" "m-$me"; cat "m-$me"'),
    Attempt("home by a loop over all", 'grep -rh . "$home" "$HOME" ~'),
    Attempt("state", 'cat "$state/planted" "$state"/sessions/*/journal.jsonl'),
    Attempt("own variables", "env; cat /proc/self/environ; cat /proc/$PPID/environ", ()),
    Attempt("everybody's variables", "cat /proc/[0-9]*/environ", ()),
    Attempt("the agent's variables", 'cat "/proc/$agent/environ"', ()),
    Attempt("the agent's memory", f'python3 -c "{_MEMORY}" "$agent"', ()),
    Attempt("the agent's files", "cat /proc/$agent/fd/*[0-9] & sleep 0.2; kill $!", ()),
    Attempt("dotenv", "cat .env", ("landlock", "none")),
    Attempt("dotenv by a link", "ln -s .env e; cat e", ("landlock", "none")),
    Attempt("dotenv by a hard link", 'ln .env "h-$me"; cat "h-$me"', ("landlock", "none")),
    Attempt(
        "dotenv by git", "git hash-object -w .env | xargs git cat-file -p", ("landlock", "none")
    ),
    Attempt("dotenv by proc", "cat /proc/self/cwd/.env", ("landlock", "none")),
    Attempt("dotenv by moving", 'mv sub/.env.local "m-$me"; cat "m-$me"', ("landlock", "none")),
)

# Worked when loot/$me says done.
POWERS = (
    Attempt("see the agent", 'test -n "$agent" && echo done', ("landlock", "none")),
    Attempt("signal the agent", 'kill -0 "$agent" && echo done'),
    Attempt("limit the agent", 'prlimit --pid "$agent" --nofile=999:999 && echo done'),
    Attempt("trace the agent", f'python3 -c "{_SEIZE}" "$agent" && echo done', ()),
    Attempt("make a user namespace", "unshare -Ur true && echo done"),
    Attempt("mount", "unshare -Urm mount -t tmpfs none . && echo done"),
    Attempt("open a terminal", "exec 3<> /dev/tty && echo done", ()),
    Attempt(
        "listen for others",
        'python3 -c "import socket; s = socket.socket();'
        " s.bind(('0.0.0.0', 0)); s.listen(); print('done')\"",
        ("bubblewrap", "none"),
    ),
    Attempt(
        "fill tmp",
        'fallocate -l 2G "$TMPDIR/fill" && echo done; rm -f "$TMPDIR/fill"',
        ("landlock", "none"),
    ),
    Attempt("take nearly all memory", f'python3 -c "{_GREED}" && echo done', ()),
    Attempt(
        "write a huge file",
        "head -c 1 /dev/zero | dd of=huge bs=1 seek=9G 2>&1 && echo done; rm -f huge",
        (),
    ),
)

# Worked when a listener outside heard $me.
SENDS = (
    Attempt("tcp", 'exec 3<>"/dev/tcp/127.0.0.1/$tcp"; echo "$me" >&3'),
    Attempt(
        "tcp of the model",
        'python3 -c "import urllib.request,sys;'
        ' urllib.request.urlopen(sys.argv[1])" "http://127.0.0.1:$model/$me"',
    ),
    Attempt("udp", 'echo "$me" > "/dev/udp/127.0.0.1/$udp"'),
    Attempt("unix socket", f'python3 -c "{_SEND}" unix "$out/stream" "$me"'),
    Attempt("unix socket in tmp", f'python3 -c "{_SEND}" unix "/tmp/$name" "$me"'),
    Attempt("abstract socket", f'python3 -c "{_SEND}" abstract "$name" "$me"'),
    Attempt("datagram by a pair", f'python3 -c "{_BY_PAIR}" "$out/datagrams" "$me"'),
    # Whoever listens in the workspace wants to be heard there: docs/cage.md says so.
    Attempt(
        "unix socket in the workspace",
        f'python3 -c "{_SEND}" unix here "$me"',
        ("bubblewrap", "none"),
    ),
)

# Worked when a process of that name is left; $sleeper is a program that runs by the name $me.
STAYS = (
    Attempt("in the background", '"${sleeper[@]}" &', ()),
    Attempt("nohup", 'nohup "${sleeper[@]}" & disown -a', ()),
    Attempt("setsid", 'setsid "${sleeper[@]}" & sleep 0', ()),
    Attempt("deaf", "trap '' TERM HUP INT QUIT; setsid \"${sleeper[@]}\" &", ()),
    Attempt("stopped", '"${sleeper[@]}" & kill -STOP $!', ()),
    Attempt("forked twice", f'python3 -c "{_FORK_TWICE}" "$me-$name"', ()),
    Attempt("as somebody's job", 'echo "sleep 300" | at now; (setsid nohup "${sleeper[@]}" &)', ()),
)

# Worked when the path in the workspace isn't as it was: name: path.
PLANTS = (
    Attempt(".git/hooks/post-commit", 'echo x > "$me"', ()),
    Attempt(".git/hooks/pre-push", 'mv .git .g; cp -r .g .git; echo x > "$me"', ()),
    Attempt(".git/config", 'git config alias.st "!id"', ("landlock", "none")),
    Attempt(".git/commondir", 'echo ../evil > "$me"', ()),
    Attempt(".bashrc", 'echo x > "$me"', ()),
    Attempt(".vscode/tasks.json", 'mkdir .vscode; echo x > "$me"', ()),
    Attempt(".idea/workspace.xml", 'mkdir .idea; echo x > "$me"', ()),
    Attempt(".mcp.json", 'ln -s f "$me"', ()),
    Attempt(".claude/settings.json", 'mkdir .claude; echo x > "$me"', ()),
    Attempt(".exrc", 'echo "!id" > "$me"', ()),
    Attempt(".config/fish/config.fish", 'mkdir -p .config/fish; echo x > "$me"', ()),
    Attempt("autoagent.toml", 'echo "max_steps = 1" > "$me"', ()),
    Attempt("kept.txt", 'echo x > "$me" || mv n "$me"', ("landlock", "none")),
)
