"""A human watches a policy, takes over when it fails, recovers, corrects, and the episode ends (RaC).

Hu et al., "RaC: Robot Learning for Long-Horizon Tasks by Scaling Recovery and Correction", 2025. Rule 1: every takeover
is a recovery, back to where demonstrations pass, then a correction to the end of the sub-task. Rule 2: the episode ends
when the intervention ends.
"""

from collections.abc import Sequence

from steadyhand.data_collection.labels import Segment
from steadyhand.sim.env import Episode, Frame
from steadyhand.sim.rollout import Decision, PolicyDriver

RULES = {"recover_then_correct": True, "end_after_intervention": True}


class SupervisedDriver:
    """A policy decides until the episode's operator takes over; the operator then keeps the arm to the end."""

    def __init__(self, policy) -> None:
        self._driver = PolicyDriver(policy, segment=Segment.POLICY)
        self.name, self.version = self._driver.name, self._driver.version
        self._episodes: dict[int, Episode] = {}
        self.reasons: dict[int, str] = {}  # seed -> why the operator took over

    def begin(self, row: int, episode: Episode) -> None:
        """The policy starts; the operator watches."""
        self._episodes[row] = episode
        self.reasons.pop(episode.seed, None)
        self._driver.begin(row, episode)

    def decide(self, rows: Sequence[int], frames: Sequence[Frame]) -> list[Decision]:
        """The operator's decision where it holds the arm, the policy's elsewhere."""
        for row, frame in zip(rows, frames, strict=True):
            self._watch(self._episodes[row], frame)
        alone = [i for i, row in enumerate(rows) if self._episodes[row].seed not in self.reasons]
        decided = {}
        if alone:
            decisions = self._driver.decide([rows[i] for i in alone], [frames[i] for i in alone])
            decided = dict(zip(alone, decisions, strict=True))
        return [decided.get(i) or self._help(row, frames[i]) for i, row in enumerate(rows)]

    def _watch(self, episode: Episode, frame: Frame) -> None:
        if episode.seed in self.reasons:
            return
        reason = episode.operator.watch(frame.state, frame.truth, frame.time)
        if reason is not None:
            self.reasons[episode.seed] = reason
            episode.operator.take_over(frame.state)

    def _help(self, row: int, frame: Frame) -> Decision:
        operator = self._episodes[row].operator
        action = operator.act(frame.state, frame.truth)
        return Decision(action, Segment.RECOVERY if operator.recovering else Segment.CORRECTION)
