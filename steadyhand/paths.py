"""Where Steadyhand's own files are, in a source tree as in an installed package."""

from pathlib import Path

import steadyhand
from steadyhand.errors import SteadyhandError


def config_dir() -> Path:
    """The folder with robots, tasks and controllers as YAML.

    A source tree has it beside the package, an installed package inside; ``steadyhand.__path__`` names both places.
    """
    for entry in steadyhand.__path__:
        folder = Path(entry) / "config"
        if folder.is_dir():
            return folder
    places = ", ".join(steadyhand.__path__)
    raise SteadyhandError(f"no folder 'config' in {places}; the installation is incomplete, install Steadyhand again")
