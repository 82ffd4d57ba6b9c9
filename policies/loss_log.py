"""The learning curve of a run: loss.csv while it goes, loss.png at its end."""

import csv
from pathlib import Path

from matplotlib.figure import Figure

LOG_EVERY = 25
HEADER = ("step", "loss")


class LossLog:
    """Means of LOG_EVERY steps; a resumed run keeps the lines up to the step it continues from."""

    def __init__(self, output: Path, step: int) -> None:
        self._output, self._file = output, output / "loss.csv"
        self._sum, self._count = 0.0, 0
        self._lines: list[tuple[int, float]] = []
        if step > 0 and self._file.is_file():
            with self._file.open(newline="") as file:
                rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
            self._lines = [row for row in rows if row[0] <= step]
        with self._file.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *self._lines])

    @property
    def mean(self) -> float:
        """Mean loss of the last line, NaN before the first."""
        return self._lines[-1][1] if self._lines else float("nan")

    def add(self, step: int, loss: float) -> None:
        """Count the loss of a step (numbered from 1); writes a line every LOG_EVERY steps."""
        self._sum, self._count = self._sum + loss, self._count + 1
        if step % LOG_EVERY == 0:
            self.flush(step)

    def flush(self, step: int) -> None:
        """Write the line of the steps since the last one."""
        if self._count == 0:
            return
        self._lines.append((step, self._sum / self._count))
        self._sum, self._count = 0.0, 0
        with self._file.open("a", newline="") as file:
            csv.writer(file).writerow(self._lines[-1])

    def plot(self) -> None:
        """Draw the curve."""
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*self._lines, strict=True), color="tab:blue")
        axes.set(xlabel="step", ylabel="flow-matching loss", yscale="log")
        axes.grid(alpha=0.3)
        figure.savefig(self._output / "loss.png", dpi=120)
