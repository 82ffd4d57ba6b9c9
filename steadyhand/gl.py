"""What has to be right before MuJoCo is imported: it reads MUJOCO_GL then, and ends with a traceback if it is wrong."""

import ctypes.util
import os

from steadyhand.errors import SteadyhandError, unknown

BACKENDS = ("egl", "osmesa")
INSTALL = "on Debian/Ubuntu: apt install libegl1 libgl1-mesa-dri, or libosmesa6 for MUJOCO_GL=osmesa"


def check_gl() -> None:
    """Refuse a MUJOCO_GL that MuJoCo could not use for pictures without a screen."""
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    if asked and asked not in BACKENDS:
        raise unknown("MUJOCO_GL", asked, BACKENDS, "unset it to let Steadyhand choose")
    if asked == "osmesa" and not ctypes.util.find_library("OSMesa"):
        raise SteadyhandError(f"MUJOCO_GL is osmesa, but its library is not installed; {INSTALL}, or unset MUJOCO_GL")
