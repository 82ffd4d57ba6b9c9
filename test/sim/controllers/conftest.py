"""Robots on a bare table, and a place for the measured figures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rig import ROBOTS, Rig


@pytest.fixture(scope="session", params=ROBOTS)
def rig(request) -> Rig:
    """A robot as it is: with the friction of its joints."""
    return Rig(request.param)


@pytest.fixture(scope="session")
def frictionless(rig) -> Rig:
    """The same robot, with neither joint friction nor compensation of it: what hides small forces is gone."""
    return Rig(rig.name, friction=False)


@pytest.fixture
def measured(request):
    """measured(name, value, unit): prints a figure and keeps it in the test report."""

    def note(name: str, value: float, unit: str = "") -> None:
        request.node.user_properties.append((name, float(value)))  # what a junit report keeps
        print(f"\n    {request.node.name}: {name} = {value:.4g} {unit}", end="")

    return note
