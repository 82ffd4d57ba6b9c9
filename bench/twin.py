"""`steadyhand bench twin`: what a simulated second costs, alone and compared with MuJoCo without a controller.

Every figure is the median of several repeats, and the variants that are compared take turns within every repeat, so
that a busy machine slows them alike. Costs of one core are its processor time; what runs on several threads is measured
by the wall clock.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import mujoco
import numpy as np

from steadyhand.bench import robosuite_peer
from steadyhand.bench.run import BenchConfig
from steadyhand.sim._native import Twin, TwinBatch
from steadyhand.sim.env import Episode, World
from steadyhand.sim.render import Renderer
from steadyhand.sim.rollout import Rollout, ScriptedDriver
from steadyhand.sim.tasks.peg_insertion import HOLE_DEPTH, peg_height

SEED = 21  # of the episode whose grasp and insertion are measured
EPISODE_SEEDS = range(760_000, 760_024)
REPEATS = 9
CHUNK = 50  # ticks between two looks at the clock
CHUNKS = 20  # of a simulated second
SCALING_PERIODS = 10  # of 100 ticks per repeat
RIM_OFFSET = 0.008  # m between peg and hole when the peg is pressed on the rim
RIM_PRESS, HOLE_PRESS = 0.012, 0.030  # m below its start that the hand aims at: a push of 10 to 20 N where it ends
METHOD = {
    "real_time_factor": "one simulated second over the processor time of one core; physics, controller, observer",
    "contact": "peg in the closed hand and pressed down, the slower of: onto the rim, to the bottom of the hole",
    "over_bare": "processor time of the twin over that of mj_step (C loop) from the same states, ctrl held",
    "scaling_2_threads": "wall-clock time of 8 twins in contact on 1 thread over that on 2, 100 ticks at a time",
    "scaling_2_threads_bare": "the same of mj_step on 8 mjData with as many ticks each and nothing to wait for: the "
    "machine's own ceiling",
    "statistics": f"median of {REPEATS} repeats, variants alternate within a repeat; ratios are formed within a repeat",
}


@dataclass
class Scenario:
    """A twin at the beginning of the second that is measured, and what it is asked to do in it."""

    name: str
    world: World
    qpos: np.ndarray
    mocap: np.ndarray
    gripper: float
    request: Callable[[float], np.ndarray]  # seconds since the start -> offset (3,) of the reference in m
    twin: Twin = field(init=False)

    def __post_init__(self) -> None:
        self.twin = self.world.twin()

    def begin(self) -> None:
        """Back to the start, settled for half a second."""
        self.twin.reset(self.qpos, self.mocap, self.gripper)
        seen = self.twin.observe()
        self._position, self._quaternion = seen.position, seen.quaternion
        for _ in range(10):
            self.ask()
            self.twin.step(CHUNK)

    def ask(self) -> None:
        """A fresh reference."""
        time_ = self.twin.time
        self.twin.set_reference(self._position + self.request(time_), self._quaternion, time_, self.gripper)

    def control(self, data: mujoco.MjData) -> None:
        """Put the twin's state, torques and gripper drive into bare MuJoCo's data."""
        data.qpos[:], data.qvel[:] = self.twin.qpos, self.twin.qvel
        mocap = self.twin.mocap.reshape(-1, 7)
        data.mocap_pos[:], data.mocap_quat[:] = mocap[:, :3], mocap[:, 3:]
        for name, tau in zip(self.world.robot.joints, self.twin.observe().tau, strict=True):
            data.actuator(name).ctrl[0] = tau
        data.actuator("gripper").ctrl[0] = self.gripper * self.world.model.actuator("gripper").ctrlrange[1]
        mujoco.mj_forward(self.world.model, data)  # fills the solver's warm start too


def scenarios() -> tuple[Scenario, list[Scenario]]:
    """Free motion, and the two contacts."""
    bare, world = World.load("fr3", None), World.load("fr3", "peg_insertion")

    def circle(now: float) -> np.ndarray:
        return 0.08 * np.array([np.sin(3.0 * now), 1.0 - np.cos(3.0 * now), 0.5 * np.sin(5.0 * now)])

    def press(depth: float) -> Callable[[float], np.ndarray]:
        return lambda _: np.array([0.0, 0.0, -depth])

    free = Scenario("free", bare, bare.home, np.zeros(0), 1.0, circle)
    above, inside = insertion(world)
    rim = above[1] + np.array([RIM_OFFSET, 0, 0, 0, 0, 0, 0])
    return free, [
        Scenario("rim", world, above[0], rim, 0.0, press(RIM_PRESS)),
        Scenario("hole", world, *inside, 0.0, press(HOLE_PRESS)),
    ]


def insertion(world: World) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """qpos and mocap of a scripted episode: the held peg just above the rim, and 10 mm or more inside the hole."""
    episode = Episode(world)
    episode.reset(SEED)
    above = None
    while episode.outcome() is None:
        frame = episode.observe()
        depth = HOLE_DEPTH - peg_height(frame.truth)
        held = frame.state[9] < 0.5
        if held and -0.008 < depth < -0.001:
            above = episode.twin.qpos, episode.twin.mocap
        if held and above and depth > 0.010:
            return above, (episode.twin.qpos, episode.twin.mocap)
        episode.request(episode.operator.act(frame.state, frame.truth))
        episode.twin.step(episode.ticks)
    raise RuntimeError(f"the scripted episode {SEED} did not insert the peg")


def run_second(scenario: Scenario, data: mujoco.MjData) -> tuple[float, float, float]:
    """Processor seconds of the twin and of bare MuJoCo for one simulated second, and the mean number of contacts."""
    scenario.begin()
    model, twin_time, bare_time, contacts = scenario.world.model, 0.0, 0.0, 0
    for chunk in range(CHUNKS):
        scenario.ask()
        scenario.control(data)
        contacts += data.ncon

        def step_twin() -> float:
            begin = time.thread_time()
            scenario.twin.step(CHUNK)
            return time.thread_time() - begin

        def step_bare() -> float:
            begin = time.thread_time()
            mujoco.mj_step(model, data, CHUNK)
            return time.thread_time() - begin

        if chunk % 2:  # whoever comes second finds warmer caches
            twin_time += step_twin()
            bare_time += step_bare()
        else:
            bare_time += step_bare()
            twin_time += step_twin()
    return twin_time, bare_time, contacts / CHUNKS


def measure_cost(scenario: Scenario) -> dict[str, float]:
    """Real-time factor on one core, ratio to bare MuJoCo, number of contacts."""
    data = mujoco.MjData(scenario.world.model)
    run_second(scenario, data)  # warm up
    runs = np.array([run_second(scenario, data) for _ in range(REPEATS)])
    pushed = 0.0
    if scenario.name != "free":
        pushed = sum(scenario.twin.contact_force("peg", other) for other in ("hole", "world"))
        if pushed < 5.0:
            raise RuntimeError(f"the peg lost contact in the scenario '{scenario.name}'")
    return {
        "real_time_factor": 1.0 / float(np.median(runs[:, 0])),
        "bare_real_time_factor": 1.0 / float(np.median(runs[:, 1])),
        "over_bare": float(np.median(runs[:, 0] / runs[:, 1])),
        "contacts": float(np.mean(runs[:, 2])),
        "contact_force_n": pushed,
        "spread": float(np.ptp(runs[:, 0]) / np.median(runs[:, 0])),
    }


def measure_scaling(scenario: Scenario) -> dict[str, float]:
    """Speed-up by a second thread: of a batch of 8 twins, and of bare MuJoCo beside it."""
    scenario.begin()
    state = scenario.twin.qpos, scenario.twin.mocap, scenario.gripper
    model = scenario.world.model
    twins = [scenario.world.twin() for _ in range(8)]
    datas = [mujoco.MjData(model) for _ in twins]
    batches = {threads: TwinBatch(twins, threads) for threads in (1, 2)}

    def step_twins(threads: int) -> None:
        for _ in range(SCALING_PERIODS):
            batches[threads].step(100)

    def step_bare(threads: int) -> None:
        def work(mine: list[mujoco.MjData]) -> None:
            for data in mine:
                mujoco.mj_step(model, data, 100 * SCALING_PERIODS)  # releases the interpreter

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, [datas[first::threads] for first in range(threads)]))

    ratios: dict[str, list[float]] = {"scaling_2_threads": [], "scaling_2_threads_bare": []}
    for _ in range(REPEATS):
        for name, step in zip(ratios, (step_twins, step_bare), strict=True):
            seconds = {}
            for threads in batches:
                for twin, data in zip(twins, datas, strict=True):
                    twin.reset(*state)
                    scenario.control(data)
                begin = time.perf_counter()
                step(threads)
                seconds[threads] = time.perf_counter() - begin
            ratios[name].append(seconds[1] / seconds[2])
    return {name: float(np.median(values)) for name, values in ratios.items()}


def measure_cameras(scenario: Scenario) -> float:
    """Pictures of both cameras at 224 x 224, pairs per second of wall-clock time."""
    scenario.begin()
    renderer = Renderer(scenario.world.model, 224, 224)
    qpos, mocap = scenario.twin.qpos, scenario.twin.mocap
    rates = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        for _ in range(10):
            for camera in ("front", "wrist"):
                renderer.render(qpos, camera, mocap)
        rates.append(10 / (time.perf_counter() - begin))
    renderer.close()
    return float(np.median(rates))


def measure_episodes(world: World, workers: int) -> float:
    """Scripted episodes per minute of wall-clock time, all of the loop included."""
    begin = time.perf_counter()
    count = len(list(Rollout(world, ScriptedDriver(), workers).run(EPISODE_SEEDS)))
    return 60.0 * count / (time.perf_counter() - begin)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "mujoco": mujoco.__version__,
    }


def on_one_core[T](measure: Callable[[], T]) -> T:
    """Run pinned to the first allowed core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        return measure()
    finally:
        os.sched_setaffinity(0, allowed)


