"""The twin: physics and controller together, deterministic, and the same controller as everywhere else."""

import gc
import threading
import time

import mujoco
import numpy as np
import pytest

from steadyhand.crisp_control._core import CartesianImpedance, ReferenceMode, References
from steadyhand.crisp_control.parameters import load_parameters, make_controller
from steadyhand.sim._native import Twin, TwinBatch
from steadyhand.sim.env import Episode, World

HAND = "fr3_hand"  # rigidly connected to the tool frame


@pytest.fixture(scope="module")
def world() -> World:
    return World.load("fr3", "peg_insertion")


@pytest.fixture(scope="module")
def bare() -> World:
    return World.load("fr3", None)


@pytest.fixture
def frictionless() -> tuple[Twin, np.ndarray]:
    """A twin without joint friction, nor compensation of it, at home; and the stiffness of its controller (6,)."""
    world = World.load("fr3", None)
    world.model.dof_frictionloss[:] = 0.0
    params = load_parameters("fr3", world.arm)
    params.friction = np.zeros(7)
    twin = Twin(world.model._address, CartesianImpedance(world.arm, params))
    twin.reset(world.home)
    return twin, params.stiffness


def at_home(world: World) -> Twin:
    twin = world.twin()
    twin.reset(world.home)
    return twin


def wander(twin: Twin, start: np.ndarray, quaternion: np.ndarray, seed: int, decisions: int = 15) -> list[np.ndarray]:
    """Requests at 10 Hz; returns qpos and qvel after each."""
    rng, states = np.random.default_rng(seed), []
    for _ in range(decisions):
        twin.set_reference(start + rng.uniform(-0.1, 0.1, 3), quaternion, twin.time, rng.uniform())
        twin.step(100)
        states += [twin.qpos, twin.qvel]
    return states


def run_scripted(episode: Episode, seed: int, decisions: int = 60) -> list[np.ndarray]:
    """Positions and velocities along a scripted episode, contacts included."""
    episode.reset(seed)
    states = []
    for _ in range(decisions):
        frame = episode.observe()
        episode.request(episode.operator.act(frame.state, frame.truth))
        episode.twin.step(episode.ticks)
        states += [episode.twin.qpos, episode.twin.qvel]
    return states


