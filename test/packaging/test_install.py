"""The four ways to install, each in an environment of its own; what they installed is imported from elsewhere.

The environments borrow their dependencies: their site-packages is filled with links to the running one's, without
steadyhand, so nothing large is downloaded and paths between packages are those of a real installation.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = (".git", ".venv", "build", "install", "log", "outputs", "*.egg-info", "*.so", "__pycache__", ".*_cache")
CPP = (".cpp", ".hpp")
# What the plug-ins' CMakeLists.txt asks for, and the targets it links.
ROS2_CONTROL = {
    "controller_interface": ["controller_interface"],
    "hardware_interface": ["hardware_interface"],
    "generate_parameter_library": ["fmt", "parameter_traits", "rsl"],
    "pluginlib": ["pluginlib"],
    "rclcpp_lifecycle": ["rclcpp_lifecycle"],
    **dict.fromkeys(("diagnostic_msgs", "geometry_msgs", "nav_msgs", "sensor_msgs", "std_msgs"), ()),
}
PLUGIN_DESCRIPTION = "crisp_control/ros2_control/steadyhand_controllers.xml"
PLUGIN_INDEX = "share/ament_index/resource_index/controller_interface__pluginlib__plugin/steadyhand"
PROBE = """
import importlib.util, json
import mujoco
import steadyhand.sim, steadyhand.cli
import steadyhand.crisp_control._core as core
import steadyhand.sim._native as native
from steadyhand.paths import config_dir
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "libmujoco.so" in line}
assert len(libraries) == 1, f"two MuJoCos in one process: {libraries}"
assert importlib.util.find_spec("data_collection") is None, "a part must not be importable without its parent"
assert list((config_dir() / "robots").glob("*.yaml"))
print(json.dumps([list(steadyhand.sim.__path__)[0], core.__file__, native.__file__, str(config_dir())]))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def run(*command: object, cwd: Path, **variables: str) -> str:
    """Run a command with the build tools of this environment on PATH; show everything it said if it fails."""
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": "", **variables}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def probe(python: Path, cwd: Path, *prefix: str) -> list[Path]:
    """Import everything in a fresh process outside the checkout; return where the parts were found."""
    (cwd / "probe.py").write_text(PROBE)
    return [Path(path) for path in json.loads(run(*prefix, python, "probe.py", cwd=cwd).splitlines()[-1])]


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of the checkout, without anything built."""
    return Path(shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(*NOT_COPIED)))


@pytest.fixture
def python(tmp_path) -> Path:
    """The interpreter of a new environment that has all dependencies, but not steadyhand."""
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv" / "lib").glob("python3.*/site-packages"))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "steadyhand" not in entry.name and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return tmp_path / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def colcon(tmp_path_factory) -> Path:
    """A folder with colcon and the setuptools it needs, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("colcon")
    requirements = ("colcon-common-extensions", "setuptools")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--target", folder, "-c", ROOT / "constraints.txt")
    run(*pip, *requirements, cwd=folder)
    return folder


@pytest.fixture
def ros2_control(source, tmp_path) -> dict[str, str]:
    """The variables of a shell with an empty ros2_control, and a copy of the checkout whose plug-ins are as empty.

    What is in the plug-ins is compiled and tested in test/crisp_control/ros2_control.
    """
    for file in (source / "crisp_control" / "ros2_control").glob("*.cpp"):
        file.write_text("")
    prefix = tmp_path / "ros"
    for package, targets in ROS2_CONTROL.items():
        config = prefix / "share" / package / "cmake" / f"{package}Config.cmake"
        config.parent.mkdir(parents=True)
        config.write_text("".join(f"add_library({name}::{name} INTERFACE IMPORTED)\n" for name in targets))
    (prefix / "python" / "ament_package").mkdir(parents=True)
    generate = prefix / "bin" / "generate_parameter_library_cpp"
    generate.parent.mkdir()
    generate.write_text('#!/bin/sh\n: > "$1"\n')
    generate.chmod(0o755)
    return {"CMAKE_PREFIX_PATH": str(prefix), "PYTHONPATH": str(prefix / "python")}


