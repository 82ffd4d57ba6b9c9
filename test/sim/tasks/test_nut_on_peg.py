"""The bayonet: what passes, what is caught, and that nothing caught can be mended in place."""

import numpy as np
import pytest
from misled import MisledPolicy

from steadyhand.data_collection.intervention import SupervisedDriver
from steadyhand.data_collection.labels import Segment
from steadyhand.sim.env import Episode, Frame, World
from steadyhand.sim.rollout import Rollout
from steadyhand.sim.rotations import yaw_of
from steadyhand.sim.tasks.nut_on_peg import (
    BASE,
    CAUGHT,
    GRIP,
    PEG_SIGMA,
    POST_TOP,
    PegInView,
    height,
    locked,
    seated,
    turned,
)
from steadyhand.sim.tasks.operator import down_action

CONDITIONS = {"nut.x": 0.45, "nut.y": -0.15, "peg.x": 0.48, "peg.y": 0.14, "nut.yaw": 0.0, "peg.yaw": 0.0}
PRESS = 0.006  # m below the plate


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "nut_on_peg")


class Bench:
    """A hand that holds the nut above the peg, and does as the test says."""

    def __init__(self, world: World) -> None:
        self.episode = Episode(world)
        self.episode.reset(0, CONDITIONS)
        for _ in range(100):
            frame = self.episode.observe()
            if frame.truth[2] > 0.05 and np.linalg.norm(frame.truth[:2] - frame.truth[9:11]) < 0.018:
                break
            self.request(self.episode.operator.act(frame.state, frame.truth))
        else:
            pytest.fail("the nut was never brought to the peg")
        self.hand = np.array([*frame.state[:2], BASE + GRIP + 0.05, yaw_of(frame.state[3:9])])

    def request(self, action: np.ndarray) -> Frame:
        self.episode.request(action)
        self.episode.twin.step(self.episode.ticks)
        return self.episode.observe()

    def over(self, angle: float) -> None:
        """Above the peg at an angle (rad) to its lugs."""
        for _ in range(30):
            truth = self.episode.observe().truth
            self.hand[:2] += 0.25 * (truth[9:11] - truth[:2])
            self.hand[3] += 0.25 * (angle - yaw_of(truth[3:9]))
            self.request(down_action(self.hand, 0.0))
        assert turned(self.episode.observe().truth) == pytest.approx(abs(angle), abs=0.01)

    def press(self, decisions: int = 20) -> np.ndarray:
        self.hand[2] = BASE + GRIP - PRESS
        for _ in range(decisions):
            frame = self.request(down_action(self.hand, 0.0))
        return frame.truth

    def turn(self, angle: float, step: float = 0.06) -> list[np.ndarray]:
        truths = []
        for _ in range(round(abs(angle) / step)):
            self.hand[3] += np.sign(angle) * step
            truths.append(self.request(down_action(self.hand, 0.0)).truth)
        return truths


@pytest.mark.parametrize("degrees", [18.0, -50.0])
def test_a_nut_at_a_wrong_angle_neither_goes_down_nor_turns_into_the_slot(world, degrees):
    bench, angle = Bench(world), np.radians(degrees)
    bench.over(angle)
    caught = bench.press()
    assert height(caught) == pytest.approx(CAUGHT, abs=0.001)
    truths = bench.turn(-angle - np.sign(angle) * 0.6)  # through the slot and beyond, still pressed down
    assert min(height(truth) for truth in truths) > CAUGHT - 0.001
    assert min(turned(truth) for truth in truths) > np.radians(12.0), "the walls hold the lugs back"
    bench.turn(angle + np.sign(angle) * 0.6)
    bench.hand[2] = BASE + GRIP + 0.05
    for _ in range(10):
        lifted = bench.request(down_action(bench.hand, 0.0)).truth
    assert height(lifted) > POST_TOP, "lifted off, it is free"


def test_a_nut_at_the_right_angle_goes_down_turns_and_is_locked(world):
    bench = Bench(world)
    bench.over(0.0)
    assert seated(bench.press())
    truth = bench.turn(1.2)[-1]
    assert locked(truth)
    assert not world.task.success([bench.episode.twin.observe()], truth), "it must be let go"
    assert world.task.timeout_reason([bench.episode.twin.observe()], truth) == "not_released"
    bench.hand[2] += 0.02
    for _ in range(10):
        pulled = bench.request(down_action(bench.hand, 0.0)).truth
    assert height(pulled) < 0.006, "the lugs hold it down"


def test_a_supervisor_lifts_a_caught_nut_and_puts_it_on_anew(world):
    def turned_peg(seen: np.ndarray) -> np.ndarray:
        yaw = np.arctan2(seen[13], seen[12]) + 0.5
        seen[12:14] = np.cos(yaw), np.sin(yaw)
        return seen

    driver = SupervisedDriver(MisledPolicy(world.task, turned_peg))
    (log,) = Rollout(world, driver, 1, time_limit=45.0).run([2])
    assert log.success
    assert driver.reasons[2] in ("caught", "stalled", "fruitless")
    assert Segment.RECOVERY in log.segments


def test_eyes_err_anew_above_the_peg_and_freeze_over_it():
    eyes = PegInView(np.random.default_rng(0))
    truth = np.array([0.5, 0.1, 0.05, 1, 0, 0, 0, 1, 0, 0.5, 0.1, BASE, 1, 0], dtype=float)
    below = truth.copy()
    below[2] = BASE + 0.012

    def error(at: np.ndarray) -> tuple[float, ...]:
        seen = eyes.see(at)
        np.testing.assert_array_equal(seen[[*range(9), 11]], at[[*range(9), 11]])
        return (*(seen[9:11] - at[9:11]), float(np.arctan2(seen[13], seen[12])))

    assert len({error(truth) for _ in range(20)}) == 20
    assert len({error(below) for _ in range(20)}) == 1
    np.testing.assert_allclose(np.std([error(truth) for _ in range(3000)], axis=0), PEG_SIGMA, rtol=0.1)
