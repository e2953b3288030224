"""Run the commands behind the tables of evaluation.md, and write the tables.

    make evaluation DATA=DIR            # or ARGS=--tables: from the reports that are there

Each line that is printed is a command of the package; reports lie in build/evaluation and are gone on with.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "evaluation.md"
OUT = HERE.parent / "build" / "evaluation"
SETS = ("natural-photos", "nuclei", "grey-cytology", "composites", "overlapping-composites", "coins")
FIRST = 5  # images for what takes seconds each
# Report -> model and options; "{set}" is the path of a set without its ending.
RUNS = {
    "nano": "-m nano --protocol box,1click,2click,3click",
    "filled-box": "-m filled-box --protocol box",
    "grabcut": "-m grabcut --protocol box",
    "boxes": "-m nano --protocol boxes-from --boxes-from {set}-boxes.json",
    "boxes-filled": "-m filled-box --protocol boxes-from --boxes-from {set}-boxes.json",
    "walker": f"-m random-walker --protocol box,1click --limit {FIRST}",
    "first": f"-m nano --protocol everything --limit {FIRST}",
}


def commands(sets: Path) -> Iterator[list[str]]:
    """The command lines, one a set and report."""
    for run, options in RUNS.items():
        for name in SETS:
            where = sets / name
            data = f"--images {where} --annotations {where}.json --out {OUT / name}-{run} --device cpu"
            yield shlex.split(f"lightsam evaluate {options.format(set=where)} {data}")


def call(command: list[str]) -> None:
    """Print and run one."""
    print(shlex.join(command), flush=True)
    program = Path(sys.executable).with_name(command[0])
    subprocess.run(
        [str(program), *command[1:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def report(name: str, run: str) -> dict[str, Any]:
    """A report, or one without any number where the command has not been run."""
    path = OUT / f"{name}-{run}" / "report.json"
    if not path.is_file():
        return {"means": {}, "precision": {}, "recall": {}}
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def percent(value: float | None) -> str:
    """A number of 0..1 in percent."""
    return "–" if value is None else f"{100 * value:.1f}"


def mean(name: str, run: str, protocol: str, key: str = "iou") -> str:
    """One mean of a report."""
    return percent(report(name, run)["means"].get(protocol, {}).get(key))


def among_first(name: str, protocol: str) -> tuple[str, str]:
    """Of the images of the random walker: the number of objects, and `nano`'s mean on them."""
    whole, few = (report(name, run).get("objects", {}) for run in ("nano", "walker"))
    images = set(few.get("image", ()))
    rows = zip(whole.get("image", ()), whole.get("values", {}).get(protocol, ()), strict=True)
    values = [value for image, value in rows if image in images]
    return str(len(values)), percent(sum(values) / len(values)) if values else "–"


def table(head: str, rows: list[list[str]]) -> str:
    """Markdown; `head` has its columns between bars."""
    columns = head.count("|") + 1
    return "\n".join(
        [f"| {head} |", "|---" * columns + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    )


def tables() -> dict[str, str]:
    """The tables of the page by their names."""
    whole, sizes, few, detected = [], [], [], []
    for name in SETS:
        title = name.replace("-", " ")
        objects = f"{report(name, 'nano')['means'].get('box', {}).get('objects', 0)}"
        row = [title, objects, mean(name, "nano", "box"), mean(name, "nano", "box", "boundary")]
        row += [mean(name, run, "box") for run in ("filled-box", "grabcut")]
        whole.append(row + [mean(name, "nano", f"{clicks} click") for clicks in (1, 2, 3)])
        split = [
            (run, protocol) for run, protocol in (("nano", "box"), ("nano", "1 click"), ("nano", "3 click"))
        ]
        split.append(("grabcut", "box"))
        sizes.append(
            [
                title,
                *(
                    " / ".join(mean(name, r, p, size) for size in ("small", "medium", "large"))
                    for r, p in split
                ),
            ]
        )
        first = report(name, "first")
        pairs = [
            cell for p in ("box", "1 click") for cell in (among_first(name, p)[1], mean(name, "walker", p))
        ]
        recalls = [percent(first["recall"].get(f"AR@{count}")) for count in (10, 100, 1000)]
        objects = among_first(name, "box")[0]
        few.append([title, objects, *pairs, *recalls, mean(name, "first", "everything, best mask")])
        found = [report(name, run)["precision"].get(key) for run in ("boxes", "boxes-filled") for key in KEYS]
        detected.append([title, *(percent(value) for value in found)])
    return {
        "whole": table(
            "set | objects | box | its boundary | filled box | GrabCut | 1 click | 2 clicks | 3 clicks", whole
        ),
        "sizes": table("set | box | 1 click | 3 clicks | GrabCut, box", sizes),
        "first": table(
            "set | objects | box | random walker, box | 1 click | random walker, 1 click | AR@10 | AR@100 | AR@1000 "
            "| best mask",
            few,
        ),
        "detected": table("set | AP | AP50 | AP75 | filled box, AP | its AP50 | its AP75", detected),
    }


KEYS = ("AP", "AP50", "AP75")


def write() -> None:
    """Put the tables between their markers."""
    text = PAGE.read_text("utf-8")
    for name, content in tables().items():
        begin, end = f"<!-- table {name} -->\n", f"<!-- end {name} -->"
        text = text[: text.index(begin) + len(begin)] + content + "\n" + text[text.index(end) :]
    PAGE.write_text(text, "utf-8")


def main() -> None:
    """Read the command line, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the training data, for its held-out part")
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables, from the reports there are"
    )
    parser.add_argument("--only", nargs="+", choices=RUNS, help="only these reports, and no tables")
    options = parser.parse_args()
    if not options.tables:
        if options.data is None:
            parser.error("--data is needed to run the commands")
        sets = OUT / "sets"
        if not sets.is_dir():
            subprocess.run(
                [sys.executable, "-m", "training.holdout", "--data", str(options.data), "--out", str(sets)],
                check=True,
            )
        for command in commands(sets):
            if not options.only or command[command.index("--out") + 1].endswith(
                tuple(f"-{o}" for o in options.only)
            ):
                call(command)
    if not options.only:
        write()


if __name__ == "__main__":
    main()
