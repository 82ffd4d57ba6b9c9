"""A replay in the twin as one HTML page with everything it needs inside."""

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.quality_data import runs
from steadyhand.data_collection.replay_twin import Replayed
from steadyhand.report import environment
from steadyhand.report_plots import PANEL
from steadyhand.report_style import LIGHT, SEGMENT, no_ticks, style, to_svg


def page(name: str, scene: str, follow: str, done: Replayed) -> str:
    """The page as text."""
    rows = [
        [segment, f"{1e3 * rms:.2f}", f"{1e3 * most:.2f}", f"{np.degrees(turn):.2f}"]
        for segment, (rms, most, turn) in done.by_segment().items()
    ]
    rms, most, turn = rows[0][1:]
    return (
        environment()
        .get_template("replay.html")
        .render(
            name=name,
            scene=scene,
            follow=follow,
            rms=rms,
            most=most,
            turn=turn,
            rows=rows if len(rows) > 2 else rows[:1],
            segments=[row[0] for row in rows[1:]],
            aside=f"{1e3 * done.aside.max():.2f}",
            moved=f"{1e3 * done.moved:.0f}" if done.moved else "",
            success=done.success,
            plot=Markup(error_plot(done)),
        )
    )


def error_plot(done: Replayed) -> str:
    """Errors of position and rotation over time, in the colours of the segments."""
    with style():
        figure = Figure(figsize=(2 * PANEL, 3.4), layout="constrained")
        places, turns = figure.subplots(2, 1, sharex=True)
        for start, stop in runs(done.segments):
            colour, rows = SEGMENT[Segment(int(done.segments[start]))], slice(start, stop + 1)
            for arm in range(done.error.shape[1]):
                places.plot(done.times[rows], 1e3 * done.error[rows, arm], color=colour)
                places.plot(done.times[rows], 1e3 * done.aside[rows, arm], color=LIGHT["muted"], lw=0.8)
                turns.plot(done.times[rows], np.degrees(done.turn[rows, arm]), color=colour)
        places.set(ylabel="mm", ylim=(0, None))
        turns.set(ylabel="deg", ylim=(0, None), xlabel="s")
        for axes in (places, turns):
            no_ticks(axes)
        return to_svg(figure, "errors")
