"""The sandbox against programs that steal, reach out, break and lie; none of them succeeds."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.errors import UserError
from stacks.sandbox import run as sandbox
from stacks.sandbox import seccomp
from stacks.sandbox.run import Outcome, SandboxLimits, printable, run
from tests.conftest import HANGS_SECONDS
from tests.drills.sandbox import tried
from tests.kits.hostile_programs import LIMIT_MIB, Program, programs
from tests.kits.sandbox import CANARY, UNTRACKED, World, commit, git, world

HOSTILE = {path.stem: path for path in sorted((Path(__file__).parents[1] / "hostile").glob("*.py"))}
WALL_SECONDS = 30
SHORT = {"sleep": 3, "stubborn": 3}
"""Programs that only a limit of time ends."""

BOUNDS = SandboxLimits(
    wall_seconds=WALL_SECONDS,
    memory_mib=256,
    processes=64,
    tmp_mib=16,
    output_mib=4,
    text_kib=64,
)
WORKS_OUTSIDE = (
    "abstract_socket", "bytecode", "credentials_file", "daemon", "dns", "environment",
    "environment_of_parent", "git_config_command", "git_hook", "git_token", "hidden_by_link",
    "host_files", "http_request", "kill", "kill_group", "lock_file_rename", "lock_file_swap",
    "loopback_up", "memory_of_another_process", "metadata_address", "other_environments",
    "pth_file", "root_of_another_process", "shared_memory", "shell_profile", "sitecustomize",
    "ssh_key", "state_of_plinth_home", "state_read", "state_write", "tcp_by_address",
    "tcp_loopback", "traversal_in_output", "unix_socket", "workflow_change",
    "working_folder_of_another_process",
)  # fmt: skip
"""Attacks that a test may let succeed: what they harm is the world that was made for them."""

BROKEN = re.compile(r"(?:Syntax|Name|Key|Attribute|Import|ModuleNotFound|Type)Error")


def attacked(name: str, there: World) -> Outcome:
    shutil.copy(HOSTILE[name], there.repository / "change.py")
    commit(there.repository, "change.py")
    there.before = there.snapshot()
    limits = SandboxLimits(**{**vars(BOUNDS), "wall_seconds": SHORT.get(name, WALL_SECONDS)})
    return run(
        ["python", "change.py", there.described(sandboxed=True)],
        repository=there.repository,
        output=there.output,
        limits=limits,
    )


def left_over(there: World) -> list[str]:
    """Processes that still work for the program."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "change.py" in words and any(str(there.root) in word for word in words):
            found.append(" ".join(words)[:80])
    return found


def test_there_are_at_least_forty_hostile_programs() -> None:
    assert len(HOSTILE) >= 40
    assert set(WORKS_OUTSIDE) <= HOSTILE.keys()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_gets_nothing_reaches_nobody_and_breaks_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    started = time.monotonic()
    with world() as there:
        done = attacked(name, there)
        assert left_over(there) == []
        if name == "daemon":
            time.sleep(1.5)
        assert there.harm(done.text) == []
        assert there.unsafe_output() == []
        assert sum(path.stat().st_size for path in there.output.iterdir()) <= 4 << 20
    assert not BROKEN.search(done.text), done.text
    assert time.monotonic() - started < WALL_SECONDS + 15
    assert len(done.text) <= 3 * (64 << 10)
    lines = done.text.split("\n")
    assert all(line.startswith(("| ", "(")) for line in lines[:-1])
    assert "##[" not in done.text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", done.text)


