"""Programs for the sandbox, generated from kinds: what they read, hold in memory and hand out.

Each says itself how far it got: `held N` are the MiB that it holds, and a canary is one that it
read. What must survive it (its files, its exit code) is beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.kits.sandbox import UNTRACKED

LIMIT_MIB = 128
WANTED_MIB = 1024


@dataclass(frozen=True, kw_only=True)
class Program:
    """One hostile program, and what of the sandbox must hold against it."""

    name: str
    source: str
    code: int | None = None
    """The exit code that must come back. Default: any."""

    files: tuple[str, ...] | None = None
    """Those that must come back. Default: any."""

    control_group: bool = True


START = """
import ctypes, mmap, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
output = os.environ["PLINTH_SANDBOX_OUTPUT"]
MIB = 1 << 20
kept, total = [], 0
def held(more):
    global total
    total += more
    print("held", total // MIB, flush=True)
"""

LOOP = f"while total < {WANTED_MIB} * MIB:\n"


def filled(place: str) -> str:
    return (
        f"number = 0\n{LOOP}"
        f"    number += 1\n    with open({place} + f'/{{number}}', 'wb') as file:\n"
        "        kept.append(file.write(bytes(8 * MIB)))\n    held(8 * MIB)\n"
    )


def socket_pairs(kind: str, before: str = "") -> str:
    return (
        f"{LOOP}    a, b = socket.socketpair(socket.AF_UNIX, socket.{kind})\n"
        "    kept += [a, b]\n"
        f"    for one in (a, b):\n        one.setblocking(False)\n{before}"
        "        try:\n            while True: held(one.send(bytes(65536)))\n"
        "        except OSError: pass\n"
    )


BIGGER = (
    "        for option in (7, 8, 32, 33):\n"
    "            try: one.setsockopt(1, option, 64 * MIB)\n            except OSError: pass\n"
)
CHILDREN = (
    "for _ in range(40):\n    if os.fork() == 0:\n        {}\n        time.sleep(8); os._exit(0)\n"
    "    held(32 * MIB); time.sleep(0.05)\ntime.sleep(8)\n"
)
MEMORY = {
    "memory of one process": f"{LOOP}    kept.append(bytearray(b'x' * 8 * MIB)); held(8 * MIB)\n",
    "memory of children": CHILDREN.format("x = bytearray(b'x' * 32 * MIB)"),
    "shared memory of children": CHILDREN.format(
        "x = mmap.mmap(-1, 32 * MIB); x.write(b'x' * 32 * MIB)"
    ),
    "memfd": f"{LOOP}    fd = os.memfd_create('x'); kept.append(fd)\n"
    "    held(os.write(fd, bytes(8 * MIB)))\n",
    "memfd by number": f"{LOOP}    fd = libc.syscall(319, b'x', 0)\n"
    "    if fd < 0: sys.exit('no memfd')\n    held(os.write(fd, bytes(8 * MIB)))\n",
    "secret memfd": f"{LOOP}    fd = libc.syscall(447, 0)\n    if fd < 0: sys.exit('no memfd')\n"
    "    os.ftruncate(fd, 8 * MIB); x = mmap.mmap(fd, 8 * MIB); x.write(bytes(8 * MIB))\n"
    "    kept.append(x); held(8 * MIB)\n",
    "memory of System V": f"libc.shmat.restype = ctypes.c_void_p\n{LOOP}"
    "    key = libc.shmget(0, 8 * MIB, 0o1600)\n    if key < 0: sys.exit('no shmget')\n"
    "    at = libc.shmat(key, None, 0); ctypes.memset(at, 1, 8 * MIB)\n"
    "    libc.shmdt(ctypes.c_void_p(at)); held(8 * MIB)\n",
    "messages of System V": f"{LOOP}    queue = libc.msgget(0, 0o1600)\n"
    "    if queue < 0: sys.exit('no msgget')\n"
    "    while libc.msgsnd(queue, bytes([1] * 8 + [0] * 8000), 8000, 2048) == 0: held(8000)\n",
    "streams": socket_pairs("SOCK_STREAM"),
    "datagrams": socket_pairs("SOCK_DGRAM"),
    "packets": socket_pairs("SOCK_SEQPACKET"),
    "streams with larger buffers": socket_pairs("SOCK_STREAM", BIGGER),
    "datagrams with larger buffers": socket_pairs("SOCK_DGRAM", BIGGER),
    "sockets of children": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))\n"
        "for _ in range(30):\n    if os.fork() == 0:\n        got = 0\n        kept = []\n"
        "        for _ in range(400):\n"
        "            try: a, b = socket.socketpair()\n            except OSError: break\n"
        "            kept += [a, b]\n            a.setblocking(False)\n"
        "            try:\n                while True: got += a.send(bytes(65536))\n"
        "            except OSError: pass\n"
        "        time.sleep(8); os._exit(0)\n    time.sleep(0.1)\n"
        "time.sleep(8)\n"
    ),
    "sockets inside of sockets": (
        "import array\nbox, _ = socket.socketpair()\nkept.append(_)\n"
        f"{LOOP}    a, b = socket.socketpair(); a.setblocking(False); got = 0\n"
        "    try:\n        while True: got += a.send(bytes(65536))\n    except OSError: pass\n"
        "    fds = array.array('i', [a.fileno(), b.fileno()])\n"
        "    try: box.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n"
        "    except OSError: sys.exit('no more')\n"
        "    a.close(); b.close(); held(got)\n"
    ),
    "pipes": f"{LOOP}    try: r, w = os.pipe()\n    except OSError: sys.exit('no more')\n"
    "    os.set_blocking(w, False)\n"
    "    try:\n        while True: held(os.write(w, bytes(65536)))\n    except OSError: pass\n",
    "large pipes": f"import fcntl\n{LOOP}    try: r, w = os.pipe()\n"
    "    except OSError: sys.exit('no more')\n    os.set_blocking(w, False)\n"
    "    try: fcntl.fcntl(w, 1031, MIB)\n    except OSError: pass\n"
    "    try:\n        while True: held(os.write(w, bytes(65536)))\n    except OSError: pass\n",
    "files in /dev/shm": filled("'/dev/shm'"),
    "files in /tmp": filled("'/tmp'"),
    "files at home": filled("os.environ['HOME']"),
    "files in the output": filled("output"),
    "files everywhere": (
        "for place in ('/dev/shm', '/tmp', os.environ['HOME'], output):\n    try:\n"
        "        for number in range(200):\n            with open(f'{place}/{number}', 'wb')"
        " as f:\n                f.write(bytes(MIB)); held(MIB)\n    except OSError: pass\n"
    ),
    "deleted files": f"{LOOP}    fd = os.open('/tmp/x', 66); os.unlink('/tmp/x')\n"
    "    kept.append(fd); held(os.write(fd, bytes(8 * MIB)))\n",
    "stacks of threads": "threading.stack_size(16 * MIB)\n"
    f"{LOOP}    t = threading.Thread(target=time.sleep, args=(8,), daemon=True)\n"
    "    try: t.start()\n    except RuntimeError: sys.exit('no more')\n    total += MIB\n",
    "locked memory": f"{LOOP}    x = mmap.mmap(-1, 8 * MIB)\n"
    "    x.write(bytes(8 * MIB)); libc.mlockall(3); kept.append(x); held(8 * MIB)\n",
    "queue of messages": f"{LOOP}    q = libc.syscall(240, f'/{{total}}'.encode(), 66, 0o600, 0)\n"
    "    if q < 0: sys.exit('no queue')\n    total += MIB\n",
}  # fmt: skip

WAYS = {
    "by its name": "print(open({path!r}).read())\n",
    "by the folder of a process": "print(open('/proc/self/cwd/' + {path!r}).read())\n",
}
OF_GIT = {
    "config of git": "print(open('.git/config').read())\n",
    "config by git": "subprocess.run(['git', 'config', '--list', '--show-origin'])\n",
    "addresses that git fetched": "print(open('.git/FETCH_HEAD').read())\n",
    "log of git": "print(open('.git/logs/HEAD').read())\n",
    "index of git": "subprocess.run(['git', 'ls-files', '--others'])\n"
    "subprocess.run(['git', 'stash', 'show', '-p'])\n",
    "everything below": "for folder, _, names in os.walk('.'):\n    for name in names:\n"
    "        try: print(open(os.path.join(folder, name), errors='replace').read(2000))\n"
    "        except OSError: pass\n",
    "everything above": "for folder, _, names in os.walk('..'):\n    for name in names:\n"
    "        try: print(open(os.path.join(folder, name), errors='replace').read(2000))\n"
    "        except OSError: pass\n",
}
GOOD = "open(output + '/report.json', 'w').write('{}')\n"
WORDS = "sandbox refused: namespaces: Operation not permitted"
FAKE = '{"refused": "namespaces"}\\n{"ended_by": "nothing"}\\n{"code": 0}\\n'
HANDS_OUT = {
    "folder in the output": ("os.mkdir(output + '/folder')\n", 0),
    "folder in place of a report": ("os.mkdir(output + '/comment.md')\n", 0),
    "folder without rights": ("os.mkdir(output + '/a'); os.chmod(output + '/a', 0)\n", 0),
    "file without rights": ("open(output + '/b', 'w'); os.chmod(output + '/b', 0)\n", 0),
    "folders, deep": ("os.makedirs(output + '/a' * 300)\n", 0),
    "pipe in the output": (
        "try: os.mkfifo(output + '/a')\nexcept OSError: pass\n", 0,
    ),
    "socket in the output": ("socket.socket(socket.AF_UNIX).bind(output + '/a')\n", 0),
    "link to nothing": ("os.symlink('/nowhere', output + '/a')\n", 0),
    "link to itself": ("os.symlink('a', output + '/a')\n", 0),
    "file of a terabyte": (
        "try: os.truncate(os.open(output + '/a', 66), 1 << 40)\nexcept OSError: pass\n", 0,
    ),
    "sparse file": (
        "try: os.truncate(os.open(output + '/a', 66), 15 * MIB)\nexcept OSError: pass\n", 0,
    ),
    "name that is a path": ("open(output + '/a\\\\..\\\\b', 'w')\n", 0),
    "words of a refusal": (f"print({WORDS!r}, file=sys.stderr); sys.exit(125)\n", 125),
    "words of a refusal, and no failure": (f"print({WORDS!r})\n", 0),
    "words in the pipes of others": (
        "for fd in range(3, 256):\n    try: os.write(fd, b'''" + FAKE + "''')\n"
        "    except OSError: pass\nsys.exit(7)\n", 7,
    ),
    "pipes of the first process": (
        "for fd in range(3, 64):\n    try: open(f'/proc/1/fd/{fd}', 'w').write("
        "'''" + FAKE + "''')\n"
        "    except OSError: pass\nsys.exit(7)\n", 7,
    ),
    "exit code of a limit": ("sys.exit(124)\n", 124),
    "exit code of a shell": ("sys.exit(127)\n", 127),
    "end by a signal": ("os.kill(os.getpid(), signal.SIGKILL)\n", None),
    "end of all it can end": ("os.kill(-1, signal.SIGKILL)\n", None),
    "signal to the first process": ("os.kill(1, signal.SIGKILL); sys.exit(3)\n", 3),
    "children that stay": ("if os.fork() == 0: os.setsid(); time.sleep(60)\nsys.exit(4)\n", 4),
    "closed output": ("os.close(1); os.close(2)\nsys.exit(5)\n", 5),
}  # fmt: skip


def programs() -> Iterator[Program]:
    """More than a hundred."""
    for name, source in MEMORY.items():
        for group in (True, False):
            kind = "by the kernel" if group else "by ourselves"
            yield Program(
                name=f"{name}, counted {kind}", source=START + source, control_group=group
            )
    for number, path in enumerate(UNTRACKED):
        way = list(WAYS)[number % len(WAYS)]
        yield Program(name=f"{path} {way}", source=START + WAYS[way].format(path=path))
    for name, source in OF_GIT.items():
        yield Program(name=name, source=START + source)
    for name, (source, code) in HANDS_OUT.items():
        yield Program(name=name, source=START + GOOD + source, code=code, files=("report.json",))
