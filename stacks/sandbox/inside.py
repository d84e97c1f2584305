"""Builds the sandbox around itself and runs one program in it: the first process in there.

Run as `python -I inside.py FD`, where FD is a pipe with what `stacks.sandbox` decided. It imports
nothing of the repository and trusts nothing that the program could have written. What it has to
say itself (the kernel does not allow it, a limit was reached, the exit code) goes over a pipe that
the program never has.
"""

# between fork and exec, with descriptors: system calls by their own names
# ruff: noqa: PTH208, PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import stat
import sys
import tarfile
import time
from typing import Any, BinaryIO, NoReturn

Spec = dict[str, Any]

LIBC = ctypes.CDLL(None, use_errno=True)
REFUSED = 125
OVER_LIMIT = 124
LONGEST_POLL_SECONDS, SHORTEST_POLL_SECONDS = 0.05, 0.001
FILLS_BYTES_PER_SECOND = 8 << 30
"""No program fills memory faster; the less is left, the sooner it is looked at again."""

NEW_NS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET, NEW_CGROUP = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x2000000,
)  # fmt: skip
READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND, RECURSIVE, PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
DETACH = 2
PR_DEATH_SIGNAL, PR_DUMPABLE, PR_SECCOMP, PR_DROP_BOUND, PR_NO_NEW_PRIVILEGES = 1, 4, 22, 24, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
KEYCTL, JOIN_SESSION = {"x86_64": 250, "aarch64": 219}, 1
CAPABILITIES = 41
UID = 1000
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
SETTINGS = ("ssl", "alternatives", "ld.so.cache", "ld.so.conf", "localtime", "mime.types")
"""What a program needs of /etc; not the host's names, users or secrets."""

NEW_ROOT = "/tmp"


class Refused(Exception):
    """The kernel does not allow a part of the sandbox."""


