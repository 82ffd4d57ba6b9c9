"""Evaluation spread over processes and machines by Ray.

The list of seeds is cut into blocks of neighbours, each a task that Ray gives to one of its processes, and again to
another one if the first is lost; a block counts when it is complete, and once. Inside a block episodes are decided in
lock-step as in one process. How the list is cut changes no episode: see steadyhand.sim.rollout.Rollout.
"""

import importlib
import math
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from steadyhand.errors import SteadyhandError
from steadyhand.sim.evaluate import Job, run_job
from steadyhand.sim.evaluation import EpisodeResult, keep_scenes
from steadyhand.sim.rollout import ROWS

BLOCKS = 4  # per worker at least, so that none is left alone with a long rest
RETRIES = 5  # of a block, each after the loss of a process
MEMORY = 100_000_000  # bytes for results under way; they are small, Ray would take a third of the machine


def run_block(job: Job, seeds: Sequence[int], expected: tuple[str, str, str]) -> list[EpisodeResult]:
    """Run one block here, if it would be what was asked for."""
    if job.described != expected:
        raise SteadyhandError(
            f"a worker has steadyhand, policy and version {job.described}, this process {expected}; "
            "install the same on every machine, and copy the policy"
        )
    return list(keep_scenes(run_job(job, seeds, workers=1), job.films))


def run_ray(job: Job, seeds: Sequence[int], workers: int, address: str | None) -> Iterator[EpisodeResult]:
    """Yield the episodes in the order of the seeds, from at most `workers` processes at a time.

    Args:
        job: What to run; every machine must be able to open it.
        seeds: One episode each.
        workers: How many blocks are under way at once, each on one core.
        address: Of a Ray cluster that runs; None starts one on this machine and stops it in the end.
    """
    _prepare(address)
    importlib.import_module("ray")  # now, so that it is said before anything starts if it is missing
    _check_reachable(address)
    return _run(job, seeds, workers, address)


def _run(job: Job, seeds: Sequence[int], workers: int, address: str | None) -> Iterator[EpisodeResult]:
    import ray

    size = min(ROWS, math.ceil(len(seeds) / (BLOCKS * workers)))
    waiting = list(enumerate(seeds[first : first + size] for first in range(0, len(seeds), size)))[::-1]
    expected = job.described
    with _cluster(workers, address):
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(run_block)
        under_way: dict = {}
        finished: dict[int, list[EpisodeResult]] = {}
        following = 0
        while waiting or under_way:
            while waiting and len(under_way) < workers:
                number, block = waiting.pop()
                points = tuple(point for point in job.points if point[0] in block)
                under_way[task.remote(replace(job, points=points), block, expected)] = number
            for reference in ray.wait(list(under_way))[0]:
                finished[under_way.pop(reference)] = _result(reference)
            while following in finished:
                yield from finished.pop(following)
                following += 1


def _check_reachable(address: str | None) -> None:
    """Refuse an address host:port where nothing answers: Ray would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not re.fullmatch(r"[\w.-]+", host) or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise SteadyhandError(f"Ray at '{address}' cannot be reached: {error}; see `ray status` there") from None


def _prepare(address: str | None) -> None:
    """Set what Ray reads from the environment when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # or it sends statistics to its makers
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # despite its name: everything listens on 127.0.0.1
        # Without a token of ours, Ray leaves one in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _result(reference) -> list[EpisodeResult]:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, SteadyhandError) else error) from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        reason = str(error).split("\n")[0]
        raise SteadyhandError(f"processes of Ray died {RETRIES + 1} times in the same episodes: {reason}") from None


@contextmanager
def _cluster(workers: int, address: str | None) -> Iterator[None]:
    """Connect to Ray, or start it here: nothing listens beyond this machine, and nothing is left behind."""
    import ray

    options: dict = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    with ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray_", ignore_cleanup_errors=True))
            options |= {
                "address": "local",
                "num_cpus": workers,
                "num_gpus": 0,
                "include_dashboard": False,
                "object_store_memory": MEMORY,
                "_temp_dir": folder,
            }
        else:
            options["address"] = address
        stack.callback(ray.shutdown)
        try:
            ray.init(**options)
        except (OSError, ValueError, RuntimeError) as error:
            where = f"Ray at '{address}' cannot be reached" if address else "Ray cannot be started"
            raise SteadyhandError(f"{where}: {str(error).split(chr(10))[0]}") from None
        yield
