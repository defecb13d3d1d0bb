"""A child process that never outlives its parent, even if the parent is killed."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, its parent, ends. Call it in the child.

    Elsewhere than on Linux it does nothing: there a parent that is killed leaves its children behind.
    """
    if _prctl is None:
        return
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before prctl was called
        os.kill(os.getpid(), signal.SIGKILL)
