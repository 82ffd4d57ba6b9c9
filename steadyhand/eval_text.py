"""What `steadyhand eval` prints, and the words and figures that its page has in common with that."""

from collections.abc import Sequence

import numpy as np

from steadyhand.compare_text import columns, p_text
from steadyhand.sim.clusters import Cluster, find_clusters
from steadyhand.sim.evaluation import EpisodeResult, Evaluation
from steadyhand.sim.statistics import Rate

# N, permissible forces on hands and fingers: ISO/TS 15066:2016, table A.2 (quasi-static; transient contact: twice that)
QUASI_STATIC, TRANSIENT = 140.0, 280.0
CLUSTERS = 8  # shown, at most


def words(name: str) -> str:
    """A reason or a sub-task as people write it."""
    return name.replace("_", " ")


def rate_cells(rate: Rate) -> list[str]:
    """A rate as three cells of a table."""
    return [str(rate.k), f"{100 * rate.p:.1f} %", f"{100 * rate.lo:.1f} to {100 * rate.hi:.1f} %"]


def reason_rates(evaluation: Evaluation) -> dict[str, Rate]:
    """How many of all episodes each reason ended, most frequent first."""
    total = len(evaluation.episodes)
    return {name: Rate.of([True] * count + [False] * (total - count)) for name, count in evaluation.reasons.items()}


def motion_rows(episodes: Sequence[EpisodeResult]) -> list[list[str]]:
    """Force and jerk over the episodes: name, median, 95th percentile, most, and the seed of that."""
    rows = []
    for name, key in (
        ("largest force, N", "force_max"),
        ("mean force, N", "force_mean"),
        ("RMS jerk, m/s³", "jerk_rms"),
    ):
        values = np.array([getattr(episode, key) for episode in episodes])
        worst = int(np.argmax(values))
        shown = [f"{value:.3g}" for value in (np.median(values), np.percentile(values, 95), values[worst])]
        rows.append([name, *shown, str(episodes[worst].seed)])
    return rows


def contact_sentence(episodes: Sequence[EpisodeResult]) -> str:
    """The forces against what hands and fingers may bear."""
    above = [sum(episode.force_max > limit for episode in episodes) for limit in (QUASI_STATIC, TRANSIENT)]
    return (
        f"{above[0]} of {len(episodes)} episodes had more than {QUASI_STATIC:.0f} N at the tool, {above[1]} more than "
        f"{TRANSIENT:.0f} N: what hands and fingers may bear when clamped, and when struck (ISO/TS 15066:2016, table "
        "A.2). An indication, no certification: forces are what the arm knows, a thousand times a second (a sensor, or "
        "the momentum observer, which smooths short peaks), and pressure is not measured"
    )


def cluster_rows(clusters: Sequence[Cluster]) -> list[list[str]]:
    """The clusters with the highest lift above 1."""
    return [
        [c.condition, c.where, f"{c.failures.k}/{c.failures.n}", f"{100 * c.failures.p:.0f} %",
         f"{100 * c.failures.lo:.0f} to {100 * c.failures.hi:.0f} %", f"{c.lift:.2f}", p_text(c.p_holm)]
        for c in [c for c in clusters if c.lift > 1][:CLUSTERS]
    ]  # fmt: skip


def requirement_rows(evaluation: Evaluation) -> list[list[str]]:
    """Every requirement: how many episodes met it, and the least robust one."""
    rows = []
    for text, rate in evaluation.requirements.items():
        worst = min(evaluation.episodes, key=lambda episode: episode.robustness[text])
        rows.append([text, *rate_cells(rate), f"{worst.robustness[text]:.3g}", str(worst.seed)])
    return rows


def report(evaluation: Evaluation) -> str:
    """The table for the terminal."""
    interval = "Wilson 95 %"
    lines = [
        f"{evaluation.task} on {evaluation.robot}, {evaluation.policy} {evaluation.version}".rstrip(),
        f"success {evaluation.success} ({interval})",
    ]
    reasons = reason_rates(evaluation)
    if reasons:
        rows = [[name, *rate_cells(rate)] for name, rate in reasons.items()]
        lines += ["", *columns([["failed because", "episodes", "share", interval], *rows])]
    rows = [[name, *rate_cells(rate)] for name, rate in evaluation.subtasks.items()]
    lines += ["", *columns([["sub-task done", "episodes", "share", interval], *rows])]
    motion = motion_rows(evaluation.episodes)
    lines += ["", *columns([["tool", "median", "95 % below", "most", "seed"], *motion])]
    if evaluation.requirements:
        header = ["requirement met", "episodes", "share", interval, "least robust", "seed"]
        lines += ["", *columns([header, *requirement_rows(evaluation)])]
    real = [cluster for cluster in find_clusters(evaluation.episodes) if cluster.real]
    if real:
        header = ["failures gather at", "", "failed", "share", interval, "lift", "p (Holm)"]
        lines += ["", *columns([header, *cluster_rows(real)])]
    return "\n".join(lines)
