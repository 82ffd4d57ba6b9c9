"""An evaluation as one HTML page with everything it needs inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from steadyhand import compare_plots
from steadyhand import eval_plots as plots
from steadyhand import eval_text as text
from steadyhand.compare_text import ranges, seconds_text
from steadyhand.report import environment
from steadyhand.report_data import embed
from steadyhand.sim.clusters import find_clusters, telling
from steadyhand.sim.evaluation import Evaluation
from steadyhand.sim.evaluation_file import EvaluationFile, Row
from steadyhand.sim.statistics import Rate


def page(evaluation: Evaluation, videos: Sequence[Path]) -> str:
    """The page as text; films that do not fit into it are named."""
    template = environment().get_template("eval.html")
    films, left_out = embed({"all": sorted(videos)})
    as_file = _file(evaluation)
    return template.render(
        evaluation=evaluation,
        what=f"{evaluation.policy} {evaluation.version}".strip(),
        percent=f"{100 * evaluation.success.p:.1f}",
        interval=f"{100 * evaluation.success.lo:.1f} to {100 * evaluation.success.hi:.1f} %",
        seconds=seconds_text(as_file),
        subtasks_plot=Markup(plots.shares(evaluation.subtasks, "policy", "subtasks")),
        times_plot=Markup(compare_plots.times([as_file])),
        requirements=text.requirement_rows(evaluation),
        motion=text.motion_rows(evaluation.episodes),
        contact=text.contact_sentence(evaluation.episodes),
        seeds=_seeds(evaluation),
        films=films["all"],
        left_out=[path.name for path in left_out],
        **_failures(evaluation),
    )


def _failures(evaluation: Evaluation) -> dict[str, Any]:
    episodes = evaluation.episodes
    reasons, found = text.reason_rates(evaluation), find_clusters(episodes)
    lifted = [cluster for cluster in found if cluster.lift > 1][: text.CLUSTERS]
    two = telling(found, episodes)[:2]
    failed = Rate.of([not episode.success for episode in episodes])
    return {
        "reasons": [[text.words(name), *text.rate_cells(rate)] for name, rate in reasons.items()],
        "reasons_plot": Markup(plots.shares(reasons, "recovery", "reasons")) if reasons else None,
        "clusters": text.cluster_rows(found),
        "clusters_plot": Markup(plots.clusters(lifted, failed)) if lifted else None,
        "real": [cluster for cluster in found if cluster.real],
        "looked_at": len(found),
        "scatter_plot": Markup(plots.scatter(episodes, *two)) if len(two) == 2 else None,
        "scatter_axes": two,
    }


def _seeds(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Seeds by outcome, failures first."""
    by_outcome: dict[str, list[int]] = {reason: [] for reason in evaluation.reasons}
    for episode in evaluation.episodes:
        by_outcome.setdefault("success" if episode.success else episode.reason, []).append(episode.seed)
    return [(text.words(name), ranges(seeds)) for name, seeds in by_outcome.items()]


def _file(evaluation: Evaluation) -> EvaluationFile:
    """As `steadyhand compare` would read it."""
    rows = [Row(e.seed, e.success, e.seconds, e.reason) for e in evaluation.episodes]
    words = (evaluation.robot, evaluation.task, evaluation.policy, evaluation.version)
    return EvaluationFile(Path("eval.json"), evaluation.policy, *words, evaluation.requested, rows)