def checked(what: str, result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise Refused(f"{what}: {os.strerror(number)}")


def mount(
    source: str | None,
    target: str,
    kind: str | None = None,
    flags: int = 0,
    data: str | None = None,
) -> None:
    def raw(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    done = LIBC.mount(raw(source), raw(target), raw(kind), ctypes.c_ulong(flags), raw(data))
    checked(f"mount {kind or 'bind'} on {target}", done)


def locked_flags(path: str) -> int:
    """Flags of the mount below: one without privileges may not clear them."""
    found, flags = os.statvfs(path).f_flag, 0
    for seen, flag in ((os.ST_NOSUID, NO_SUID), (os.ST_NODEV, NO_DEV), (os.ST_NOEXEC, NO_EXEC)):
        flags |= flag if found & seen else 0
    return flags


def bind(source: str, target: str, extra: int = NO_SUID | NO_DEV) -> None:
    """Show a file or folder of outside, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    mount(source, target, flags=BIND)
    mount(None, target, flags=BIND | REMOUNT | READ_ONLY | extra | locked_flags(target))


def tmpfs(target: str, mib: int, mode: str = "0755", extra: int = 0) -> None:
    os.makedirs(target, exist_ok=True)
    flags = NO_SUID | NO_DEV | extra
    mount("tmpfs", target, "tmpfs", flags, f"size={mib}m,mode={mode},nr_inodes=65536")


def enter(spec: Spec) -> None:
    """Namespaces of our own; in them, this process may build the sandbox."""
    user, group = os.getuid(), os.getgid()
    if spec["become"] is not None:
        user = group = spec["become"]
        stage(spec)
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
        LIBC.prctl(PR_DUMPABLE, 1, 0, 0, 0)  # or its own /proc would be closed to it
    spaces = NEW_USER | NEW_NS | NEW_PID | NEW_NET | NEW_IPC | NEW_UTS | NEW_CGROUP
    checked("namespaces", LIBC.unshare(spaces))
    for name, text in (
        ("setgroups", "deny"), ("uid_map", f"{UID} {user} 1"), ("gid_map", f"{UID} {group} 1"),
    ):  # fmt: skip
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def stage(spec: Spec) -> None:
    """As root: put what is shown where nobody may go, for its parents may be closed."""
    checked("mounts", LIBC.unshare(NEW_NS))
    mount(None, "/", flags=RECURSIVE | PRIVATE)
    held = [(path, os.open(source, os.O_PATH)) for path, source in spec["shown"]]
    tmpfs(NEW_ROOT, 1)
    for _, fd in held:
        bind(f"/proc/self/fd/{fd}", f"{NEW_ROOT}/{fd}")
        os.close(fd)
    spec["shown"] = [(path, f"{NEW_ROOT}/{fd}") for path, fd in held]


def build(spec: Spec) -> None:
    """A root of its own: the system and the checkout to read, small places to write."""
    mount(None, "/", flags=RECURSIVE | PRIVATE)
    held = [(path, os.open(source, os.O_PATH)) for path, source in spec["shown"]]
    new = NEW_ROOT
    tmpfs(new, 1)
    system(new)
    tmpfs(f"{new}/dev/shm", spec["tmp_mib"], "1777", NO_EXEC)
    tmpfs(f"{new}/tmp", spec["tmp_mib"], "1777")
    tmpfs(new + spec["home"], spec["tmp_mib"], "0700")
    for path, fd in held:
        bind(f"/proc/self/fd/{fd}", new + path)
        os.close(fd)
    tmpfs(new + spec["output"], spec["output_mib"], "0700", NO_EXEC)
    processes(f"{new}/proc")
    os.chdir(new)
    checked("pivot_root", LIBC.syscall(PIVOT_ROOT[spec["machine"]], b".", b"."))
    checked("leaving the old root", LIBC.umount2(b".", DETACH))
    os.chdir("/")
    mount(None, "/", flags=BIND | REMOUNT | READ_ONLY | NO_SUID | NO_DEV)


def system(new: str) -> None:
    """The programs and libraries of the machine, and devices that do nothing."""
    for name in SYSTEM:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{new}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{new}/{name}")
    for name in SETTINGS:
        if os.path.exists(f"/etc/{name}"):
            bind(f"/etc/{name}", f"{new}/etc/{name}")
    for name in DEVICES:
        bind(f"/dev/{name}", f"{new}/dev/{name}", NO_SUID)


def processes(folder: str) -> None:
    """/proc of the new process namespace, without what concerns the machine."""
    flags = NO_SUID | NO_DEV | NO_EXEC
    os.makedirs(folder)
    mount("proc", folder, "proc", flags)
    for name in ("sys", "acpi", "scsi", "bus", "fs", "irq"):
        if os.path.isdir(f"{folder}/{name}"):
            mount(f"{folder}/{name}", f"{folder}/{name}", flags=BIND)
            mount(None, f"{folder}/{name}", flags=BIND | REMOUNT | READ_ONLY | flags)
    for name in ("kcore", "keys", "key-users", "timer_list", "sysrq-trigger", "kallsyms"):
        if os.path.exists(f"{folder}/{name}"):
            mount("/dev/null", f"{folder}/{name}", flags=BIND)


def restrict(spec: Spec) -> None:
    """Give up every privilege for good, and bound what the program may use."""
    os.setsid()
    LIBC.syscall(KEYCTL[spec["machine"]], JOIN_SESSION, None)
    for name, value in spec["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (bound, bound))
    for number in range(CAPABILITIES):
        LIBC.prctl(PR_DROP_BOUND, number, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    checked("capset", LIBC.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())))
    checked("no_new_privs", LIBC.prctl(PR_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    code = bytes.fromhex(spec["seccomp"])
    held = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    wanted = Program(len(code) // 8, ctypes.addressof(held))
    checked("seccomp", LIBC.prctl(PR_SECCOMP, 2, ctypes.byref(wanted), 0, 0))


def collect(folder: str, stream: BinaryIO, spec: Spec) -> None:
    """The plain files of the output folder as a tar; links, devices and hidden ones stay."""
    room, count = spec["output_mib"] << 20, spec["output_files"]
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        for entry in sorted(os.scandir(folder), key=lambda item: item.name)[:count]:
            try:
                fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_size > room:
                os.close(fd)
                continue
            room -= seen.st_size
            with open(fd, "rb") as file:
                item = tarfile.TarInfo(entry.name)
                item.size = seen.st_size
                tar.addfile(item, file)


def tell(fd: int, **what: Any) -> None:
    """One line to the process outside."""
    os.write(fd, json.dumps(what).encode() + b"\n")


def held_bytes(spec: Spec) -> tuple[int, int]:
    """What everybody in here holds in memory, and how many files are open.

    Memory of processes, files in memory, and what sockets may hold at most: with the buffers that
    they begin with, which none may make larger. Pipes are bounded by the kernel for each user.
    """
    held = files = 0
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or pid == "1":
            continue
        try:
            with open(f"/proc/{pid}/status") as file:
                for line in file:
                    if line.startswith(("VmRSS:", "VmSwap:")):
                        held += int(line.split()[1]) << 10
            files += len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, ValueError):
            continue
    for name in ("unix", "netlink"):
        with open(f"/proc/net/{name}") as file:
            held += (sum(1 for _ in file) - 1) * spec["socket_bytes"]
    for folder in ("/tmp", "/dev/shm", spec["home"], spec["output"]):
        room = os.statvfs(folder)
        held += (room.f_blocks - room.f_bfree) * room.f_frsize
    return held, files


def over(spec: Spec) -> tuple[str, float]:
    """The limit that is exceeded, empty where none is; and in how many seconds to look again."""
    held, files = held_bytes(spec)
    left = (spec["memory_mib"] << 20) - held
    if left < 0:
        return f"{spec['memory_mib']} MiB of memory", 0
    pause = max(SHORTEST_POLL_SECONDS, left / FILLS_BYTES_PER_SECOND)
    limit = f"{spec['files']} open files" if files > spec["files"] else ""
    return limit, min(LONGEST_POLL_SECONDS, pause)


def program(spec: Spec, told: int) -> NoReturn:
    """The program itself, with nothing left to give up."""
    os.closerange(3, told)
    os.closerange(told + 1, 4096)
    os.set_inheritable(told, False)
    try:
        restrict(spec)
        os.chdir(spec["cwd"])
        os.execvpe(spec["command"][0], spec["command"], spec["environment"])
    except Refused as error:
        tell(told, refused=str(error))
        os._exit(REFUSED)
    except OSError as error:
        sys.stderr.write(f"{spec['command'][0]}: {error.strerror}\n")
    os._exit(127)


def waited(child: int, spec: Spec, told: int) -> int:
    """Wait for the program, and count what it holds meanwhile; its exit code."""
    while True:
        done, status = os.waitpid(-1, os.WNOHANG)
        if done == child:
            return os.waitstatus_to_exitcode(status) & 0xFF
        if done == 0:
            limit, pause_seconds = over(spec)
            if limit:
                tell(told, ended_by=limit)
                return OVER_LIMIT
            time.sleep(pause_seconds)


def first_process(spec: Spec, result_fd: int, told: int) -> NoReturn:
    """Process 1 in there: builds, starts the program, waits, kills the rest, hands files out."""
    LIBC.prctl(PR_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # short of memory, the kernel ends these first
    build(spec)
    LIBC.prctl(PR_DUMPABLE, 0, 0, 0, 0)  # nobody in there reads this process
    child = os.fork()
    if child == 0:
        program(spec, told)
    code = waited(child, spec, told)
    try:
        os.kill(-1, signal.SIGKILL)  # everybody in here but this process
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    with open(result_fd, "wb") as stream:
        collect(spec["output"], stream, spec)
    tell(told, code=code)
    os._exit(code)


def main() -> NoReturn:
    with open(int(sys.argv[1]), "rb") as file:
        spec = json.load(file)
    result_fd, told = spec["result_fd"], spec["told_fd"]
    LIBC.prctl(PR_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    try:
        enter(spec)
        # the death signal is lost with the change of user
        LIBC.prctl(PR_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        child = os.fork()
        if child == 0:
            try:
                first_process(spec, result_fd, told)
            except (Refused, OSError) as error:
                tell(told, refused=str(error))
                os._exit(REFUSED)
    except (Refused, OSError) as error:
        tell(told, refused=str(error))
        os._exit(REFUSED)
    os.close(result_fd)
    os.close(told)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
