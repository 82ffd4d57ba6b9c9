"""The five laws."""

import numpy as np
import pinocchio as pin

from steadyhand.bench.reference_law.chain import Law
from steadyhand.bench.reference_law.gate import Chunk, Mode, Pose, Requests, between
from steadyhand.bench.reference_law.parts import JointInterpolator, PoseInterpolator, Spring


def pose_error(to: Pose, here: Pose) -> np.ndarray:
    """[p_to - p; log(R_to R^T)] (6,), base axes."""
    return np.concatenate([to[0] - here[0], pin.log3(to[1] @ here[1].T)])


def capped(vector: np.ndarray, limit: float) -> np.ndarray:
    """The vector, not longer than ``limit``."""
    return vector * min(1.0, limit / max(float(np.linalg.norm(vector)), 1e-300))


class CartesianImpedance(Law):
    """tau = J^T (K clip(e) - D J dq + w) + N (k (q_posture - q) - d dq); in operational space Lambda (K e - D J dq)."""

    def set_params(self, params) -> None:
        """A changed stiffness replaces a streamed one."""
        before = getattr(self, "p", None)
        super().set_params(params)
        if before is None or (before.stiffness != self.p.stiffness).any():
            self._stiffness_target = self.p.stiffness
        if hasattr(self, "spring"):
            self.spring.clip = self.p.error_clip

    def start(self, q: np.ndarray) -> None:
        """Posture and gains of the parameters, no feed-forward."""
        self.interpolator, self.spring = PoseInterpolator(), Spring()
        self.spring.reset(self.p.stiffness, self.p.error_clip)
        self._posture = q
        self._chunk: Chunk | None = None
        self._stiffness = self._stiffness_target = self.p.stiffness
        self._wrench_target, self._feed_forward = np.zeros(6), np.zeros(6)
        self.hold(q)

    def hold(self, q: np.ndarray) -> None:
        """Attractor at the tool; the spring gives its energy back."""
        self.attractor = self.here
        self.interpolator.reset(self.here)
        self.tank.add(self.spring.energy, self.p)
        self.spring.reset(self.softness * self._stiffness, self.p.error_clip)
        self._chunk = None

    def stop_here(self) -> None:
        """Rest at the interpolated pose."""
        self._chunk = None
        self.interpolator.walk.stay(self.interpolator.pose)

    def take(self, q: np.ndarray, time: float, requests: Requests) -> None:
        """Poses, chunks, stiffness, wrench and posture."""
        gate, p, tracked = self.gate, self.p, self.interpolator.pose
        if pose := gate.pose(requests.pose, tracked, time, p):
            self.interpolator.walk.go(pose, requests.pose.stamp, p.smoothing_time)
            self._chunk = None
        if chunk := gate.chunk(requests.chunk, tracked, time, p):
            self._chunk = chunk
        if gate.stiffness(requests.stiffness, time, p):
            self._stiffness_target = requests.stiffness.stiffness
        if gate.wrench(requests.wrench, time, p):
            self._wrench_target = requests.wrench.wrench
        if gate.joints(requests.joint, "posture", q, time, p, self.terms.short_way):
            self._posture = requests.joint.q

    def comply(self, reference: Pose, dt: float) -> Pose:
        """The pose that the spring pulls to."""
        return reference

    def law(self, q: np.ndarray, dq: np.ndarray, time: float, dt: float) -> np.ndarray:
        """See the class."""
        p, J = self.p, self.terms.J
        inertia_matters = p.operational_space or p.nullspace == "dynamic"
        self._inertia = self.tool_inertia() if inertia_matters else np.eye(6)
        if self.gate.mode(time, p, "wrench") != Mode.TRACK:
            self._wrench_target = np.zeros(6)
        if self._chunk:
            self.interpolator.walk.stay(self._chunk.at(time + p.smoothing_time))
        self.interpolator.step(dt, p.smoothing_time)
        part = -np.expm1(-dt / p.smoothing_time)
        self._stiffness = self._stiffness + part * (self._stiffness_target - self._stiffness)
        self._feed_forward = self._feed_forward + part * (self._wrench_target - self._feed_forward)
        axes = np.kron(np.eye(2), self.terms.R) if p.tool_axes else np.eye(6)  # of the gains, in the base
        self._advance(q, axes, dt)
        working = self.spring.force @ axes.T @ J @ dq > 0.0
        pull = self.spring.force * (self.tank.valve(p) if working else 1.0)
        wrench = axes @ pull - self._damping(axes) @ (J @ dq)
        if p.operational_space:  # per axis the spring is K m, with m the axis' own inertia
            mass = np.diag(self._inertia)
            wrench = self._inertia @ (axes @ (pull / mass) - self._damping(axes, mass) @ (J @ dq))
        wrench = wrench + self.tank.valve(p) * self.softness * self._feed_forward
        self.aside = self._nullspace() @ self._posture_torque(q, dq)
        return J.T @ wrench

    def _damping(self, axes: np.ndarray, mass: np.ndarray | float = 1.0) -> np.ndarray:
        """2 zeta sqrt(K) along the gains' axes, (6, 6)."""
        return axes @ np.diag(2 * self.p.damping_ratio * np.sqrt(self.spring.stiffness / mass)) @ axes.T

    def _advance(self, q: np.ndarray, axes: np.ndarray, dt: float) -> None:
        start, end = self.attractor, self.comply(self.interpolator.pose, dt)
        stiffness = self.softness * self._stiffness
        if self.p.operational_space:
            stiffness = stiffness * np.diag(self._inertia)

        def move(part: float) -> np.ndarray:
            self.attractor = end if part == 1.0 else between(start, end, part)
            return axes.T @ pose_error(self.attractor, self.here)

        present, wanted = axes.T @ pose_error(start, self.here), axes.T @ pose_error(end, self.here)
        paid = self.spring.advance(present, wanted, stiffness, self.work(q), dt, self.tank, self.p, move)
        self.counters["tank_limited"] += not paid
        self.counters["error_clipped"] += self.spring.clipped

    def _posture_torque(self, q: np.ndarray, dq: np.ndarray) -> np.ndarray:
        p, k = self.p, self.p.nullspace_stiffness
        torque = k * self.terms.short_way(self._posture - q) - 2 * p.nullspace_damping_ratio * np.sqrt(k) * dq
        return self.softness * np.clip(torque, -p.nullspace_torque_limit, p.nullspace_torque_limit)

    def _nullspace(self) -> np.ndarray:
        """N (n, n)."""
        if self.p.nullspace == "none":
            return np.eye(self.terms.n)
        if self.p.nullspace == "kinematic":
            return self.kinematic_nullspace()
        J, M = self.terms.J, self.terms.M
        return np.eye(self.terms.n) - J.T @ self._inertia @ np.linalg.solve(M, J.T).T


