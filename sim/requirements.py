"""Requirements on an episode as signal temporal logic: not only whether one held, but by how much."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from steadyhand.errors import SteadyhandError, unknown
from steadyhand.sim.env import DECISION_PERIOD, Frame
from steadyhand.sim.tasks import Task

PROGRESS = "progress."
SIGNALS = {  # of two arms the larger value, the lower height, and the gripper that is open wider
    "force": lambda frame: max(np.linalg.norm(arm.wrench[:3]) for arm in frame.observations),  # N, estimated
    "torque": lambda frame: max(np.linalg.norm(arm.wrench[3:]) for arm in frame.observations),  # Nm, likewise
    "speed": lambda frame: max(np.linalg.norm(arm.twist[:3]) for arm in frame.observations),  # m/s, of the tool
    "height": lambda frame: min(arm.position[2] for arm in frame.observations),  # m, of the tool above the base
    "gripper": lambda frame: max(arm.gripper for arm in frame.observations),  # 0 closed to 1 open
}


class Requirement:
    """One formula over an episode's signals, for example ``always (force < 30)``.

    The signals are SIGNALS at every decision, and ``progress.SUBTASK``: the furthest that the sub-task has come so far,
    0 to 1. Times in brackets are seconds, multiples of the decision period: ``eventually[0:5] (progress.grasp >= 1)``.
    Robustness (Donze and Maler 2010) is at the episode's start: positive if the requirement holds, and then how much
    every signal may be off before it does not; negative if it is violated. It is in the signal's unit. After the
    episode's end its last values are held.
    """

    def __init__(self, text: str, task: Task) -> None:
        from rtamt import StlDiscreteTimeSpecification  # an extra

        self.text, self._task = text, task
        allowed = [*SIGNALS, *(PROGRESS + name for name in task.subtasks)]
        # The grammar knows no dots in names, but decimal points.
        names = re.findall(r"\b(?:progress\.)?[A-Za-z_]\w*", text)
        self.signals = [name for name in allowed if name in names]
        spec = StlDiscreteTimeSpecification()
        for name in self.signals:
            spec.declare_var(_plain(name), "float")
        spec.set_sampling_period(round(1000 * DECISION_PERIOD), "ms", 0.1)
        spec.unit = "s"
        spec.spec = re.sub(r"\bprogress\.(?=[A-Za-z_])", _plain(PROGRESS), text)
        self._spec = _parse(spec, text, allowed)
        # As long as all intervals in it together: an episode's last values are held, as it may end before they do.
        ends = re.findall(r"[:,]\s*(\d+\.?\d*)[^\]]*\]", text)
        self._held = 1 + sum(math.ceil(float(end) / DECISION_PERIOD) for end in ends)  # rtamt needs two samples
        self._try()

    def robustness(self, frames: Sequence[Frame]) -> float:
        """By how much an episode with these frames, one or more, met the requirement; see the class."""
        signals = {name: self._signal(name, frames) for name in self.signals}
        try:
            return self._evaluate({name: values + self._held * values[-1:] for name, values in signals.items()})
        except (ArithmeticError, ValueError) as error:
            raise SteadyhandError(f"requirement '{self.text}' cannot be evaluated: {error}; change its terms") from None

    def _try(self) -> None:
        """Find what only shows when it is evaluated: intervals between the decisions, and empty ones."""
        from rtamt import RTAMTException

        spans = re.findall(r"\[\s*(\d+\.?\d*)\s*[:,]\s*(\d+\.?\d*)\s*\]", self.text)
        empty = any(float(begin) > float(end) for begin, end in spans)
        try:
            tried = self._evaluate({name: [1.0] * (self._held + 1) for name in self.signals})
        except RTAMTException as error:
            raise _no_formula(self.text, error) from None
        except (ArithmeticError, ValueError):
            tried = 0.0  # of these values, not of the formula
        if empty or not math.isfinite(tried):
            raise SteadyhandError(f"requirement '{self.text}' has an interval without decisions; see its brackets")

    def _evaluate(self, signals: dict[str, list[float]]) -> float:
        inputs = {_plain(name): values for name, values in signals.items()}
        length = max(map(len, signals.values()), default=0)
        inputs["time"] = [DECISION_PERIOD * i for i in range(length)]
        return float(self._spec.evaluate(inputs)[0][1])

    def _signal(self, name: str, frames: Sequence[Frame]) -> list[float]:
        if name in SIGNALS:
            return [float(SIGNALS[name](frame)) for frame in frames]
        which = self._task.subtasks.index(name.removeprefix(PROGRESS))
        now = [self._task.progress(frame.observations, frame.truth)[which] for frame in frames]
        return np.maximum.accumulate(now).astype(float).tolist()


def make_requirements(texts: Sequence[str], task: Task) -> list[Requirement]:
    """Parse formulas; refuses what is no formula over the task's signals, and one given twice."""
    repeated = [text for text in texts if texts.count(text) > 1]
    if repeated:
        raise SteadyhandError(f"requirement '{repeated[0]}' is given twice; give it once")
    return [Requirement(text, task) for text in texts]


def robustnesses(requirements: Sequence[Requirement], frames: Sequence[Frame]) -> Mapping[str, float]:
    """Robustness of every requirement, by its text."""
    return {requirement.text: requirement.robustness(frames) for requirement in requirements}


def _plain(name: str) -> str:
    return name.replace(".", "_")


def _parse(spec: Any, text: str, allowed: Sequence[str]) -> Any:
    """Parse a specification; what it finds wrong becomes one line."""
    from rtamt import RTAMTException

    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it would warn of every name that it does not know
    try:
        spec.parse()
        # A predicate must stand between every signal and the formula: "always (force)" has a value, but no meaning.
        meaningless = _bare(spec.ast.specs[0])
    except KeyError as error:
        name = re.sub(f"^{_plain(PROGRESS)}", PROGRESS, str(error.args[0]))
        raise unknown(f"signal in requirement '{text}':", name, allowed) from None
    except RTAMTException as error:
        raise _no_formula(text, error) from None
    finally:
        logging.root.setLevel(level)
    if meaningless or not spec.ast.free_vars:
        raise SteadyhandError(f"requirement '{text}' compares nothing; an example: always (force < 30)")
    return spec


def _no_formula(text: str, error: Exception) -> SteadyhandError:
    reason = re.sub(r" expecting .*|^RTAMT Exception: ", "", " ".join(str(error).split()))
    return SteadyhandError(f"requirement '{text}' is no formula: {reason}; an example: always (force < 30)")


def _bare(node: Any) -> bool:
    if type(node).__name__ == "Predicate":
        return False
    return not node.children or any(_bare(child) for child in node.children)
