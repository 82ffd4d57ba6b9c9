"""Kinematics and dynamics of an arm by Pinocchio's own algorithms."""

import numpy as np
import pinocchio as pin

from steadyhand.sim.robot import RobotSpec

WORLD_ALIGNED = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED


class Terms:
    """Dynamic terms of the arm with all other joints locked at zero; per-joint arrays in the robot's joint order.

    After ``update``: ``p`` (3,) m and ``R`` (3, 3) of the tool in the base; ``J`` (6, n) at the tool in base axes,
    linear part first; ``M`` (n, n) with rotor inertia, kg m^2; ``g``, ``coriolis`` = C dq, ``CT_dq`` = C^T dq (n,), Nm;
    ``tool_bias`` (3,) linear part of dJ/dt dq, m/s^2.
    """

    def __init__(self, robot: RobotSpec) -> None:
        full = pin.buildModelFromXML(robot.urdf_xml)
        locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.joints]
        self.model = pin.buildReducedModel(full, locked, pin.neutral(full))
        joints = [self.model.joints[self.model.getJointId(name)] for name in robot.joints]
        self.n = len(joints)
        self.continuous = np.array([joint.nq == 2 for joint in joints])
        self._v = np.array([joint.idx_v for joint in joints])
        self._q = np.array([joint.idx_q for joint in joints])
        self._q_endless = self._q[self.continuous]
        self._square = np.ix_(self._v, self._v)
        armature = np.zeros(self.n)
        armature[self._v] = robot.armature
        self.model.armature = armature
        self.tool = self.model.getFrameId(robot.tool_frame)
        self.field = self.model.gravity.linear.copy()
        self._last_inertia = self.model.inertias[self.model.njoints - 1].copy()
        lower, upper = self.model.lowerPositionLimit[self._q], self.model.upperPositionLimit[self._q]
        self.q_lower = np.where(self.continuous, -np.inf, lower)
        self.q_upper = np.where(self.continuous, np.inf, upper)
        self.dq_limit = self.model.velocityLimit[self._v]
        self.set_payload(0.0, np.zeros(3))

    def set_payload(self, mass: float, com: np.ndarray) -> None:
        """Hang a point mass (kg) at ``com`` (3,) m of the tool frame on the last link."""
        inertia = self._last_inertia
        if mass > 0.0:
            inertia = inertia + self.model.frames[self.tool].placement.act(pin.Inertia(mass, com, np.zeros((3, 3))))
        self.model.inertias[self.model.njoints - 1] = inertia
        self._data = self.model.createData()

    def configuration(self, q: np.ndarray) -> np.ndarray:
        """Angles (n,) in Pinocchio's coordinates: a continuous joint has cosine and sine."""
        configuration = np.empty(self.model.nq)
        configuration[self._q] = q
        configuration[self._q_endless] = np.cos(q[self.continuous])
        configuration[self._q_endless + 1] = np.sin(q[self.continuous])
        return configuration

    def velocity(self, dq: np.ndarray) -> np.ndarray:
        """Joint velocities (n,) in Pinocchio's order."""
        velocity = np.empty(self.n)
        velocity[self._v] = dq
        return velocity

    def update(self, q: np.ndarray, dq: np.ndarray) -> None:
        """All terms at (q, dq)."""
        model, data = self.model, self._data
        configuration, velocity = self.configuration(q), self.velocity(dq)
        self.M = pin.crba(model, data, configuration)[self._square]
        self.M = np.triu(self.M) + np.triu(self.M, 1).T
        self.CT_dq = (pin.computeCoriolisMatrix(model, data, configuration, velocity).T @ velocity)[self._v]
        self.g = pin.computeGeneralizedGravity(model, data, configuration)[self._v]
        self.coriolis = pin.nonLinearEffects(model, data, configuration, velocity)[self._v] - self.g
        pin.computeJointJacobians(model, data, configuration)
        pin.forwardKinematics(model, data, configuration, velocity, np.zeros(self.n))
        placement = pin.updateFramePlacement(model, data, self.tool)
        self.p, self.R = placement.translation.copy(), placement.rotation.copy()
        self.J = pin.getFrameJacobian(model, data, self.tool, WORLD_ALIGNED)[:, self._v]
        self.tool_bias = pin.getFrameClassicalAcceleration(model, data, self.tool, WORLD_ALIGNED).linear

    def short_way(self, difference: np.ndarray) -> np.ndarray:
        """Differences of joint positions (n,), those of continuous joints within half a turn."""
        return np.where(self.continuous, difference - 2 * np.pi * np.round(difference / (2 * np.pi)), difference)
