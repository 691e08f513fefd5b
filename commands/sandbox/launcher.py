"""A program of its own: takes rights away from itself by Landlock and seccomp, then runs another.

`python -I -S launcher.py SPEC PROGRAM ARGUMENT…`; SPEC is JSON: `abi` of Landlock (0: none),
`files` and `net` (the rights that it rules), `scopes`, `rules` ([path, rights] each), `filter`
(the seccomp program in hexadecimal). It ends with 126 and a line that begins with `landlock: `
when a right could not be taken away, with 127 when there is no such program. It imports
nothing of ours, to start fast.
"""

import ctypes
import json
import os
import struct
import sys

FAILED = "landlock: "
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on all architectures
_PATH_BENEATH = 1
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 22, 24, 38
_SECCOMP_FILTER = 2
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_3 = 0x20080522
_MOST_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def main(spec: str, argv: list[str]) -> int:
    """Never returns when all went well."""
    wanted = json.loads(spec)
    try:
        _drop_capabilities()
        _called("no_new_privs", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        if wanted["abi"]:
            _confine(wanted)
        _filter(bytes.fromhex(wanted["filter"]))
    except OSError as error:
        sys.stderr.write(f"{FAILED}{error.filename or ''} {error.strerror}\n")
        return 126
    try:
        os.execvp(argv[0], argv)  # noqa: S606 (running what it is given is its task)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127


def _drop_capabilities() -> None:
    """Root is then an ordinary user who owns root's files; for others nothing changes."""
    if os.getuid() == 0:
        for each in range(_MOST_CAPABILITIES):
            if _libc.prctl(_PR_CAPBSET_DROP, each, 0, 0, 0) != 0:
                break  # the kernel has no more of them
        header, none = struct.pack("=II", _CAPABILITIES_3, 0), bytes(24)
        number = _CAPSET.get(os.uname().machine)
        if number is not None:
            _called("capset", _libc.syscall(number, header, none))


def _confine(wanted: dict) -> None:  # type: ignore[type-arg]
    fields = [wanted["files"], wanted["net"], wanted["scopes"]]
    # A kernel knows only the fields of its version.
    size = 8 if wanted["abi"] < 4 else 16 if wanted["abi"] < 6 else 24
    ruled = struct.pack("=QQQ", *fields)[:size]
    rules = _called("ruleset", _libc.syscall(_CREATE, ruled, ctypes.c_size_t(size), 0))
    for path, rights in wanted["rules"]:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # went away since; there is nothing left to allow
        rule = struct.pack("=Qi", rights, place)
        _called(path, _libc.syscall(_ADD, rules, _PATH_BENEATH, rule, 0))
        os.close(place)
    _called("restrict", _libc.syscall(_RESTRICT, rules, 0))
    os.close(rules)


def _filter(program: bytes) -> None:
    memory = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions of 8 bytes, and where they are
    told = struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
    _called("seccomp", _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, told, 0, 0))


def _called(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
