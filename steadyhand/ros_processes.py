"""Commands of this package as processes that share a private ROS graph, with their output in log files."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from steadyhand.errors import SteadyhandError


@contextmanager
def private_graph() -> Iterator[None]:
    """Keep this process and those it starts among themselves: own ROS domain, this machine only."""
    mine = {
        # Above 101 a domain's ports may meet those that Linux hands out.
        "ROS_DOMAIN_ID": str(random.SystemRandom().randint(1, 101)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Processes:
    """Starts commands and ends them all at the end of the block, whatever happens in it."""

    def __init__(self, logs: Path) -> None:
        """Log files go to the folder ``logs``."""
        self._logs = logs
        self._running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for name in list(self._running):
            self.stop(name)

    def log(self, name: str) -> Path:
        """Where the output of a command goes."""
        return self._logs / f"{name}.log"

    def start(self, name: str, *arguments: object) -> subprocess.Popen:
        """Start ``steadyhand NAME ARGUMENTS``."""
        command = [sys.executable, "-m", "steadyhand", name, *map(str, arguments)]
        with self.log(name).open("w") as log:
            # A session of its own: Ctrl-C reaches us only, and we end the others in order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            )  # fmt: skip
        self._running[name] = process
        return process

    def check(self) -> None:
        """Raise if a command has failed."""
        for name, process in self._running.items():
            if process.poll() not in (None, 0):
                raise SteadyhandError(
                    f"`steadyhand {name}` ended with status {process.returncode}: {self.last_line(name)}; "
                    f"see {self.log(name)}"
                )

    def wait(self, name: str, timeout: float) -> None:
        """Wait until a command has ended well."""
        deadline = time.monotonic() + timeout
        while self._running[name].poll() is None:
            self.check()
            if time.monotonic() > deadline:
                raise SteadyhandError(f"`steadyhand {name}` is not done after {timeout:g} s; see {self.log(name)}")
            time.sleep(0.02)
        self.check()

    def stop(self, name: str, timeout: float = 60.0) -> int:
        """End a command with Ctrl-C; returns its exit status.

        Args:
            name: Of the command.
            timeout: s until it is ended by force: so long a recorder may wait for its disk. Its log then says where it
                hung.
        """
        process = self._running.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
        try:
            return process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def last_line(self, name: str) -> str:
        """What a command said last."""
        lines = self.log(name).read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"
