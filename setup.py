"""Packaging that setuptools cannot be told as data: the folder map, the C++ build and the files ROS looks for.

The parts of Steadyhand are folders at the top of the repository and become ``steadyhand.<part>``. In a source tree
(``pip install -e .``, ``colcon build --symlink-install``) ``steadyhand/__init__.py`` finds them, in an installed
package the map below has put them inside.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.develop import develop
from setuptools.command.install import install

# colcon --symlink-install runs a symlink to this file from its own build folder.
ROOT = Path(__file__).resolve().parent
PARTS = ("crisp_control", "policies", "teleop", "data_collection", "sim", "bench")
DATA = ("config", "launch")
# The parts whose version decides whether compiled files are still good.
BUILD_PACKAGES = ("nanobind", "libpinocchio", "cmeel-eigen", "mujoco")
# Folders in which pip, build and uv make environments that are gone after the build.
THROWAWAY = re.compile(r"(pip-build-env-|build-env-|builds-v\d)")


def package_folders() -> dict[str, str]:
    """Map the names of the parts to their folders, as far as these exist here (colcon links only some of them)."""
    folders = {}
    for top in (*PARTS, *DATA):
        if not os.path.isdir(top):
            continue
        folders[f"steadyhand.{top}"] = top
        for folder, _, files in os.walk(top):
            if folder != top and top in PARTS and any(name.endswith(".py") for name in files):
                folders["steadyhand." + folder.replace(os.sep, ".")] = folder
    return folders


def ament_files() -> list[tuple[str, list[str]]]:
    """List what ROS tools look for below ``share/``: the package marker, its manifest, launch files and settings."""
    files = [
        ("share/ament_index/resource_index/packages", ["resource/steadyhand"]),
        ("share/steadyhand", ["package.xml"]),
    ]
    for top in DATA:
        for folder, _, names in os.walk(top):
            if names and not folder.endswith("__pycache__"):
                files.append((f"share/steadyhand/{folder}", [f"{folder}/{name}" for name in sorted(names)]))
    return files


def library_folders() -> list[str]:
    """Return where libpinocchio and libmujoco will lie when the built modules are imported.

    An isolated build compiles against copies that are deleted afterwards, so it looks at the interpreter's own
    site-packages instead, where pip is about to install the very same versions.
    """
    folders = []
    for name, inside in (("libpinocchio", "cmeel.prefix/lib"), ("mujoco", "mujoco")):
        site = Path(metadata.distribution(name).locate_file(""))
        if THROWAWAY.search(str(site)):
            site = Path(sysconfig.get_path("purelib"))
        if not THROWAWAY.search(str(site)):
            folders.append(str(site / inside))
    return folders


def tool(name: str) -> str | None:
    """Return the path of a build tool: the one beside this interpreter, or else the first on PATH."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


class CMakeBuild(build_ext):
    """Build both C++ modules with one CMake project and install them among the Python files."""

    def run(self) -> None:
        """Configure, build and install: in the source tree for an editable installation, else for the wheel."""
        target = ROOT if self.in_place else Path(self.build_lib).resolve() / "steadyhand"
        beside = [] if self.in_place else ["$ORIGIN/../../cmeel.prefix/lib", "$ORIGIN/../../mujoco"]
        cmake = tool("cmake")
        if cmake is None:
            raise SystemExit("steadyhand: error: cmake not found; fix: pip install cmake ninja")
        configure = [
            cmake,
            f"-S{ROOT}",
            f"-B{self.folder}",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_INSTALL_PREFIX={target}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DSTEADYHAND_RPATH={';'.join(beside + library_folders())}",
        ]
        if ninja := tool("ninja"):
            configure += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        self._configure(configure)
        self._make()

    def install_plugins(self, prefix: str) -> None:
        """Build the ros2_control plug-ins, where there is ros2_control, and install them where pluginlib looks.

        prefix: of the package; has to be on AMENT_PREFIX_PATH when the controller manager starts.
        """
        self._make(["--target", "ros2_control"], ["--component", "ros2_control", "--prefix", Path(prefix).resolve()])

    @property
    def in_place(self) -> bool:
        """Whether the modules belong into the source tree."""
        return self.inplace or self.editable_mode

    @property
    def folder(self) -> Path:
        """Where CMake works."""
        return ROOT / "build" / "in_place" if self.in_place else Path(self.build_temp).resolve() / "cmake"

    def _make(self, build: Sequence[str] = (), install: Sequence[str | Path] = ()) -> None:
        """Build and install with these options."""
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(len(os.sched_getaffinity(0))))
        subprocess.run([tool("cmake"), "--build", self.folder, "--parallel", jobs, *build], check=True)
        subprocess.run([tool("cmake"), "--install", self.folder, *install], check=True)

    def _configure(self, command: list[str]) -> None:
        """Run CMake, in a fresh folder unless it ran there before with the same command and the same libraries.

        It runs every time, because ros2_control may have been installed or sourced since.
        """
        stamp = self.folder / "configured.json"
        wanted = json.dumps([command, {name: metadata.version(name) for name in BUILD_PACKAGES}])
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        subprocess.run(command, check=True)
        stamp.write_text(wanted)


class Install(install):
    """``colcon build`` and wheels: the plug-ins go where the data files go."""

    def run(self) -> None:
        """Install everything, then the plug-ins."""
        super().run()
        self.get_finalized_command("build_ext").install_plugins(self.install_data)


class Develop(develop):
    """``colcon build --symlink-install``: the plug-ins go into the prefix, as compiled files cannot be linked there."""

    def install_for_development(self) -> None:
        """Install everything, then the plug-ins."""
        super().install_for_development()
        prefix = self.get_finalized_command("install").install_data
        self.get_finalized_command("build_ext").install_plugins(prefix)


FOLDERS = package_folders()
setup(
    name="steadyhand",
    version=ElementTree.parse(ROOT / "package.xml").findtext("version"),
    python_requires=">=3.12",
    packages=["steadyhand", *FOLDERS],  # not in the map: colcon refuses a name that is mapped to itself
    package_dir=FOLDERS,
    include_package_data=False,
    package_data={
        "": ["*.pyi", "py.typed"],
        "steadyhand": ["templates/*"],
        "steadyhand.config": ["**/*"],
        "steadyhand.crisp_control": ["*.yaml"],
    },
    data_files=ament_files(),
    entry_points={"console_scripts": ["steadyhand = steadyhand.cli:main"]},
    ext_modules=[Extension("steadyhand.crisp_control._core", []), Extension("steadyhand.sim._native", [])],
    cmdclass={"build_ext": CMakeBuild, "install": Install, "develop": Develop},
    zip_safe=False,
)
