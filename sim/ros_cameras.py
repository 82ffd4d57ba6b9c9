"""The twin's cameras as ROS topics."""

from typing import Any

import mujoco

from steadyhand import ros, ros_messages
from steadyhand.errors import unknown
from steadyhand.sim.camera_model import intrinsics
from steadyhand.sim.realtime import Instant, Shadow
from steadyhand.sim.render import Renderer, View

_COLOUR, _DEPTH = ("image_raw", "compressed"), "depth/image_raw"
_INFO = ("camera_info", "depth/camera_info")  # the same: depth and colour are of one camera


def optical_frame(camera: str) -> str:
    """Frame of a camera's images: x right, y down, z ahead (REP 103)."""
    return f"{camera}_optical_frame"


def camera_names(text: str) -> list[str]:
    """Names separated by commas; "none" for none."""
    return [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]


class Cameras:
    """Draws and publishes. Belongs to the thread that made it, because its OpenGL context does."""

    def __init__(self, model: mujoco.MjModel, names: list[str], width: int, height: int) -> None:
        """Check the names and open the renderer; without names nothing is opened."""
        known = [model.camera(i).name for i in range(model.ncam)]
        for name in names:
            if name not in known:
                raise unknown("camera", name, known, 'or "none" for no images')
        self._names, self._size = names, (width, height)
        self._shadow = Shadow(model)
        self._K = {name: intrinsics(float(model.camera(name).fovy[0]), width, height) for name in names}
        self._renderer = Renderer(model, width, height) if names else None
        self._out: dict[str, Any] = {}

    def advertise(self, node: ros.Node) -> None:
        """Create the publishers."""
        for name in self._names:
            for kind in (*_COLOUR, _DEPTH, *_INFO):
                self._out[f"{name}/{kind}"] = ros.publisher(node, f"{name}/{kind}")

    def publish(self, instant: Instant) -> None:
        """Draw what somebody listens to, stamped with the time of the state that it shows."""
        stamp = instant.observation.time
        for name in self._names:
            info = ros_messages.camera_info(*self._size, self._K[name], stamp, optical_frame(name))
            for kind in _INFO:
                self._out[f"{name}/{kind}"].publish(info)
        wanted = [name for name in self._names if self._listeners(name, *_COLOUR, _DEPTH)]
        if self._renderer is None or not wanted:
            return
        self._shadow.show(instant)
        for name in wanted:
            rgb, depth = self._listeners(name, *_COLOUR), self._listeners(name, _DEPTH)
            self._publish(name, self._renderer.view(self._shadow.data, name, rgb, depth), stamp)

    def _publish(self, name: str, view: View, stamp: float) -> None:
        frame = optical_frame(name)
        if view.depth is not None:
            self._out[f"{name}/{_DEPTH}"].publish(ros_messages.depth_image(view.depth, stamp, frame))
        if view.rgb is not None and self._listeners(name, "image_raw"):
            self._out[f"{name}/image_raw"].publish(ros_messages.image(view.rgb, stamp, frame))
        if view.rgb is not None and self._listeners(name, "compressed"):
            self._out[f"{name}/compressed"].publish(ros_messages.compressed(view.rgb, stamp, frame))

    def _listeners(self, name: str, *kinds: str) -> bool:
        return any(self._out[f"{name}/{kind}"].get_subscription_count() > 0 for kind in kinds)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
