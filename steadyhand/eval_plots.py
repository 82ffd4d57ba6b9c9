"""Plots of the evaluation's page; each returns an <svg> element."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from steadyhand.compare_plots import named_rows
from steadyhand.eval_text import words
from steadyhand.report_plots import PANEL
from steadyhand.report_style import LIGHT, no_ticks, style, to_svg
from steadyhand.sim.clusters import Cluster
from steadyhand.sim.evaluation import EpisodeResult
from steadyhand.sim.statistics import Rate


def shares(rates: Mapping[str, Rate], colour: str, name: str) -> str:
    """A bar per rate with its interval, and how many episodes it is."""
    with style():
        figure = Figure(figsize=(PANEL, 0.7 + 0.32 * len(rates)), layout="constrained")
        axes = figure.subplots()
        y = -np.arange(len(rates))
        middle, low, high = 100 * np.array([(rate.p, rate.lo, rate.hi) for rate in rates.values()]).T
        axes.barh(y, middle, height=0.62, color=LIGHT[colour])
        axes.hlines(y, low, high, color=LIGHT["ink"], lw=1.2)
        for at, edge, rate in zip(y, high, rates.values(), strict=True):
            axes.annotate(str(rate.k), (edge, at), (5, 0), textcoords="offset points", va="center")
        axes.set(xlim=(0, 1.15 * high.max()), xlabel="% of all episodes (line: Wilson 95 %; number: how many)")
        named_rows(axes, [words(key) for key in rates])
        return to_svg(figure, name)


def clusters(found: Sequence[Cluster], overall: Rate) -> str:
    """Failure rates of clusters with their intervals, against that of all episodes."""
    with style():
        figure = Figure(figsize=(PANEL, 0.75 + 0.36 * len(found)), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(100 * overall.lo, 100 * overall.hi, color=LIGHT["line"], lw=0)
        axes.axvline(100 * overall.p, color=LIGHT["muted"], lw=1)
        for number, cluster in enumerate(found):
            colour = LIGHT["recovery"] if cluster.real else LIGHT["base"]
            rate = cluster.failures
            axes.plot([100 * rate.lo, 100 * rate.hi], [-number] * 2, color=colour, lw=6, alpha=0.45)
            axes.plot([100 * rate.p], [-number], "o", color=colour, ms=6)
        axes.set(xlim=(0, 100), xlabel="failed, % (Wilson 95 %; band: all episodes)")
        named_rows(axes, [f"{cluster.condition}\n{cluster.where}" for cluster in found])
        return to_svg(figure, "clusters")


def scatter(episodes: Sequence[EpisodeResult], x: str, y: str) -> str:
    """Episodes by two conditions; failures as crosses on top of successes."""
    with style():
        figure = Figure(figsize=(PANEL, 3.4), layout="constrained")
        axes = figure.subplots()
        for success, colour, marker, label in ((True, "policy", "o", "success"), (False, "recovery", "X", "failure")):
            chosen = [episode.conditions for episode in episodes if episode.success == success]
            if chosen:
                at = [[float(conditions[name]) for conditions in chosen] for name in (x, y)]
                size = 26 if len(episodes) <= 300 else 12
                axes.scatter(at[0], at[1], s=size, color=LIGHT[colour], marker=marker, label=label, lw=0, alpha=0.75)
        axes.set(xlabel=x, ylabel=y)
        no_ticks(axes)
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2)
        return to_svg(figure, "scatter")