def same_bits(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def test_same_seed_same_bits(world):
    first = run_scripted(Episode(world), 5)
    again = Episode(world)
    run_scripted(again, 6, decisions=13)  # whatever ran before
    assert same_bits(run_scripted(again, 5), first)
    assert not same_bits(run_scripted(again, 7), first)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_batch_gives_the_bits_of_single_twins(world, threads):
    start, quaternion = at_home(world).observe().position, at_home(world).observe().quaternion
    alone = [at_home(world) for _ in range(4)]
    batched = [at_home(world) for _ in range(4)]
    batch = TwinBatch(batched, threads)
    rngs = [np.random.default_rng(seed) for seed in range(4)]
    for _ in range(10):
        for one, other, rng in zip(alone, batched, rngs, strict=True):
            position, gripper = start + rng.uniform(-0.1, 0.1, 3), rng.uniform()
            for twin in (one, other):
                twin.set_reference(position, quaternion, twin.time, gripper)
            one.step(110)
        batch.step(110)  # no multiple of the stretches in which a batch steps
    assert same_bits([twin.qpos for twin in batched], [twin.qpos for twin in alone])


def test_a_batch_steps_only_the_twins_it_is_told_to(world):
    twins = [at_home(world) for _ in range(3)]
    batch = TwinBatch(twins, 2)
    batch.step(10, [0, 2])
    assert [round(1e3 * twin.time) for twin in twins] == [10, 0, 10]
    batch.step(10, [])
    assert twins[0].time == pytest.approx(0.010)


def test_torques_are_those_of_the_controller_core(bare):
    twin = at_home(bare)
    controller = make_controller("fr3", bare.arm)
    seen = twin.observe()
    controller.reset(seen.q, seen.dq, bare.arm.gravity(seen.q), twin.time)
    position, quaternion, references = seen.position, seen.quaternion, References()
    rng = np.random.default_rng(2)
    for tick in range(1000):
        if tick % 100 == 50:
            position = position + rng.uniform(-0.05, 0.05, 3)
            twin.set_reference(position, quaternion, twin.time, 1.0)
            references.set_pose(position, quaternion, twin.time)
        before = twin.observe()
        twin.step(1)
        tau = controller.update(before.q, before.dq, before.tau, before.time, references, twin.timestep)
        assert tau.tobytes() == twin.observe().tau.tobytes(), f"tick {tick}"


def test_a_force_moves_the_tool_by_force_over_stiffness(frictionless):
    twin, stiffness = frictionless
    twin.step(500)
    before = twin.observe().position
    for axis, force in ((0, 15.0), (1, -15.0), (2, 12.0)):
        wrench = np.zeros(6)
        wrench[axis] = force
        twin.apply_wrench(HAND, wrench)
        twin.step(3000)
        moved = twin.observe().position - before
        expected = wrench[:3] / stiffness[:3]
        np.testing.assert_allclose(moved, expected, atol=0.02 * np.linalg.norm(expected))


def test_the_external_wrench_is_felt_at_the_tool(frictionless, bare):
    twin, _ = frictionless
    force, torque = np.array([10.0, -5.0, 8.0]), np.array([0.5, 0.3, -0.2])
    twin.apply_wrench(HAND, np.concatenate([force, torque]))
    twin.step(2000)
    scene = mujoco.MjData(bare.model)
    scene.qpos[:] = twin.qpos
    mujoco.mj_forward(bare.model, scene)
    seen = twin.observe()
    moved = torque + np.cross(scene.body(HAND).xipos - seen.position, force)  # from the hand's centre of mass
    np.testing.assert_allclose(seen.wrench, np.concatenate([force, moved]), atol=0.02)


def test_holds_its_weight_without_drifting(bare):
    twin = at_home(bare)
    before = twin.observe()
    twin.step(5000)
    after = twin.observe()
    assert np.linalg.norm(after.position - before.position) < 1e-4
    assert np.abs(after.q - before.q).max() < 1e-3
    assert after.status.counters["torque_clamped"] == 0


def test_reaches_a_reference(bare):
    twin = at_home(bare)
    seen = twin.observe()
    goal = seen.position + np.array([0.05, 0.1, -0.1])
    for _ in range(20):
        twin.set_reference(goal, seen.quaternion, twin.time, 0.0)
        twin.step(100)
    after = twin.observe()
    np.testing.assert_allclose(after.position, goal, atol=0.004)  # joint friction, 80 % of it compensated
    np.testing.assert_allclose(after.reference_position, goal, atol=1e-4)
    assert after.gripper < 0.05


def test_a_stale_reference_makes_it_hold_and_then_damp(bare):
    twin = at_home(bare)
    seen = twin.observe()
    twin.set_reference(seen.position + np.array([0.1, 0, 0]), seen.quaternion, 0.0, 1.0)
    modes = {}
    for _ in range(30):
        twin.step(100)
        modes[round(twin.time, 1)] = twin.observe().status.mode
    assert [modes[t] for t in (0.4, 0.5)] == [ReferenceMode.TRACK] * 2
    assert [modes[t] for t in (0.6, 1.9)] == [ReferenceMode.HOLD] * 2
    assert [modes[t] for t in (2.1, 3.0)] == [ReferenceMode.DAMP] * 2
    twin.set_reference(twin.observe().position, seen.quaternion, twin.time, 1.0)
    twin.step(100)
    assert twin.observe().status.mode == ReferenceMode.TRACK


def test_bad_references_change_nothing(bare):
    good, bad = at_home(bare), at_home(bare)
    seen = good.observe()
    nan = np.full(3, np.nan)
    for twin in (good, bad):
        twin.set_reference(seen.position, seen.quaternion, 0.0, 1.0)
        twin.step(100)
    for position, quaternion, stamp in (
        (nan, seen.quaternion, 0.1), (seen.position, np.zeros(4), 0.1), (seen.position, seen.quaternion, 99.0),
        (seen.position + 1.0, seen.quaternion, 0.1), (seen.position, seen.quaternion, -0.1),
    ):  # fmt: skip
        bad.set_reference(position, quaternion, stamp, 1.0)
        bad.step(20)
    good.step(100)
    assert bad.qpos.tobytes() == good.qpos.tobytes()
    assert sum(n for name, n in bad.observe().status.counters.items() if name.startswith("refused")) == 5


def test_step_lets_other_python_threads_run(bare):
    twin, beats, done = at_home(bare), [], threading.Event()

    def beat() -> None:
        while not done.is_set():
            beats.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=beat)
    thread.start()
    begin = time.perf_counter()
    twin.step(20_000)
    end = time.perf_counter()
    done.set()
    thread.join()
    assert sum(begin < moment < end for moment in beats) > 10


