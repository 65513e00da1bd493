"""Parts of a sandbox that are away for a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from e2e_sandbox import Sandbox


@contextmanager
def down(sandbox: Sandbox, part: str) -> Iterator[None]:
    """Keep a part of the stack dead: whoever would start it again is asleep meanwhile."""
    program = sandbox.programs()[part]
    assert program.pid is not None
    dying = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
    os.kill(sandbox.state.pid, signal.SIGSTOP)
    try:
        os.kill(program.pid, signal.SIGKILL)
        # Its children go by themselves; the process is a zombie until its parent wakes up.
        psutil.wait_procs(dying[1:], timeout=10)
        yield
    finally:
        os.kill(sandbox.state.pid, signal.SIGCONT)
