"""Policies against each other, from their evaluations."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from steadyhand.errors import SteadyhandError
from steadyhand.sim.evaluation_file import EvaluationFile, Row
from steadyhand.sim.sequential import Anytime
from steadyhand.sim.statistics import CONFIDENCE, PairedGain, UnpairedGain, holm

SCHEMA = "steadyhand.compare/1"  # of what `steadyhand compare --json` writes
ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True)
class SuccessTimes:
    """Simulated seconds to success: median, and where the middle 80 % lie; failures have none."""

    n: int
    median: float
    lo: float
    hi: float

    @staticmethod
    def of(rows: Sequence[Row]) -> "SuccessTimes | None":
        """Times of the successes among the rows, if there are any."""
        seconds = [row.seconds for row in rows if row.success]
        if not seconds:
            return None
        lo, median, hi = (float(x) for x in np.percentile(seconds, (10, 50, 90)))
        return SuccessTimes(len(seconds), median, lo, hi)


@dataclass(frozen=True)
class Comparison:
    """A policy against another; gains are the second's over the first. Adjusted p-values cover all comparisons."""

    first: EvaluationFile
    second: EvaluationFile
    comparisons: int = 1  # that were asked for together
    p_holm: float = 1.0
    anytime_p_holm: float = 1.0

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds that both have, in the order of the first; they are compared in pairs, and without any nothing is."""
        return [row.seed for row in self.first.rows if row.seed in self.second.by_seed]

    @property
    def paired(self) -> bool:
        """Whether there are seeds that both policies had."""
        return bool(self.seeds)

    @cached_property
    def rows(self) -> tuple[list[Row], list[Row]]:
        """The episodes that are compared: those of the common seeds, or all if there are none."""
        if not self.paired:
            return self.first.rows, self.second.rows
        return [self.first.by_seed[seed] for seed in self.seeds], [self.second.by_seed[seed] for seed in self.seeds]

    @cached_property
    def outcomes(self) -> tuple[list[bool], list[bool]]:
        """Successes of the episodes that are compared."""
        before, after = self.rows
        return [row.success for row in before], [row.success for row in after]

    @property
    def left_out(self) -> int:
        """Episodes that are not compared because only one policy had their seeds."""
        return len(self.first.rows) + len(self.second.rows) - sum(len(rows) for rows in self.rows)

    @cached_property
    def fixed(self) -> PairedGain | UnpairedGain:
        """The gain, judged once, when all episodes are there."""
        return PairedGain.of(*self.outcomes) if self.paired else UnpairedGain.of(*self.outcomes)

    @cached_property
    def anytime(self) -> Anytime:
        """The gain, judged after every episode."""
        before, after = self.outcomes
        pairs = min(len(before), len(after))
        return Anytime.of(before[:pairs], after[:pairs])

    @property
    def p(self) -> float:
        """The p-value of the fixed test."""
        return self.fixed.mcnemar_p if isinstance(self.fixed, PairedGain) else self.fixed.fisher_p

    @property
    def decided_after(self) -> int | None:
        """After how many pairs the anytime-valid test had decided, at this comparison's share of the error rate."""
        return self.anytime.decided_after(ALPHA / self.comparisons)

    @property
    def pairs(self) -> dict[str, int] | None:
        """What became of the common seeds."""
        if not isinstance(self.fixed, PairedGain):
            return None
        both = sum(a and b for a, b in zip(*self.outcomes, strict=True))
        helped, hurt = self.fixed.helped, self.fixed.hurt
        return {"both": both, "helped": helped, "hurt": hurt, "neither": len(self.seeds) - both - helped - hurt}

    @property
    def seconds_change(self) -> float | None:
        """Median change of the time to success over the seeds that both solved, in s."""
        if not self.paired:
            return None
        changes = [b.seconds - a.seconds for a, b in zip(*self.rows, strict=True) if a.success and b.success]
        return float(np.median(changes)) if changes else None

    def as_dict(self) -> dict:
        """For JSON files."""
        lo, hi = self.anytime.intervals[-1]
        anytime = {"pairs": len(self.anytime.change), "lo": float(lo), "hi": float(hi), "p": self.anytime.p}
        return {
            "first": self.first.name,
            "second": self.second.name,
            "paired": self.paired,
            "left_out": self.left_out,
            "fixed": self.fixed.as_dict() | {"p_holm": self.p_holm},
            "anytime": anytime | {"p_holm": self.anytime_p_holm, "decided_after": self.decided_after},
            "outcomes_in_pairs": self.pairs,
            "seconds_change": self.seconds_change,
            "seeds": self.seeds,
        }


def compare(evaluations: Sequence[EvaluationFile], every_pair: bool = False) -> list[Comparison]:
    """Compare evaluations with the first of them, or each with each, with Holm's correction for their number."""
    for what in ("task", "robot"):
        values: dict[str, str] = {}
        for evaluation in evaluations:
            values.setdefault(getattr(evaluation, what), evaluation.name)
        if len(values) > 1:
            given = ", ".join(f"{value} ({name})" for value, name in values.items())
            raise SteadyhandError(f"evaluations of different {what}s cannot be compared: {given}; give those of one")
    chosen = combinations(evaluations, 2) if every_pair else ((evaluations[0], other) for other in evaluations[1:])
    comparisons = [Comparison(first, second) for first, second in chosen]
    adjusted = zip(holm([c.p for c in comparisons]), holm([c.anytime.p for c in comparisons]), strict=True)
    return [
        replace(comparison, comparisons=len(comparisons), p_holm=p, anytime_p_holm=anytime)
        for comparison, (p, anytime) in zip(comparisons, adjusted, strict=True)
    ]


def policy_dict(evaluation: EvaluationFile) -> dict:
    """What the JSON file says about one policy."""
    times = SuccessTimes.of(evaluation.rows)
    return {
        "name": evaluation.name,
        "file": str(evaluation.path),
        "policy": evaluation.policy,
        "version": evaluation.version,
        "requested": evaluation.requested,
        "success": evaluation.success.as_dict(),
        "seconds_to_success": asdict(times) if times else None,
        "reasons": evaluation.reasons,
        "seeds": [row.seed for row in evaluation.rows],
    }


def as_dict(evaluations: Sequence[EvaluationFile], comparisons: Sequence[Comparison]) -> dict:
    """Content of the JSON file."""
    return {
        "schema": SCHEMA,
        "robot": evaluations[0].robot,
        "task": evaluations[0].task,
        "confidence": CONFIDENCE,
        "policies": [policy_dict(evaluation) for evaluation in evaluations],
        "comparisons": [comparison.as_dict() for comparison in comparisons],
    }
