"""A filter of system calls, as the program that the kernel runs before each of them."""

import errno
import os
import struct
from collections.abc import Collection

from commands.sandbox.bounds import CageFault

# By x86_64 and aarch64 (the numbers of asm-generic); None where the architecture has no such
# call. What they have in common: no build, test or server needs them, and each either reaches
# into other processes or opens a part of the kernel that is made for root.
DENIED: dict[str, tuple[int, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # namespaces and mounts
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # programs in the kernel, and queues that pass this filter by
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # keys of the user
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    # long gone
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
}
# Where no namespaces keep the programs apart from the user's others.
SHARED: dict[str, tuple[int, int | None]] = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
# Those that depend on what is asked.
JUDGED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "ioctl": (16, 29),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "personality": (135, 92),
    "prlimit64": (302, 261),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000

_NAMESPACES = 0x7E020000  # CLONE_NEWNS, …CGROUP, …UTS, …IPC, …USER, …PID, …NET
_NEW_TIME = 0x80  # for unshare; in clone's flags it is part of the signal
_TERMINAL = (0x5412, 0x541C, 0x5423)  # TIOCSTI and TIOCLINUX type for the person; TIOCSETD
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # the last one only asks
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_FAMILIES = (_UNIX, _INET, _INET6)
_ROUTE = 0  # of NETLINK: what interfaces there are
_STREAM, _SEQUENCE = 1, 5
_SOCKET_TYPE = 0xF

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_FORBID = 0x00050000 | errno.EPERM
# The C library then does it in the old way, whose flags a filter can see.
_UNKNOWN = 0x00050000 | errno.ENOSYS

Instruction = tuple[int, int, int, int]
"""Code, steps to skip when true, when false, value."""
_DENY: list[Instruction] = [(_RETURN, 0, 0, _FORBID)]


def program(machine: str = "") -> bytes:
    """The filter for programs in namespaces of their own, as an array of `struct sock_filter`.

    What is denied gets EPERM. `machine` as `uname -m` says it, by default this one's;
    CageFault for an architecture whose numbers we don't know.
    """
    machine, column = _known(machine)
    return _assembled(machine, [*_denying(DENIED, column), *_judging(column, _FAMILIES)])


def lone_program(machine: str = "", *, network: bool) -> bytes:
    """The filter for programs beside the user's others, with nothing else to keep them apart.

    It denies what these share: Unix sockets but for connected pairs, shared memory,
    limits of other processes; and, without the network, the internet's sockets.
    """
    machine, column = _known(machine)
    others = [_argument(0), *_allow([0])]
    instructions = _denying(DENIED | SHARED, column)
    instructions += _when(JUDGED["prlimit64"][column], others)
    instructions += _judging(column, (_INET, _INET6) if network else ())
    return _assembled(machine, instructions)


def _known(machine: str) -> tuple[str, int]:
    machine = machine or os.uname().machine
    if machine not in _MACHINES:
        raise CageFault(f"There is no filter of system calls for {machine!r:.40}.")
    return machine, _MACHINES[machine][0]


def _assembled(machine: str, rules: list[Instruction]) -> bytes:
    """The rules behind a check that the numbers mean what they say."""
    instructions: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _MACHINES[machine][1]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":  # a second table of numbers for the same calls; -1 is in none
        instructions += _when(0xFFFFFFFF, [(_RETURN, 0, 0, _UNKNOWN)])
        instructions += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    instructions += [*rules, (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


def _denying(calls: dict[str, tuple[int, int | None]], column: int) -> list[Instruction]:
    numbers = (numbers[column] for numbers in calls.values())
    return [i for each in numbers if each is not None for i in _when(each, _DENY)]


def _judging(column: int, families: Collection[int]) -> list[Instruction]:
    number = {name: each[column] for name, each in JUDGED.items()}
    return [
        *_when(number["clone3"], [(_RETURN, 0, 0, _UNKNOWN)]),
        *_when(number["clone"], _forbid_bits(_NAMESPACES)),
        *_when(number["unshare"], _forbid_bits(_NAMESPACES | _NEW_TIME)),
        *_when(number["ioctl"], _forbid_values(1, _TERMINAL)),
        *_when(number["personality"], [_argument(0), *_allow(_PERSONALITIES)]),
        *_when(number["socket"], _sockets(families)),
        *_when(number["socketpair"], _pairs(families)),
    ]


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    """For the call of that number the block, which returns; for others nothing."""
    return [(_EQUAL, 0, len(block), number), *block]


def _argument(index: int) -> Instruction:
    """Load its lower half: the kernel takes these arguments as 32 bits, too."""
    return (_LOAD, 0, 0, 16 + 8 * index)


def _forbid_bits(bits: int) -> list[Instruction]:
    return [
        _argument(0),
        (_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, _FORBID),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _forbid_values(index: int, values: Collection[int]) -> list[Instruction]:
    found = [i for value in values for i in _when(value, _DENY)]
    return [_argument(index), *found, (_RETURN, 0, 0, _ALLOW)]


def _sockets(families: Collection[int]) -> list[Instruction]:
    return [_argument(0), *_when(_NETLINK, [_argument(2), *_allow([_ROUTE])]), *_allow(families)]


def _pairs(families: Collection[int]) -> list[Instruction]:
    """A connected stream leads nowhere else; a datagram socket could be sent anywhere."""
    if _UNIX in families:
        return [_argument(0), *_allow([_UNIX])]
    kinds: list[Instruction] = [_argument(1), (_AND, 0, 0, _SOCKET_TYPE)]
    return [_argument(0), *_when(_UNIX, [*kinds, *_allow([_STREAM, _SEQUENCE])]), *_allow([])]


def _allow(values: Collection[int]) -> list[Instruction]:
    """Allow what is loaded when it is one of the values."""
    return [
        *(i for value in values for i in _when(value, [(_RETURN, 0, 0, _ALLOW)])),
        (_RETURN, 0, 0, _FORBID),
    ]
