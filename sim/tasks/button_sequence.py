"""Button sequence: press four buttons in the order that the instruction says.

The buttons are sprung and come back slowly, so that who looks ten times a second misses no press of more than 9 mm of
their 12 mm. Pressing the wrong one, or one again, cannot be undone.
"""

from collections.abc import Sequence
from itertools import permutations

import mujoco
import numpy as np

from steadyhand.sim._native import Observation
from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.scene import VISUAL_GROUP
from steadyhand.sim.tasks.operator import Goal
from steadyhand.sim.tasks.palette import COLOURS, DARK, LIGHT
from steadyhand.sim.tasks.task import Choice, Conditions, Range, Ranges, Scene, Start, Task
from steadyhand.sim.tasks.tip import TipHand, add_tip

BUTTONS = tuple(COLOURS)
BASE_HEIGHT, BASE_RADIUS = 0.030, 0.036  # m
CAP_HEIGHT, CAP_RADIUS = 0.016, 0.024  # m; how far it stands out
TRAVEL = 0.012  # m
PRESSED, RELEASED = 0.006, 0.003  # m of travel
STIFFNESS, DAMPING = 150.0, 40.0  # N/m, N s/m: back within DAMPING / STIFFNESS s or so
CAP_MASS = 0.03  # kg
RANGES: Ranges = {
    "order": Choice(tuple(", ".join(order) for order in permutations(BUTTONS))),
    **{
        f"{colour}.{axis}": entry
        for colour, x, y in zip(BUTTONS, (0.46, 0.57, 0.46, 0.57), (-0.11, -0.09, 0.09, 0.11), strict=True)
        for axis, entry in (("x", Range(x - 0.02, x + 0.02)), ("y", Range(y - 0.04, y + 0.04)))
    },
}


class ButtonSequence(Task):
    """See the module's docstring.

    Truth (25,): tip x y z; for every button x y z of its top and how far it is pressed (m), its place in the order
    (1 to 4); how many have been pressed, 1 after a wrong press.

    Memory (10,): places in the order (4), how many have been pressed, wrong, which are down now (4).
    """

    name = "button_sequence"
    wordings = (
        "press the buttons in this order: {order}",
        "push the buttons one after the other: {order}",
        "press {order}, in this order",
    )
    time_limit = 30.0
    environment_names = (
        *(f"tip.{axis}" for axis in "xyz"),
        *(f"{colour}.{entry}" for colour in BUTTONS for entry in ("x", "y", "z", "travel", "place")),
        "pressed", "wrong",
    )  # fmt: skip
    subtasks = ("first", "second", "third", "fourth")
    needs_gripper = False
    ranges = RANGES

    def build(self, spec: mujoco.MjSpec, robot: RobotSpec) -> None:
        """Add the bases (mocap bodies "base_COLOUR") with their caps (bodies "button_COLOUR" on slides)."""
        add_tip(spec, robot)
        for i, colour in enumerate(BUTTONS):
            base = spec.worldbody.add_body(name=f"base_{colour}", mocap=True, pos=[0.5, 0.1 * (i - 1.5), 0.0])
            _add_base(base)
            _add_cap(base, colour)
            spec.add_exclude(bodyname1=f"base_{colour}", bodyname2=f"button_{colour}")

    def start(self, model: mujoco.MjModel, home: np.ndarray, conditions: Conditions) -> Start:
        """Buttons where they were drawn, none pressed."""
        places = [(conditions[f"{colour}.x"], conditions[f"{colour}.y"]) for colour in BUTTONS]
        mocap = np.array([[x, y, 0.0, 1.0, 0.0, 0.0, 0.0] for x, y in places], dtype=np.float64)
        order = str(conditions["order"]).split(", ")
        memory = [1.0 + order.index(colour) for colour in BUTTONS] + [0.0] * 6
        return Start(home, mocap.ravel(), np.array(memory))

    def remember(self, scene: Scene, observations: Sequence[Observation], memory: np.ndarray) -> np.ndarray:
        """Count a button once when it goes down."""
        place, (pressed, wrong), was_down = memory[:4], memory[4:6], memory[6:]
        travel = _travels(scene)
        down = np.where(was_down > 0.0, travel > RELEASED, travel > PRESSED)
        for i in np.flatnonzero(down & (was_down == 0.0)):
            if place[i] == pressed + 1.0:
                pressed += 1.0
            else:
                wrong = 1.0
        return np.concatenate([place, [pressed, wrong], down])

    def truth(self, scene: Scene, memory: np.ndarray) -> np.ndarray:
        """(25,) as named in environment_names."""
        tip, _ = scene.body_pose("tip")
        tops = [scene.body_pose(f"button_{colour}")[0] for colour in BUTTONS]
        rows = np.column_stack([tops, _travels(scene), memory[:4]])
        return np.concatenate([tip, rows.ravel(), memory[4:6]])

    def operator(self, rng: np.random.Generator) -> "ButtonOperator":
        """A scripted human who knows the order."""
        return ButtonOperator(rng)

    def progress(self, observations: Sequence[Observation], truth: np.ndarray) -> np.ndarray:
        """Pressed ones are done; of the next one, how close the tip is."""
        pressed = int(truth[23])
        done = np.arange(4) < pressed
        if pressed < 4:
            near = 0.9 * np.clip(1.0 - np.linalg.norm(truth[:3] - next_button(truth)[:3]) / 0.4, 0.0, 1.0)
            return np.where(np.arange(4) == pressed, near, done)
        return done.astype(np.float64)

    def success(self, observations: Sequence[Observation], truth: np.ndarray) -> bool:
        """All four pressed in their order, no wrong one before or after."""
        return bool(truth[23] == 4.0 and truth[24] == 0.0)

    def failure(self, truth: np.ndarray) -> str | None:
        """A press out of order cannot be taken back."""
        return "wrong_button" if truth[24] else None

    def timeout_reason(self, observations: Sequence[Observation], truth: np.ndarray) -> str:
        """How many were missing."""
        return f"pressed_{int(truth[23])}_of_4"


