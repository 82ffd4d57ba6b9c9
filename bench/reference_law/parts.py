"""Interpolation, the spring on an energy tank, the contact reflex, and the end of the safety chain."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pinocchio as pin
from scipy.linalg import expm
from scipy.optimize import nnls

from steadyhand.bench.reference_law.gate import Pose, between
from steadyhand.bench.reference_law.terms import Terms


class ThirdOrder:
    """(d/dt + lambda)^3 error = 0 with lambda = 3 / smoothing_time, by the matrix exponential of its state space."""

    def __init__(self) -> None:
        self._of: tuple[float, float] = 0.0, 0.0

    def step(self, state: np.ndarray, dt: float, smoothing_time: float) -> np.ndarray:
        """Advance (3, k): error, velocity and acceleration of k coordinates."""
        if self._of != (dt, smoothing_time):
            rate = 3.0 / smoothing_time
            system = np.array([[0, 1, 0], [0, 0, 1], [-(rate**3), -3 * rate**2, -3 * rate]])
            self._of, self._transition = (dt, smoothing_time), expm(system * dt)
        return self._transition @ state


class Walk[Point]:
    """The target moves from one reference to the next in a straight line, in the time between their stamps.

    That takes ``smoothing_time`` at most. A walk of T delays by T / 2; the filter behind it gets what is left.
    """

    def __init__(self, between: Callable[[Point, Point, float], Point]) -> None:
        self._between = between

    def stay(self, at: Point) -> None:
        """No walk: the target is here, and what comes next is the first reference."""
        self._start = self.end = at
        self._duration, self._elapsed, self._stamp = 0.0, 0.0, -np.inf

    def go(self, to: Point, stamp: float, smoothing_time: float) -> None:
        """From where the walk is now to a reference decided at ``stamp``."""
        self._start, self.end = self.point(), to
        self._duration, self._elapsed, self._stamp = min(stamp - self._stamp, smoothing_time), 0.0, stamp

    def step(self, dt: float) -> None:
        """One tick."""
        self._elapsed += dt

    def point(self) -> Point:
        """Where the walk is now."""
        if self._elapsed >= self._duration:
            return self.end
        return self._between(self._start, self.end, self._elapsed / self._duration)

    def filter_time(self, smoothing_time: float) -> float:
        """What is left for the filter, s."""
        return smoothing_time - 0.5 * min(self._duration, smoothing_time)


class PoseInterpolator:
    """A pose on its way to its target; the turn is filtered in the rotation vector of its error."""

    def __init__(self) -> None:
        self._filter, self.walk = ThirdOrder(), Walk[Pose](between)

    def reset(self, pose: Pose) -> None:
        """Rest here."""
        self.pose = pose
        self.walk.stay(pose)
        self._motion: np.ndarray = np.zeros((2, 6))

    def step(self, dt: float, smoothing_time: float) -> None:
        """One tick."""
        self.walk.step(dt)
        (p, R), (p_target, R_target) = self.pose, self.walk.point()
        error = np.concatenate([p - p_target, pin.log3(R @ R_target.T)])
        moved = self._filter.step(np.vstack([error, self._motion]), dt, self.walk.filter_time(smoothing_time))
        self.pose = p_target + moved[0, :3], pin.exp3(moved[0, 3:]) @ R_target
        self._motion = moved[1:]


class JointInterpolator:
    """Joint positions on their way to their target."""

    def __init__(self) -> None:
        self._filter = ThirdOrder()
        self.walk = Walk[np.ndarray](lambda start, end, part: start + part * (end - start))

    def reset(self, q: np.ndarray) -> None:
        """Rest here."""
        self.q = q
        self.walk.stay(q)
        self._motion: np.ndarray = np.zeros((2, len(q)))

    def step(self, dt: float, smoothing_time: float) -> None:
        """One tick."""
        self.walk.step(dt)
        target = self.walk.point()
        state = np.vstack([self.q - target, self._motion])
        moved = self._filter.step(state, dt, self.walk.filter_time(smoothing_time))
        self.q, self._motion = target + moved[0], moved[1:]


class Tank:
    """Energy (J) for changing stiffness and moving attractors."""

    def reset(self, p: SimpleNamespace) -> None:
        """Full as at the start."""
        self.energy = p.tank_initial

    def add(self, energy: float, p: SimpleNamespace) -> None:
        """What flows over is dissipated."""
        self.energy = min(p.tank_maximum, self.energy + energy)

    def valve(self, p: SimpleNamespace) -> float:
        """Part of a force that may still do work: 1 while there is energy, 0 from ``tank_minimum`` in the red."""
        return float(np.clip(1.0 + self.energy / max(p.tank_minimum, 1e-9), 0.0, 1.0))

    def affordable(self, price: float, p: SimpleNamespace) -> float:
        """The part of ``price`` (J) that can be paid, 0 .. 1."""
        funds = max(0.0, self.energy - p.tank_minimum)
        return 1.0 if price <= funds else funds / price


class Spring:
    """F = K clip(e) per axis; the potential is what F stores on the way to e. Changes are paid from the tank."""

    def reset(self, stiffness: np.ndarray, clip: np.ndarray) -> None:
        """Unloaded."""
        self.stiffness, self.clip, self.energy = stiffness, clip, 0.0
        self.force, self.clipped = np.zeros(len(clip)), False

    def potential(self, stiffness: np.ndarray, error: np.ndarray) -> float:
        """J: parabola within the clip, straight beyond."""
        size = np.abs(error)
        parabola, line = 0.5 * error**2, self.clip * (size - 0.5 * self.clip)
        return float(stiffness @ np.where(size <= self.clip, parabola, line))

    def advance(self, error, wanted, stiffness, work, dt, tank, p, move) -> bool:
        """Change to ``stiffness`` and the ``wanted`` error as far as it is paid: first stiffness, then the attractor.

        work: J done on the arm since the last call; move(part) moves the attractor and returns the error then. Returns
        whether all of it was paid.
        """
        present = self.potential(self.stiffness, error)
        tank.add(self.energy - present - work + p.tank_refill_power * dt, p)
        paid = tank.affordable(self.potential(stiffness, wanted) - present, p) == 1.0
        if not paid:
            part = tank.affordable(self.potential(stiffness, error) - present, p)
            stiffness = self.stiffness + part * (stiffness - self.stiffness)
            stiffened = self.potential(stiffness, error)
            tank.add(present - stiffened, p)
            present = stiffened
        part = 1.0 if paid else tank.affordable(self.potential(stiffness, wanted) - present, p)
        error = move(part)
        self.stiffness, self.energy = stiffness, self.potential(stiffness, error)
        tank.add(present - self.energy, p)
        limited = np.clip(error, -self.clip, self.clip)
        self.force, self.clipped = stiffness * limited, bool((limited != error).any())
        return paid


class Reflex:
    """Active from a wrench above its limit until it has been below half of it for ``reflex_recover_after``."""

    def __init__(self) -> None:
        self.active, self.trips, self._loaded_at = False, 0, 0.0

    def update(self, wrench: np.ndarray, now: float, p: SimpleNamespace) -> None:
        """wrench: (6,) N and Nm."""
        load = max(np.linalg.norm(wrench[:3]) / p.reflex_force, np.linalg.norm(wrench[3:]) / p.reflex_torque)
        self.trips += bool(load > 1.0 and not self.active)
        self.active = self.active or bool(load > 1.0)
        if load > 0.5:
            self._loaded_at = now
        if now - self._loaded_at >= p.reflex_recover_after:
            self.active = False


class Barrier:
    """The acceleration nearest to the wanted one, in the metric of M, that keeps h'' + 2 a h' + a^2 h >= 0.

    For joint velocities, whose limits are of relative degree one: h' + 2 a h >= 0.
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.coupled = 0  # ticks on which several constraints were active at once

    def apply(self, tau: np.ndarray, disturbance: np.ndarray, q: np.ndarray, dq: np.ndarray, terms: Terms,
              p: SimpleNamespace) -> np.ndarray:  # fmt: skip
        """tau (n,) Nm, changed only if it breaks a constraint; disturbance: what else acts on the joints, Nm."""
        ddq = np.linalg.solve(terms.M, tau + disturbance - terms.coriolis - terms.g)
        lower, upper = self._joint_bounds(q, dq, terms, p)
        A, b = self._workspace(dq, terms, p)
        joints_break, workspace_breaks = bool(((ddq < lower) | (ddq > upper)).any()), bool((A @ ddq < b).any())
        self.counters["joint_barrier"] += joints_break
        self.counters["workspace_barrier"] += workspace_breaks
        if not (joints_break or workspace_breaks):
            return tau
        A, b = np.vstack([A, np.eye(terms.n), -np.eye(terms.n)]), np.concatenate([b, lower, -upper])
        bounded = np.isfinite(b)
        change, active = _least_change(terms.M, A[bounded], b[bounded] - A[bounded] @ ddq)
        self.coupled += active > 1
        return tau + terms.M @ change

    def _joint_bounds(self, q: np.ndarray, dq: np.ndarray, terms: Terms, p: SimpleNamespace):
        a, v_max = p.barrier_rate, p.velocity_fraction * terms.dq_limit
        room_up, room_down = terms.q_upper - p.joint_margin - q, q - p.joint_margin - terms.q_lower
        upper = np.minimum(2 * a * (v_max - dq), -2 * a * dq + a * a * room_up)
        lower = np.maximum(-2 * a * (v_max + dq), -2 * a * dq - a * a * room_down)
        return np.minimum(lower, upper), upper

    def _workspace(self, dq: np.ndarray, terms: Terms, p: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
        """Rows of A ddq >= b for the box and the half-spaces n . p >= d."""
        box = np.vstack([np.eye(3), -np.eye(3)])
        walls = np.column_stack([box, np.concatenate([p.workspace_lower, -p.workspace_upper])])
        walls = np.vstack([walls[np.isfinite(walls[:, 3])], np.reshape(p.workspace_planes, (-1, 4))])
        normal, a = walls[:, :3], p.barrier_rate
        h = normal @ terms.p - walls[:, 3] - p.workspace_margin
        J = terms.J[:3]
        return normal @ J, -2 * a * normal @ (J @ dq) - a * a * h - normal @ terms.tool_bias


def _least_change(M: np.ndarray, A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
    """The x (n,) with the least x^T M x and A x >= b, and how many rows are active.

    Lawson & Hanson's least-distance program (Solving Least Squares Problems, 1974, ch. 23).
    """
    L = np.linalg.cholesky(M)  # x = L^-T y, |y|^2 = x^T M x
    G = np.linalg.solve(L, A.T).T
    E = np.vstack([G.T, b])
    target = np.zeros(len(E))
    target[-1] = 1.0
    multipliers = nnls(E, target)[0]
    residual = E @ multipliers - target
    if abs(residual[-1]) < 1e-12:
        raise ValueError("the barrier's constraints contradict each other: there is no acceleration to compare with")
    return np.linalg.solve(L.T, -residual[:-1] / residual[-1]), int((multipliers > 0.0).sum())


class Limiter:
    """Clamps torque and torque rate, starting from the measured torque."""

    def __init__(self, tau: np.ndarray) -> None:
        """tau: measured (n,), Nm."""
        self.last = tau
        self.counters: Counter[str] = Counter()
        self._cuts: set[str] = set()

    def limit(self, tau: np.ndarray, dt: float, p: SimpleNamespace) -> np.ndarray:
        """What of tau (n,) Nm can be applied now."""
        clamped = np.clip(tau, -p.torque_limit, p.torque_limit)
        step = np.clip(clamped - self.last, -p.torque_rate_limit * dt, p.torque_rate_limit * dt)
        if (clamped != tau).any():
            self._cuts.add("torque_clamped")
        if (step != clamped - self.last).any():
            self._cuts.add("torque_rate_limited")
        return np.clip(self.last + step, -p.torque_limit, p.torque_limit)

    def apply(self, tau: np.ndarray, dt: float, p: SimpleNamespace) -> np.ndarray:
        """The same, and it is applied: a tick counts once."""
        self.last = self.limit(tau, dt, p)
        self.counters.update(self._cuts)
        self._cuts = set()
        return self.last
