"""Descriptions by name, from the package ``robot_descriptions`` where it is installed."""

import importlib
import importlib.util
from pathlib import Path

from steadyhand.errors import SteadyhandError, one_line

_PACKAGE = "robot_descriptions"


def described_names() -> list[str]:
    """Names of that package's arms; empty if it is not installed."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return []
    catalogue = importlib.import_module(f"{_PACKAGE}._descriptions").DESCRIPTIONS
    return [name for name, entry in catalogue.items() if "arm" in entry.tags and (entry.has_mjcf or entry.has_urdf)]


def described_path(name: str) -> Path | None:
    """The file of a description, which the package downloads when it is asked for the first time; None if unknown."""
    if name not in described_names():
        return None
    try:
        module = importlib.import_module(f"{_PACKAGE}.{name}")
    except Exception as error:  # whatever git and the network think of
        reason = one_line(error)[:200]
        raise SteadyhandError(
            f"{_PACKAGE} cannot bring '{name}' ({reason}); check the network, or give a path"
        ) from error
    for attribute in ("MJCF_PATH", "URDF_PATH"):
        if hasattr(module, attribute):
            return Path(getattr(module, attribute))
    raise SteadyhandError(f"'{name}' of {_PACKAGE} is made from xacro; expand it and give the path of the URDF")
