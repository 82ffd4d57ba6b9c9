"""`steadyhand bench control`: what one update of each controller costs, on each robot.

The measuring itself runs in a process of its own, into which a library is preloaded that counts allocations and locks.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from steadyhand.bench import control_worker
from steadyhand.bench.control_worker import CASES, Effort
from steadyhand.bench.run import BenchConfig
from steadyhand.bench.twin import machine
from steadyhand.errors import SteadyhandError
from steadyhand.sim.robot import robot_names

ROBOTS = ("fr3", "iiwa14", "gen3")
METHOD = {
    "median_us, p99_us, max_us": "one update, back to back, over a recorded closed-loop motion, references at 15 Hz",
    "paced_*": "the same woken at 1 kHz by clock_nanosleep, taking new parameters included",
    "with_parameter_sets": "every other 0.1 s another thread sends parameters 100 times a second (spsc_value)",
    "bare_terms_us": "Pinocchio: placement and Jacobian of the tool, CRBA, nonlinear effects; turns of 50 ticks each",
    "numpy_us": "median update of steadyhand.bench.reference_law over the same states, in the same process",
    "allocations, locks": "per call, of the loop's thread, in all native runs; by interposed symbols",
    "ticks_with_barrier": "part of the motion's ticks on which a control barrier function changed the torque",
    "over_bare, numpy_over_ours": "cartesian_impedance with everything on, the worst robot",
}
COLUMNS = {
    "median_us": "median",
    "p99_us": "p99",
    "bare_terms_us": "bare",
    "over_bare": "/bare",
    "numpy_over_ours": "numpy/",
    "paced_median_us": "paced",
    "paced_p999_us": "p99.9",
    "paced_p999_us_with_parameter_sets": "p99.9 sets",
    "allocations": "alloc",
    "locks": "locks",
}


def child_environment() -> dict[str, str]:
    """Of a process that imports what this one imports."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def measure(robots: list[str], controllers: list[str], effort: Effort) -> list[dict]:
    """The rows, measured in a process that counts."""
    library = Path(control_worker.__file__).parent / "libcounting.so"
    asked = {"robots": robots, "controllers": controllers, "effort": asdict(effort)}
    command = [sys.executable, "-m", control_worker.__name__, json.dumps(asked)]
    environment = {**child_environment(), "LD_PRELOAD": str(library)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SteadyhandError(f"the measuring process ended with status {done.returncode}; its last words are above")
    return json.loads(done.stdout)["rows"]


def main(config: BenchConfig) -> None:
    """Measure, print a table, write the file."""
    described = machine()
    robots = [name for name in ROBOTS if name in robot_names()]
    for name in ROBOTS:
        if name not in robots:
            print(f"skipped: {name} is not in config/robots", file=sys.stderr)
    rows = measure(robots, list(CASES), Effort())
    full = [row for row in rows if row["controller"] == "cartesian_impedance"]
    numbers = {
        "over_bare": max(row["over_bare"] for row in full),
        "numpy_over_ours": min(row["numpy_over_ours"] for row in full),
    }
    print(f"{described['processor']}, {described['cores']} cores, load {described['load_at_start']}, times in us")
    print(f"  {'':<29}" + "".join(f"{title:>11}" for title in COLUMNS.values()))
    for row in rows:
        print(f"  {row['robot']:<8}{row['controller']:<21}" + "".join(f"{row[key]:>11.2f}" for key in COLUMNS))
    for name, value in numbers.items():
        print(f"  {name:<29}{value:>11.2f}")
    content = {**numbers, "rows": rows, "effort": asdict(Effort()), "machine": described, "method": METHOD}
    config.json.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {config.json}")
