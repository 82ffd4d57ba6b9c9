"""`steadyhand view`: watch a task being done, in the browser or in MuJoCo's own window."""

import contextlib
import io
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import mujoco

from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import Episode, World
from steadyhand.sim.evaluate import make_driver
from steadyhand.sim.realtime import SPEEDS, Instant, Shadow, check_speed
from steadyhand.sim.rollout import Driver

PICTURE_PERIOD = 0.04  # s between two pictures
BETWEEN = 1.0  # s that the end of an episode is shown
HOST = "127.0.0.1"  # whoever reaches the page controls it, and viser asks nobody for a password


@dataclass(frozen=True)
class ViewConfig:
    """Watch a task being done on the twin."""

    robot: str = "fr3"
    """As for `steadyhand twin`: a name, or the path of a robot file, of a URDF or of an MJCF."""
    task: str = "peg_insertion"
    """Task, see `steadyhand tasks`, or one of your own as path/to/my_task.py:MyTask."""
    policy: str = "scripted"
    """The word scripted, or a checkpoint (the folder that `steadyhand train` wrote)."""
    seed: int = 0
    """Of the first episode; the others count up from it."""
    episodes: int | None = None
    """How many to show; without it, it goes on until Ctrl-C."""
    speed: float = 1.0
    """Simulated seconds per second, 0.1 to 10."""
    port: int = 8080
    """Of the page, on this machine only; from another one: ssh -L 8080:127.0.0.1:8080 MACHINE. Taken: the next one."""
    native: bool = False
    """MuJoCo's own window instead of the page; needs a display. Space: pause, N: next episode."""


@dataclass
class Controls:
    """What the people who watch have asked for."""

    speed: float = 1.0
    paused: bool = False
    next: bool = False
    camera: str = "free"
    closed: bool = False


@dataclass
class Score:
    """How it went so far."""

    episodes: int = 0
    successes: int = 0
    last: str = "none yet"
    now: str = ""

    def count(self, seed: int, success: bool, reason: str) -> None:
        """One more episode is over."""
        self.episodes, self.successes = self.episodes + 1, self.successes + success
        self.last = f"seed {seed}: {reason}"


class Page(AbstractContextManager):
    """The scene in the browser."""

    def __init__(self, model: mujoco.MjModel, config: ViewConfig) -> None:
        """Serve it."""
        import viser  # an extra

        from steadyhand.sim.view_scene import BrowserScene

        self.controls = Controls(config.speed)
        with _quiet():
            self.server = viser.ViserServer(host=HOST, port=config.port, label="Steadyhand", verbose=False)
        self.scene = BrowserScene(self.server, model)
        self._cameras = [model.camera(i).name for i in range(model.ncam)]
        self._build_panel(config)
        self.server.initial_camera.position, self.server.initial_camera.look_at = (1.3, -0.9, 0.75), (0.35, 0.0, 0.15)
        print(
            f"http://{HOST}:{self.server.get_port()} shows {config.task} by {config.policy}; Ctrl-C ends it", flush=True
        )

    def _build_panel(self, config: ViewConfig) -> None:
        gui, controls = self.server.gui, self.controls
        gui.configure_theme(show_logo=False, show_share_button=False)  # sharing would go through a foreign server
        gui.add_markdown(f"**{config.task}** on {config.robot}, by {config.policy}")
        self.text = gui.add_markdown("")
        pause = gui.add_checkbox("pause", False)
        skip = gui.add_button("next episode")
        speed = gui.add_slider("speed", *SPEEDS, step=0.1, initial_value=config.speed)
        camera = gui.add_dropdown("camera", ["free", *self._cameras], initial_value="free")
        _on(pause.on_update, lambda: setattr(controls, "paused", pause.value))
        _on(skip.on_click, lambda: setattr(controls, "next", True))
        _on(speed.on_update, lambda: setattr(controls, "speed", speed.value))
        _on(camera.on_update, lambda: setattr(controls, "camera", camera.value))

    def show(self, data: mujoco.MjData, score: Score) -> None:
        """Show a state whose kinematics, cameras included, are computed."""
        self.scene.show(data)
        if self.controls.camera in self._cameras:
            self.scene.look(data, self._cameras.index(self.controls.camera))
        text = f"{score.now}\n\nsuccess: {score.successes} of {score.episodes}\n\nlast: {score.last}"
        if self.text.content != text:
            self.text.content = text

    def __exit__(self, *_: object) -> None:
        with _quiet():
            self.server.stop()