class CartesianAdmittance(CartesianImpedance):
    """M d'' + D d' + K d = w by backward Euler; the attractor is the reference moved by d."""

    def hold(self, q: np.ndarray) -> None:
        """Nothing gave way yet."""
        self._moved: np.ndarray = np.zeros(6)
        self._velocity: np.ndarray = np.zeros(6)
        super().hold(q)

    def comply(self, reference: Pose, dt: float) -> Pose:
        """Gives way to the wrench beyond its dead band."""
        p = self.p
        bands = (self.wrench[:3], p.deadband_force), (self.wrench[3:], p.deadband_torque)
        load = np.concatenate([vector - capped(vector, band) for vector, band in bands])
        M, D, K = p.admittance_mass, p.admittance_damping, p.admittance_stiffness
        velocity = (M * self._velocity + dt * (load - K * self._moved)) / (M + dt * D + dt**2 * K)
        wanted = self._moved + dt * velocity
        self._moved = np.clip(wanted, -p.admittance_limit, p.admittance_limit)
        self._velocity = np.where(self._moved == wanted, velocity, 0.0)
        return reference[0] + self._moved[:3], pin.exp3(self._moved[3:]) @ reference[1]


class JointImpedance(Law):
    """tau = K clip(q_ref - q) - D dq."""

    def set_params(self, params) -> None:
        """Takes effect with the next tick."""
        super().set_params(params)
        if hasattr(self, "spring"):
            self.spring.clip = self.p.error_clip

    def start(self, q: np.ndarray) -> None:
        """Rest."""
        self.interpolator, self.spring = JointInterpolator(), Spring()
        self.spring.reset(self.p.stiffness, self.p.error_clip)
        self.hold(q)

    def hold(self, q: np.ndarray) -> None:
        """Attractor at the joints; the springs give their energy back."""
        self.attractor = q
        self.interpolator.reset(q)
        self.tank.add(self.spring.energy, self.p)
        self.spring.reset(self.softness * self.p.stiffness, self.p.error_clip)

    def stop_here(self) -> None:
        """Rest at the interpolated joints."""
        self.interpolator.walk.stay(self.interpolator.q)

    def take(self, q: np.ndarray, time: float, requests: Requests) -> None:
        """Joint positions; continuous joints go the short way."""
        tracked, way = self.interpolator.q, self.terms.short_way
        if self.gate.joints(requests.joint, "motion", tracked, time, self.p, way):
            target = tracked + way(requests.joint.q - tracked)
            self.interpolator.walk.go(target, requests.joint.stamp, self.p.smoothing_time)

    def law(self, q: np.ndarray, dq: np.ndarray, time: float, dt: float) -> np.ndarray:
        """See the class."""
        p, way = self.p, self.terms.short_way
        self.interpolator.step(dt, p.smoothing_time)
        start, end = self.attractor, self.interpolator.q

        def move(part: float) -> np.ndarray:
            self.attractor = end if part == 1.0 else start + part * way(end - start)
            return way(self.attractor - q)

        stiffness = self.softness * p.stiffness
        paid = self.spring.advance(
            way(start - q), way(end - q), stiffness, self.work(q), dt, self.tank, p, move
        )  # fmt: skip
        self.counters["tank_limited"] += not paid
        self.counters["error_clipped"] += self.spring.clipped
        pull = self.spring.force * (self.tank.valve(p) if self.spring.force @ dq > 0.0 else 1.0)
        return pull - 2 * p.damping_ratio * np.sqrt(self.spring.stiffness) * dq


