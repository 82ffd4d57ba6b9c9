"""Building the C++ tests with CMake, for the tests here that run them."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cpp-tests"


def tool(name: str) -> str:
    """Path of a build tool: the one of this environment, or else the first on PATH."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert path, f"{name} not found; fix: pip install cmake ninja"
    return path


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def build(*targets: str) -> None:
    cache = BUILD / "CMakeCache.txt"
    if cache.is_file() and f"Python_EXECUTABLE:UNINITIALIZED={sys.executable}\n" not in cache.read_text():
        shutil.rmtree(BUILD)  # another environment: CMake would go on using the libraries of the old one
    _checked(
        tool("cmake"), f"-S{ROOT}", f"-B{BUILD}", "-GNinja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DBUILD_TESTING=ON", "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython_EXECUTABLE={sys.executable}",
    )  # fmt: skip
    _checked(tool("cmake"), "--build", BUILD, "--parallel", len(os.sched_getaffinity(0)), "--target", *targets)


def _checked(*command: object) -> None:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