def _quiet() -> AbstractContextManager:
    """Viser prints a table when it starts and a line when it ends."""
    return contextlib.redirect_stdout(io.StringIO())


def _on(event: Callable, action: Callable[[], None]) -> None:
    event(lambda _: action())


class Window(AbstractContextManager):
    """The scene in MuJoCo's own window."""

    def __init__(self, model: mujoco.MjModel, config: ViewConfig) -> None:
        """Open it."""
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise SteadyhandError("--native needs a display, and there is none; leave it out for a page in the browser")
        import mujoco.viewer

        self.controls = Controls(config.speed)
        self._data = mujoco.MjData(model)
        self._viewer = mujoco.viewer.launch_passive(model, self._data, key_callback=self._on_key)

    def _on_key(self, key: int) -> None:
        if key == ord(" "):
            self.controls.paused = not self.controls.paused
        elif key == ord("N"):
            self.controls.next = True

    def show(self, data: mujoco.MjData, score: Score) -> None:
        """Show a state, as ``Page.show``."""
        with self._viewer.lock():
            mujoco.mj_copyData(self._data, self._viewer.m, data)
        self._viewer.set_texts((None, None, score.now, f"{score.successes} of {score.episodes}; last {score.last}"))
        self._viewer.sync()
        self.controls.closed = not self._viewer.is_running()

    def __exit__(self, *_: object) -> None:
        self._viewer.close()


class Show:
    """Runs episodes at the speed of a clock and shows them."""

    def __init__(self, world: World, driver: Driver, screen: Page | Window) -> None:
        self._episode, self._driver, self._screen = Episode(world), driver, screen
        self._shadow, self.score = Shadow(world.model), Score()
        self._due = time.monotonic()  # of the next picture

    def play(self, seed: int) -> bool:
        """One episode; False once nobody watches any more."""
        controls, episode = self._screen.controls, self._episode
        episode.reset(seed)
        self._driver.begin(0, episode)
        outcome, controls.next = None, False
        while outcome is None and not controls.next and not controls.closed:
            decision = self._driver.decide([0], [episode.observe()])[0]
            episode.request(decision.action)
            self._advance(seed)
            outcome = episode.outcome()
        if outcome is not None:
            self.score.count(seed, *outcome)
            self._picture(seed)
            time.sleep(BETWEEN / controls.speed)
        return not controls.closed

    def _advance(self, seed: int) -> None:
        """One decision period, in pictures; waits while paused."""
        controls, left = self._screen.controls, self._episode.ticks
        while left > 0:
            if not controls.paused:
                ticks = min(left, max(1, round(PICTURE_PERIOD * controls.speed / self._episode.twin.timestep)))
                self._episode.twin.step(ticks)
                left -= ticks
                wait = ticks * self._episode.twin.timestep / controls.speed
            else:
                wait = PICTURE_PERIOD
            self._picture(seed)
            if controls.next or controls.closed:
                return
            self._due = max(self._due + wait, time.monotonic())  # drawing and deciding take time, too
            time.sleep(max(0.0, self._due - time.monotonic()))

    def _picture(self, seed: int) -> None:
        twin = self._episode.twin
        self._shadow.show(Instant((), twin.qpos, twin.mocap))
        mujoco.mj_camlight(self._shadow.model, self._shadow.data)
        paused = ", paused" if self._screen.controls.paused else ""
        self.score.now = f"{self._episode.instruction}\n\nseed {seed}, {twin.time:.1f} s{paused}"
        self._screen.show(self._shadow.data, self.score)


def main(config: ViewConfig) -> int:
    """Show episodes until there are no more, the window is closed, or Ctrl-C."""
    check_speed(config.speed)
    if config.episodes is not None and config.episodes < 1:
        raise SteadyhandError(f"--episodes {config.episodes} must be at least 1")
    world = World.load(config.robot, config.task)
    driver = make_driver(config.policy)
    with (Window if config.native else Page)(world.model, config) as screen:
        show, seed = Show(world, driver, screen), config.seed
        while show.play(seed) and (config.episodes is None or seed + 1 < config.seed + config.episodes):
            seed += 1
    score = show.score
    print(f"{score.successes} of {score.episodes} episodes succeeded; last: {score.last}")
    return 0
