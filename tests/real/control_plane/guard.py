"""Ends its process group once the process that started it is gone, however that happened.

Started by `ProcessGroup` as the group's leader. A parent that is killed with SIGKILL runs no clean-up of its own, and
a parent-death signal would fire when the thread that started the child ends, so a process watches instead.
"""

import os
import select
import signal
import sys


def main() -> None:
    """Wait until standard input is closed or the parent is another one, then kill the group, this process included."""
    parent = int(sys.argv[1])
    # The pipe tells at once; asking for the parent covers a pipe that a fork of the parent still holds open.
    while os.getppid() == parent and not select.select([0], [], [], 0.5)[0]:
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
