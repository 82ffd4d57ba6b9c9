"""How much faster a step of the twin is than one of robosuite's environments, on the same MJCF at the same time step.

robosuite 1.5.2 needs MuJoCo 3.3.7 and lives in an environment of its own, which is made in the user's cache on first
use. Both sides begin in the same state and follow the same small steps of the tool; they take turns in every repeat.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from steadyhand.crisp_control._core import CartesianImpedance
from steadyhand.crisp_control.parameters import apply_parameters, load_parameters
from steadyhand.errors import SteadyhandError
from steadyhand.sim._native import Twin
from steadyhand.sim.robot import load_robot

REQUIREMENTS = ("robosuite==1.5.2", "mujoco==3.3.7")  # MIT, Apache-2.0
ENVIRONMENTS = {"robosuite_lift_ratio": "Lift", "robosuite_nut_ratio": "NutAssemblySquare"}
PERIODS = 40  # of 50 ms per repeat
REPEATS = 9
TOOL = "gripper0_right_grip_site"  # whose pose robosuite's controller moves
METHOD = {
    "robosuite_*_ratio": "processor time per physics step, theirs over ours; same MJCF, time step, start, tool steps",
    "theirs": "the loop of its env.step without observables and reward: step1, OSC_POSE and gripper control, step2; "
    "env_step_us: the whole env.step without cameras",
    "ours": "cartesian_impedance with safety chain and observer at every step, a request from Python every 50 ms; "
    "ours_operational_space: with robosuite's law and stiffness instead",
    "same MJCF": "motors get the names of their joints; the drives of the fingers hold the middle, where theirs are "
    "held; ours_without_visuals: compiled without what is only seen (discardvisual)",
}


def peer_python() -> Path:
    """Python of the environment with robosuite; installs it (1.3 GB from PyPI) if it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "steadyhand" / "-".join(REQUIREMENTS)
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.is_file():
        print(f"installing {' and '.join(REQUIREMENTS)} into {folder} (1.3 GB, once)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS])
        ready.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        words = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in words if line.startswith("ERROR")]
        reason = (errors or words or ["no word"])[-1]
        raise SteadyhandError(f"robosuite cannot be installed ({reason}); give --no-robosuite, or a network")


