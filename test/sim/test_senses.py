"""Noise, resolution, delays and the force/torque sensor: what an arm is told, and what MuJoCo knows."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control.parameters import make_controller
from steadyhand.errors import SteadyhandError
from steadyhand.paths import config_dir
from steadyhand.sim._native import MAX_DELAY, SensorModel, Twin
from steadyhand.sim.env import World, sensor_model
from steadyhand.sim.realtime import RealtimeWorld
from steadyhand.sim.robot import load_robot
from steadyhand.sim.robot_file import SensorSpec, read_robot_file

TIMESTEP = 0.001


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", None)


def make(world: World, **figures: float) -> Twin:
    model = SensorModel()
    for name, value in figures.items():
        setattr(model, name, value)
    twin = Twin(world.model._address, make_controller("fr3", world.arm), model)
    twin.reset(world.home, seed=5)
    return twin


def measure(twin: Twin, ticks: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """What was measured and what was so, (ticks, 3, 7): q, dq, tau."""
    told, so = [], []
    for _ in range(ticks):
        twin.step(1)
        seen = twin.observe()
        told.append([seen.q, seen.dq, seen.tau])
        so.append([twin.qpos[:7], twin.qvel[:7], seen.tau])
    return np.array(told), np.array(so)


def test_noise_is_as_large_as_asked_for_and_the_controller_feels_it(world):
    told, so = measure(make(world, q_noise=1e-4, dq_noise=2e-3))
    error = told - so
    assert error[:, 0].std() == pytest.approx(1e-4, rel=0.1)
    assert error[:, 1].std() == pytest.approx(2e-3, rel=0.1)
    assert abs(error[:, 0].mean()) < 1e-5
    # Neighbouring ticks and joints know nothing of each other.
    assert abs(np.corrcoef(error[1:, 0, 0], error[:-1, 0, 0])[0, 1]) < 0.15
    assert abs(np.corrcoef(error[:, 0, 0], error[:, 0, 1])[0, 1]) < 0.15
    assert so[:, 2].std(axis=0).max() > 10 * measure(make(world))[1][:, 2].std(axis=0).max()


def test_resolution(world):
    told, so = measure(make(world, q_step=0.01), 50)
    np.testing.assert_allclose(told[:, 0] / 0.01, np.round(told[:, 0] / 0.01), atol=1e-9)
    assert np.abs(told[:, 0] - so[:, 0]).max() <= 0.005 + 1e-12


@pytest.mark.parametrize("delay", [1, 7, MAX_DELAY])
def test_a_measurement_comes_late(world, delay):
    twin = make(world, measurement_delay=delay)
    start = twin.observe()
    twin.set_reference(start.position + np.array([0.05, 0, 0]), start.quaternion, twin.time, 1.0)
    told, so = measure(twin, 150)
    np.testing.assert_array_equal(told[delay:, 0], so[:-delay, 0])
    np.testing.assert_array_equal(told[:delay, 0], np.broadcast_to(world.home[:7], (delay, 7)))


def test_a_torque_acts_late(world):
    prompt, late = make(world), make(world, command_delay=9)
    torques = []
    for twin in (prompt, late):
        twin.apply_wrench("fr3_link7", np.array([0, 0, -30.0, 0, 0, 0]))
        torques.append(measure(twin, 40)[0][:, 2])
    quiet = np.array(late.observe().tau)
    assert np.isfinite(quiet).all()
    np.testing.assert_array_equal(torques[1][1:9], torques[1][:8])  # what was commanded before there was anything
    assert np.abs(np.diff(torques[0][:9], axis=0)).max() > 1e-3


def test_the_same_seed_errs_alike_and_another_does_not(world):
    twin = make(world, q_noise=1e-4)
    runs = []
    for seed in (1, 1, 2):
        twin.reset(world.home, seed=seed)
        runs.append(measure(twin, 20)[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_figures_that_cannot_be_are_refused(world):
    for name, value, words in (("q_noise", -1.0, "q_noise"), ("command_delay", 65, "65 ticks.*0 to 64")):
        with pytest.raises(ValueError, match=words):
            make(world, **{name: value})
    with pytest.raises(SteadyhandError, match=r"measurement_delay is 0\.1 s; allowed: 0 to 0\.064 s"):
        sensor_model(SensorSpec(measurement_delay=0.1), TIMESTEP)
    assert sensor_model(SensorSpec(measurement_delay=0.003), TIMESTEP).measurement_delay == 3


def test_a_robot_file_says_how_its_senses_err(tmp_path):
    robots = config_dir() / "robots"
    text = (robots / "fr3.yaml").read_text().replace("fr3/fr3.urdf", str(robots / "fr3/fr3.urdf"))
    file = tmp_path / "mine.yaml"
    file.write_text(text + "\nsensors: {q_noise: 0.001}\nforce_torque_link: fr3_hand\n")
    robot = load_robot(file)
    assert (robot.sensors.q_noise, robot.force_torque_link) == (0.001, "fr3_hand")
    file.write_text(text + "\nsensors: {q_noise: -1.0}\n")
    with pytest.raises(SteadyhandError, match="q_noise is -1"):
        read_robot_file(file)
    file.write_text(text + "\nforce_torque_link: hand\n")
    with pytest.raises(SteadyhandError, match=r"unknown force_torque_link 'hand'.*fr3_hand"):
        load_robot(file)
    file.write_text(text + "\nforce_torque_link: fr3_link4\n")
    with pytest.raises(SteadyhandError, match="does not move with the tool"):
        World.build(load_robot(file), None)


def test_the_force_torque_sensor_tells_the_wrench_on_the_tool(world):
    """Against the wrench that is applied; the hand's own weight is taken off, whatever the posture."""
    sensing = World.build(replace(world.robot, force_torque_link="fr3_hand"), None)
    twin = sensing.twin()
    twin.reset(sensing.home)
    twin.step(1500)
    assert np.abs(twin.observe().wrench).max() < 0.02
    hand = sensing.model.body("fr3_hand").id
    applied = np.array([6.0, -4.0, 9.0, 0.3, -0.2, 0.5])
    twin.apply_wrench("fr3_hand", applied)
    twin.step(3000)
    seen = twin.observe()
    data = mujoco.MjData(sensing.model)
    data.qpos[:] = twin.qpos
    mujoco.mj_kinematics(sensing.model, data)
    mujoco.mj_comPos(sensing.model, data)
    moment = applied[3:] + np.cross(data.xipos[hand] - seen.position, applied[:3])
    np.testing.assert_allclose(seen.wrench[:3], applied[:3], atol=0.05)
    np.testing.assert_allclose(seen.wrench[3:], moment, atol=0.02)
    estimated = world.twin()
    estimated.reset(world.home)
    estimated.apply_wrench("fr3_hand", applied)
    estimated.step(3000)
    assert np.abs(estimated.observe().wrench[:3] - applied[:3]).max() > 0.05  # without a sensor, friction hides some


def test_a_late_wrench_is_not_that_of_the_episode_before(world):
    """Whatever ran before: the sensor's delay holds nothing of it."""
    robot = replace(world.robot, force_torque_link="fr3_hand", sensors=SensorSpec(measurement_delay=0.03))
    sensing = World.build(robot, None)
    fresh, used = sensing.twin(), sensing.twin()
    used.reset(sensing.home)
    used.apply_wrench("fr3_hand", np.array([40.0, 0, 0, 0, 0, 0]))
    used.step(300)
    seen = []
    for twin in (fresh, used):
        twin.reset(sensing.home)
        wrenches = []
        for _ in range(60):
            twin.step(1)
            wrenches.append(twin.observe().wrench)
        seen.append((np.array(wrenches), twin.observe().force_peak))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert seen[0][1] == seen[1][1]


def test_episodes_in_real_time_have_noise_of_their_own(world):
    noisy = World.build(replace(world.robot, sensors=SensorSpec(q_noise=1e-3)), None)
    first = []
    for seed in (1, 1, 2):
        realtime = RealtimeWorld(noisy, seed)
        first.append(realtime._twin.observe().q)
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
