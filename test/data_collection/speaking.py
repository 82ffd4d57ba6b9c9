"""What a robot and its operator say on their topics, and episodes of a journal made of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_typestore

from steadyhand import ros_messages
from steadyhand.data_collection.journal import Channel, Journal
from steadyhand.data_collection.ros_journal import type_name
from steadyhand.ros import GRIPPER_COMMAND
from steadyhand.sim.robot import load_robot

TYPES = get_typestore(Stores.ROS2_JAZZY)
JOINTS = load_robot("fr3").joints
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])  # the tool points down
START = 1_800_000_000.0
NOTED = {"robot": "fr3", "task": "go down", "cameras": ["front"], "environment": False, "segment": "demo"}


def height(stamp: float) -> float:
    """Of the tool, m."""
    return 0.5 - 0.01 * (stamp - START)


def said(decisions: int, gap: tuple[int, int] = (0, 0), joints=JOINTS, image=(48, 64)) -> Iterator[tuple]:
    """What a robot and its operator say: (topic, message, capture stamp, receive stamp), in the order it comes.

    States every 20 ms, images every 40 ms, a decision every 100 ms (gap: none from .. to); everything takes 1 ms.
    """
    for tick in range(round((decisions + 5) * 5)):
        stamp = START + 0.02 * tick + 0.003
        place = ros_messages.pose([0.4, 0.0, height(stamp)], LEVEL, stamp, "base")
        messages = [
            ("current_pose", place),
            ("reference_pose", place),
            ("external_wrench", ros_messages.wrench(np.zeros(6), stamp, "base")),
            ("joint_states", ros_messages.joints(joints, np.full(len(joints), stamp - START), stamp, np.zeros(7))),
            ("gripper/joint_states", ros_messages.joints(["finger"], [0.5], stamp)),
        ]
        if tick % 2 == 0:
            messages.append(
                ("front/image_raw", ros_messages.image(np.full((*image, 3), tick % 256, np.uint8), stamp, "c"))
            )
        if tick >= 5 and tick % 5 == 0 and not gap[0] <= tick // 5 - 1 < gap[1] and tick // 5 <= decisions:
            target = ros_messages.pose([0.4, 0.0, 0.1 * (tick // 5)], LEVEL, stamp + 0.01, "base")
            yield from ((topic, message, stamp, stamp + 0.001) for topic, message in messages)
            yield "target_pose", target, stamp + 0.01, stamp + 0.011
            yield GRIPPER_COMMAND, ros_messages.numbers([0.25]), stamp + 0.011, stamp + 0.011
        else:
            yield from ((topic, message, stamp, stamp + 0.001) for topic, message in messages)


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def record(journal: Journal, messages, label: dict, **noted) -> None:
    """An episode of these messages."""
    begun = nanoseconds(START + 0.05) + journal.episodes
    journal.begin(**{**NOTED, "begun": begun, **noted})
    last = 0
    for topic, message, captured, received in messages:
        kind = type_name(type(message))
        channel = Channel(f"/{topic}", kind, TYPES.generate_msgdef(kind, ros_version=2)[0])
        last = nanoseconds(received)
        journal.add(channel, last, nanoseconds(captured), bytes(serialize_message(message)))
    journal.end(**label)


GOOD = {"success": True, "end_reason": "success", "ended": nanoseconds(START + 50.0)}


def write_journal(folder: Path) -> Path:
    """Good, with a gap, discarded, of another camera, after a jump of the clock, cut off, good."""
    with Journal(folder, reserve=0) as journal:
        record(journal, said(10), GOOD)
        record(journal, said(10, gap=(4, 7)), GOOD)
        record(journal, said(10), GOOD | {"discarded": True})
        record(journal, said(10, image=(32, 32)), GOOD)
        jump = [(t, m, c, r - (20.0 if r > START + 1.0 else 0.0)) for t, m, c, r in said(10)]
        record(journal, jump, GOOD)
        record(journal, said(10), GOOD)
        record(journal, said(10), GOOD | {"success": False, "end_reason": "failure"})
    file = folder / "episode_000005" / "episode_000005_0.mcap"
    os.truncate(file, file.stat().st_size // 2)
    return folder
