"""`steadyhand compare`: which policy is better, how sure that is, and how many episodes it takes to tell."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from steadyhand.compare_text import columns, report
from steadyhand.errors import SteadyhandError
from steadyhand.sim.comparison import as_dict, compare
from steadyhand.sim.evaluation_file import read_evaluations
from steadyhand.sim.power import Plan, Question, discordance_range, independent_discordance, plan


@dataclass(frozen=True)
class CompareConfig:
    """Compare policies by what `steadyhand eval` wrote: A.json B.json [C.json ...], or plan an evaluation: --plan.

    Episodes with the same seeds are compared in pairs. Every gain is judged twice: once at the end (McNemar's or
    Fisher's exact test), and by an anytime-valid test and interval that hold however often one has looked.
    """

    files: Positional[tuple[Path, ...]] = ()
    """Two or more eval.json files, or the folders they are in."""
    against: Literal["first", "all"] = "first"
    """Compare each policy with the first, or with all others; p-values are corrected for their number (Holm)."""
    json: Path | None = None
    """Also write the numbers there."""
    html: Path | None = None
    """Also write a page with plots there; it needs nothing but itself."""
    plan: bool = False
    """Instead say how many episodes it takes to tell two policies apart."""
    difference: float | None = None
    """With --plan: the difference of success rates that shall be found."""
    rate: float = 0.6
    """With --plan: success rate of the first policy."""
    discordance: float | None = None
    """With --plan: on which share of the seeds only one policy succeeds; by default as if they were independent."""
    power: float = 0.8
    """With --plan: probability to find the difference if it is there."""
    alpha: float = 0.05
    """With --plan: probability to find one if there is none."""


def main(config: CompareConfig) -> None:
    """Compare or plan, print the table, write the files."""
    if config.plan:
        _plan(config)
        return
    if config.difference is not None:
        raise SteadyhandError("--difference is for planning; add --plan, or leave it out to compare files")
    if len(config.files) < 2:
        raise SteadyhandError(
            f"compare needs two or more evaluations, {len(config.files)} given; "
            "give eval.json files, or --plan --difference D"
        )
    evaluations = read_evaluations(config.files)
    inputs = {evaluation.path.resolve() for evaluation in evaluations}
    for path in (config.json, config.html):
        if path and path.resolve() in inputs:
            raise SteadyhandError(f"'{path}' is one of the evaluations and would be lost; choose another file")
    comparisons = compare(evaluations, every_pair=config.against == "all")
    print(report(evaluations, comparisons))
    if config.json:
        write(config.json, json.dumps(as_dict(evaluations, comparisons), indent=1) + "\n")
    if config.html:
        from steadyhand.compare_page import page  # matplotlib takes a second to import

        write(config.html, page(evaluations, comparisons))


def write(path: Path, text: str) -> None:
    """Write a file that was asked for, and say so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SteadyhandError(f"'{path}' cannot be written: {error.strerror}; choose another file") from None
    print(f"written: {path}")


def _plan(config: CompareConfig) -> None:
    question = _question(config)
    plans = {question.discordance: plan(question)}
    if config.discordance is None:
        least, _ = discordance_range(config.rate, config.difference or 0.0)
        half = (question.discordance + least) / 2
        plans[half] = plan(Question(question.rate, question.difference, half, question.power, question.alpha))
    print(plan_report(question, plans, assumed=config.discordance is None))
    if config.json:
        rows = [{"discordance": share} | answer.as_dict() for share, answer in plans.items()]
        asked = {"rate": question.rate, "difference": question.difference, "power": question.power}
        write(config.json, json.dumps(asked | {"alpha": question.alpha, "plans": rows}, indent=1) + "\n")


def _question(config: CompareConfig) -> Question:
    if config.files or config.html:
        raise SteadyhandError("--plan takes neither files nor --html; give --difference, and --json if you like")
    if config.difference is None:
        raise SteadyhandError("--plan needs --difference, for example --difference 0.15 for 15 percentage points")
    rate, difference = config.rate, config.difference
    for name, value in (("power", config.power), ("alpha", config.alpha)):
        if not 0 < value < 1:
            raise SteadyhandError(f"--{name} is {value}; give a number between 0 and 1")
    if config.power <= config.alpha:
        raise SteadyhandError(f"--power is {config.power}; give more than --alpha, {config.alpha}")
    if not (0 <= rate <= 1 and 0 <= rate + difference <= 1 and difference):
        raise SteadyhandError(
            f"--rate {rate} and --difference {difference}: both success rates must be between 0 and 1, and not the same"
        )
    least, most = discordance_range(rate, difference)
    chosen = independent_discordance(rate, difference) if config.discordance is None else config.discordance
    if not least - 1e-9 <= chosen <= most + 1e-9:
        raise SteadyhandError(
            f"--discordance is {chosen}; between {least:.4g} and {most:.4g} is possible with --rate and --difference"
        )
    return Question(rate, difference, min(max(chosen, least), most), config.power, config.alpha)


def plan_report(question: Question, plans: dict[float, Plan], assumed: bool) -> str:
    """The plan for the terminal."""
    rows = [["one policy alone succeeds on", "same seeds", "different seeds", "same seeds, looking after every pair"]]
    for share, answer in plans.items():
        looking = f"{answer.sequential_mean:.0f} on average, {answer.sequential_most} at most"
        rows.append([f"{100 * share:.1f} % of the seeds", str(answer.paired), str(answer.unpaired), looking])
    lines = [
        f"episodes of each policy that tell {question.rate:g} and {question.rate + question.difference:g} apart, "
        f"power {question.power:g}, two-sided error rate {question.alpha:g}",
        "",
        *columns(rows),
        "",
        "same seeds: exact McNemar test; different seeds: Fisher's exact test; looking: anytime-valid test (all exact)",
    ]
    if assumed:
        lines.append(
            "assumed: in the first row policies that succeed independently of each other, in the second half way to\n"
            "the least possible. Comparing files prints on how many seeds they differ: give that as --discordance"
        )
    return "\n".join(lines)
