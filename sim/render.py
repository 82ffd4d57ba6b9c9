"""Pictures of a scene without a screen: EGL, or OSMesa where EGL is not usable; never a guess in silence."""

import importlib
import logging
import os
import subprocess
import sys
import weakref
from dataclasses import dataclass
from functools import cache
from typing import Any

import mujoco
import numpy as np

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.gl import BACKENDS, INSTALL, check_gl
from steadyhand.sim.scene import VISUAL_GROUP

_log = logging.getLogger(__name__)

_PROBE_SECONDS = 60


@dataclass(frozen=True)
class View:
    """What a camera sees; what was not asked for is None."""

    rgb: Any  # (height, width, 3) uint8
    depth: Any  # (height, width) float32: m along the optical axis, 0 where there is nothing
    bodies: Any  # (height, width) int32: number of the body, 0 the world's own, -1 nothing


class Renderer:
    """Draws states of one model. Belongs to the thread that made it, because its OpenGL context does."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        """Open an OpenGL context for pictures of the given size in pixels."""
        check_size(model, width, height)
        self._model, self._data = model, mujoco.MjData(model)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._depth = np.empty((height, width), np.float32)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._gl = importlib.import_module(f"mujoco.{gl_backend()}").GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        self._free.atexit = False  # EGL itself ends then
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        # As it is stored, near 0 for what is far: 1 minus that, the default, would round away digits of small floats.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom + 100)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = False
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[[0, VISUAL_GROUP]] = 1

    def render(self, qpos: np.ndarray, camera: str, mocap: np.ndarray | None = None) -> np.ndarray:
        """Draw the scene at positions qpos (nq,) as a new picture (height, width, 3) uint8.

        Args:
            qpos: Positions (nq,).
            camera: Name of a camera of the model.
            mocap: Positions and quaternions, w first, of the mocap bodies (7 nmocap,); None leaves them as they are.
        """
        return self.draw(self.pose(qpos, mocap), camera)

    def pose(self, qpos: np.ndarray, mocap: np.ndarray | None = None) -> mujoco.MjData:
        """The renderer's own state, put at the positions that ``render`` takes; the next call changes it."""
        self._data.qpos[:] = qpos
        if mocap is not None:
            poses = np.reshape(mocap, (-1, 7))
            self._data.mocap_pos[:], self._data.mocap_quat[:] = poses[:, :3], poses[:, 3:]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return self._data

    def draw(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Draw a state whose kinematics are computed already, as a new picture (height, width, 3) uint8."""
        return self.view(data, camera).rgb

    def view(
        self, data: mujoco.MjData, camera: str, rgb: bool = True, depth: bool = False, bodies: bool = False
    ) -> View:
        """See a state whose kinematics are computed already: picture, depth, and which body every pixel shows.

        Args:
            data: The state, for example from ``pose``.
            camera: Name of a camera of the model.
            rgb: Draw the picture.
            depth: Measure along the optical axis.
            bodies: Tell the bodies apart; ``body_names`` has their names.
        """
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = camera_id(self._model, camera)
        mujoco.mj_camlight(self._model, data)
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, view, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        picture = self._draw(numbered=not rgb)
        numbered = self._draw(numbered=True) if rgb and bodies else picture
        return View(
            rgb=picture if rgb else None,
            depth=self._read_depth() if depth else None,  # of the last drawing: all have the same
            bodies=self._bodies(numbered) if bodies else None,
        )

    def _draw(self, numbered: bool) -> np.ndarray:
        """Draw the scene, in its colours or with every shape in the colour that is its number."""
        for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
            self._scene.flags[flag] = numbered
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._viewport, self._context)
        return self._pixels[::-1].copy()  # OpenGL counts rows from below

    def _read_depth(self) -> np.ndarray:
        """Metres from the depth buffer z: 1 at the near plane, 0 at the far plane, linear in 1 / distance."""
        mujoco.mjr_readPixels(None, self._depth, self._viewport, self._context)
        near, far = (self._model.stat.extent * plane for plane in (self._model.vis.map.znear, self._model.vis.map.zfar))
        depth = near * far / (near + self._depth[::-1].astype(np.float64) * (far - near))
        # The sky is drawn as a box whose walls are nearer than the far plane; a tenth is five times the scene's extent.
        return np.where(depth < 0.1 * far, depth, 0.0).astype(np.float32)

    def _bodies(self, colours: np.ndarray) -> np.ndarray:
        numbers = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        body_of = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                body_of[geom.segid + 1] = self._model.geom_bodyid[geom.objid]
        return body_of[numbers]

    def close(self) -> None:
        """Free the OpenGL context; closing twice is fine."""
        self._free()


def body_names(model: mujoco.MjModel) -> list[str]:
    """Names of the model's bodies by their numbers in ``View.bodies``."""
    return [model.body(i).name for i in range(model.nbody)]


def camera_id(model: mujoco.MjModel, name: str) -> int:
    """Number of a camera of the model; SteadyhandError lists the names if there is none."""
    names = [model.camera(i).name for i in range(model.ncam)]
    if name not in names:
        raise unknown("camera", name, names)
    return names.index(name)


def check_size(model: mujoco.MjModel, width: int, height: int) -> None:
    """Refuse a picture size (pixels) that the model's off-screen buffer does not hold."""
    limit = model.vis.global_.offwidth, model.vis.global_.offheight
    if not (0 < width <= limit[0] and 0 < height <= limit[1]):
        raise SteadyhandError(f"picture size {width}x{height} does not fit; allowed: 1x1 to {limit[0]}x{limit[1]}")


def _free(gl, context: mujoco.MjrContext) -> None:
    # Made current first: freed in the context of another renderer, it would take the other one's buffers along.
    gl.make_current()
    context.free()
    gl.free()


@cache
def gl_backend() -> str:
    """The OpenGL platform of this process: what MUJOCO_GL says, else EGL, else OSMesa with a warning."""
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    check_gl()
    failures = {}
    for name in (asked,) if asked else BACKENDS:
        failures[name] = _probe(name)
        if not failures[name]:
            if failures.keys() - {name}:
                _log.warning("EGL is not usable (%s); drawing with the slower OSMesa", failures["egl"])
            return name
    reasons = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    raise SteadyhandError(f"no OpenGL for rendering ({reasons}); {INSTALL}")


def _probe(name: str) -> str:
    """Open a context in a process of its own, since a broken driver may abort. Why it failed, or ''."""
    code = f"from mujoco.{name} import GLContext; context = GLContext(16, 16); context.make_current(); context.free()"
    environment = {**os.environ, "MUJOCO_GL": name}
    try:
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=_PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_SECONDS} s"
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return "" if result.returncode == 0 else (lines[-1] if lines else f"exit status {result.returncode}")
