"""The ROS commands as users run them: mistakes and Ctrl-C."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["twin", "--robot", "fr4"], "unknown robot 'fr4'; allowed: "),
        (["twin", "--task", "tea"], "unknown task 'tea'; allowed: none, button_sequence, "),
        (["twin", "--controller", "pid"], "unknown controller 'pid'; allowed: cartesian_impedance, "),
        (["twin", "--cameras", "front,left"], "unknown camera 'left'; allowed: front, side, wrist"),
        (["record"], "nowhere to record to; give --output for a dataset, --journal for a journal, or both"),
        (["twin", "--rate", "0"], "--rate 0.0 must be positive"),
        (["twin", "--cameras", "none", "--namespace", "arm-1"], "'arm-1' is no ROS namespace"),
        (["policy", "--checkpoint", "nowhere"], "no checkpoint in 'nowhere'"),
        (["record", "--output", "new", "--segment", "mine"], "unknown segment 'mine'; allowed: demo, policy"),
        (["record", "--output", "new", "--episodes", "0"], "--episodes 0 must be at least 1"),
        (["teleop", "--device", "scripted", "--task", "tea"], "unknown task 'tea'"),
        (["teleop", "--device", "scripted", "--task", "handover"], "task 'handover' moves 2 arms, the scripted"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, message, tmp_path):
    command = [sys.executable, "-m", "steadyhand", *arguments]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["twin", "teleop"])
def test_ctrl_c_says_what_happened(processes, name):
    ready = {"twin": "Ctrl-C ends it", "teleop": "Ctrl-C: end"}[name]
    options = {"twin": ["--cameras", "none"], "teleop": ["--device", "scripted"]}[name]
    processes.start(name, *options)
    while ready not in processes.log(name).read_text():
        processes.check()
    assert processes.stop(name) == 130
    assert "stopped" in processes.last_line(name)
    assert "Traceback" not in processes.log(name).read_text()


def test_a_twin_ends_after_its_duration(processes):
    process = processes.start("twin", "--cameras", "none", "--duration", 0.5)
    assert process.wait(20) == 0
    assert processes.last_line("twin") == "twin ended after its duration"
