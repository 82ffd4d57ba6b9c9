"""Each axis changes one thing, by as much as it says, and nothing at its nominal value."""

import hashlib
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import Episode, World
from steadyhand.sim.perturbation import AXES, perturbed
from steadyhand.sim.render import Renderer


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


def run(world: World, seed: int = 4, decisions: int = 25) -> Episode:
    episode = Episode(world)
    episode.reset(seed)
    for _ in range(decisions):
        frame = episode.observe()
        episode.request(episode.operator.act(frame.state, frame.truth))
        episode.twin.step(episode.ticks)
    return episode


def fingerprint(world: World, decisions: int = 25) -> str:
    return hashlib.sha1(run(world, decisions=decisions).twin.qpos.tobytes()).hexdigest()


@pytest.mark.parametrize("name", AXES)
def test_an_axis_at_its_nominal_value_changes_nothing(world, name):
    assert fingerprint(perturbed(world, {name: AXES[name].nominal})) == fingerprint(world)


@pytest.mark.parametrize("name", [name for name, axis in AXES.items() if axis.felt_by == "everything"])
def test_an_axis_at_its_end_is_felt_and_leaves_the_world_as_it_was(world, name):
    long = 110 if name in ("push", "friction") else 25  # until the push, and until something is touched
    before = fingerprint(world, long)
    assert fingerprint(perturbed(world, {name: AXES[name].high}), long) != before
    assert fingerprint(world, long) == before


def test_all_at_once_and_values_that_cannot_be(world):
    middle = {name: (axis.nominal + axis.high) / 2 for name, axis in AXES.items()}
    assert fingerprint(perturbed(world, middle)) != fingerprint(world)
    with pytest.raises(SteadyhandError, match=r"unknown perturbation 'wind'; allowed: .*latency"):
        perturbed(world, {"wind": 1.0})
    with pytest.raises(SteadyhandError, match=r"'latency' is 3; allowed: 0 to 0\.4"):
        perturbed(world, {"latency": 3.0})


def test_latency_delays_what_acts_and_keeps_the_stamp(world):
    late = Episode(perturbed(world, {"latency": 0.25}))
    late.reset(4)
    start = late.observe()
    action = np.append(start.reference, 1.0)
    action[0] += 0.05
    late.request(action)
    assert late.twin.observe().status.counters["accepted"] == 0
    late.twin.step(249)
    assert late.twin.observe().status.counters["accepted"] == 0
    late.twin.step(10)
    status = late.twin.observe().status
    assert status.counters["accepted"] == 1
    assert status.reference_age == pytest.approx(0.258, abs=0.002)


def test_several_late_decisions_act_in_their_order(world):
    twin = Episode(world).twin
    twin.reset(world.home)
    seen = twin.observe()
    for k in range(4):
        twin.set_reference(seen.position, seen.quaternion, twin.time, 1.0 - 0.2 * k, latency=0.3)
        twin.step(100)
        assert twin.observe().status.counters["accepted"] == max(0, k - 2)
    twin.step(300)
    assert twin.observe().status.counters["accepted"] == 4
    assert twin.observe().gripper == pytest.approx(0.4, abs=0.05)


def test_a_push_is_as_hard_as_asked_for_and_ends(world):
    pushed = Episode(perturbed(world, {"push": 30.0}))
    pushed.reset(9)
    moved, home = [], pushed.observe().state[:3]
    for _ in range(120):
        pushed.request(np.append(pushed.observe().reference, 1.0))
        pushed.twin.step(pushed.ticks)
        moved.append(np.linalg.norm(pushed.observe().state[:3] - home))
    stiffness = 1500.0  # N/m at most: 30 N give some millimetres, for two of the 120 periods
    assert max(moved) > 0.3 * 30.0 / stiffness
    assert np.count_nonzero(np.array(moved) > 0.5 * max(moved)) <= 6


def test_masses_are_those_asked_for(world):
    model = perturbed(world, {"object_mass": 3.0, "payload": 0.4}).model
    assert model.body("peg").mass[0] == pytest.approx(3 * world.model.body("peg").mass[0])
    hand = world.robot.tool_frame
    assert model.body(hand).mass[0] - world.model.body(hand).mass[0] == pytest.approx(0.4)
    data, before = mujoco.MjData(model), mujoco.MjData(world.model)
    for one, made in ((model, data), (world.model, before)):
        made.qpos[:] = world.home
        mujoco.mj_forward(one, made)
    extra = data.qfrc_bias[:7] - before.qfrc_bias[:7]
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jacBody(world.model, before, jacobian, None, world.model.body(hand).id)
    np.testing.assert_allclose(extra, 0.4 * 9.81 * jacobian[2, :7], atol=1e-9)


def test_pictures_are_darker_and_from_elsewhere_and_words_are_others(world):
    def picture(one: World) -> np.ndarray:
        renderer = Renderer(one.model, 64, 48)
        image = renderer.render(one.home, "front").astype(float)
        renderer.close()
        return image

    nominal = picture(world)
    assert picture(perturbed(world, {"light": 0.3})).mean() < 0.7 * nominal.mean()
    assert np.abs(picture(perturbed(world, {"camera_shift": 0.1})) - nominal).mean() > 1.0
    said = {run(perturbed(world, {"wording": index}), decisions=0).instruction for index in range(9)}
    assert said == {wording.format() for wording in world.task.wordings}


def test_a_payload_is_no_secret_to_a_force_torque_sensor(world):
    sensing = World.build(replace(world.robot, force_torque_link="fr3_hand"), "peg_insertion")
    with pytest.raises(SteadyhandError, match="for arms without force_torque_link"):
        perturbed(sensing, {"payload": 0.2})
    assert (
        perturbed(sensing, {"payload": 0.0}).model.body("fr3_hand_tcp").mass == sensing.model.body("fr3_hand_tcp").mass
    )
