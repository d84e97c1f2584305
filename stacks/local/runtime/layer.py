"""A Python environment for one program: what it installs ends with it.

A virtual environment in the program's folder, above the one that the local cloud runs in: `pip`,
`python -m pip` and `uv pip` write into it, and what it has not comes from below.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PACKAGES_OF = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

INDEX_VARIABLES = (
    "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT", "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_NO_INDEX", "PIP_PROXY", "PIP_RETRIES",
    "PIP_TRUSTED_HOST", "SSL_CERT_DIR", "SSL_CERT_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_URL", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS",
)  # fmt: skip
"""Where packages come from on this machine: the one thing of a person's shell that a job needs."""


def make(folder: Path) -> Mapping[str, str]:
    """Make the environment in a folder that is not there yet; variables that choose it."""
    programs, packages = folder / "bin", folder / PACKAGES_OF
    programs.mkdir(parents=True)
    packages.mkdir(parents=True)
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (folder / "pyvenv.cfg").write_text(
        f"home = {python.parent}\ninclude-system-site-packages = false\n"
        f"version = {sys.version.split()[0]}\n"
    )
    for name in ("python", "python3", PACKAGES_OF.split("/")[1]):
        (programs / name).symlink_to(python)
    below = sysconfig.get_path("purelib")
    (packages / "below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
    for name in ("pip", "pip3"):  # that of the environment below would install there
        program = programs / name
        program.write_text('#!/bin/sh\nexec "${0%/*}/python3" -m pip "$@"\n')
        program.chmod(0o755)
    return {
        "VIRTUAL_ENV": str(folder),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{name: os.environ[name] for name in INDEX_VARIABLES if name in os.environ},
        **_own_pip_file(),
    }


def _own_pip_file() -> Mapping[str, str]:
    """The person's configuration of pip: a job has another home folder and would not find it."""
    home = Path.home()
    for place in (home / ".config/pip/pip.conf", home / ".pip/pip.conf"):
        if place.is_file() and "PIP_CONFIG_FILE" not in os.environ:
            return {"PIP_CONFIG_FILE": str(place)}
    return {}
