"""An arm under a controller without a twin: Pinocchio's forward dynamics with friction and an outside force."""

import numpy as np

from steadyhand.bench.reference_law.terms import Terms
from steadyhand.sim.robot import RobotSpec

DT = 1e-3  # s


class Plant:
    """The arm itself, integrated with semi-implicit Euler steps. q (n,) rad, dq (n,) rad/s."""

    FRICTION_VELOCITY = 0.02  # rad/s at which Coulomb friction has reached 71 %

    def __init__(self, robot: RobotSpec) -> None:
        self.terms = Terms(robot)
        arm = robot.arm()
        self._coulomb, self._viscous = arm.friction, arm.damping
        self.reset(np.array(robot.q_home))

    def reset(self, q: np.ndarray) -> None:
        """At rest at ``q``."""
        self.q: np.ndarray = q.copy()
        self.dq: np.ndarray = np.zeros(len(q))
        self.terms.update(self.q, self.dq)

    def step(self, tau: np.ndarray, wrench: np.ndarray) -> None:
        """One tick of joint torques (n,) Nm and an outside wrench (6,) at the tool, base axes."""
        terms, dq = self.terms, self.dq
        friction = self._coulomb * dq / np.hypot(dq, self.FRICTION_VELOCITY) + self._viscous * dq
        # Friction is stiff at low speed: implicit in its slope, so that a light joint does not chatter.
        slope = self._coulomb / np.hypot(dq, self.FRICTION_VELOCITY) + self._viscous
        force = tau - terms.coriolis - terms.g - friction + terms.J.T @ wrench
        ddq = np.linalg.solve(terms.M + DT * np.diag(slope), force)
        self.dq = dq + DT * ddq
        self.q = self.q + DT * self.dq
        terms.update(self.q, self.dq)
