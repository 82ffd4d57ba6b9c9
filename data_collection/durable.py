"""Files that outlive a crash, and folders that one process writes at a time."""

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from steadyhand.errors import SteadyhandError

_ATTEMPT = "attempt.lock"  # in a folder that is going to be renamed


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


def publish_folder(folder: Path, output: Path) -> None:
    """Rename a folder, so that not even a power cut leaves `output` with less than everything in it."""
    for place, _, files in os.walk(folder):
        for path in [*(Path(place) / name for name in files), Path(place)]:
            if not path.is_symlink():
                sync(path)
    os.rename(folder, output)
    sync(output.parent)


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `output` at the end: complete, or not at all.

    What a killed process has left of an earlier attempt is removed.
    """
    if output.exists():
        raise SteadyhandError(f"output folder '{output}' exists; choose another folder or remove it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for left in output.parent.glob(f".{glob.escape(output.name)}.*/{_ATTEMPT}"):
            with contextlib.suppress(SteadyhandError), lock(left, output):
                shutil.rmtree(left.parent)
        folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
        held = lock(folder / _ATTEMPT, output)
    except OSError as error:
        raise SteadyhandError(f"cannot write '{output}': {error.strerror}; choose another folder") from None
    try:
        (folder / "new").mkdir()
        yield folder / "new"
        publish_folder(folder / "new", output)
    finally:
        held.close()
        shutil.rmtree(folder, ignore_errors=True)
