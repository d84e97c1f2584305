"""The official Pulumi archive: put in place only where its checksum is that of its release."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.toolchain import pulumi


def packed() -> bytes:
    """An archive as Pulumi makes them: all programs in one folder."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as made:
        body = b"#!/bin/sh\n"
        entry = tarfile.TarInfo("pulumi/pulumi")
        entry.size, entry.mode = len(body), 0o755
        made.addfile(entry, io.BytesIO(body))
    return whole.getvalue()


NAME = f"pulumi-v{pulumi.PULUMI_VERSION}-{pulumi._platform()}.tar.gz"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the two hosts answer, by their addresses' last part."""
    answers = {NAME: packed()}
    answers["SHA512SUMS"] = f"{hashlib.sha512(answers[NAME]).hexdigest()}  {NAME}\n".encode()

    def fetched(url: str) -> bytes:
        name = url.rpartition("/")[2]
        host = "https://github.com/" if name == "SHA512SUMS" else "https://get.pulumi.com/"
        assert url.startswith(host)
        if name not in answers:
            raise OSError("no way through")
        return answers[name]

    monkeypatch.setattr(pulumi, "_fetched", fetched)
    monkeypatch.setattr(pulumi, "cache", lambda: tmp_path)
    return answers


def test_an_archive_with_the_right_checksum_is_put_in_place(
    served: dict[str, bytes], tmp_path: Path
) -> None:
    assert pulumi._install(print)
    executable = tmp_path / f"pulumi-{pulumi.PULUMI_VERSION}" / "bin" / "pulumi"
    assert executable.stat().st_mode & 0o111


@pytest.mark.parametrize("sums", [f"{'0' * 128}  {NAME}\n", "", f"{'0' * 128}  other.tar.gz\n"])
def test_another_checksum_or_none_stops_the_installation(
    served: dict[str, bytes], tmp_path: Path, sums: str
) -> None:
    served["SHA512SUMS"] = sums.encode()
    with pytest.raises(UserError, match="must have the SHA-512 of its release"):
        pulumi._install(print)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [NAME, "SHA512SUMS"])
def test_without_both_hosts_nothing_is_installed(served: dict[str, bytes], missing: str) -> None:
    del served[missing]
    assert not pulumi._install(print)


def test_the_runner_in_the_vpc_installs_by_the_same_way() -> None:
    from infra.runner import buildspec

    said = str(buildspec())
    assert ".ci/pulumi" in said
    assert "curl" not in said
