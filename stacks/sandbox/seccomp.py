"""The system calls that a program in the sandbox may not make, as a filter for the kernel.

A deny list on top of namespaces without privileges: what a review needs is most of Linux, what it
does not is the part where kernels had their holes (seccomp(2), Kernel documentation:
Seccomp BPF).
"""

from __future__ import annotations

import errno
import struct
from typing import Literal

Machine = Literal["x86_64", "aarch64"]

ARCHITECTURES: dict[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* of linux/audit.h."""

DENIED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "open_by_handle_at": (304, 265),
    "mknodat": (259, 33),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "acct": (163, 89),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "memfd_secret": (447, 447),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
}
"""Name -> number on x86-64 and on arm64 (syscall tables of the kernel)."""

MKNOD = 133
"""On x86-64 alone."""

CLONE, CLONE3 = (56, 220), (435, 435)
SOCKET, IOCTL = (41, 198), (16, 29)
NAMESPACES = 0x7E020080
"""CLONE_NEW*: namespaces in which a program would have privileges again."""

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that a network namespace confines. AF_VSOCK, which
reaches the host of a virtual machine, is none."""

TERMINAL = (0x5412, 0x541C)
"""TIOCSTI types into a terminal, TIOCLINUX pastes."""

SETSOCKOPT, SOL_SOCKET = (54, 208), 1
BUFFERS = (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF and what root has of them: with larger buffers, sockets hold what they carry
without counting as memory of any process."""

LOAD, EQUAL, GREATER, BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
X32 = 0x40000000
"""Bit of the calls of another ABI, which would go round the numbers above."""

NUMBER, ARCHITECTURE, FIRST, SECOND, THIRD = 0, 4, 16, 24, 32
"""Offsets in struct seccomp_data."""


def program(machine: str) -> bytes:
    """Instructions of classic BPF (struct sock_filter) for this machine; KeyError for another."""
    architecture = ARCHITECTURES[machine]
    column = 0 if machine == "x86_64" else 1
    refused = [numbers[column] for numbers in DENIED.values()]
    refused += [MKNOD] if machine == "x86_64" else []
    deny = ERRNO | errno.EPERM
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        code += [(GREATER, 0, 1, X32), (RETURN, 0, 0, deny)]
    for number in refused:
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, deny)]
    # its flags are behind a pointer, where no filter can look: the C library falls back to clone
    code += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    code += [
        (EQUAL, 0, 4, CLONE[column]),
        (LOAD, 0, 0, FIRST),
        (BITS, 0, 1, NAMESPACES),
        (RETURN, 0, 0, deny),
        (RETURN, 0, 0, ALLOW),
    ]
    code += _by_argument(column, deny)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _by_argument(column: int, deny: int) -> list[tuple[int, int, int, int]]:
    """Calls that are denied for what they ask: families of sockets, buffers, terminals."""
    code: list[tuple[int, int, int, int]] = []
    families = [(EQUAL, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
    code += [
        (EQUAL, 0, len(FAMILIES) + 3, SOCKET[column]),
        (LOAD, 0, 0, FIRST),
        *families,
        (RETURN, 0, 0, ERRNO | errno.EAFNOSUPPORT),
        (RETURN, 0, 0, ALLOW),
    ]
    options = [(EQUAL, len(BUFFERS) - place, 0, option) for place, option in enumerate(BUFFERS)]
    code += [
        (EQUAL, 0, len(BUFFERS) + 5, SETSOCKOPT[column]),
        (LOAD, 0, 0, SECOND),
        (EQUAL, 0, len(BUFFERS) + 1, SOL_SOCKET),
        (LOAD, 0, 0, THIRD),
        *options,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, deny),
    ]
    requests = [
        (EQUAL, len(TERMINAL) - place, 0, request) for place, request in enumerate(TERMINAL)
    ]
    code += [
        (EQUAL, 0, len(TERMINAL) + 3, IOCTL[column]),
        (LOAD, 0, 0, SECOND),
        *requests,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, deny),
        (RETURN, 0, 0, ALLOW),
    ]
    return code
