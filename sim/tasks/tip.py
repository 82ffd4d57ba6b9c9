"""Touching things with whatever the arm has: closed fingers, or a stick on an arm without a gripper."""

from abc import abstractmethod
from collections.abc import Sequence

import mujoco
import numpy as np

from steadyhand.sim.robot import RobotSpec
from steadyhand.sim.scene import VISUAL_GROUP
from steadyhand.sim.tasks.operator import NUDGE, Goal, ScriptedHand, Skill
from steadyhand.sim.tasks.palette import DARK

STICK_LENGTH = 0.10  # m beyond the tool frame
STICK_RADIUS = 0.008  # m
STICK_MASS = 0.02  # kg; the controller does not know of it
NEAR = 0.015  # m from the goal, where the hand corrects what the joints' friction leaves


def add_tip(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    """Add the body "tip": the end of a stick along the tool's z axis, or the tool frame between the fingers.

    Fingers may end up to 1 cm beyond the tool frame.
    """
    tool = spec.body(robot.tool_frame)
    if robot.gripper is None:
        end = STICK_LENGTH - STICK_RADIUS
        tool.add_geom(
            name="stick", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0, 0, 0.01, 0, 0, end], size=[STICK_RADIUS, 0, 0],
            mass=STICK_MASS, group=VISUAL_GROUP, rgba=DARK, friction=[1.0, 0.005, 0.0001], priority=2,
        )  # fmt: skip
    tool.add_body(name="tip", pos=[0.0, 0.0, STICK_LENGTH if robot.gripper is None else 0.0])


class TipHand(ScriptedHand):
    """A scripted human who works with the tip, fingers closed. The truth begins with the tip's position (3,)."""

    safe_height = 0.10  # m of the tip, above everything
    margin = 0.02  # by which `remaining` must have shrunk to count as progress
    no_progress = 5.0  # s without it before taking over

    def __init__(self, rng: np.random.Generator, skill: Skill | None = None) -> None:
        super().__init__(rng, skill)
        self._best: tuple[float, float] | None = None

    @abstractmethod
    def remaining(self, state: np.ndarray, truth: np.ndarray) -> float:
        """How far the goal is; falls while the task is being done."""

    def trouble(self, state: np.ndarray, truth: np.ndarray, time: float) -> str | None:
        """It comes no closer to its goal."""
        left = self.remaining(state, truth)
        if self._best is None or left < self._best[1] - self.margin:
            self._best = (time, left)
        return "no_progress" if time - self._best[0] > self.no_progress else None

    def decide(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Recover straight up if taken over, then do as in a demonstration."""
        if self._recovering and truth[2] < self.safe_height - 0.02:
            return self.up(state, truth)
        self._recovering = False
        return self.plan(state, truth)

    def move(self, state: np.ndarray, truth: np.ndarray, to: Sequence[float] | np.ndarray, speed: float) -> Goal:
        """Bring the tip straight to a place (3,)."""
        error = np.asarray(to) - truth[:3]
        near = np.linalg.norm(error) < NEAR
        hand = self._hand[:3] + NUDGE * error if near else state[:3] + error
        return Goal(np.append(hand, self._hand[3]), 0.0, speed)

    def travel(self, state: np.ndarray, truth: np.ndarray, to: Sequence[float] | np.ndarray) -> Goal:
        """Bring the tip to a place (3,): up, across, and down to it."""
        to = np.asarray(to)
        across = float(np.linalg.norm(to[:2] - truth[:2]))
        if across < 0.008:
            return self.move(state, truth, to, 2.0 * self.skill.fine_speed)
        if across > 0.025 and truth[2] < self.safe_height - 0.02:
            return self.up(state, truth)
        return self.move(state, truth, [*to[:2], max(self.safe_height, to[2])], self.skill.speed)

    def up(self, state: np.ndarray, truth: np.ndarray) -> Goal:
        """Bring the tip straight up."""
        hand = self._hand.copy()
        hand[2] = state[2] + self.safe_height - truth[2]
        return Goal(hand, 0.0, self.skill.speed)
