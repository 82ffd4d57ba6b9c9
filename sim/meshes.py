"""Finding the mesh files of a URDF, and leaving out the pictures that MuJoCo cannot read."""

import logging
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from steadyhand.errors import SteadyhandError

_log = logging.getLogger(__name__)

_FORMATS = (".stl", ".obj", ".msh")
_WORKSPACES = {"AMENT_PREFIX_PATH": "share", "ROS_PACKAGE_PATH": ""}  # and where packages lie below each entry


def parse_packages(options: list[str] | tuple[str, ...]) -> dict[str, Path]:
    """Folders by package from options ``NAME=PATH``."""
    packages = {}
    for option in options:
        name, _, folder = option.partition("=")
        if not name or not folder:
            raise SteadyhandError(f"--package '{option}' must be NAME=PATH, such as my_arm_description=/path/to/it")
        packages[name] = check_package(name, Path(folder), "--package")
    return packages


def check_package(name: str, folder: Path, source: str) -> Path:
    """The folder of a package, if it exists."""
    if not folder.is_dir():
        raise SteadyhandError(f"{source}: package '{name}': there is no folder {folder}")
    return folder


def place_meshes(urdf: Path, root: ElementTree.Element, packages: Mapping[str, Path]) -> None:
    """Write absolute paths of mesh files into a URDF; a visual that MuJoCo cannot read is left out, said once."""
    left_out = []
    for link in root.findall("link"):
        for kind in ("visual", "collision"):
            for element in link.findall(kind):
                mesh = element.find("geometry/mesh")
                if mesh is None or _place(urdf, kind, mesh, packages):
                    continue
                link.remove(element)
                left_out.append(mesh.get("filename", ""))
    if left_out:
        _log.warning(
            "%s: %d visual meshes left out (%s ...), MuJoCo reads %s only; contact shapes are drawn instead",
            urdf,
            len(left_out),
            left_out[0],
            " ".join(_FORMATS),
        )


def _place(urdf: Path, kind: str, mesh: ElementTree.Element, packages: Mapping[str, Path]) -> bool:
    """Write the absolute path of a mesh file. False if it is a picture only, in a format MuJoCo cannot read."""
    name = mesh.get("filename", "")
    if Path(name).suffix.lower() in _FORMATS:
        mesh.set("filename", str(find_mesh(urdf, name, packages)))
        return True
    if kind == "visual":
        return False
    raise SteadyhandError(
        f"{urdf}: collision mesh '{name}' is no {' '.join(_FORMATS)} file; convert it, say with trimesh"
    )


def find_mesh(urdf: Path, name: str, packages: Mapping[str, Path]) -> Path:
    """Look where the file may be: package://PACKAGE/FILE in packages, anything else beside the URDF."""
    candidates = _candidates(urdf, name, packages)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(path) for path in candidates[:6]) + (", ..." if len(candidates) > 6 else "")
    raise SteadyhandError(
        f"{urdf}: mesh file '{name}' not found; looked for {looked}; put it beside the URDF, name its package's folder "
        "(--package NAME=PATH, or 'packages' in a robot file), or source the ROS workspace that has the package"
    )


def _candidates(urdf: Path, name: str, packages: Mapping[str, Path]) -> list[Path]:
    """Named packages come first, then folders above the URDF, then the ROS workspaces."""
    folder = urdf.resolve().parent
    if not name.startswith("package://"):
        return [folder / name.removeprefix("file://")]
    package, _, inside = name.removeprefix("package://").partition("/")
    if package in packages:
        return [packages[package].resolve() / inside]
    places = [folder, *folder.parents]
    for variable, below in _WORKSPACES.items():
        places += [Path(entry) / below for entry in os.environ.get(variable, "").split(":") if entry]
    # ROS_PACKAGE_PATH may also name the package itself.
    itself = [place / inside for place in places if place.name == package]
    return [place / package / inside for place in places] + itself