def test_observation_belongs_to_one_instant(bare):
    twin = at_home(bare)
    seen = twin.observe()
    wander(twin, seen.position, seen.quaternion, seed=3)
    seen = twin.observe()
    position, quaternion = bare.arm.placement(seen.q)
    np.testing.assert_allclose(seen.position, position, atol=1e-12)
    np.testing.assert_allclose(np.abs(seen.quaternion @ quaternion), 1.0, atol=1e-12)
    np.testing.assert_allclose(seen.twist, bare.arm.jacobian(seen.q) @ seen.dq, atol=1e-12)
    np.testing.assert_array_equal(seen.q, twin.qpos[:7])
    assert seen.time == twin.time


def test_wrong_sizes_and_names_raise(bare):
    twin = at_home(bare)
    with pytest.raises(ValueError, match=r"needs 9 positions and 0 mocap values, given were 8 and 0"):
        twin.reset(bare.home[:-1])
    with pytest.raises(ValueError, match="9 positions"):
        twin.reset(bare.home, np.zeros(7))
    with pytest.raises(ValueError, match="no body 'elbow'"):
        twin.body_pose("elbow")
    with pytest.raises(TypeError):
        twin.set_reference(np.zeros(2), np.zeros(4), 0.0, 1.0)
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        TwinBatch([twin], 0)
    with pytest.raises(ValueError, match="twice"):
        TwinBatch([twin, twin], 2)
    batch = TwinBatch([twin, at_home(bare)], 2)
    for wrong in ([2], [-1], [0, 0]):
        with pytest.raises(ValueError, match="twin"):
            batch.step(1, wrong)


def test_a_scene_without_the_arms_motors_is_refused(bare):
    empty = mujoco.MjModel.from_xml_string("<mujoco><worldbody/></mujoco>")
    with pytest.raises(ValueError, match="no joint 'fr3_joint1'"):
        Twin(empty._address, make_controller("fr3", bare.arm))


def test_a_gripper_command_that_is_no_number_changes_nothing(bare):
    twin = at_home(bare)
    seen = twin.observe()
    twin.set_reference(seen.position, seen.quaternion, twin.time, 0.3)
    twin.step(400)
    twin.set_reference(seen.position, seen.quaternion, twin.time, float("nan"))
    twin.step(400)
    assert twin.observe().gripper == pytest.approx(0.3, abs=0.02)
    assert np.isfinite(twin.qpos).all()


def test_a_batch_keeps_its_twins_alive(bare):
    twins = [at_home(bare), at_home(bare)]
    heights = [twin.observe().position[2] for twin in twins]
    batch = TwinBatch(twins, 2)
    watched = twins[0]
    twins.clear()
    del twins
    gc.collect()
    batch.step(200)
    assert watched.time == pytest.approx(0.2)
    assert watched.observe().position[2] == pytest.approx(heights[0], abs=0.002)


def test_the_force_peak_is_that_of_all_ticks_since_the_reset(bare):
    twin = at_home(bare)
    peaks = []
    for tick in range(300):
        twin.apply_wrench(HAND, np.array([0, 0, 25.0 if 100 <= tick < 180 else 0, 0, 0, 0]))
        twin.step(1)
        seen = twin.observe()
        peaks.append(np.linalg.norm(seen.wrench[:3]))
    assert seen.force_peak == pytest.approx(max(peaks), abs=1e-12)
    assert seen.force_peak > 5.0
    assert peaks[-1] < 0.8 * seen.force_peak
    twin.reset(bare.home)
    assert twin.observe().force_peak == 0.0
