"""What the ROS tests share: a private ROS graph, processes, and a node that listens."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from listening import Listener

from steadyhand import ros
from steadyhand.ros_processes import Processes, private_graph


@pytest.fixture(scope="module", autouse=True)
def graph():
    with private_graph():
        yield


@pytest.fixture
def processes(tmp_path):
    with Processes(tmp_path / "logs") as running:
        yield running


@pytest.fixture(scope="module")
def twin(graph, tmp_path_factory):
    """A twin with the task and one camera, and a node that hears it."""
    with Processes(tmp_path_factory.mktemp("twin")) as running:
        running.start("twin", "--seed", 6, "--cameras", "front", "--camera-rate", 15)
        with ros.running("listener", "", Listener) as listener:
            listener.wait_for(lambda: listener.count("joint_states"), 20, running.check)
            yield listener
