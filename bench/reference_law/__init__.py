"""The control laws a second time, in numpy and Pinocchio's Python module: oracle of the tests, yardstick of the bench.

Written from the equations in the core's headers, on other building blocks: rotation matrices instead of quaternions,
Pinocchio's CRBA, RNEA, Coriolis matrix and frame kinematics, the matrix exponential for the interpolation, dense
inverses, and a general least-distance program for the barrier.
"""

from steadyhand.bench.reference_law.chain import Law
from steadyhand.bench.reference_law.gate import Mode, Requests
from steadyhand.bench.reference_law.laws import (
    CartesianAdmittance,
    CartesianImpedance,
    GravityCompensation,
    JointImpedance,
    TorqueFeedback,
)

LAWS: dict[str, type[Law]] = {
    "cartesian_impedance": CartesianImpedance,
    "cartesian_admittance": CartesianAdmittance,
    "joint_impedance": JointImpedance,
    "gravity_compensation": GravityCompensation,
    "torque_feedback": TorqueFeedback,
}

__all__ = ["LAWS", "Law", "Mode", "Requests"]
