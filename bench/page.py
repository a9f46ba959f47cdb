"""docs/performance.md: its tables, made from what was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.rounds import PROJECT, Goal, Result, Spread, compared, is_reached, spread
from fakeface.core.files import read_json, write_json

PAGE, NUMBERS = PROJECT / "docs/performance.md", PROJECT / "docs/performance.json"
BEGIN, END = "<!-- measured: `python -m bench --write` rewrites this -->", "<!-- end of what was measured -->"
VERDICTS = {True: "yes", False: "**no**", None: ""}


def whole(results: Sequence[Result]) -> str:
    return f"{summary(results)}\n{tables(results)}"


def summary(results: Sequence[Result]) -> str:
    """One table of all that is to be reached."""
    goals = [(result, goal) for result in results for goal in result.goals if is_reached(result.rows, goal) is not None]
    rows = [f"| {result.part} {goal_row(result, goal)}" for result, goal in goals]
    columns = "| part | compared | median (quartiles) | to reach | reached |"
    return "\n".join(["### What is to be reached", "", columns, "|---" * 5 + "|", *rows, ""])


def tables(results: Sequence[Result]) -> str:
    """A section per part; a machine is described where it is another one than the section's before."""
    lines: list[str] = []
    described = None
    for result in results:
        lines += section(result, described=result.where == described)
        described = result.where
    return "\n".join(lines)


def section(result: Result, *, described: bool) -> Iterator[str]:
    """What was measured, what it means, and the numbers behind it."""
    yield from (f"### {result.part}", "", result.what, "")
    facts = {"images": result.images or "", **result.sizes} | ({} if described else result.where)
    if any(facts.values()):
        yield from (f"{'; '.join(f'{name}: {value}' for name, value in facts.items() if value)}.", "")
    if result.goals:
        yield from ("| compared | median (quartiles) | to reach | reached |", "|---|---|---|---|")
        yield from (goal_row(result, goal) for goal in result.goals)
        yield ""
    if result.rows:
        measures = list(dict.fromkeys(measure for of in result.rows.values() for measure in of))
        per_second = ["images/s"] if result.images else []
        yield f"| median (quartiles) of | n | {' | '.join(measures + per_second)} |"
        yield "|---" * (2 + len(measures + per_second)) + "|"
        for name, of in result.rows.items():
            cells = [told(spread(of[measure])) if measure in of else "" for measure in measures]
            cells += [number(result.images / spread(of["s"]).median)] if result.images else []
            yield f"| {name} | {len(next(iter(of.values())))} | {' | '.join(cells)} |"
        yield ""


def goal_row(result: Result, goal: Goal) -> str:
    if goal.peer is None:
        what = f"{goal.of}: {goal.measure}"
    elif goal.at_most is not None:
        what = f"{goal.of}: {goal.measure} as a multiple of that of {goal.peer}"
    elif goal.measure == "s":
        what = f"{goal.of}: times as fast as {goal.peer}"
    else:
        what = f"{goal.peer}: {goal.measure} as a multiple of that of {goal.of}"
    bounds = {"at least": goal.at_least, "at most": goal.at_most}
    bound = next((f"{words} {value:g}" for words, value in bounds.items() if value is not None), "")
    return f"| {what} | {told(compared(result.rows, goal))} | {bound} | {VERDICTS[is_reached(result.rows, goal)]} |"


def told(found: Spread) -> str:
    if found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def load(path: Path) -> dict[str, Result]:
    """What was measured before, by part."""
    found = read_json(path) if path.exists() else {}
    return {part: Result(**values | {"goals": [Goal(**goal) for goal in values["goals"]]}) for part, values in found.items()}


def write(results: dict[str, Result], order: Sequence[str], page: Path = PAGE, numbers: Path = NUMBERS) -> None:
    """Put new parts in the place of older ones; the others stay, each with the machine it was measured on."""
    every = load(numbers) | results
    kept = {part: every[part] for part in order if part in every}
    write_json(numbers, {part: asdict(result) for part, result in kept.items()})
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{whole(list(kept.values()))}\n{END}{after}", encoding="utf-8")
