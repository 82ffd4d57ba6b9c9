"""Times the controllers; `bench/control.py` runs this in a process that preloads the library that counts.

Each controller first moves a simulated arm; the states of that motion are then replayed to the same controller (which
answers with the same torques), to Pinocchio's bare terms and to the numpy reference. Nothing but the controller runs
between two looks at the clock.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from steadyhand.bench._control import BareTerms, Trace, back_to_back, count_one_of_each, paced
from steadyhand.bench.closed_loop import DT, Plant
from steadyhand.bench.reference_law import LAWS, Requests
from steadyhand.crisp_control._core import Controller, ControllerParams, References
from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import RobotSpec, load_robot

REFERENCE_TICKS = 67  # between two messages: 15 Hz
STRETCH = 100  # ticks with and without parameter sets take turns
BOX = 0.3  # m from the tool at home: the workspace
HAND_STIFFNESS, HAND_DAMPING = 200.0, 30.0  # N/m, N s/m of the hand that guides a compliant arm
# Name of the row -> controller of the core, and what is set on top of the robot's own parameters.
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "cartesian_impedance": ("cartesian_impedance", {"nullspace": "kinematic"}),
    "operational_space": (
        "cartesian_impedance",
        {"operational_space": True, "nullspace": "dynamic", "stiffness": np.array([200.0] * 3 + [150.0] * 3)},
    ),
    "cartesian_admittance": ("cartesian_admittance", {}),
    "joint_impedance": ("joint_impedance", {}),
    "gravity_compensation": ("gravity_compensation", {"guide": "plane", "hold_orientation": True}),
    "torque_feedback": ("torque_feedback", {}),
}


@dataclass(frozen=True)
class Effort:
    """How much is measured per row."""

    ticks: int = 4000  # of the motion
    passes: int = 15  # through it, back to back
    paced_ticks: int = 8000  # at 1 kHz, half of them while parameters change
    numpy_ticks: int = 1500


@dataclass
class Motion:
    """What happened in the closed loop, per tick; and the messages by tick."""

    q: list[np.ndarray] = field(default_factory=list)
    dq: list[np.ndarray] = field(default_factory=list)
    tau: list[np.ndarray] = field(default_factory=list)  # as measured: before the first tick, and after every one
    messages: dict[int, list[tuple]] = field(default_factory=dict)


def parameters(robot: RobotSpec, case: str) -> ControllerParams:
    """The robot's own, with everything on that a controller can do at once."""
    controller, settings = CASES[case]
    arm = robot.arm()
    params = load_parameters(robot.name, arm, controller)
    position = arm.placement(np.array(robot.q_home))[0]
    everything = {
        "friction_compensation": 0.8,
        "workspace_lower": position - BOX,
        "workspace_upper": position + BOX,
        **settings,
    }
    for name, value in everything.items():
        setattr(params, name, value)
    params.validate(arm)
    return params


def messages(case: str, home: np.ndarray, tool: tuple[np.ndarray, Rotation], now: float) -> list[tuple]:
    """What the controller is asked at ``now``: kind, content, stamp. A slow figure in space, or one of the joints."""
    controller = CASES[case][0]
    swing = np.sin(now * np.arange(1.0, 1.0 + len(home)))
    if controller == "joint_impedance":
        return [("joint", home + 0.1 * swing, now)]
    if controller == "torque_feedback":
        return [("torque", 2.0 * swing, now)]
    if controller == "gravity_compensation":
        return []
    turn = Rotation.from_rotvec(0.15 * np.sin(now * np.array([2.0, 1.5, 1.0])))
    asked: list[tuple] = [("pose", tool[0] + figure(now), (turn * tool[1]).as_quat(), now)]
    if case == "cartesian_impedance":
        softer = 1.0 - 0.2 * np.sin(now) ** 2
        asked.append(("stiffness", softer * np.array([800.0] * 3 + [40.0] * 3), now))
        asked.append(("wrench", np.array([2.0, 1.0, -2.0, 0.1, 0.0, 0.0]) * np.sin(now), now))
    return asked


def figure(now: float) -> np.ndarray:
    """Offset (3,) of the tool, m."""
    return 0.05 * np.array([np.sin(1.5 * now), 1.0 - np.cos(1.5 * now), 0.5 * np.sin(2.5 * now)])


def outside(case: str, plant: Plant, start: np.ndarray, now: float) -> np.ndarray:
    """Wrench (6,) of the world: a hand where the arm is led by one, a push where it has to give way to one."""
    wrench = np.zeros(6)
    if CASES[case][0] in ("gravity_compensation", "torque_feedback"):
        velocity = plant.terms.J[:3] @ plant.dq
        wrench[:3] = HAND_STIFFNESS * (start + figure(now) - plant.terms.p) - HAND_DAMPING * velocity
    elif case == "cartesian_admittance":
        wrench[:3] = 8.0 * np.sin(now * np.array([1.0, 1.3, 0.7]))
    return wrench


