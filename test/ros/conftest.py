"""What the ROS tests share: a private ROS graph, processes, and a node that listens."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from listening import Listener, serve

from steadyhand import ros
from steadyhand.paths import config_dir
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
    """A twin with the task and one camera."""
    with serve(tmp_path_factory.mktemp("twin"), "--seed", 6, "--cameras", "front", "--camera-rate", 15) as listener:
        yield listener


@pytest.fixture(scope="module")
def pair(graph, tmp_path_factory) -> Iterator[dict[str, Listener]]:
    """A twin with two arms in a namespace: who hears that, and who hears each arm in the one below."""

    def listen(node: ros.Node) -> dict[str, Listener]:
        return {"": Listener(node)} | {name: Listener(ros.below(node, name)) for name in ("left", "right")}

    options = ("--cameras", "left_wrist", "--width", 160, "--height", 120, "--rate", 50, "--namespace", "lab")
    with Processes(tmp_path_factory.mktemp("pair")) as running, ros.running("listener", "lab", listen) as listeners:
        running.start("twin", "--task", "handover", *options)
        heard = ("joint_states", "controller_status")
        for arm in (listeners["left"], listeners["right"]):
            arm.wait_for(lambda arm=arm: all(map(arm.count, heard)), 20, running.check)
        yield listeners


@pytest.fixture(scope="module")
def bare_twin(graph, tmp_path_factory) -> Iterator[Callable[..., Listener]]:
    """Starts twins without task and cameras, by controller: each has a namespace of its own."""
    started: dict[str, Listener] = {}
    with ExitStack() as stack:

        def get(controller: str, *options: object) -> Listener:
            if controller not in started:
                options = ("--controller", controller, "--task", "none", "--cameras", "none", *options)
                twin = serve(tmp_path_factory.mktemp(controller), *options, namespace=controller)
                started[controller] = stack.enter_context(twin)
            return started[controller]

        yield get


BENCH_XML = """
<link name="workbench"/>
<joint name="workbench_joint" type="fixed">
  <parent link="base"/><child link="workbench"/><origin xyz="0.4 -0.3 0.1" rpy="0.2 -0.1 1.2"/>
</joint></robot>"""


@pytest.fixture(scope="module")
def arm(bare_twin, tmp_path_factory) -> Listener:
    """An FR3 under Cartesian impedance, beside a workbench that its URDF knows."""
    folder, robots = tmp_path_factory.mktemp("robot"), config_dir() / "robots"
    (folder / "fr3").mkdir()
    urdf = (robots / "fr3" / "fr3.urdf").read_text().replace("</robot>", BENCH_XML)
    (folder / "fr3" / "fr3.urdf").write_text(urdf)
    (folder / "fr3.yaml").write_text((robots / "fr3.yaml").read_text())
    twin = bare_twin("cartesian_impedance", "--robot", folder / "fr3.yaml")
    twin.wait_for(lambda: twin.count("controller_status") and twin.count("current_pose"))
    return twin
