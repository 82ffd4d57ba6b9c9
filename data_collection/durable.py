"""Files that outlive a crash, and folders that one process writes at a time."""

import fcntl
import os
from pathlib import Path
from typing import IO

from steadyhand.errors import SteadyhandError


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(file: Path, folder: Path) -> IO:
    """Take a folder for writing by a lock file in it, which is made; the system frees it when the process ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = file.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise SteadyhandError(
            f"'{folder}' is being written by another process; wait for it, stop it, or choose another folder"
        ) from None
    return handle