class GravityCompensation(Law):
    """tau = -d dq + J^T [P (k (p_0 - p) - d v); k_r log(R_0 R^T) - d_r w], P: projection on what is not free."""

    follows_references = False

    def set_params(self, params) -> None:
        """A new constraint starts where the tool is."""
        before = getattr(self, "p", None)
        super().set_params(params)
        names = ("guide", "guide_direction", "hold_orientation")
        if before and any(np.any(getattr(before, name) != getattr(self.p, name)) for name in names):
            self._anchor = self.here

    def start(self, q: np.ndarray) -> None:
        """Constraints count from here."""
        self._anchor = self.here

    hold = start

    def law(self, q: np.ndarray, dq: np.ndarray, time: float, dt: float) -> np.ndarray:
        """See the class."""
        p, J = self.p, self.terms.J
        along = np.outer(p.guide_direction, p.guide_direction)
        P = {"free": np.zeros((3, 3)), "plane": along, "axis": np.eye(3) - along, "point": np.eye(3)}[p.guide]
        error, twist = pose_error(self._anchor, self.here), J @ dq
        k, k_r = p.guide_stiffness, p.guide_rotational_stiffness
        d, d_r = 2 * p.guide_damping_ratio * np.sqrt([k, k_r])
        force = capped(k * P @ error[:3], p.guide_force_limit) - d * P @ twist[:3]
        torque = p.hold_orientation * (capped(k_r * error[3:], p.guide_torque_limit) - d_r * twist[3:])
        return J.T @ np.concatenate([force, torque]) - p.damping * dq


class TorqueFeedback(Law):
    """tau = low-pass(gain clip(tau_follower)) - d dq."""

    follows_references = False

    def start(self, q: np.ndarray) -> None:
        """Nothing is felt."""
        self._target, self._felt = np.zeros(self.terms.n), np.zeros(self.terms.n)

    hold = start

    def take(self, q: np.ndarray, time: float, requests: Requests) -> None:
        """Torques fade when they go stale."""
        p = self.p
        if self.gate.torque(requests.joint, time, p):
            tau = requests.joint.tau
            felt = np.clip(p.feedback_gain * tau, -p.feedback_limit, p.feedback_limit)
            self._target = felt if np.linalg.norm(tau) > p.feedback_deadband else np.zeros(self.terms.n)
        if self.gate.mode(time, p) != Mode.TRACK:
            self._target = np.zeros(self.terms.n)

    def law(self, q: np.ndarray, dq: np.ndarray, time: float, dt: float) -> np.ndarray:
        """See the class."""
        self._felt = self._felt - np.expm1(-dt / self.p.smoothing_time) * (self._target - self._felt)
        return self._felt - self.p.damping * dq
