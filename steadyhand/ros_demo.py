"""One demonstration and one autonomous episode over real ROS 2 topics, in real time, as a user would run them.

Twin, recorder, teleoperation and policy are processes of their own; a probe in this process listens and counts.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.data_collection.sidecar import load_sidecar
from steadyhand.errors import SteadyhandError
from steadyhand.ros_processes import Processes, private_graph
from steadyhand.sim.tasks import make_task

TASK = "peg_insertion"
CAMERA = "front"
START = 60.0  # s that a process may take to start; its imports share the cores with the twin
SLACK = 5.0  # s beyond an episode's time limit


class Probe:
    """Counts what arrives."""

    def __init__(self, node: ros.Node) -> None:
        """Subscribe to state, status, targets and one camera."""
        self.state: list[float] = []  # stamps of joint_states
        self.status: list[tuple[float, dict[str, str]]] = []  # stamp, values
        self.targets: list[float] = []  # stamps of target_pose
        self.success = False
        ros.subscription(node, "joint_states", lambda m: self.state.append(ros_messages.get_stamp(m)))
        ros.subscription(node, "target_pose", lambda m: self.targets.append(ros_messages.get_stamp(m)))
        ros.subscription(node, "task/success", self._on_success)
        ros.subscription(node, "controller_status", self._on_status)
        self.reset = ros.client(node, "reset")

    def _on_success(self, message: ros.Bool) -> None:
        self.success = message.data

    def _on_status(self, message: ros.DiagnosticArray) -> None:
        self.status.append((ros_messages.get_stamp(message), ros_messages.diagnostics_values(message)))

    def report(self) -> dict:
        """What the twin sent, and what of it arrived here, between two of its status messages."""
        (begin, first), (end, last) = self.status[0], self.status[-1]
        stamps = np.array([stamp for stamp in self.state if begin < stamp <= end])
        return {
            "published": int(last["states_published"]) - int(first["states_published"]),
            "received": len(stamps),
            "max_gap_ms": round(1e3 * float(np.diff(stamps).max()), 1),
            "targets_received": int(last["targets"]),
            "real_time_factor": round(float(last["real_time_factor"]), 4),
            "overruns": int(last["overruns"]),
            "scheduler": last["scheduler"],
        }


def run(folder: Path, checkpoint: Path, seed: int) -> dict:
    """Demonstrate an episode and record it, then let a policy do the next one.

    Args:
        folder: For the dataset and the log files.
        checkpoint: Of the policy.
        seed: Of the demonstration's scene; the policy gets the next one.

    Returns:
        ``published`` and ``received`` state messages, ``max_gap_ms`` between them, ``real_time_factor``, and what came
        of the two episodes.
    """
    with private_graph(), Processes(folder / "logs") as processes, ros.running("probe", "", Probe) as probe:
        # the operator resets the twin once: its seed counts up to ours
        processes.start("twin", "--task", TASK, "--seed", seed - 1, "--cameras", CAMERA, "--camera-rate", 10)
        _until(lambda: probe.status, START, "the twin to start", processes)
        demonstration = _demonstrate(folder, seed, processes)
        ros.call(probe.reset)
        autonomous = _let_policy_act(checkpoint, probe, processes)
        processes.check()
        return probe.report() | {"demonstration": demonstration, "autonomous": autonomous}


def _demonstrate(folder: Path, seed: int, processes: Processes) -> dict:
    dataset = folder / "dataset"
    processes.start("record", "--output", dataset, "--episodes", 1, "--cameras", CAMERA, "--operator", "scripted")
    _until(lambda: "ready" in processes.log("record").read_text(), START, "the recorder to start", processes)
    processes.start("teleop", "--device", "scripted", "--seed", seed)
    processes.wait("teleop", START + make_task(TASK).time_limit + SLACK)
    processes.wait("record", START)
    row = load_sidecar(dataset)[0]
    return {name: row[name] for name in ("success", "human_frames", "dropped_frames", "seed")}


def _let_policy_act(checkpoint: Path, probe: Probe, processes: Processes) -> dict:
    before = len(probe.targets)
    processes.start("policy", "--checkpoint", checkpoint)
    _until(lambda: len(probe.targets) > before, START, "the policy to start", processes)
    began = time.monotonic()
    limit = make_task(TASK).time_limit
    while not probe.success and time.monotonic() < began + limit:
        processes.check()
        time.sleep(0.02)
    seconds = time.monotonic() - began
    processes.stop("policy")
    return {"success": probe.success, "seconds": round(seconds, 1), "decisions": len(probe.targets) - before}


def _until(condition: Callable[[], object], timeout: float, what: str, processes: Processes) -> None:
    """Wait for a condition, as long as no process fails."""
    deadline = time.monotonic() + timeout
    while not condition():
        processes.check()
        if time.monotonic() > deadline:
            raise SteadyhandError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.02)
