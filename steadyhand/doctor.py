"""Check what pip cannot install: compiler, OpenGL, real-time permission, room. Names the packages to install.

Runs before anything is installed (``python3 steadyhand/doctor.py``), so it needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024
# Measured: .venv takes 6.4 GB, what pip downloads for it 3.5 GB.
DISK_TO_INSTALL = 11_000 * MEGABYTE
DISK_TO_WORK = 1_000 * MEGABYTE
# Fast DDS takes a 16 MB segment in each of our processes, and a demo has four.
SHARED_MEMORY = 64 * MEGABYTE


@dataclass
class DoctorConfig:
    """Check what only the system can give, and name the Debian and Ubuntu packages to install."""

    quiet: bool = False
    """Print only what is required and missing."""
    packages: bool = False
    """Print only the names of the packages to install."""


@dataclass
class Finding:
    """What a check found. ``packages`` are Debian's names of what would mend it."""

    name: str
    good: bool
    detail: str
    required: bool = True
    packages: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """Whether nothing works without it."""
        return self.required and not self.good

    def __str__(self) -> str:
        mark = "ok" if self.good else "MISSING" if self.required else "note"
        return f"{mark:<9}{self.name:<20}{self.detail}"


def check_python() -> Finding:
    """Python 3.12 or newer, on Linux."""
    good = sys.version_info >= (3, 12) and sys.platform == "linux"
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    advice = "needed: Linux and 3.12 or newer (in Ubuntu 24.04 and Debian 13; elsewhere: pyenv install 3.12)"
    return Finding("Python", good, detail if good else f"{detail}; {advice}")


def check_python_parts() -> Finding:
    """The headers and the venv module, which Debian ships in packages of their own."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = []
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        packages.append(f"{version}-dev")
    if importlib.util.find_spec("ensurepip") is None:
        packages.append(f"{version}-venv")
    detail = "headers and venv" if not packages else f"no headers or no venv module for {sys.executable}"
    return Finding("Python parts", not packages, detail, packages=tuple(packages))


def check_compiler() -> Finding:
    """g++ 11 or newer, or any compiler named by $CXX, that takes C++20."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        return Finding("C++ compiler", False, "no c++ on PATH, no $CXX", packages=("g++",))
    source = "#include <concepts>\n#include <span>\nint main() { return 0; }\n"
    command = [compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
    tried = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    first = subprocess.run([compiler, "--version"], text=True, capture_output=True, check=False).stdout.split("\n")[0]
    if tried.returncode == 0:
        return Finding("C++ compiler", True, first)
    return Finding("C++ compiler", False, f"{first} does not compile C++20; g++ 11 does", packages=("g++",))


def check_egl() -> Finding:
    """A display that EGL can open without a screen, tried the way MuJoCo does it."""
    packages = ("libegl1", "libegl-mesa0", "libgl1", "libgl1-mesa-dri")
    name, required = "EGL (rendering)", ctypes.util.find_library("OSMesa") is None
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        ctypes.CDLL(ctypes.util.find_library("OpenGL") or "libGL.so.1")
    except OSError as error:
        return Finding(name, False, str(error), required, packages)
    devices = _egl_devices(egl)
    if devices == 0:
        return Finding(name, False, "the library is there, a driver is not", required, packages)
    return Finding(name, True, f"{devices} device{'s' if devices > 1 else ''}")


def _egl_devices(egl: ctypes.CDLL) -> int:
    """Count the devices on which a display can be initialized."""
    platform_device = 0x313F  # EGL_PLATFORM_DEVICE_EXT
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    query, get_display = (egl.eglGetProcAddress(name) for name in (b"eglQueryDevicesEXT", b"eglGetPlatformDisplayEXT"))
    if not query or not get_display:
        return 0
    found, devices = ctypes.c_int(0), (ctypes.c_void_p * 16)()
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
    if not query(len(devices), ctypes.byref(devices), ctypes.byref(found)):
        return 0
    get_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(get_display)
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    displays = [get_display(platform_device, device, None) for device in devices[: found.value]]
    return sum(bool(display and egl.eglInitialize(display, None, None)) for display in displays)


def check_osmesa() -> Finding:
    """The renderer for machines whose EGL does not work."""
    good = bool(ctypes.util.find_library("OSMesa"))
    detail = "for MUJOCO_GL=osmesa" if good else "only needed where EGL does not work"
    return Finding("OSMesa", good, detail, required=False, packages=("libosmesa6",))


def check_libusb() -> Finding:
    """What open3d links to."""
    good = bool(ctypes.util.find_library("usb-1.0"))
    detail = "for open3d" if good else "only needed by the extra 'pointcloud' (open3d)"
    return Finding("libusb", good, detail, required=False, packages=("libusb-1.0-0",))


def check_realtime() -> Finding:
    """Permission for SCHED_FIFO, which keeps the control loop on time next to other work."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        hint = "not permitted; on a real arm add 'YOU - rtprio 98' to /etc/security/limits.conf"
        return Finding("SCHED_FIFO", False, hint, required=False)
    os.sched_setscheduler(0, *before)
    return Finding("SCHED_FIFO", True, "permitted")


def check_shared_memory() -> Finding:
    """Room for images between ROS nodes."""
    if not os.path.isdir("/dev/shm"):
        return Finding("/dev/shm", False, "not there; ROS images will be slow", required=False)
    free = shutil.disk_usage("/dev/shm").free
    detail = f"{free // MEGABYTE} MB free"
    good = free >= SHARED_MEMORY
    hint = f"{detail}; ROS images want {SHARED_MEMORY // MEGABYTE} MB (in Docker: --shm-size=1g)"
    return Finding("/dev/shm", good, detail if good else hint, required=False)


def check_disk() -> Finding:
    """Room for the installation, or to go on working after it."""
    root = Path(__file__).resolve().parent.parent
    wanted = DISK_TO_WORK if (root / ".venv" / ".installed").exists() else DISK_TO_INSTALL
    free = shutil.disk_usage(root).free
    detail = f"{free / 1e9:.1f} GB free"
    return Finding("disk", free >= wanted, detail if free >= wanted else f"{detail}, {wanted / 1e9:.0f} GB needed")


CHECKS = (
    check_python,
    check_python_parts,
    check_compiler,
    check_egl,
    check_osmesa,
    check_libusb,
    check_realtime,
    check_shared_memory,
    check_disk,
)


def main(config: DoctorConfig) -> int:
    """Print the findings; return 1 if something required is missing."""
    findings = [check() for check in CHECKS]
    missing = [finding for finding in findings if finding.missing]
    packages = " ".join(sorted({package for finding in missing for package in finding.packages}))
    if config.packages:
        print(packages)
        return 0
    for finding in missing if config.quiet else findings:
        print(finding)
    if packages:
        print(f"fix: sudo apt-get install {packages}")
    return 1 if missing else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=DoctorConfig.__doc__)
    parser.add_argument("--quiet", action="store_true", help="print only what is required and missing")
    parser.add_argument("--packages", action="store_true", help="print only the names of the packages to install")
    sys.exit(main(DoctorConfig(**vars(parser.parse_args()))))
