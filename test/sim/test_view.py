"""`steadyhand view`: what a browser gets, read from the socket as a browser would."""

import os
import re
import subprocess
import sys
import threading
import time

import msgspec
import mujoco
import numpy as np
import pytest
import viser
import viser._messages as wire
import zstandard
from scipy.spatial.transform import Rotation
from websockets.sync.client import connect

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.evaluate import make_driver
from steadyhand.sim.view import Controls, Page, Score, Show, ViewConfig, Window, main

PORT = 18080
SHAPES = """<mujoco><asset><mesh name="tetra" vertex="0 0 0  .3 0 0  0 .2 0  0 0 .1"/></asset><worldbody>
  <geom type="plane" size="0.7 0.5 0.1" pos="0 0 -1"/>
  <body pos="0.1 0.2 0.3" euler="10 20 30"><freejoint/>
    <geom type="sphere" size="0.1"/><geom type="box" size="0.1 0.2 0.3" pos="0.5 0 0" euler="0 40 0"/>
    <geom type="capsule" size="0.05 0.2" pos="1 0 0"/><geom type="cylinder" size="0.05 0.2" pos="2 0 0"/>
    <geom type="ellipsoid" size="0.1 0.2 0.3" pos="3 0 0"/><geom type="mesh" mesh="tetra" pos="4 0 0"/>
  </body>
  <camera name="eye" pos="1 2 3" xyaxes="0 1 0 0 0 1" fovy="50"/></worldbody></mujoco>"""


class Browser:
    """Keeps the messages of a page."""

    def __init__(self, port: int) -> None:
        self._heard: list[dict] = []
        subprotocol = f"viser-v{viser.__version__}"
        self._socket = connect(f"ws://127.0.0.1:{port}", subprotocols=[subprotocol], max_size=None, compression=None)
        self.send(wire.ViewerCameraMessage((1.0, 0, 0, 0), (0.0, 0, 0), 1.0, 0.1, 9.0, 48, 64, (1.0, 0, 0), (0, 1, 0)))

    def send(self, message: wire.Message) -> None:
        self._socket.send(msgspec.msgpack.encode(message.as_serializable_dict()))

    def messages(self, until, seconds: float = 10.0) -> list[dict]:
        """All, as soon as one is as it should be."""
        end = time.monotonic() + seconds
        while not any(map(until, self._heard)):
            raw = self._socket.recv(timeout=end - time.monotonic())
            size = int.from_bytes(raw[8:16], "little")
            self._heard += msgspec.msgpack.decode(zstandard.decompress(raw[16 : 16 + size]))["messages"]
        return self._heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def page():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    with Page(model, ViewConfig(port=PORT)) as page:
        yield page


@pytest.fixture
def browser(page):
    browser = Browser(page.server.get_port())
    yield browser
    browser.close()


@pytest.fixture
def data(page):
    model = page.scene._model
    data = mujoco.MjData(model)
    data.qpos[:] = [0.4, 0.5, 0.6, *Rotation.from_euler("xyz", [0.3, 0.2, 0.1]).as_quat(scalar_first=True)]
    mujoco.mj_forward(model, data)
    return data


def test_every_shape_is_where_and_as_large_as_mujoco_has_it(page, data):
    model = data.model
    page.show(data, Score())
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        parent = page.scene.bodies[body]
        shape = page.server.scene.get_handle_by_name(f"/bodies/{body}_{model.body(body).name}/{geom}")
        turned = Rotation.from_quat(parent.wxyz, scalar_first=True)
        np.testing.assert_allclose(parent.position + turned.apply(shape.position), data.geom_xpos[geom], atol=1e-6)
        own = (turned * Rotation.from_quat(shape.wxyz, scalar_first=True)).as_matrix()
        np.testing.assert_allclose(own, data.geom_xmat[geom].reshape(3, 3), atol=1e-6)
        low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
            np.testing.assert_allclose((high - low)[:2], 2 * model.geom_size[geom, :2])
        else:
            centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
            np.testing.assert_allclose([low, high], [centre - half, centre + half], atol=0.003)