def main(config: BenchConfig) -> None:
    """Measure, print a table, write the file."""
    described = machine()
    free, contacts = scenarios()
    details = {s.name: on_one_core(partial(measure_cost, s)) for s in (free, *contacts)}
    slowest = min(contacts, key=lambda s: details[s.name]["real_time_factor"])
    numbers: dict[str, float | None] = {
        "contact_real_time_factor_1_core": details[slowest.name]["real_time_factor"],
        "free_real_time_factor_1_core": details["free"]["real_time_factor"],
        "over_bare_contact": details[slowest.name]["over_bare"],
        "over_bare_free": details["free"]["over_bare"],
        **measure_scaling(slowest),
        "camera_pairs_per_s_224": measure_cameras(slowest),
        "episodes_per_minute": measure_episodes(slowest.world, len(os.sched_getaffinity(0))),
    }
    numbers |= dict.fromkeys(robosuite_peer.ENVIRONMENTS)
    peer: dict[str, object] = {"reason": "--no-robosuite"}
    if config.robosuite:
        ratios, peer = on_one_core(robosuite_peer.measure)
        numbers |= ratios
    print(f"{described['processor']}, {described['cores']} cores, load {described['load_at_start']}")
    for name, value in numbers.items():
        print(f"  {name:<34}" + (f"{value:>10.2f}" if value is not None else f"{'-':>10}"))
    for name, row in details.items():
        print(f"  {name:<6}" + "  ".join(f"{key} {value:.2f}" for key, value in row.items()))
    seeds = {"scenario": SEED, "episodes": [EPISODE_SEEDS.start, EPISODE_SEEDS.stop - 1]}
    method = METHOD | robosuite_peer.METHOD
    content = {**numbers, "details": details, "robosuite": peer, "machine": described, "seeds": seeds, "method": method}
    config.json.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {config.json}")
