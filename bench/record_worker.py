"""A made-up robot for `steadyhand bench record`: `python -m steadyhand.bench.record_worker cameras|state FILE`.

Publishes until Ctrl-C, then writes the stamps of all that it has published: topic -> ns, in order.
"""

import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from steadyhand import ros, ros_messages
from steadyhand.sim.robot import load_robot

CAMERAS, WIDTH, HEIGHT = ("front", "wrist"), 640, 480
IMAGE_RATE, STATE_RATE, DECISION_RATE = 30, 100, 10  # Hz
ENVIRONMENT = ("x", "y", "z", "yaw")
_PICTURES = 30  # different ones of each camera
_NOISE = 3.0  # standard deviation of a camera's noise, of 255


def pictures(seed: int) -> list[np.ndarray]:
    """Images (480, 640, 3) of a striped disk that moves over a shaded background, with noise as a camera's."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = []
    for turn in np.arange(_PICTURES) * 2.0 * np.pi / _PICTURES:
        shade = 60.0 + 100.0 * x / WIDTH + 40.0 * np.sin(y / 30.0)
        inside = np.hypot(x - 320 - 150 * np.cos(turn), y - 240 - 120 * np.sin(turn)) < 80
        shade[inside] = 128.0 + 100.0 * np.sin(0.5 * (x + y)[inside])
        colours = shade[..., None] * [1.0, 0.8, 0.6] + random.normal(0.0, _NOISE, (HEIGHT, WIDTH, 3))
        images.append(colours.clip(0, 255).astype(np.uint8))
    return images


class Robot:
    """Publishes, and remembers what."""

    def __init__(self, node: ros.Node) -> None:
        self._node = node
        self._publishers: dict[str, Any] = {}
        self.stamps: defaultdict[str, list[int]] = defaultdict(list)
        self._joints = load_robot("fr3").joints

    def say(self, name: str, message: Any, stamp: float) -> None:
        """Publish on a topic of the table."""
        if name not in self._publishers:
            self._publishers[name] = ros.publisher(self._node, name)
        if hasattr(message, "header"):
            ros_messages.set_stamp(message.header, stamp)
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        else:
            stamp_ns = round(stamp * 1e9)
        self._publishers[name].publish(message)
        self.stamps[name].append(stamp_ns)

    def state(self, tick: int) -> None:
        """One of the 100 states of a second, and what comes with it."""
        now, n = ros.now(), len(self._joints)
        wave = np.sin(0.02 * tick + np.arange(n))
        pose = ros_messages.pose([0.4 + 0.1 * wave[0], 0.1 * wave[1], 0.3], [1.0, 0.0, 0.0, 0.0], now, "base")
        zero = np.zeros(6)
        self.say("current_pose", pose, now)
        self.say("reference_pose", pose, now)
        self.say("current_twist", ros_messages.twist(zero, now, "base"), now)
        self.say("external_wrench", ros_messages.wrench(wave[:6], now, "base"), now)
        self.say("joint_states", ros_messages.joints(self._joints, wave, now, wave, wave), now)
        self.say("external_torques", ros_messages.joints(self._joints, (), now, effort=wave), now)
        self.say("gripper/joint_states", ros_messages.joints(["finger"], [0.5], now), now)
        self.say("task/environment_state", ros_messages.joints(ENVIRONMENT, wave[: len(ENVIRONMENT)], now), now)
        if tick % (STATE_RATE // DECISION_RATE) == 0:
            self.say("target_pose", pose, now)
            self.say(ros.GRIPPER_COMMAND, ros_messages.numbers([0.5]), now)
            self.say("controller_status", ros_messages.diagnostics("bench", 0, "ok", {"seed": 1}, now), now)


def _ticks(rate: float) -> Iterator[int]:
    """Count at a rate; what was late is made up for, so that as many come as in a process that is never held up."""
    print("ready", flush=True)
    begun = time.monotonic()
    for tick in itertools.count():
        time.sleep(max(0.0, begun + tick / rate - time.monotonic()))
        yield tick


def _cameras(robot: Robot) -> None:
    messages = {
        name: [ros_messages.image(pixels, 0.0, f"{name}_optical_frame") for pixels in pictures(seed)]
        for seed, name in enumerate(CAMERAS)
    }
    info = ros_messages.camera_info(WIDTH, HEIGHT, np.diag([500.0, 500.0, 1.0]), 0.0, "optical")
    for tick in _ticks(IMAGE_RATE):
        for name in CAMERAS:
            now = ros.now()
            robot.say(f"{name}/image_raw", messages[name][tick % _PICTURES], now)
            robot.say(f"{name}/camera_info", info, now)


def _state(robot: Robot) -> None:
    for tick in _ticks(STATE_RATE):
        robot.state(tick)


def main(what: str, file: Path) -> None:
    """Publish until Ctrl-C."""
    with ros.running(f"bench_{what}", setup=Robot) as robot:
        try:
            {"cameras": _cameras, "state": _state}[what](robot)
        except KeyboardInterrupt:
            time.sleep(0.1)  # the last messages are on their way
    file.write_text(json.dumps(robot.stamps))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