def _camera(kind: str):
    return lambda m: m["type"] == kind and not m["initial"]


def test_a_browser_hears_where_things_are_and_can_look_through_cameras(page, browser, data):
    page.show(data, Score())
    name = "/bodies/1_"
    heard = browser.messages(lambda m: m["type"] == "SetOrientationMessage" and m["name"] == name)
    placed = [m for m in heard if m["type"] == "SetPositionMessage" and m["name"] == name]
    np.testing.assert_allclose(placed[-1]["position"], [0.4, 0.5, 0.6])
    page.controls.camera = "eye"
    end = time.monotonic() + 5.0
    while not page.server.get_clients():
        assert time.monotonic() < end
        time.sleep(0.01)
    page.show(data, Score())
    wanted = {
        "Position": ("position", [1, 2, 3]),
        "LookAt": ("look_at", [0, 2, 3]),
        "UpDirection": ("position", [0, 0, 1]),
    }
    for kind, (key, value) in wanted.items():  # the eye's right is +y and its up +z, so it looks along -x
        moved = _camera(f"SetCamera{kind}Message")
        np.testing.assert_allclose(list(filter(moved, browser.messages(moved)))[-1][key], value, atol=1e-6)


@pytest.mark.parametrize(
    ("label", "updates", "wanted"),
    [
        ("pause", {"value": True}, {"paused": True}),
        ("speed", {"value": 2.5}, {"speed": 2.5}),
        ("camera", {"value": "eye"}, {"camera": "eye"}),
        ("next episode", {"value": True}, {"next": True}),
    ],
)
def test_the_panel_reaches_the_show(page, browser, label, updates, wanted):
    heard = browser.messages(lambda m: m["type"].startswith("Gui") and m.get("props", {}).get("label") == label)
    part = next(m for m in heard if m["type"].startswith("Gui") and m.get("props", {}).get("label") == label)
    browser.send(wire.GuiUpdateMessage(part["uuid"], updates))
    end = time.monotonic() + 5.0
    while page.controls != Controls(**wanted):
        assert time.monotonic() < end, page.controls
        time.sleep(0.01)


class Recorder:
    """A screen that keeps what it is shown, and asks for things."""

    def __init__(self, **controls) -> None:
        self.controls, self.times = Controls(10.0, **controls), []

    def show(self, data, score) -> None:
        self.times.append(score.now)
        if len(self.times) == 3:
            self.controls.next = True


def test_a_pause_holds_the_time_and_next_ends_an_episode_without_counting_it():
    world, screen = World.load("fr3", "peg_insertion"), Recorder(paused=True)
    show = Show(world, make_driver("scripted"), screen)
    assert show.play(0)
    assert show.score == Score(now="put the peg into the hole and let go\n\nseed 0, 0.0 s, paused")
    screen.controls.paused, screen.controls.closed = False, True
    assert not show.play(1)


def test_a_browser_sees_an_episode_of_the_command_to_its_end():
    command = [sys.executable, "-m", "steadyhand", "view", "--episodes", "1", "--speed", "10", "--port", str(PORT + 10)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(re.search(r"http://127.0.0.1:(\d+) ", process.stdout.readline())[1])
        browser = Browser(port)
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        heard = browser.messages(lambda m: "success: 1 of 1" in str(m.get("updates", "")), 60)
        reader.join(20)
        assert process.wait(20) == 0
    assert lines == ["1 of 1 episodes succeeded; last: seed 0: success\n"]
    peg = [m["position"] for m in heard if m["type"] == "SetPositionMessage" and m["name"].endswith("_peg")]
    assert len(peg) > 5
    assert np.linalg.norm(np.subtract(peg[-1], peg[0])) > 0.1


def test_without_a_display_there_is_no_window(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SteadyhandError, match="--native needs a display"):
        Window(mujoco.MjModel.from_xml_string(SHAPES), ViewConfig(native=True))
    assert "DISPLAY" not in os.environ


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"task": "nothing"}, "task 'nothing'"), ({"speed": 0.0}, "--speed"), ({"episodes": 0}, "--episodes 0")],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(SteadyhandError, match=message):
        main(ViewConfig(**wrong))
