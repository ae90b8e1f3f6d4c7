# SPDX-License-Identifier: Apache-2.0
"""Start a program that cannot outlive the process that asked for it.

Run as a file with `python -I -S`, so that it costs a few milliseconds: `tether.py PARENT_PID PROGRAM
ARGUMENT...`. It asks the kernel to kill this process when its parent dies (prctl PR_SET_PDEATHSIG, which
survives exec) and turns into the program. SIGKILL and not a polite signal, because it has to work on a
program that hangs: whatever a node must not lose is on disk before it is sent, so this is safe. An orderly
end is the supervisor's job while it is alive.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"cannot tie the process to its supervisor: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit("the supervisor is gone")
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
