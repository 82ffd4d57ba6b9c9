"""robosuite's side of `steadyhand bench twin`: its environments, stepped as its own ``env.step`` does.

Runs in the environment that bench/robosuite_peer.py makes, without Steadyhand. Arguments: the name of an environment
and a file for its MJCF. Answers one line of JSON first (what was built), then one to every line on stdin (control
periods to run, each time from the same state with the same actions).
"""

import json
import sys
import time

import mujoco
import numpy as np
import robosuite
from robosuite.controllers import load_composite_controller_config

CONTROL_RATE = 20.0  # Hz, robosuite's own default
SEED = 21
REACH = 0.2  # of the largest action: 1 cm and 0.1 rad per period


class Peer:
    """A Panda with robosuite's own controller for it: OSC_POSE, updated at every physics step."""

    def __init__(self, name: str) -> None:
        config = load_composite_controller_config(controller=None, robot="Panda")
        self.arm = config["body_parts"]["right"]
        self.env = robosuite.make(
            name,
            robots="Panda",
            controller_configs=config,
            control_freq=CONTROL_RATE,
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            ignore_done=True,
            seed=SEED,
        )
        self.env.reset()
        self.model, self.data = self.env.sim.model._model, self.env.sim.data._data
        self.start = self.data.qpos.copy()
        self.substeps = int(self.env.control_timestep / self.env.model_timestep)
        self.scratch = mujoco.MjData(self.model)
        self.site = self.model.site("gripper0_right_grip_site").id

    def begin(self) -> None:
        """Back to the state after the reset, at rest."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.start
        self.env.sim.forward()

    def actions(self, periods: int) -> np.ndarray:
        """Small steps of the tool (periods, 7); the fingers hold."""
        actions = np.random.default_rng(SEED).uniform(-REACH, REACH, (periods, 7))
        actions[:, 6] = 0.0
        return actions

    def period(self, action: np.ndarray) -> None:
        """The loop of robosuite's ``MujocoEnv.step``, without observables and reward."""
        for substep in range(self.substeps):
            self.env.sim.step1()
            self.env._pre_action(action, substep == 0)
            self.env.sim.step2()

    def bare(self) -> float:
        """Processor seconds of as many mj_step from here with the controls held."""
        for name in ("qpos", "qvel", "ctrl"):
            getattr(self.scratch, name)[:] = getattr(self.data, name)
        mujoco.mj_forward(self.model, self.scratch)  # fills the solver's warm start too
        begin = time.process_time()
        mujoco.mj_step(self.model, self.scratch, self.substeps)
        return time.process_time() - begin

    def run(self, periods: int) -> dict:
        """Microseconds per physics step: the loop, bare MuJoCo, and env.step with all it does without cameras."""
        seconds = {"loop": 0.0, "bare": 0.0, "env_step": 0.0}
        contacts, path = 0, 0.0
        self.begin()
        for action in self.actions(periods):
            contacts += self.data.ncon
            before = self.data.site_xpos[self.site].copy()
            seconds["bare"] += self.bare()
            begin = time.process_time()
            self.period(action)
            seconds["loop"] += time.process_time() - begin
            path += float(np.linalg.norm(self.data.site_xpos[self.site] - before))
        self.begin()
        for action in self.actions(periods):
            begin = time.process_time()
            self.env.step(action)
            seconds["env_step"] += time.process_time() - begin
        steps = periods * self.substeps
        found = {f"{name}_us": 1e6 * value / steps for name, value in seconds.items()}
        return {**found, "contacts": contacts / periods, "tool_path_m": path}

    def describe(self) -> dict:
        """What the other side needs to do the same."""
        return {
            "qpos": self.start.tolist(),
            "timestep": self.env.model_timestep,
            "substeps": self.substeps,
            "kp": self.arm["kp"],
            "scale": self.arm["output_max"],
            "seed": SEED,
            "reach": REACH,
            "robosuite": robosuite.__version__,
            "mujoco": mujoco.__version__,
        }


def main() -> None:
    """Build, describe, then run as often as asked."""
    answers, sys.stdout = sys.stdout, sys.stderr  # robosuite prints
    name, mjcf = sys.argv[1:]
    peer = Peer(name)
    with open(mjcf, "w") as file:
        file.write(peer.env.sim.model.get_xml())
    print(json.dumps(peer.describe()), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.run(int(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
