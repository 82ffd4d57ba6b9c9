"""Steadyhand: compliant control, learned policies and human interventions, the same on a twin and on a real arm.

The parts live in folders at the top of the repository (``crisp_control``, ``policies``, ...), because that is where
robot people look for them. They are imported as ``steadyhand.<part>``: an installed package has them inside this
folder, a source tree has them beside it, and the path below joins both.
"""

from pathlib import Path

__version__ = "0.1.0"

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "crisp_control").is_dir() and (_ROOT / "package.xml").is_file():
    __path__.append(str(_ROOT))
