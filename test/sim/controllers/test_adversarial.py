"""References from a hostile decider: random, not finite, jumping, beyond every limit. The limits must hold.

`pytest -m slow -s test/sim/controllers/test_adversarial.py` plays 10^6 messages per robot and controller, one a tick.
"""

from dataclasses import dataclass, field

import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control._core import ArmModel, References
from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.sim._native import Observation, Twin
from steadyhand.sim.env import World

ROBOTS = ("fr3", "iiwa14", "gen3")
STATED = ("joint", "workspace", "plane", "velocity", "torque")


class Adversary:
    """A new message every tick: targets that stay for half a second and pull hard, and every kind of nonsense."""

    def __init__(self, arm: ArmModel, seed: int) -> None:
        self.references = References()
        self._rng = np.random.default_rng(seed)
        bounded = np.isfinite(arm.q_upper)
        self._q_range = np.where(bounded, arm.q_lower, -9.0), np.where(bounded, arm.q_upper, 9.0)

    def _aim(self) -> None:
        rng = self._rng
        self._position = rng.uniform(-1.2, 1.2, 3)
        self._quaternion = rng.normal(size=4)
        self._quaternion /= np.linalg.norm(self._quaternion)
        self._q = rng.uniform(*self._q_range)

    def send(self, tick: int, now: float) -> References:
        """The references of this tick."""
        if tick % 500 == 0:
            self._aim()
        rng, to = self._rng, self.references
        match rng.integers(12):
            case 0:
                to.set_pose(rng.normal(size=3) * 10 ** rng.uniform(-3, 3), rng.normal(size=4), now)
            case 1:
                wrong = self._position.copy()
                wrong[rng.integers(3)] = rng.choice([np.nan, np.inf, 1e300])
                to.set_pose(wrong, self._quaternion, now)
            case 2:
                to.set_wrench(rng.normal(size=6) * 10 ** rng.uniform(-1, 4), now)
            case 3:
                to.set_stiffness(10 ** rng.uniform(-1, 4, 6) * rng.choice([1, 1, 1, -1]), now)
            case 4 | 5:
                to.set_joint(self._q + rng.normal(size=len(self._q)) * rng.choice([0, 1, 10]), now)
            case 6:
                times = now + np.cumsum(rng.uniform(-0.01, 0.1, 8))
                path = self._position + 0.1 * rng.normal(size=(8, 3))
                to.set_chunk(times, path, np.tile(self._quaternion, (8, 1)), now + 0.2 * rng.normal())
            case 7:
                to.set_pose(self._position, self._quaternion, now + rng.normal())
            case _:
                to.set_pose(self._position, self._quaternion, now)
        return to


@dataclass
class Referee:
    """Distances to the limits; negative is a violation."""

    arm: ArmModel
    lower: np.ndarray
    upper: np.ndarray
    plane: np.ndarray  # nx ny nz d
    least: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STATED, np.inf))
    violations: int = 0

    def judge(self, seen: Observation) -> None:
        """Take one tick into account."""
        arm, p = self.arm, seen.position
        distances = {
            "joint": min((seen.q - arm.q_lower).min(), (arm.q_upper - seen.q).min()),
            "workspace": min((p - self.lower).min(), (self.upper - p).min()),
            "plane": self.plane[:3] @ p - self.plane[3],
            "velocity": (arm.dq_limit - np.abs(seen.dq)).min(),
            "torque": (arm.tau_limit - np.abs(seen.tau)).min(),
        }
        for name, distance in distances.items():
            self.violations += not distance >= 0.0  # a nan is a violation too
            self.least[name] = min(self.least[name], distance)


def play(robot: str, name: str, messages: int, seed: int) -> tuple[Referee, dict[str, int]]:
    """One adversary against one controller in the twin."""
    world = World.load(robot, None)
    # What an arm does to itself and to the table is no matter of these limits: an impact moves joints as it likes.
    world.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    controller, _ = CONTROLLERS[name]
    params = load_parameters(robot, world.arm, name)
    home, _ = world.arm.placement(np.array(world.robot.q_home))
    params.workspace_lower = home - np.array([0.25, 0.35, 0.2])
    params.workspace_upper = home + np.array([0.2, 0.35, 0.35])
    normal = -np.array([1.0, 1.0, 0.0]) / np.sqrt(2.0)
    plane = np.append(normal, normal @ home - 0.12)
    params.workspace_planes = plane[None]
    params.max_jump_linear, params.max_jump_angular = 10.0, 3.2  # the gate shall not save the barrier
    twin = Twin(world.model._address, controller(world.arm, params))
    twin.reset(world.home)
    adversary = Adversary(world.arm, seed)
    referee = Referee(world.arm, params.workspace_lower, params.workspace_upper, plane)
    for tick in range(messages):
        twin.set_references(adversary.send(tick, twin.time))
        twin.step(1)
        referee.judge(twin.observe())
    return referee, twin.observe().status.counters


def check(robot: str, name: str, messages: int, seed: int) -> None:
    referee, counters = play(robot, name, messages, seed)
    distances = {what: float(f"{distance:.4g}") for what, distance in referee.least.items()}
    print(f"\n{robot} {name}: {messages} messages, seed {seed}: violations {referee.violations}, least {distances}")
    print({what: count for what, count in counters.items() if count})
    assert referee.violations == 0, distances
    # Otherwise the adversary was none: the barrier had to act, and the gate to refuse.
    assert counters["workspace_barrier"] > 0
    assert counters["refused_out_of_range"] > 0


@pytest.mark.parametrize("name", ["cartesian_impedance", "joint_impedance"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_limits_hold_under_adversarial_references(robot, name):
    check(robot, name, 50_000, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["cartesian_impedance", "cartesian_admittance", "joint_impedance"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_limits_hold_under_a_million_adversarial_references(robot, name):
    check(robot, name, 1_000_000, seed=1)
