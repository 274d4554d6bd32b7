# SPDX-License-Identifier: BSD-3-Clause
"""A separate environment for peers whose pinned dependencies conflict with current versions."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("peers.txt")


def peer_python(requirements: str | os.PathLike = _REQUIREMENTS) -> str:
    """Create the environment of the peers, or reuse an existing one.

    It borrows torch, numpy and all other packages from the running environment, so that both sides
    of a comparison use the same libraries and little needs to be installed.

    Parameters
    ----------
    requirements : str or path-like, default=benchmarks/peers.txt
        The requirements file to install there, without dependencies.

    Returns
    -------
    python : str
        The path of its interpreter. The environment is stored in the folder SKLEARN_NEUROX_PEERS,
        or else in the user's cache folder. Each combination of requirements and interpreter has its
        own environment.

    Raises
    ------
    RuntimeError
        If pip cannot install the requirements. The message includes the end of pip's output.
    """
    home = _home() / _key(requirements)
    python = home / "bin" / "python"
    if not python.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Build in a temporary folder and rename it, so that an existing folder is always complete.
        scratch = Path(tempfile.mkdtemp(dir=home.parent))
        try:
            _build(scratch, requirements)
            scratch.rename(home)
        except OSError:
            if not python.exists():  # unless another process built it first
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return str(python)


def _home():
    own = os.environ.get("SKLEARN_NEUROX_PEERS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(cache) / "sklearn-neurox" / "peers"


def _key(requirements):
    what = [Path(requirements).read_text(), sys.version, *_borrowed()]
    return hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]


def _borrowed():
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def _build(folder, requirements):
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    # Entries of a .pth file follow its own folder on the path, so the peers' own versions win.
    Path(packages, "borrowed.pth").write_text("\n".join(_borrowed()) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--ignore-installed", "-r", os.fspath(requirements)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pip cannot install {requirements}:\n{done.stderr[-2000:]}")
