# SPDX-License-Identifier: BSD-3-Clause
"""Run pieces of code in processes of their own, without repeating slow imports in each."""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

_SERVER = """
import json, os, sys, types
exec(sys.argv[1], {})
for line in sys.stdin:
    job = json.loads(line)
    if not os.fork():
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
else:
    sys.exit()
for number, path in enumerate([os.devnull, job["stdout"], job["stderr"]]):
    os.dup2(os.open(path, os.O_RDWR), number)
os.chdir(job["cwd"])
sys.argv = ["-c", *job["arguments"]]
main = sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(job["source"], "<string>", "exec"), vars(main))
"""


def fresh_processes(imports, *options, env=None):
    """Return a context manager: its function runs code in a new process and returns the output.

    Each process is a fork of one that has done nothing but these imports. Where forks do not exist
    or are not safe, each process imports anew.
    """
    return (forks if sys.platform == "linux" else anew)(imports, *options, env=env)


@contextlib.contextmanager
def anew(imports, *options, env=None):
    """Yield a function that starts Python for each piece of code."""

    def run(source, *arguments, cwd="."):
        done = subprocess.run(
            [sys.executable, *options, "-c", f"{imports}\n{source}", *arguments],
            capture_output=True, text=True, env=env, cwd=cwd, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.returncode}\n{done.stderr}"
        return done.stdout

    yield run


@contextlib.contextmanager
def forks(imports, *options, env=None):
    """Yield a function that forks a process for each piece of code."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, *options, "-c", _SERVER, imports],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        ) as server,
    ):  # fmt: skip
        printed, wrong = Path(folder, "stdout"), Path(folder, "stderr")

        def run(source, *arguments, cwd="."):
            printed.write_bytes(b""), wrong.write_bytes(b"")
            job = {"source": source, "arguments": arguments, "cwd": str(Path(cwd).absolute())}
            job |= {"stdout": str(printed), "stderr": str(wrong)}
            server.stdin.write(json.dumps(job) + "\n")
            server.stdin.flush()
            code = server.stdout.readline()
            assert code == "0\n", f"{code}{wrong.read_text(encoding='utf-8')}"
            return printed.read_text(encoding="utf-8")

        yield run
        server.stdin.close()
