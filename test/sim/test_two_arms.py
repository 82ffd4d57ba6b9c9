"""Two arms in one scene: each obeys its own controller in its own base frame, and neither feels the other."""

import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control.parameters import make_controller
from steadyhand.sim._native import RealtimeTwin, SensorModel, Twin
from steadyhand.sim.env import World
from steadyhand.sim.mount import PAIR, Mount
from steadyhand.sim.robot import load_robot
from steadyhand.sim.scene import build_spec, check_home, compile, home_qpos

TURNED = (Mount("left", y=0.4, yaw=0.3), Mount("right", y=-0.4, yaw=-0.5))


def make(mounts, *names: str) -> tuple[mujoco.MjModel, np.ndarray, Twin]:
    robots = [load_robot(name) for name in names]
    model = compile(build_spec(robots, mounts=mounts))
    home = home_qpos(model, robots, mounts)
    for robot, mount in zip(robots, mounts, strict=True):
        check_home(model, home, robot, mount)
    arms = [
        (mount.prefix, make_controller(robot.gains, robot.arm()), SensorModel())
        for robot, mount in zip(robots, mounts, strict=True)
    ]
    twin = Twin(model._address, arms)
    twin.reset(home)
    return model, home, twin


def drive(twin: Twin, arm: int, offset: np.ndarray) -> np.ndarray:
    """Two seconds towards a pose; where the tool is then."""
    start = twin.observe(arm)
    for _ in range(20):
        twin.set_reference(start.position + offset, start.quaternion, twin.time, 1.0, arm)
        twin.step(100)
    return twin.observe(arm).position


@pytest.mark.parametrize("names", [("fr3", "fr3"), ("iiwa14", "gen3")])
def test_each_obeys_in_its_own_base_frame_as_if_it_were_alone(names):
    _, _, twin = make(TURNED, *names)
    assert len(twin) == 2
    offset = np.array([0.04, -0.03, 0.05])
    for arm, name in enumerate(names):
        other = twin.observe(1 - arm).position
        reached = drive(twin, arm, offset)
        np.testing.assert_allclose(twin.observe(1 - arm).position, other, atol=1e-6)
        world = World.load(name, None)
        alone = world.twin()
        alone.reset(world.home)
        np.testing.assert_allclose(reached, drive(alone, 0, offset), atol=1e-5)
        twin.reset(make(TURNED, *names)[1])


def test_mounts_say_where_the_tools_are_in_the_world():
    _, _, twin = make(TURNED, "fr3", "fr3")
    twin.step(1)
    for arm, mount in enumerate(TURNED):
        hand, _ = twin.body_pose(f"{mount.prefix}fr3_hand_tcp")
        np.testing.assert_allclose(mount.to_world(twin.observe(arm).position), hand, atol=1e-6)
        np.testing.assert_allclose(mount.to_base(hand), twin.observe(arm).position, atol=1e-6)


def test_in_real_time_each_has_its_own_commands():
    _, _, twin = make(PAIR, "fr3", "fr3")
    loop = RealtimeTwin(twin)
    loop.start()
    try:
        while (first := loop.snapshot()) is None:
            pass
        start = [observation.position for observation in first[0]]
        stamp = first[0][1].time
        for k in range(200):
            loop.send(start[1] + [0.0, 0.0, 0.05], first[0][1].quaternion, stamp + 0.01 * k, 1.0, 1)
            while (newest := loop.snapshot()) is None or newest[0][1].time < stamp + 0.01 * k:
                pass
    finally:
        loop.stop()
    moved = [observation.position - begin for observation, begin in zip(newest[0], start, strict=True)]
    assert np.abs(moved[0]).max() < 1e-6
    assert moved[1][2] > 0.04


def test_no_third_arm_and_no_arm_that_is_not_there():
    model, _, twin = make(PAIR, "fr3", "fr3")
    with pytest.raises(ValueError, match="arm 2 of a twin with 2"):
        twin.observe(2)
    one = ("left_", make_controller("fr3", load_robot("fr3").arm()), SensorModel())
    with pytest.raises(ValueError, match="1 to 2 arms, given were 3"):
        Twin(model._address, [one] * 3)
    with pytest.raises(ValueError, match="no joint 'middle_fr3_joint1'"):
        Twin(model._address, [("middle_", *one[1:])])
