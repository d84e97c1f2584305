"""The way into a 'container': mounts that only this program sees, then the program itself.

Run by `unshare` with a mount namespace of its own, and by nothing but the standard library. What a
job may write is its folder, which also is its /opt/ml and its /tmp, and new names in /lib; the rest
of the machine is read-only, what the local cloud keeps is hidden but for that folder, and the
privileges with which that could be undone are given up.
"""

import argparse
import ctypes
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16_384
MNT_DETACH = 2
"""mount(2) and umount(2); the first four are also what statvfs(3) says."""

STAYS = MS_NOSUID | MS_NODEV | MS_NOEXEC
"""Flags that a bind mount must keep: a user namespace may not drop them."""

OPT_ML = Path("/opt/ml")
LIBRARIES = Path("/lib").resolve()
"""What the SDK's ModelBuilder writes for an InferenceSpec copies shared libraries there."""

TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
HOSTS = Path("/etc/hosts")
SHARED_MEMORY = Path("/dev/shm")
DEVICES = (Path("/dev"), Path("/proc"))
"""What stays writable: the machine's devices, and the namespace's own processes."""

KERNEL = (Path("/proc/sys"), Path("/proc/sysrq-trigger"))

CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31})
"""What Docker gives a container, but for mknod: chown, dac_override, fowner, fsetid, kill, setgid,
setuid, setpcap, net_bind_service, net_raw, sys_chroot, audit_write, setfcap (capabilities(7))."""

PR_CAPBSET_DROP = 24
LAST_CAPABILITY = 63

INIT = '"$@"; exit $?'
"""The first process: it buries what the program leaves behind, and ends with its status."""

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Make the mounts and become the program."""
    arguments = _parser().parse_args()
    folder: Path = arguments.folder
    kept: list[Path] = [path for path in arguments.keep if path.is_dir()]
    names = [arguments.hosts] if arguments.hosts else []
    where = {path: _handle(path) for path in (folder, folder / "tmp", *kept, *names)}
    _own_opt_ml(folder / "ml", folder / "opt")
    _open_up(LIBRARIES, folder / "lib")
    for place in TEMPORARY:
        if place.is_dir():
            mount(where[folder / "tmp"], place, MS_BIND)
    for path in kept:
        if any(path.is_relative_to(place) for place in TEMPORARY):
            path.mkdir(parents=True, exist_ok=True)
            mount(where[path], path, MS_BIND | MS_REC)
    for path in names:
        mount(where[path], HOSTS, MS_BIND)
    arguments.hide.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", arguments.hide, filesystem="tmpfs")
    folder.mkdir(parents=True, exist_ok=True)
    mount(where[folder], folder, MS_BIND)
    if SHARED_MEMORY.is_dir():
        mount("tmpfs", SHARED_MEMORY, filesystem="tmpfs")
    _read_only((folder, OPT_ML, LIBRARIES, *TEMPORARY))
    writable = [path for path in (Path("/"), arguments.hide, *kept) if _is_writable(path)]
    if writable:
        sys.exit(f"cannot be made read-only: {', '.join(map(str, writable))}")
    os.chdir(folder)  # where it stood is the folder as it lies outside
    _give_up_privileges()
    os.execv("/bin/sh", ["/bin/sh", "-c", INIT, "sh", *arguments.command])


def _handle(path: Path) -> Path:
    """A name of a folder that stays when something is mounted above it."""
    return Path(f"/proc/self/fd/{os.open(path, os.O_PATH)}")


def mount(
    source: Path | str, target: Path, flags: int = 0, *, filesystem: str | None = None
) -> None:
    """mount(2); OSError where the kernel refuses."""
    kind = filesystem.encode() if filesystem else None
    if libc.mount(os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), None):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {source}: {os.strerror(code)}", str(target))


def _own_opt_ml(ml: Path, hold: Path) -> None:
    """Bind `ml` as /opt/ml."""
    if not OPT_ML.is_dir():
        _open_up(OPT_ML.parent, hold)
        OPT_ML.mkdir()
    mount(ml, OPT_ML, MS_BIND | MS_REC)


def _open_up(place: Path, hold: Path) -> None:
    """Let new entries be made in a folder: what it has is bound, entry by entry, into a new one."""
    mount(place, hold, MS_BIND | MS_REC)
    mount("tmpfs", place, filesystem="tmpfs")
    for entry in hold.iterdir():
        target = place / entry.name
        if entry.is_symlink():
            target.symlink_to(entry.readlink())
            continue
        if entry.is_dir():
            target.mkdir()
        else:
            target.touch()
        mount(entry, target, MS_BIND | MS_REC)
    libc.umount2(os.fsencode(hold), MNT_DETACH)


def _read_only(writable: Sequence[Path]) -> None:
    """Make every mount read-only but these and the devices; cover disks, which lie below mounts."""
    for entry in DEVICES[0].iterdir():
        if stat.S_ISBLK(entry.lstat().st_mode):
            mount(os.devnull, entry, MS_BIND)
    for path in KERNEL:
        with suppress(OSError):  # not mounted here, or not ours to change: then not writable either
            mount(path, path, MS_BIND)
            mount("none", path, MS_BIND | MS_REMOUNT | MS_RDONLY)
    for path in _mounts():
        if path in writable or any(path.is_relative_to(place) for place in DEVICES):
            continue
        with suppress(OSError):  # hidden below another mount; what matters is looked at afterwards
            flags = os.statvfs(path).f_flag & STAYS
            mount("none", path, MS_BIND | MS_REMOUNT | MS_RDONLY | flags)


def _mounts() -> Iterator[Path]:
    """Where something is mounted (proc(5), mountinfo: the fifth field, blanks in octal)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4]))


def _is_writable(path: Path) -> bool:
    return not os.statvfs(path).f_flag & MS_RDONLY


def _give_up_privileges() -> None:
    """Drop from the bounding set what a container has not; execve(2) takes it away."""
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="of the job: ml, opt and tmp lie in it")
    add("--hide", type=Path, required=True, help="what of the local cloud nobody sees")
    add("--keep", type=Path, action="append", default=[], help="stays visible, read-only")
    add("--hosts", type=Path, help="names of machines. Default: those of this machine")
    parser.add_argument("command", nargs="+")
    return parser


if __name__ == "__main__":
    main()
