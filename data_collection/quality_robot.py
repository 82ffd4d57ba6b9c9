"""Can the robot do what was recorded? Requested positions against its reach, joints against their limits."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from steadyhand.data_collection.quality_data import ACTION, Found, NotApplicableError, Recorded, Verdict
from steadyhand.errors import SteadyhandError

BEYOND = 0.05  # rad that a recorded joint may be beyond its limit: calibration and stops give a little


def check_robot(recorded: Recorded) -> Found:
    """Requested positions that no joint angles reach, and joint positions beyond their limits."""
    if not recorded.arms or not recorded.robot:
        raise NotApplicableError(
            "the dataset does not name its robot" if recorded.arms else "actions are no poses as we record them"
        )
    from steadyhand.sim.robot import load_robot  # here: it takes half a second to import

    try:
        robot = load_robot(recorded.robot)
    except SteadyhandError as error:
        raise NotApplicableError(f"robot '{recorded.robot}' cannot be loaded: {error}") from None
    shoulder, reach = reach_bound(robot)
    for arm in recorded.arms:
        names = recorded.names(ACTION)
        at = [names.index(arm + axis) for axis in "xyz"]
        far = np.linalg.norm(recorded.values(ACTION)[:, at] - shoulder, axis=1)
        for episode, frames in enumerate(recorded.frames):
            if count := int((far[frames] > reach).sum()):
                what = f"{count} requested positions out of reach, up to {far[frames].max():.2f} m away"
                yield episode, Verdict.REVIEW, f"{what} ({recorded.robot}: {reach:.2f} m)"
        yield from _joints(recorded, arm, np.array(robot.q_lower), np.array(robot.q_upper))


def _joints(recorded: Recorded, arm: str, lower: np.ndarray, upper: np.ndarray) -> Found:
    if "observation.joints" not in recorded.columns:
        return
    names = recorded.names("observation.joints")
    at = [names.index(f"{arm}q{i}") for i in range(len(lower)) if f"{arm}q{i}" in names]
    if len(at) != len(lower):
        return
    q = recorded.values("observation.joints")[:, at]
    beyond = np.maximum(lower - q, q - upper)
    for episode, frames in enumerate(recorded.frames):
        worst = beyond[frames].max(axis=0) if len(frames) else np.zeros(len(at))
        if worst.max() > BEYOND:
            joint = int(np.argmax(worst))
            yield episode, Verdict.REVIEW, f"{arm}q{joint} is {worst[joint]:.2f} rad beyond its limit"


def reach_bound(robot) -> tuple[np.ndarray, float]:
    """Where an arm starts and how far from there its tool can surely not get.

    The first moving joint stays where it is; from there on the tool is never further than the lengths of all links
    together (triangle inequality) and the travel of prismatic joints.

    Returns:
        Position (3,) of the first moving joint in the base frame, m; the bound, m.
    """
    origins = {}
    for joint in ElementTree.fromstring(robot.urdf_xml).iter("joint"):
        origin = joint.find("origin")
        text = origin.get("xyz", "0 0 0") if origin is not None else "0 0 0"
        origins[joint.get("name")] = np.array([float(number) for number in text.split()])
    chain = robot.urdf.chain(robot.tool_frame)
    first = next(i for i, joint in enumerate(chain) if joint.type != "fixed")
    rest = sum(float(np.linalg.norm(origins[joint.name])) for joint in chain[first + 1 :])
    travel = sum(max(abs(joint.lower), abs(joint.upper)) for joint in chain if joint.type == "prismatic")
    before = [float(np.linalg.norm(origins[joint.name])) for joint in chain[: first + 1]]
    if first == 0:
        return origins[chain[0].name], rest + travel
    return np.zeros(3), sum(before) + rest + travel  # turned by what stands before it: measured from the base