@pytest.mark.parametrize("name", WORKS_OUTSIDE)
def test_the_attack_works_where_there_is_no_sandbox(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its failure in the sandbox would say nothing."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    with world() as there:
        done = subprocess.run(
            [sys.executable, HOSTILE[name], there.described(sandboxed=False)],
            cwd=there.repository,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        deadline = time.monotonic() + HANGS_SECONDS
        while not (harm := there.harm((done.stdout + done.stderr).decode(errors="replace"))):
            assert time.monotonic() < deadline, done.stderr[-500:]
            time.sleep(0.05)
        assert harm


LASTING = [
    program
    for program in programs()
    if program.files is not None or program.name.startswith(("memfd", "secret", "memory of System"))
]
"""Of the generated programs, which the drill runs, those whose outcome hangs on no clock."""


@pytest.mark.parametrize("program", LASTING, ids=lambda program: program.name)
def test_a_generated_program_loses_no_result_and_holds_no_hidden_memory(program: Program) -> None:
    assert tried(program).harm == ()


def test_there_are_at_least_a_hundred_generated_programs() -> None:
    assert len({program.name for program in programs()}) >= 100


@pytest.mark.parametrize("control_group", [True, False])
@pytest.mark.parametrize("kind", ["memory of one process", "streams", "files everywhere"])
def test_memory_of_every_kind_counts(kind: str, control_group: bool) -> None:
    (program,) = [
        one
        for one in programs()
        if one.name.startswith(f"{kind},") and one.control_group == control_group
    ]
    done = tried(program)
    assert done.harm == ()
    assert done.ended_by == f"{LIMIT_MIB} MiB of memory"


def test_nothing_of_a_checkout_is_seen_but_its_commit() -> None:
    """Whatever it is called: no list of names has all of them."""
    listing = "import os\nfor folder, _, names in os.walk('.'):\n    print(folder, sorted(names))\n"
    with world() as there:
        (there.repository / "change.py").write_text(listing)
        commit(there.repository, "change.py")
        (there.repository / "requirements.lock").write_text("changed since")
        done = run(["python", "change.py"], repository=there.repository, output=there.output)
        read = run(["cat", "requirements.lock"], repository=there.repository, output=there.output)
    seen = [line for line in done.text.splitlines() if ".git/" not in line]
    assert "| . ['change.py', 'link', 'requirements.lock']" in seen
    assert not [name for name in UNTRACKED if name in done.text]
    assert read.text == "| locked\n"


def test_git_answers_inside_and_knows_no_config() -> None:
    program = (
        "import subprocess\n"
        "for words in ('rev-parse HEAD', 'status --porcelain', 'log --format=%s'):\n"
        "    subprocess.run(['git', *words.split()], check=True)\n"
        "subprocess.run(['git', 'config', '--local', '--list'])\n"
    )
    with world() as there:
        done = run(["python", "-c", program], repository=there.repository, output=there.output)
    lines = done.text.splitlines()
    assert re.fullmatch(r"\| [0-9a-f]{40}", lines[0])
    assert lines[1] == "| change"
    assert CANARY not in done.text


def test_a_worktree_is_a_checkout_too() -> None:
    with world() as there:
        git(there.repository, "worktree", "add", "--quiet", "../tree")
        done = run(["git", "status"], repository=there.root / "tree", output=there.output)
    assert (done.code, "nothing to commit" in done.text) == (0, True)


def test_a_limit_is_named_when_it_ends_a_program() -> None:
    with world() as there:
        assert attacked("sleep", there).ended_by == "3 seconds"
        done = attacked("memory", there)
        assert done.ended_by == "256 MiB of memory" or "MemoryError" in done.text
        bomb = attacked("fork_bomb", there)  # a slow machine may not come to its last words
        assert bomb.ended_by or int(bomb.text.strip("| \n")) < BOUNDS.processes


def test_an_honest_program_sees_the_checkout_and_hands_out_its_files() -> None:
    program = (
        "import os, pathlib, socket, threading, multiprocessing as m\n"
        "print(pathlib.Path('requirements.lock').read_text(), m.Lock() is not None)\n"
        "threading.Thread(target=print, args=['thread']).start()\n"
        "os.system('echo shell')\n"
        "out = pathlib.Path(os.environ['PLINTH_SANDBOX_OUTPUT'])\n"
        "(out / 'comment.md').write_text('hello')\n"
        "pathlib.Path('/tmp/x').write_text('scratch')\n"
        "raise SystemExit(3)\n"
    )
    with world() as there:
        (there.output / "comment.md").symlink_to(there.root / "shared/file")
        done = run(["python", "-c", program], repository=there.repository, output=there.output)
        assert (done.code, done.files, done.ended_by) == (3, ("comment.md",), "")
        assert "| locked True\n" in done.text
        assert "| thread\n" in done.text
        assert "| shell\n" in done.text
        assert (there.output / "comment.md").read_text() == "hello"
        assert not (there.output / "comment.md").is_symlink()
        assert (there.root / "shared/file").read_text() == "", "never through a link that was there"


def test_a_program_that_does_not_exist_is_said() -> None:
    with world() as there:
        done = run(["nothing-of-the-kind"], repository=there.repository, output=there.output)
        assert done.code == 127
        assert "No such file" in done.text


def test_a_kernel_without_namespaces_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As inside a sandbox, where the kernel refuses namespaces: nothing runs without them."""
    monkeypatch.setattr(sandbox, "INSIDE", tmp_path / "inside.py")
    text = (Path(sandbox.__file__).parent / "inside.py").read_text()
    (tmp_path / "inside.py").write_text(text.replace("LIBC.unshare(spaces)", "LIBC.unshare(-1)"))
    with world() as there, pytest.raises(UserError, match=r"must allow a sandbox.*namespaces"):
        run(["python", "-c", "print('ran')"], repository=there.repository, output=there.output)


def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(UserError, match="got riscv64"):
        run(["true"], repository=tmp_path, output=tmp_path / "out")


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_is_of_whole_instructions_that_jump_only_forward_and_inside(
    machine: str,
) -> None:
    code = seccomp.program(machine)
    instructions = [code[at : at + 8] for at in range(0, len(code), 8)]
    assert len(code) % 8 == 0
    for place, instruction in enumerate(instructions):
        if instruction[0] in (seccomp.EQUAL, seccomp.GREATER, seccomp.BITS):
            assert place + 1 + max(instruction[2:4]) < len(instructions)
    assert int.from_bytes(instructions[-1][4:], sys.byteorder) == seccomp.ALLOW


CALLS = "import ctypes, json, sys\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = {}\n" + (
    "for name, number in json.loads(sys.argv[1]).items():\n"
    "    ctypes.set_errno(0)\n"
    "    libc.syscall(number, -1, 0, 0, 0, 0)\n"
    "    found[name] = ctypes.get_errno()\n"
    "print(json.dumps(found))\n"
)


def test_every_denied_call_is_denied() -> None:
    import platform

    column = 0 if platform.machine() == "x86_64" else 1
    numbers = {name: pair[column] for name, pair in seccomp.DENIED.items()}
    with world() as there:
        done = run(
            ["python", "-c", CALLS, json.dumps(numbers)],
            repository=there.repository,
            output=there.output,
        )
    answers = json.loads(done.text.removeprefix("| "))
    assert set(answers.values()) == {errno.EPERM}, answers


def test_what_a_program_prints_is_text() -> None:
    assert printable("::error::x\n  ::y\r\n##[z]\n") == "| ::error::x\n|   ::y\n| # #[z]\n"
    assert printable("\x1b[2Ja\u202eb\rc") == "| \ufffd[2Ja\ufffdb\ufffdc\n"
    assert printable("a", dropped=7) == "| a\n(7 more bytes)\n"


def test_the_command_runs_what_follows_and_fails_as_it_did(tmp_path: Path) -> None:
    from stacks.cli import main

    with world() as there, pytest.raises(SystemExit) as ended:
        arguments = ["sandbox", "--repository", str(there.repository)]
        main(
            [*arguments, "--output", str(there.output), "--", "python", "-c", "raise SystemExit(9)"]
        )
    assert ended.value.code == 1
    with pytest.raises(SystemExit) as refused:
        main(["sandbox", "--repository", str(tmp_path), "--output", str(tmp_path), "--", "true"])
    assert refused.value.code == 2