def assert_inside(paths: list[Path], folder: Path) -> None:
    assert all(path.resolve().is_relative_to(folder.resolve()) for path in paths), (paths, folder)


def sources(source: Path) -> list[Path]:
    """List the files of all parts, relative to the checkout."""
    tops = ("crisp_control", "policies", "teleop", "data_collection", "sim", "bench", "config", "launch")
    return [path.relative_to(source) for top in tops for path in (source / top).rglob("*") if path.is_file()]


def shipped(source: Path) -> list[str]:
    """List what an installed package must have: the files of all parts, except what only the C++ build reads."""
    plugins = Path("crisp_control", "ros2_control")
    files = [path for path in sources(source) if path.suffix not in CPP and not path.is_relative_to(plugins)]
    own = [path.relative_to(source / "steadyhand") for path in (source / "steadyhand").rglob("*") if path.is_file()]
    return [str(path) for path in files + own]


def test_the_source_distribution_has_what_the_build_reads(source, python, tmp_path):
    run(python, "setup.py", "sdist", "--dist-dir", tmp_path / "sdist", cwd=source)
    (archive,) = (tmp_path / "sdist").glob("*.tar.gz")
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    wanted = {str(path) for path in sources(source)} | {"CMakeLists.txt", "package.xml", "setup.cfg"}
    assert {"crisp_control/ros2_control/CMakeLists.txt", PLUGIN_DESCRIPTION} < wanted
    assert not wanted - names


@pytest.mark.parametrize("isolation", [(), ("--no-build-isolation",)], ids=["isolated", "not isolated"])
def test_pip_install(source, python, tmp_path, isolation):
    wanted = shipped(source)
    run(python, "-m", "pip", "install", "--no-deps", *isolation, ".", cwd=source)
    shutil.rmtree(source)
    where = probe(python, tmp_path)
    assert_inside(where, python.parents[1] / "lib")
    assert not [name for name in wanted if not (where[0].parent / name).is_file()]
    assert run(python.parent / "steadyhand", "--version", cwd=tmp_path).strip()


def test_pip_install_editable(source, python, tmp_path):
    run(python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", ".", cwd=source)
    assert_inside(probe(python, tmp_path), source)
    run(python, "-m", "pip", "uninstall", "-y", "steadyhand", cwd=source)


def find_plugins(prefix: Path) -> Path | None:
    """Find the plug-ins' library as pluginlib does: by the ament index, the description, the library's name in it."""
    if not (prefix / PLUGIN_INDEX).is_file():
        return None
    description = prefix / (prefix / PLUGIN_INDEX).read_text().strip()
    return prefix / "lib" / f"lib{ElementTree.parse(description).getroot().attrib['path']}.so"


@pytest.mark.parametrize("symlink", [(), ("--symlink-install",)], ids=["copied", "symlinked"])
def test_colcon_build(source, python, colcon, ros2_control, tmp_path, symlink):
    prefix = source / "install" / "steadyhand"
    build = (python, colcon / "bin" / "colcon", "build", *symlink)
    run(*build, cwd=source, PYTHONPATH=str(colcon))
    assert (prefix / "share/ament_index/resource_index/packages/steadyhand").is_file()
    assert (prefix / "share/steadyhand/config/robots").is_dir()
    assert find_plugins(prefix) is None
    (tmp_path / "sourced").write_text(f". '{source}/install/setup.sh'\ncd '{tmp_path}'\n\"$@\"\n")
    assert_inside(probe(python, tmp_path, "bash", "sourced"), source if symlink else source / "install")
    assert run("bash", "sourced", prefix / "lib/steadyhand/steadyhand", "--version", cwd=tmp_path).strip()

    # The same workspace after ros2_control was installed and sourced.
    ros2_control["PYTHONPATH"] += f":{colcon}"
    run(*build, cwd=source, **ros2_control)
    library = find_plugins(prefix)
    assert library is not None
    ctypes.CDLL(str(library))
