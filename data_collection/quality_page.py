"""The scores of a dataset as one HTML page with everything it needs inside."""

from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from steadyhand.compare_plots import named_rows
from steadyhand.data_collection.quality_checks import Finding, Verdict, verdicts
from steadyhand.data_collection.quality_estimators import ranks
from steadyhand.data_collection.quality_scores import METRICS, Score, worst_first
from steadyhand.report import environment
from steadyhand.report_plots import PANEL
from steadyhand.report_style import LIGHT, no_ticks, style, to_svg

ROWS = 20  # worst episodes in the table and in each class's plot
MEANING = {
    "roughness": "spectral arc length of the speed (SPARC, sign turned: more is rougher)",
    "jerk": "log dimensionless jerk of what was requested",
    "duration": "ln of the time over the class's median",
    "path": "ln of the length of the path over the class's median",
    "pause": "share of the time in which nothing moves",
    "deviation": "squared distance of actions from what other episodes did in the nearest states, in variances",
    "strangeness": "distance of states to the nearest ones of other episodes",
    "information": "mutual information of state and actions that the episode lacks, nat (KSG)",
}


def page(dataset: Path, scores: list[Score], skipped: dict[str, str], findings: list[Finding]) -> str:
    """The page as text."""
    known = worst_first(scores)
    classes = list(dict.fromkeys(name for entry in scores for name in entry.classes))
    tables = {name: class_ranks(scores, name) for name in classes}
    verdict = verdicts(findings, len(scores))
    return (
        environment()
        .get_template("quality.html")
        .render(
            dataset=dataset.resolve().name,
            episodes=len(scores),
            compared=len(known),
            counts={kind.name: verdict.count(kind) for kind in Verdict},
            scores_plot=Markup(score_plot(known)),
            class_plots=[(name, Markup(rank_plot(scores, name, *tables[name]))) for name in classes],
            rows=[_row(entry, verdict[entry.episode], tables) for entry in known[:ROWS]],
            findings=[(f.episode, f.verdict.name, f.check, f.what) for f in findings],
            meaning=MEANING,
            skipped=skipped,
        )
    )


def _row(entry: Score, verdict: Verdict, tables: dict[str, tuple[list[int], np.ndarray]]) -> list[str]:
    worst = []
    for name in entry.classes:
        episodes, table = tables[name]
        row = np.nan_to_num(table[episodes.index(entry.episode)])
        worst.append(f"{name}: {', '.join(list(METRICS)[i] for i in np.argsort(-row)[:3])}")
    return [str(entry.episode), f"{entry.score:.2f}", verdict.name, "; ".join(worst)]


def score_plot(known: list[Score]) -> str:
    """All episodes from the worst to the best."""
    with style():
        figure = Figure(figsize=(2 * PANEL, 2.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([entry.score or 0.0 for entry in known], "o", ms=3, color=LIGHT["policy"])
        axes.set(ylim=(0, 1), ylabel="score", xlabel="episodes, worst first")
        no_ticks(axes)
        return to_svg(figure, "scores")


def class_ranks(scores: list[Score], name: str) -> tuple[list[int], np.ndarray]:
    """Episodes that have a class, and their ranks (episodes, metrics) in it."""
    chosen = [entry for entry in scores if name in entry.classes]
    columns = [ranks(np.array([entry.classes[name][metric] for entry in chosen], dtype=float)) for metric in METRICS]
    return [entry.episode for entry in chosen], np.array(columns).T


def rank_plot(scores: list[Score], name: str, episodes: list[int], table: np.ndarray) -> str:
    """Ranks of the worst episodes of a class, metric by metric."""
    order = [episodes.index(entry.episode) for entry in worst_first(scores) if entry.episode in episodes][:ROWS]
    with style():
        figure = Figure(figsize=(PANEL, 0.8 + 0.2 * len(order)), layout="constrained")
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("ranks", [LIGHT["recovery"] + "00", LIGHT["recovery"]])
        x, y = np.arange(len(METRICS) + 1), -np.arange(len(order) + 1) + 0.5
        axes.pcolormesh(x - 0.5, y, table[order] ** 4, cmap=colours, vmin=0, vmax=1)
        axes.set_xticks(np.arange(len(METRICS)), list(METRICS), rotation=35, ha="right")
        axes.grid(visible=False)
        named_rows(axes, [f"episode {episodes[i]}" for i in order])
        return to_svg(figure, f"ranks-{name}")
