"""Teleoperation: the clutch by itself, the devices as processes beside a twin."""

import os
import pty
import signal
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from listening import Listener
from scipy.spatial.transform import Rotation

from steadyhand.teleop.clutch import Clutch, Limits

DOWN = np.array([1.0, 0.0, 0.0, 0.0])


def test_the_clutch_begins_where_the_arm_is():
    clutch = Clutch()
    here = np.array([0.5, 0.1, 0.3])
    position, quaternion = clutch.move(np.zeros(6), 0.1, (here, DOWN))
    np.testing.assert_allclose(position, here)
    assert abs(np.dot(quaternion, DOWN)) == pytest.approx(1.0)
    clutch.move(np.array([0.2, 0, 0, 0, 0, 0]), 0.1, (here, DOWN))
    clutch.release()
    elsewhere = here + 0.2
    np.testing.assert_allclose(clutch.move(np.zeros(6), 0.1, (elsewhere, DOWN))[0], elsewhere)


def test_the_clutch_limits_speed_and_lead():
    limits = Limits(speed=0.1, turn_speed=0.5, lead=0.03, turn_lead=0.1)
    clutch = Clutch(limits)
    here = (np.zeros(3), DOWN)
    position, quaternion = clutch.move(np.array([5.0, 0, 0, 0, 0, 9.0]), 0.1, here)
    np.testing.assert_allclose(position, [0.01, 0, 0], atol=1e-12)
    turned = Rotation.from_quat(quaternion) * Rotation.from_quat(DOWN).inv()
    np.testing.assert_allclose(turned.as_rotvec(), [0, 0, 0.05], atol=1e-12)
    for _ in range(100):  # against an obstacle: the arm stays where it is
        position, quaternion = clutch.move(np.array([5.0, 0, 0, 0, 0, 9.0]), 0.1, here)
    assert np.linalg.norm(position) == pytest.approx(0.03)
    turned = Rotation.from_quat(quaternion) * Rotation.from_quat(DOWN).inv()
    assert turned.magnitude() == pytest.approx(0.1)


def steadyhand(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "steadyhand", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


def test_an_unknown_device_is_refused_with_the_list():
    result = steadyhand("teleop", "--device", "joystick")
    assert result.returncode == 2
    assert "unknown device 'joystick'; allowed: keyboard, scripted" in result.stderr


def test_the_keyboard_needs_a_terminal():
    result = steadyhand("teleop")
    assert result.returncode == 2
    assert "no terminal" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def keyboard(terminal: tuple[int, int], *options: str) -> subprocess.Popen:
    """Teleoperation that reads keys from the terminal."""
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "steadyhand", "teleop", *options], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    said = b""
    while b"Ctrl-C: end" not in said:
        said += os.read(ours, 4096)
    return process


def hold_key(terminal: tuple[int, int], arm: Listener, distance: float) -> None:
    """Hold the key for "forward" until the arm has gone so far, m."""
    start = arm.pose()[0]
    end = time.monotonic() + 8.0
    while arm.pose()[0][0] - start[0] < distance:
        assert time.monotonic() < end, arm.status()
        os.write(terminal[0], b"w")
        time.sleep(1 / 30)


def test_keys_move_the_arm_and_the_terminal_is_restored(twin, terminal):
    twin.reset()
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    process = keyboard(terminal)
    start = twin.pose()[0]
    hold_key(terminal, twin, 0.05)
    os.write(ours, b"g")
    twin.wait_for(lambda: twin.last("gripper/joint_states").position[0] < 0.05)
    assert twin.status()["message"] == "track"
    assert abs(twin.pose()[0][1] - start[1]) < 0.005
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert termios.tcgetattr(theirs) == before


def test_keys_move_one_arm_of_two(pair, terminal):
    left, right = pair["left"], pair["right"]
    still = right.pose()[0]
    process = keyboard(terminal, "--namespace", "lab/left")
    hold_key(terminal, left, 0.03)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert left.refused() == {}
    assert np.linalg.norm(right.pose()[0] - still) < 0.002


def test_the_scripted_operator_demonstrates(twin, processes):
    process = processes.start("teleop", "--device", "scripted")
    twin.wait_for(lambda: "success" in processes.log("teleop").read_text(), 40, processes.check)
    assert process.wait(5) == 0
    assert twin.last("task/success").data
