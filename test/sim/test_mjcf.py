"""MJCF descriptions: what is taken from them, and what is refused, in one line."""

import mujoco
import numpy as np
import pytest
from made import MOTORS, chain, message, mjcf

from steadyhand.sim.robot import load_robot


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (mjcf('<geom size="1"/>'), "there is no arm in this MJCF: it needs 5 to 8 hinges in a row, has 0 joints: none"),
        (mjcf('<body name="x"><joint/><geom size="1"/></body>'), "there is no arm in this MJCF"),
        (mjcf(chain()), "joint 'j0' has no effort limit; add it to its range, or its actuator's forcerange, or give"),
        (mjcf(chain() + chain().replace('"b', '"c').replace('"j', '"k')), "has several arms (b0, c0)"),
        (mjcf(chain('<body name="ball"><joint type="ball"/><geom size=".1"/></body>')), "'ball' has a free or ball"),
        (mjcf(chain('<body name="xy"><joint/><joint type="slide"/><geom size=".1"/></body>')), "'xy' has 2 joints"),
        ("<mujoco><worldbody>", "cannot read the MJCF"),
        (mjcf('<geom type="mesh" mesh="m"/>', '<asset><mesh name="m" file="lost.stl"/></asset>'), "lost.stl"),
    ],
)  # fmt: skip
def test_an_mjcf_without_an_arm_is_refused(write, text, expected):
    path = write(text, "arm.xml")
    assert expected in message(path)
    assert str(path) in message(path)


def test_an_mjcf_gives_limits_and_says_what_it_does_not(write):
    robot = load_robot(write(mjcf(chain('<site name="attachment_site" pos="0 0 .1"/>'), MOTORS), "arm.xml"))
    assert robot.tool_frame == "attachment_site"
    assert robot.tau_limit == (9.0,) * 6
    assert robot.q_upper == (np.inf,) * 6
    keys = [note.split(":")[0] for note in robot.notes]
    assert keys == ["base_frame", "dq_limit", "joints", "tool_frame", "q_home", "armature"]


def test_mujoco_reads_what_was_made_for_pinocchio(write):
    """The URDF made from an MJCF is one that other tools can read."""
    robot = load_robot(write(mjcf(chain(), MOTORS), "arm.xml"))
    assert mujoco.MjSpec.from_string(robot.urdf_xml).compile().nv == 6
