"""What may change while a controller runs: parameters on the way to a target, activation again, a sensor that dies."""

import numpy as np
import pytest

from steadyhand.crisp_control._core import ArmModel, Controller, References
from steadyhand.crisp_control.parameters import make_controller
from steadyhand.sim.robot import load_robot

DT = 0.001
Q_HOME = np.array(load_robot("fr3").q_home)
REST = np.zeros(7)


@pytest.fixture(scope="module")
def arm() -> ArmModel:
    return load_robot("fr3").arm()


def make(arm: ArmModel, name: str = "cartesian_impedance") -> Controller:
    """A controller of the FR3 that does not mind an arm that is held in place."""
    controller = make_controller("fr3", arm, name)
    params = controller.params
    params.reflex_force = params.reflex_torque = np.inf
    controller.set_params(params)
    return controller


def activate(controller: Controller, arm: ArmModel) -> None:
    controller.reset(Q_HOME, REST, arm.gravity(Q_HOME), 0.0)


def ask(references: References, arm: ArmModel, way: float, stamp: float) -> None:
    """A pose or joint target `way` (m, rad) from where the arm is, as the controller takes it."""
    position, quaternion = arm.placement(Q_HOME)
    references.set_pose(position + np.array([way, 0.0, 0.0]), quaternion, stamp)
    references.set_joint(Q_HOME + way, stamp)


def run(controller: Controller, references: References, start: float, ticks: int, wrench=None) -> None:
    """Ticks with the arm held in place, from time `start` on."""
    for tick in range(ticks):
        controller.update(Q_HOME, REST, REST, start + tick * DT, references, DT, wrench)


@pytest.mark.parametrize("name", ["cartesian_impedance", "joint_impedance"])
@pytest.mark.parametrize("shorter", [0.09, 0.04, 0.001])
def test_smoothing_may_become_shorter_on_the_way(arm, name, shorter):
    controller, references = make(arm, name), References()
    activate(controller, arm)
    ask(references, arm, 0.05, 0.0)
    run(controller, references, 0.0, 20)
    params = controller.params
    params.smoothing_time = shorter
    params.tank_maximum = params.tank_initial = 1e6
    controller.set_params(params)
    start = controller.attractor[0] if name == "joint_impedance" else controller.tracked[0][0]
    goal = start + 0.06
    for tick in range(20, 400):
        run(controller, references, tick * DT, 1)
        at = controller.attractor[0] if name == "joint_impedance" else controller.tracked[0][0]
        assert start - 1e-9 <= at <= goal


@pytest.mark.parametrize("name", ["cartesian_impedance", "joint_impedance"])
def test_activation_finds_the_tank_as_the_parameters_say(arm, name):
    controller, references = make(arm, name), References()
    activate(controller, arm)
    initial = controller.params.tank_initial
    ask(references, arm, 0.1, 0.0)
    run(controller, references, 0.0, 300)  # the arm does not move: the spring is loaded, the tank paid for it
    assert controller.status.tank_energy < initial
    activate(controller, arm)
    run(controller, References(), 0.0, 1)
    refilled = controller.params.tank_refill_power * DT
    assert controller.status.tank_energy == pytest.approx(initial + refilled, abs=1e-12)


def test_a_streamed_stiffness_survives_a_change_of_other_parameters(arm):
    controller, references = make(arm), References()
    activate(controller, arm)
    streamed = np.array([300.0, 400.0, 500.0, 20.0, 30.0, 40.0])
    references.set_stiffness(streamed, 0.0)
    run(controller, references, 0.0, 100)
    params = controller.params
    params.damping_only = 3.0
    controller.set_params(params)
    run(controller, references, 0.1, 2000)
    np.testing.assert_allclose(controller.stiffness, streamed, rtol=1e-6)
    params.stiffness = streamed * 2
    controller.set_params(params)
    run(controller, references, 2.1, 2000)
    np.testing.assert_allclose(controller.stiffness, streamed * 2, rtol=1e-6)


def test_a_force_sensor_that_dies_is_counted_and_the_joints_tell_instead(arm):
    controller, references = make(arm, "cartesian_admittance"), References()
    activate(controller, arm)
    run(controller, references, 0.0, 200, np.array([0.0, 20.0, 0.0, 0.0, 0.0, 0.0]))
    moved = controller.displacement.copy()
    assert np.abs(moved).max() > 0.01
    dead = np.full(6, np.nan)
    run(controller, references, 0.2, 3000, dead)
    assert controller.status.counters["bad_wrench"] == 3000
    assert np.isfinite(controller.displacement).all()
    assert np.isfinite(controller.wrench).all()
