"""The core's torques against the laws written a second time in numpy, in closed loops with references of all kinds."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from steadyhand.bench.closed_loop import DT, Plant
from steadyhand.bench.reference_law import LAWS, Requests
from steadyhand.crisp_control._core import References
from steadyhand.crisp_control.parameters import CONTROLLERS, load_parameters
from steadyhand.sim.robot import load_robot

TICKS = 3200
EQUAL = 1e-9  # Nm
# Once several constraints are active the core's barrier iterates until a step is below 1e-6 rad/s^2; converging slowly
# it may then be some steps away from the exact solution of the reference.
EQUAL_BEYOND_COUPLED_BARRIERS = 5e-4  # Nm
OSC = {"operational_space": True, "stiffness": np.array([200.0, 180, 220, 150, 150, 150])}  # 1/s^2
TANK = {"tank_initial": 0.15, "tank_refill_power": 0.3}
PAYLOAD = {"payload_mass": 0.8, "payload_com": np.array([0.01, -0.02, 0.05])}
SOFT = {"reflex_force": 25.0, "reflex_torque": 12.0, "reflex_recover_after": 0.2}
BOX = {"workspace_lower": lambda tool: tool - 0.035, "workspace_upper": lambda tool: tool + 0.04,
       "workspace_planes": lambda tool: np.array([[0.6, 0.0, 0.8, 0.6 * tool[0] + 0.8 * tool[2] - 0.03]])}  # fmt: skip
REFUSALS = ("not_finite", "not_unit_quaternion", "jump", "from_the_future", "older_than_last", "out_of_range",
            "not_increasing", "expired", "wrong_size")  # fmt: skip
MOTION = ("TRACK", "HOLD", "DAMP")
# Controller, parameters that together use every branch of the laws, and what must have happened in the run.
SETTINGS: dict[str, tuple[str, dict, tuple[str, ...]]] = {
    "impedance": ("cartesian_impedance", {}, (*MOTION, "error_clipped", *(f"refused_{name}" for name in REFUSALS))),
    "tool axes": ("cartesian_impedance", {"tool_axes": True, "nullspace": "dynamic", **TANK}, ("tank_limited",)),
    "no nullspace": (
        "cartesian_impedance", {"nullspace": "none", "gravity_compensation": False, **PAYLOAD}, ("error_clipped",)
    ),
    "operational space": ("cartesian_impedance", {**OSC, "nullspace": "dynamic"}, ("error_clipped",)),
    "operational space, tool axes": ("cartesian_impedance", {**OSC, "tool_axes": True, **TANK}, ("tank_limited",)),
    "reflex": ("cartesian_impedance", SOFT, ("REFLEX", "reflex_trips")),
    "box": ("cartesian_impedance", BOX, ("workspace_barrier",)),
    "sensor": ("cartesian_admittance", {"sensor": True, **PAYLOAD}, ("bad_wrench",)),
    "admittance": ("cartesian_admittance", {}, (*MOTION, "error_clipped")),
    "end stops": ("cartesian_admittance", {"admittance_limit": np.full(6, 0.005), "deadband_force": 0.5}, MOTION),
    "joints": ("joint_impedance", {}, MOTION),
    "joints, tank": ("joint_impedance", {**TANK, "coriolis_compensation": False}, ("tank_limited",)),
    "free": ("gravity_compensation", {}, ("TRACK",)),
    "plane": ("gravity_compensation", {"guide": "plane", "guide_direction": np.array([0.6, 0.0, 0.8])}, ("TRACK",)),
    "axis": (
        "gravity_compensation", {"guide": "axis", "hold_orientation": True, "guide_force_limit": 5.0}, ("TRACK",)
    ),
    "point": ("gravity_compensation", {"guide": "point"}, ("TRACK",)),
    "feedback": ("torque_feedback", {}, ("accepted",)),
}  # fmt: skip
# The laws know robots only by their models, so those of other arms are tried on a part of them.
ON_EVERY_ROBOT = ("tool axes", "operational space", "admittance", "joints, tank", "axis", "feedback")
RUNS = [("fr3", name) for name in SETTINGS] + [(robot, name) for robot in ("iiwa14", "gen3") for name in ON_EVERY_ROBOT]


class Scenario:
    """An operator, a policy and a disturbance, all random; with pauses in which the references go stale."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.plant, self.home = plant, plant.q.copy()
        self.position, self.rotation = plant.terms.p.copy(), Rotation.from_matrix(plant.terms.R)
        self.push, self.misled = np.zeros(6), 0

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        turn = Rotation.from_rotvec(self.rng.uniform(-0.15, 0.15, 3))
        return self.position + self.rng.uniform(-0.05, 0.05, 3), (turn * self.rotation).as_quat()

    def ask(self, tick: int, now: float, to: tuple[References, Requests]) -> None:
        """Messages at 15 Hz; silence from 0.9 s to 2.2 s, long enough to give up, and after 2.6 s."""
        if tick % 67 or 0.9 < now < 2.2 or now > 2.6:
            return
        rng, joints = self.rng, self.home + self.rng.uniform(-0.08, 0.08, len(self.home))
        if rng.random() < 0.3:
            times = now + 0.1 * np.arange(1, 6)
            send(to, "chunk", times, *self.path(len(times)), now)
        else:
            send(to, "pose", *self.pose(), now)
        send(to, "joint", joints, now)
        if rng.random() < 0.5:
            send(to, "wrench", rng.uniform(-8, 8, 6) * [1, 1, 1, 0.1, 0.1, 0.1], now)
        if rng.random() < 0.3:
            send(to, "stiffness", rng.uniform([100] * 3 + [10] * 3, [400] * 3 + [60] * 3), now)
        if tick % 2:
            self.mislead(now, to)

    def path(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        positions, quaternions = zip(*(self.pose() for _ in range(size)), strict=True)
        return np.array(positions), np.array(quaternions)

    def mislead(self, now: float, to: tuple[References, Requests]) -> None:
        """The next of the messages that must be refused."""
        position, quaternion = self.pose()
        bad = [
            ("pose", (np.full(3, np.nan), quaternion, now + 0.01)),
            ("pose", (position, 2 * quaternion, now + 0.01)),
            ("pose", (position + 1.0, quaternion, now + 0.01)),
            ("pose", (position, quaternion, now + 5.0)),
            ("pose", (position, quaternion, now - 1.0)),
            ("stiffness", (np.full(6, -1.0), now + 0.01)),
            ("wrench", (np.full(6, np.inf), now + 0.01)),
            ("joint", (self.home[:-1], now + 0.01)),
            ("chunk", (now - 0.1 * np.arange(3), *self.path(3), now + 0.01)),
            ("chunk", (now - 1.0 + 0.01 * np.arange(3), *self.path(3), now + 0.01)),
        ]
        kind, arguments = bad[self.misled % len(bad)]
        self.misled += 1
        send(to, kind, *arguments)

    def wrench(self, tick: int) -> np.ndarray:
        """An outside force that changes at random, with a short blow."""
        if tick % 200 == 0:
            self.push = self.rng.uniform(-1, 1, 6) * [10, 10, 10, 1, 1, 1]
        return self.push + (np.array([0, 40.0, 0, 0, 0, 0]) if 600 <= tick < 640 else 0.0)


def send(to: tuple[References, Requests], kind: str, *arguments) -> None:
    for one in to:
        getattr(one, f"set_{kind}")(*arguments)


class Race:
    """Core and reference side by side in one closed loop."""

    def __init__(self, robot_name: str, controller: str, settings: dict, seed: int = 1) -> None:
        self.robot, self.arm = load_robot(robot_name), load_robot(robot_name).arm()
        self.plant, self.controller = Plant(self.robot), controller
        self.settings = {"damp_after": 0.7, **settings}
        self.sensor = np.random.default_rng(seed) if self.settings.pop("sensor", False) else None
        self.params = self.parameters()
        self.core = CONTROLLERS[controller][0](self.arm, self.params)
        self.law = LAWS[controller](self.robot, self.params)
        self.scenario = Scenario(self.plant, seed)
        self.to = References(), Requests()
        self.asked = self.to
        if controller == "torque_feedback":
            self.asked = tuple(_AsTorque(one, self.scenario.home) for one in self.to)
        self.tau = self.plant.terms.g + 0.5
        for one in (self.core, self.law):
            one.reset(self.plant.q, self.plant.dq, self.tau, 0.0)
        self.seen: set[str] = set()

    def parameters(self, **more):
        params = load_parameters(self.robot.name, self.arm, self.controller)
        tool = self.arm.placement(np.array(self.robot.q_home))[0]
        for name, value in {**self.settings, **more}.items():
            setattr(params, name, value(tool) if callable(value) else value)
        params.validate(self.arm)
        return params

    def run(self, first: int = 0, last: int = TICKS) -> tuple[float, float]:
        """The largest difference of torques (Nm) before several barriers acted at once, and from there on."""
        worst = [0.0, 0.0]
        for tick in range(first, last):
            now, q, dq = tick * DT, self.plant.q, self.plant.dq
            self.scenario.ask(tick, now, self.asked)
            felt = None
            if self.sensor is not None:
                felt = 15 * np.sin(now * np.arange(1, 7)) + self.sensor.normal(size=6)
                felt[2] = np.nan if tick % 97 == 0 else felt[2]
            self.tau = self.core.update(q, dq, self.tau, now, self.to[0], DT, felt)
            expected = self.law.update(q, dq, now, self.to[1], DT, felt)
            coupled = self.law.barrier.coupled > 0
            worst[coupled] = max(worst[coupled], np.abs(self.tau - expected).max())
            self.seen.add(self.law.mode.name)
            firmware = 0.0 if self.params.gravity_compensation else self.plant.terms.g
            self.plant.step(self.tau + firmware, self.scenario.wrench(tick))
        self.seen.update(+self.law.status)
        return worst[0], worst[1]

    def agree(self) -> None:
        """What else must be the same on both sides."""
        counters = self.core.status.counters
        assert {name: count for name, count in counters.items() if count and name != "ticks"} == +self.law.status
        assert self.core.status.mode.value == self.law.mode
        slack = 1e5 if self.law.barrier.coupled else 1.0
        np.testing.assert_allclose(self.core.status.tank_energy, self.law.tank.energy, atol=1e-10 * slack)
        np.testing.assert_allclose(self.core.tau_external, self.law.tau_external, atol=1e-9 * slack)
        np.testing.assert_allclose(self.core.wrench, self.law.wrench, atol=1e-8 * slack)


class _AsTorque:
    """For torque feedback, joint messages carry what the follower feels."""

    def __init__(self, inner, home: np.ndarray) -> None:
        self.inner, self._home = inner, home

    def set_joint(self, q: np.ndarray, stamp: float) -> None:
        self.inner.set_torque(20 * (q - self._home[: len(q)]), stamp)

    def __getattr__(self, name: str):
        return getattr(self.inner, name)


@pytest.mark.parametrize(("robot", "name"), RUNS)
def test_torques_equal_the_reference_law(robot, name):
    controller, settings, happens = SETTINGS[name]
    race = Race(robot, controller, settings)
    alone, coupled = race.run()
    assert alone <= EQUAL
    assert coupled <= EQUAL_BEYOND_COUPLED_BARRIERS
    race.agree()
    if robot == "fr3":
        assert race.seen >= set(happens)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("impedance", {"damping_ratio": np.array([1.0, 1.0, 0.99, 1.0, 1.0, 1.0]), "payload_mass": 0.4}),
        ("tool axes", {"stiffness": np.array([300.0, 400, 500, 30, 40, 50])}),
        ("admittance", {"admittance_mass": np.full(6, 3.0), "error_clip": np.full(6, 0.02)}),
        ("joints", {"error_clip": np.full(7, 0.05), "friction_compensation": 0.5}),
        ("plane", {"guide": "axis", "guide_direction": np.array([0.0, 1.0, 0.0])}),
        ("feedback", {"feedback_gain": 0.3, "smoothing_time": 0.05}),
    ],
)
def test_parameters_changed_while_running(name, change):
    controller, settings, _ = SETTINGS[name]
    race = Race("fr3", controller, settings)
    race.run(last=400)
    params = race.parameters(**change)
    before = race.law.p
    race.core.set_params(params)
    race.law.set_params(params)
    assert max(race.run(first=400, last=900)) <= EQUAL
    assert any(np.any(getattr(before, key) != getattr(race.law.p, key)) for key in change)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("impedance", {"stiffness": np.array([1500.0, 1500, 1500 * (1 + 1e-7), 100, 100, 100])}),
        ("joints", {"damping_ratio": np.full(7, 1.0 + 1e-7)}),
        ("feedback", {"feedback_gain": 0.6 * (1 + 1e-7)}),
        ("free", {"friction_velocity": 0.05 * (1 + 1e-6)}),
        ("impedance", {"observer_time_constant": 0.02 * (1 + 1e-7), **SOFT}),
    ],
)
def test_the_comparison_sees_a_ten_millionth(name, settings):
    """The reference with slightly other gains must not pass."""
    controller, common, _ = SETTINGS[name]
    race = Race("fr3", controller, {**common, **SOFT} if controller == "cartesian_impedance" else common)
    race.law.set_params(race.parameters(**settings))
    if "stiffness" in settings:
        race.law.start(race.plant.q)
    alone, coupled = race.run(last=1500)
    seen_in_wrench = np.abs(race.core.wrench - race.law.wrench).max()
    assert max(alone, coupled, 0.1 * seen_in_wrench) > EQUAL


def test_infeasible_barriers_are_refused():
    """The reference has no answer where the limits contradict each other, and says so."""
    race = Race("fr3", "gravity_compensation", {"barrier_rate": 8.0})
    race.plant.q = race.arm.q_upper + 0.5
    race.law.p.workspace_lower = np.full(3, 5.0)
    with pytest.raises(ValueError, match="contradict"):
        race.law.update(race.plant.q, race.plant.dq, 0.0, race.to[1], DT)