def move(case: str, controller: Controller, robot: RobotSpec, ticks: int) -> Motion:
    """The closed loop of controller and arm."""
    plant, motion, references = Plant(robot), Motion(), References()
    home = plant.q.copy()
    tool = plant.terms.p.copy(), Rotation.from_matrix(plant.terms.R)
    motion.tau.append(plant.terms.g)
    controller.reset(plant.q, plant.dq, plant.terms.g, 0.0)
    for tick in range(ticks):
        now = tick * DT
        if tick % REFERENCE_TICKS == 0:
            motion.messages[tick] = messages(case, home, tool, now)
            send(references, motion.messages[tick])
        tau = controller.update(plant.q, plant.dq, motion.tau[-1], now, references, DT)
        motion.q.append(plant.q)
        motion.dq.append(plant.dq)
        motion.tau.append(tau)
        plant.step(tau, outside(case, plant, tool[0], now))
    return motion


def send(to: References | Requests, messages: list[tuple]) -> None:
    """Each is a new message."""
    for kind, *content in messages:
        getattr(to, f"set_{kind}")(*content)


def record(motion: Motion, robot: RobotSpec) -> Trace:
    """The motion for the native loops."""
    trace, references, terms = Trace(DT), References(), Plant(robot).terms
    for tick, (q, dq, tau) in enumerate(zip(motion.q, motion.dq, motion.tau, strict=False)):
        if tick in motion.messages:
            send(references, motion.messages[tick])
            trace.add_references(references)
        trace.add_state(q, dq, tau, tick * DT, terms.configuration(q), terms.velocity(dq))
    return trace


def time_numpy(case: str, params: ControllerParams, motion: Motion, robot: RobotSpec, ticks: int) -> tuple:
    """Median of one update of the numpy reference (us), and how far its torques are from the core's (Nm)."""
    law, requests = LAWS[CASES[case][0]](robot, params), Requests()
    law.reset(motion.q[0], motion.dq[0], motion.tau[0], 0.0)
    spent, difference = [], 0.0
    for tick in range(min(ticks, len(motion.q))):
        send(requests, motion.messages.get(tick, []))
        begin = time.perf_counter_ns()
        tau = law.update(motion.q[tick], motion.dq[tick], tick * DT, requests, DT)
        spent.append(time.perf_counter_ns() - begin)
        difference = max(difference, float(np.abs(tau - motion.tau[tick + 1]).max()))
    return float(np.median(spent)) * 1e-3, difference


def measure(case: str, robot: RobotSpec, effort: Effort) -> dict[str, object]:
    """One row."""
    arm, params = robot.arm(), parameters(robot, case)
    other = parameters(robot, case)
    other.friction_compensation = 0.7
    controller = CONTROLLERS[CASES[case][0]][0](arm, params)
    motion = move(case, controller, robot, effort.ticks)
    safety = controller.status.counters
    trace = record(motion, robot)
    numpy_us, difference = time_numpy(case, params, motion, robot, effort.numpy_ticks)
    bare = BareTerms(robot.urdf_xml, list(robot.joints), robot.tool_frame)
    alone = back_to_back(controller, bare, trace, effort.passes)
    timed = paced(controller, params, other, trace, effort.paced_ticks, STRETCH)
    calls = len(alone.update_us) + effort.paced_ticks
    median, bare_us = float(np.median(alone.update_us)), float(np.median(alone.bare_us))
    return {
        "controller": case,
        "robot": robot.name,
        "median_us": median,
        "p99_us": float(np.quantile(alone.update_us, 0.99)),
        "max_us": float(alone.update_us.max()),
        "paced_median_us": float(np.median(timed.quiet_us)),
        "paced_p999_us": float(np.quantile(timed.quiet_us, 0.999)),
        "paced_p999_us_with_parameter_sets": float(np.quantile(timed.with_sets_us, 0.999)),
        "allocations": (alone.counts.allocations + timed.counts.allocations) / calls,
        "locks": (alone.counts.locks + timed.counts.locks) / calls,
        "bare_terms_us": bare_us,
        "numpy_us": numpy_us,
        "over_bare": median / bare_us,
        "numpy_over_ours": numpy_us / median,
        "parameter_sets": timed.sets,
        "scheduler": "SCHED_FIFO" if timed.fifo else "SCHED_OTHER",
        "torque_difference_to_numpy_nm": difference,
        "ticks_with_barrier": (safety["joint_barrier"] + safety["workspace_barrier"]) / effort.ticks,
    }


def check_counting() -> None:
    """Refuse to report zeros that nobody counted."""
    counts = count_one_of_each()
    if (counts.allocations, counts.locks) != (1, 1):
        raise SteadyhandError("allocations and locks are not counted; run this through `steadyhand bench control`")


def main() -> None:
    """``argv``: one JSON object with robots, controllers and effort. Rows to stdout, progress to stderr."""
    os.environ.pop("LD_PRELOAD", None)  # whatever this process starts need not count
    asked = json.loads(sys.argv[1])
    check_counting()
    effort = Effort(**asked["effort"])
    pairs = [(load_robot(robot), case) for robot in asked["robots"] for case in asked["controllers"]]
    rows = [measure(case, robot, effort) for robot, case in tqdm(pairs, desc="control", unit="row")]
    json.dump({"rows": rows, "effort": asdict(effort)}, sys.stdout)


if __name__ == "__main__":
    main()