class Theirs:
    """A robosuite environment in a process of its own."""

    def __init__(self, name: str, mjcf: Path) -> None:
        worker = Path(__file__).with_name("robosuite_worker.py")
        self._log = mjcf.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(peer_python()), "-I", str(worker), name, str(mjcf)],  # -I: nothing of this environment
                env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.described = self._answer()

    def run(self, periods: int) -> dict[str, float]:
        """Microseconds per physics step and what moved."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a process that died has no answer, and that is reported
            print(periods, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            words = self._log.read_text().strip().splitlines() or ["no word"]
            raise SteadyhandError(f"robosuite does not run here ({words[-1]}); give --no-robosuite")
        return json.loads(line)


@dataclass
class Ours:
    """The twin in robosuite's scene."""

    model: mujoco.MjModel
    twin: Twin
    described: dict

    @staticmethod
    def load(mjcf: Path, described: dict, visuals: bool = True, operational_space: bool = False) -> "Ours":
        """The arm's model comes from the same file."""
        file = mjcf.with_suffix(".yaml")
        file.write_text(json.dumps({"mjcf": mjcf.name, "tool_frame": TOOL, "q_home": described["qpos"][:7]}))
        robot = load_robot(file)
        arm = robot.arm()
        params = load_parameters(robot.gains, arm)
        if operational_space:
            law = {"operational_space": True, "nullspace": "dynamic", "stiffness": [float(described["kp"])] * 6}
            apply_parameters(params, law, file, arm)
        model = drivable(mjcf, visuals)
        return Ours(model, Twin(model._address, CartesianImpedance(arm, params)), described)

    def run(self, periods: int) -> dict[str, float]:
        """As robosuite_worker.Peer.run."""
        twin, substeps, data = self.twin, self.described["substeps"], mujoco.MjData(self.model)
        twin.reset(np.array(self.described["qpos"]))
        loop = bare = path = 0.0
        contacts = 0
        for position, quaternion in self._requests(periods):
            contacts += twin.contacts
            bare += self._bare(data, substeps)
            before = twin.observe().position
            begin = time.thread_time()
            twin.set_reference(position, quaternion, twin.time, 1.0)
            twin.step(substeps)
            loop += time.thread_time() - begin
            path += float(np.linalg.norm(twin.observe().position - before))
        counters = twin.observe().status.counters
        if counters["accepted"] != periods or counters["reflex_trips"]:
            raise RuntimeError(f"the arm did not follow in robosuite's scene: {counters}")
        total = 1e6 / (periods * substeps)
        return {"loop_us": loop * total, "bare_us": bare * total, "contacts": contacts / periods, "tool_path_m": path}

    def _requests(self, periods: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Tool poses, position and quaternion (xyzw): robosuite's small steps one after the other."""
        reach, seen = self.described["reach"], self.twin.observe()
        steps = np.random.default_rng(self.described["seed"]).uniform(-reach, reach, (periods, 7))
        steps = steps[:, :6] * self.described["scale"]
        position, turned, requests = seen.position, Rotation.from_quat(seen.quaternion), []
        for step in steps:
            position, turned = position + step[:3], Rotation.from_rotvec(step[3:]) * turned
            requests.append((position, turned.as_quat()))
        return requests

    def _bare(self, data: mujoco.MjData, substeps: int) -> float:
        data.qpos[:], data.qvel[:] = self.twin.qpos, self.twin.qvel
        for joint, tau in enumerate(self.twin.observe().tau):
            data.actuator(self.model.joint(joint).name).ctrl[0] = tau
        mujoco.mj_forward(self.model, data)
        begin = time.thread_time()
        mujoco.mj_step(self.model, data, substeps)
        return time.thread_time() - begin


def drivable(mjcf: Path, visuals: bool) -> mujoco.MjModel:
    """robosuite's model with motors that are named like their joints; the fingers' drives hold the middle."""
    spec = mujoco.MjSpec.from_file(str(mjcf))
    spec.compiler.discardvisual = not visuals
    for actuator in spec.actuators:
        if actuator.biastype == mujoco.mjtBias.mjBIAS_NONE:
            actuator.name = actuator.target
        else:
            actuator.biasprm[0] += actuator.gainprm[0] * float(np.mean(actuator.ctrlrange))
    return spec.compile()


def compare(name: str) -> dict:
    """One environment: ratio of the costs, and the figures of every side (medians)."""
    with tempfile.TemporaryDirectory() as folder:
        mjcf = Path(folder) / f"{name}.xml"
        theirs = Theirs(name, mjcf)
        try:
            described = theirs.described
            sides: dict[str, Theirs | Ours] = {
                "theirs": theirs,
                "ours": Ours.load(mjcf, described),
                "ours_without_visuals": Ours.load(mjcf, described, visuals=False),
                "ours_operational_space": Ours.load(mjcf, described, operational_space=True),
            }
            rounds = [
                {side: runner.run(PERIODS) for side, runner in sides.items()}
                for _ in tqdm(range(1 + REPEATS), desc=f"robosuite {name}")
            ][1:]  # the first warms up
        finally:
            theirs.close()
    ratios = [run["theirs"]["loop_us"] / run["ours"]["loop_us"] for run in rounds]
    medians = {
        side: {key: float(np.median([run[side][key] for run in rounds])) for key in rounds[0][side]} for side in sides
    }
    versions = {key: described[key] for key in ("robosuite", "mujoco", "timestep")}
    return {"ratio": float(np.median(ratios)), "spread": float(np.ptp(ratios)), **medians, **versions}


def measure() -> tuple[dict[str, float | None], dict[str, object]]:
    """The ratios by key, and both sides' figures; where robosuite does not run, None and the reason."""
    try:
        details = {key: compare(name) for key, name in ENVIRONMENTS.items()}
    except SteadyhandError as error:
        print(f"robosuite: not measured: {error}", file=sys.stderr)
        return dict.fromkeys(ENVIRONMENTS), {"reason": str(error)}
    return {key: row["ratio"] for key, row in details.items()}, dict(details)
