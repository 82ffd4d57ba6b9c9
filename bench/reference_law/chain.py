"""The chain every controller shares: estimate, believe or refuse, law, compensation, safety."""

from abc import ABC, abstractmethod
from collections import Counter
from types import SimpleNamespace

import numpy as np

from steadyhand.bench.reference_law.gate import Gate, Mode, Pose, Requests
from steadyhand.bench.reference_law.parts import Barrier, Limiter, Reflex, Tank
from steadyhand.bench.reference_law.terms import Terms
from steadyhand.crisp_control._core import ControllerParams
from steadyhand.crisp_control.parameters import parameter_names
from steadyhand.sim.robot import RobotSpec

GRAM_DAMPING = 1e-6  # on J J^T
INERTIA_DAMPING = 1e-5  # 1/kg, on J M^-1 J^T


class Law(ABC):
    """tau = law + friction + C dq + g, then the barrier between the limits of torque and torque rate.

    Joint arrays (n,) in rad, rad/s, Nm; twists and wrenches (6,) linear part first, in base axes; time in s.
    """

    follows_references = True  # a hand-guided arm needs none and knows no reflex

    def __init__(self, robot: RobotSpec, params: ControllerParams) -> None:
        self.terms = Terms(robot)
        self.gate = Gate(self.terms.n, self.terms.q_lower, self.terms.q_upper)
        self.tank = Tank()
        self.set_params(params)

    def set_params(self, params: ControllerParams) -> None:
        """Take new parameters, also between two ticks."""
        self.p = SimpleNamespace(**{name: getattr(params, name) for name in parameter_names(type(params))})
        self.terms.set_payload(self.p.payload_mass, self.p.payload_com)

    def reset(self, q: np.ndarray, dq: np.ndarray, tau: np.ndarray, time: float) -> None:
        """Start at the measured state: hold it, ramp from the measured torque."""
        self.mode = Mode.HOLD
        self.counters: Counter[str] = Counter()
        self.gate.reset()
        self.tank.reset(self.p)
        self.reflex, self.barrier = Reflex(), Barrier()
        self.wrench: np.ndarray = np.zeros(6)
        self.tau = np.clip(tau, -self.p.torque_limit, self.p.torque_limit)  # of the joints
        self.limiter = Limiter(self.tau)
        self._tau_other, self._q_before = self.tau, q  # what was not the law's, on the last tick
        self._momentum_expected = None
        self.terms.update(q, dq)
        self.start(q)

    def update(self, q: np.ndarray, dq: np.ndarray, time: float, requests: Requests, dt: float,
               sensor: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
        """One tick: the torques (n,) to command, Nm. sensor: (6,) of a force/torque sensor, tool axes."""
        terms, p = self.terms, self.p
        terms.update(q, dq)
        self._observe(dq, sensor)
        self._choose_mode(q, time, requests)
        self.aside = np.zeros(terms.n)
        if self.mode == Mode.DAMP:
            self.hold(q)
            law = -p.damping_only * dq
        else:
            law = self.law(q, dq, time, dt)
        coulomb = p.friction * dq / np.hypot(dq, p.friction_velocity)
        other = terms.g + self.aside + p.coriolis_compensation * terms.coriolis
        if self.mode != Mode.DAMP:
            other = other + p.friction_compensation * coulomb
        friction = coulomb + p.viscous_friction * dq
        tau = self.limiter.limit(law + other, dt, p)
        tau = self.barrier.apply(tau, self.tau_external - friction, q, dq, terms, p)
        self.tau = self.limiter.apply(tau, dt, p)
        self._tau_other, self._q_before = other, q
        self._momentum_expected += dt * (self.tau - friction + terms.CT_dq - terms.g + self.tau_external)
        return self.tau if p.gravity_compensation else self.tau - terms.g

    def _observe(self, dq: np.ndarray, sensor: np.ndarray | None) -> None:
        """External joint torque (De Luca & Mattone 2003) and wrench at the tool."""
        terms, p = self.terms, self.p
        momentum = terms.M @ dq
        if self._momentum_expected is None:
            self._momentum_expected = momentum.copy()
        self.tau_external = (momentum - self._momentum_expected) / p.observer_time_constant
        self._gram_inverse = np.linalg.inv(terms.J @ terms.J.T + GRAM_DAMPING * np.eye(6))
        if sensor is None or not np.isfinite(sensor).all():
            self.counters["bad_wrench"] += sensor is not None
            self.wrench = (self._gram_inverse @ terms.J) @ self.tau_external
            return
        weight = p.payload_mass * terms.field
        moment = np.cross(terms.R @ p.payload_com, weight)
        self.wrench = np.concatenate([terms.R @ sensor[:3] - weight, terms.R @ sensor[3:] - moment])

    def _choose_mode(self, q: np.ndarray, time: float, requests: Requests) -> None:
        before = self.mode
        if self.follows_references:
            self.reflex.update(self.wrench, time, self.p)
        if self.reflex.active:
            self.mode = Mode.REFLEX
            if before != Mode.REFLEX:
                self.hold(q)
            return
        if before in (Mode.DAMP, Mode.REFLEX):
            self.hold(q)
        self.take(q, time, requests)
        self.mode = self.gate.mode(time, self.p) if self.follows_references else Mode.TRACK
        if self.mode == Mode.HOLD and before == Mode.TRACK:
            self.stop_here()

    @property
    def status(self) -> Counter:
        """Counters by the core's names."""
        parts = (self.gate.counters, self.barrier.counters, self.limiter.counters)
        return sum(parts, self.counters + Counter(reflex_trips=self.reflex.trips))

    @property
    def here(self) -> Pose:
        """The tool's pose."""
        return self.terms.p, self.terms.R

    @property
    def softness(self) -> float:
        """1, or less while the reflex lasts."""
        return self.p.reflex_softening if self.reflex.active else 1.0

    def work(self, q: np.ndarray) -> float:
        """J that the law's part of the last torque did until now."""
        return float((self.tau - self._tau_other) @ self.terms.short_way(q - self._q_before))

    def kinematic_nullspace(self) -> np.ndarray:
        """I - J^T (J J^T)^-1 J, (n, n)."""
        return np.eye(self.terms.n) - self.terms.J.T @ self._gram_inverse @ self.terms.J

    def tool_inertia(self) -> np.ndarray:
        """(J M^-1 J^T)^-1, (6, 6)."""
        J = self.terms.J
        return np.linalg.inv(J @ np.linalg.solve(self.terms.M, J.T) + INERTIA_DAMPING * np.eye(6))

    @abstractmethod
    def start(self, q: np.ndarray) -> None:
        """Activation."""

    @abstractmethod
    def hold(self, q: np.ndarray) -> None:
        """Attractors come to rest at the present state."""

    @abstractmethod
    def law(self, q: np.ndarray, dq: np.ndarray, time: float, dt: float) -> np.ndarray:
        """Torques (n,) of the law; ``aside``: the part of them that is not the spring's."""

    def stop_here(self) -> None:  # noqa: B027 - nothing moves in some laws
        """Interpolation comes to rest where it is."""

    def take(self, q: np.ndarray, time: float, requests: Requests) -> None:  # noqa: B027 - some take nothing
        """Judge new requests; those accepted become targets."""
