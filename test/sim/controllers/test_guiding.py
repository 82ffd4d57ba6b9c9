"""Hand guiding: a hand leads the tool freely where it may, and meets a spring where it may not."""

import numpy as np
import pytest
from rig import Bench
from scipy.spatial.transform import Rotation

PUSH = 20.0  # N
TILTED = np.array([2.0, -1.0, 3.0]) / np.sqrt(14.0)
SIDEWAYS = np.cross(TILTED, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(TILTED, [0.0, 0.0, 1.0]))


def farthest(bench: Bench, direction: np.ndarray) -> float:
    """Largest way along `direction` while a push along it grows and stays, m."""
    bench.push_slowly(PUSH * direction, seconds=1.0)
    along = 0.0
    for _ in range(60):
        bench.run(0.05, 10)
        along = max(along, abs(bench.moved()[:3] @ direction))
    return along


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("guide", ["plane", "axis", "point"])
def test_a_constrained_direction_gives_way_like_a_spring(frictionless, guide, sign, measured):
    stiffness = 1000.0
    direction = TILTED if guide != "axis" else SIDEWAYS
    bench = frictionless.bench("gravity_compensation", guide=guide, guide_direction=TILTED, guide_stiffness=stiffness)
    way = farthest(bench, sign * direction)
    measured("way_over_F_by_K", way / (PUSH / stiffness))
    assert way < 1.05 * PUSH / stiffness


def led(bench: Bench, direction: np.ndarray) -> np.ndarray:
    """Pushes for a second; returns the tool's way (3,), m."""
    bench.push(PUSH * direction)
    bench.run(1.0, 10)
    bench.push()
    bench.run(0.2)
    return bench.moved()[:3]


@pytest.mark.parametrize("guide", ["plane", "axis"])
def test_the_free_direction_is_free(rig, guide, measured):
    free = SIDEWAYS if guide == "plane" else TILTED
    bench = rig.bench("gravity_compensation", guide=guide, guide_direction=TILTED)
    way = led(bench, free)
    along = way @ free
    off = abs(way @ TILTED) if guide == "plane" else np.linalg.norm(way - (way @ TILTED) * TILTED)
    measured("led", 1e3 * along, "mm")
    measured("off_the_guide", 1e3 * off, "mm")
    assert along > 0.05
    assert off < PUSH / bench.rig.params("gravity_compensation").guide_stiffness


def test_around_a_point_the_tool_turns_and_stays(rig, measured):
    bench = rig.bench("gravity_compensation", guide="point")
    bench.push_slowly(torque=(0.0, 0.0, 4.0), seconds=0.2)
    bench.run(0.8, 10)
    moved = bench.moved()
    measured("turned", np.linalg.norm(moved[3:]), "rad")
    measured("moved", 1e3 * np.linalg.norm(moved[:3]), "mm")
    assert np.linalg.norm(moved[3:]) > 0.2
    assert np.linalg.norm(moved[:3]) < PUSH / rig.params("gravity_compensation").guide_stiffness


def test_a_held_orientation_turns_like_a_spring(frictionless, measured):
    stiffness, torque = 50.0, np.array([1.0, -2.0, 1.5])
    bench = frictionless.bench(
        "gravity_compensation", guide="point", hold_orientation=True, guide_rotational_stiffness=stiffness
    )
    bench.push_slowly(torque=torque)
    bench.settle()
    error = np.linalg.norm(bench.moved()[3:] - torque / stiffness) / np.linalg.norm(torque / stiffness)
    measured("error", 100 * error, "%")
    assert error < 0.02


def test_without_a_guide_the_tool_goes_where_it_is_led(rig, measured):
    for direction in np.eye(3):
        bench = rig.bench("gravity_compensation")
        along = led(bench, direction) @ direction
        measured("led", 1e3 * along, "mm")
        assert along > 0.05


def test_the_orientation_is_free_unless_held(rig):
    bench = rig.bench("gravity_compensation", hold_orientation=True)
    bench.push(PUSH * np.array([0.0, 1.0, 0.0]))
    bench.run(1.0, 10)
    turned = Rotation.from_rotvec(bench.moved()[3:]).magnitude()
    assert turned < 0.15
    assert bench.moved()[1] > 0.05