def _add_base(base: mujoco.MjsBody) -> None:
    half = BASE_HEIGHT / 2
    base.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[BASE_RADIUS, half, 0], pos=[0, 0, half], rgba=DARK,
        group=VISUAL_GROUP,
    )  # fmt: skip
    base.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[CAP_RADIUS + 0.003, 0.001, 0], pos=[0, 0, BASE_HEIGHT], rgba=LIGHT,
        group=VISUAL_GROUP, contype=0, conaffinity=0,
    )  # fmt: skip


def _add_cap(base: mujoco.MjsBody, colour: str) -> None:
    """The cap's frame is at the middle of its top; it slides downwards."""
    cap = base.add_body(name=f"button_{colour}", pos=[0, 0, BASE_HEIGHT + CAP_HEIGHT], gravcomp=1.0)
    cap.add_joint(
        name=f"button_{colour}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, -1], range=[0.0, TRAVEL],
        limited=mujoco.mjtLimited.mjLIMITED_TRUE, stiffness=STIFFNESS, damping=DAMPING,
    )  # fmt: skip
    half = CAP_HEIGHT / 2 + 0.005
    cap.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[CAP_RADIUS, half, 0], pos=[0, 0, -half], rgba=COLOURS[colour],
        group=VISUAL_GROUP, mass=CAP_MASS,
    )  # fmt: skip


def _travels(scene: Scene) -> np.ndarray:
    """How far every button is pressed, (4,) m."""
    heights = [scene.body_pose(f"button_{colour}")[0][2] for colour in BUTTONS]
    return BASE_HEIGHT + CAP_HEIGHT - np.array(heights)


def next_button(truth: np.ndarray) -> np.ndarray:
    """x y z, travel and place (5,) of the button that is to be pressed; the last one when all are."""
    rows = truth[3:23].reshape(4, 5)
    return rows[int(np.argmax(rows[:, 4] == min(truth[23] + 1.0, 4.0)))]


class ButtonOperator(TipHand):
    """Presses one button after the other; takes the arm away from a button that is not its turn."""

    def remaining(self, state: np.ndarray, truth: np.ndarray) -> float:
        """Buttons that are left, and the way to the next, in parts of a metre."""
        return 4.0 - truth[23] + float(np.linalg.norm(truth[:3] - next_button(truth)[:3]))

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """The tip comes down on the wrong button."""
        rows = truth[3:23].reshape(4, 5)
        beside = np.linalg.norm(rows[:, :2] - truth[:2], axis=1)
        nearest = rows[int(beside.argmin())]
        above = truth[2] - nearest[2]
        released = nearest[3] < RELEASED
        if beside.min() < BASE_RADIUS and above < 0.03 and released and nearest[4] != min(truth[23] + 1.0, 4.0):
            return "wrong_button_ahead"
        return super().trouble(state, truth, time)

    def plan(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Over the next button and down; after a press up again."""
        button = next_button(truth)
        if truth[23] == 4.0:
            return self.up(state, truth)
        beside = np.linalg.norm(button[:2] - truth[:2])
        if beside < 0.012 and truth[2] < self.safe_height + 0.01:
            return self.move(state, truth, [*button[:2], BASE_HEIGHT - 0.01], self.skill.fine_speed)
        return self.travel(state, truth, [*button[:2], button[2] + 0.03])
