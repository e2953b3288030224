"""Writes the tables of models.md, and with --pictures the pictures beside it: ``python docs/make_models.py``.

The models are those of the registry; the measured errors are those that the golden tests wrote::

    pytest tests/golden --golden-errors tests/golden/errors.json
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

import lightsam_plugins as ls
from lightsam_plugins.cli.demo_cases import CASES, load_photo
from lightsam_plugins.model_spec import Figure, ModelSpec, WeightFile
from lightsam_plugins.registry import build_network, list_models, model_card
from lightsam_plugins.render import draw, montage

DOCS = Path(__file__).parent
PAGE = DOCS / "models.md"
GOLDEN = DOCS.parent / "tests" / "golden"
WIDTH = 640  # pixels of a picture
_PROMPTS = {"box": "boxes", "mask": "mask", "everything": "everything"}
# A click leaves half of the cup's inside out; the second one, with the mask so far, takes it in.
_REFINED = ("coffee", [(286, 140)], [(286, 140), (300, 60)])


def filled(text: str) -> str:
    """The page with every table between ``<!-- generated: NAME -->`` and ``<!-- end -->`` written anew."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: found[1] + BLOCKS[found[2]]() + "\n" + found[3],
        text,
        flags=re.DOTALL,
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cards() -> list[ModelSpec]:
    return [model_card(name) for name in list_models()]


def _name(card: ModelSpec) -> str:
    return f"`{card.name}`" + " *" * card.experimental + " †" * any(file.weak for file in card.files)


def _models() -> str:
    def row(card: ModelSpec) -> list[str]:
        slots = f", {card.point_slots} points at most" if card.point_slots else ""
        clicks = "clicks ±" if "negative_point" in card.prompts else f"clicks +{slots}"
        prompts = [clicks, *(text for prompt, text in _PROMPTS.items() if prompt in card.prompts)]
        return [
            f"[{_name(card)}]({card.paper if '://' in card.paper else 'nano.md'})",
            f"{card.params / 1e6:.1f} M",
            f"{card.encoder_side}",
            ", ".join(prompts),
            card.licence_code,
            card.licence_weights,
            _size(card),
            card.speed,
        ]

    headings = ["model", "parameters", "image side", "prompts", "code", "weights", "file, MB", "CPU"]
    return _table(headings, map(row, _cards()))


def _size(card: ModelSpec) -> str:
    sizes = [file.size for file in card.files]
    size = f"{sum(sizes) / 1e6:.0f}" if all(sizes) else "not published"
    return size + ", in the wheel" * card.weights.bundled + f", {len(sizes)} files" * (len(sizes) > 1)


def _published() -> str:
    sources: dict[str, int] = {}

    def cell(figures: Iterable[Figure]) -> str:
        for figure in figures:
            sources.setdefault(figure.source, len(sources) + 1)
        return "<br>".join(f"{one.what}: **{one.value:g}** [{sources[one.source]}]" for one in figures)

    def row(card: ModelSpec) -> list[str]:
        speed = [one for one in card.published if re.search(r"\bms$|images", one.what)]
        quality = [one for one in card.published if one not in speed]
        none = "ours: [nano.md](nano.md)" if card.weights.bundled else "none known"
        return [f"`{card.name}`", cell(quality) or none, cell(speed) or none]

    table = _table(["model", "quality", "speed"], [row(card) for card in _cards()])
    return table + "\n\n" + "\n".join(f"{number}. {source}" for source, number in sources.items())


def _sources() -> str:
    owners: dict[WeightFile, list[str]] = {}
    for card in _cards():
        for file in card.files:
            owners.setdefault(replace(file, part=""), []).append(
                f"`{card.name}`" + f" ({file.part})" * bool(file.part)
            )

    def row(file: WeightFile, names: list[str]) -> list[str]:
        hub = f"https://huggingface.co/{file.repo}/blob/{file.revision}/{file.filename}"
        places = [f"[Hub]({hub})"] * bool(file.repo) + [f"[URL]({file.url})"] * bool(file.url)
        hashes = (("sha256", file.sha256), ("git blob", file.git_blob))
        known = " or ".join(f"{kind} `{digest[:16]}…`" for kind, digest in hashes if digest)
        return [
            ", ".join(names),
            f"`{Path(file.filename).name}`",
            ", ".join(places) or "in the wheel",
            f"{file.size:,}" if file.size else "not published",
            known + f"; weak: {file.weak}" * bool(file.weak),
        ]

    headings = ["models", "file", "from", "bytes", "known by"]
    return _table(headings, (row(file, names) for file, names in owners.items()))


def _errors() -> str:
    measured: dict[str, dict[str, float]] = json.loads((GOLDEN / "errors.json").read_text("utf-8"))

    def row(name: str) -> list[str]:
        official = json.loads((GOLDEN / f"{name.replace('-', '_')}.keys.json").read_text("utf-8"))[
            "state_dict"
        ]
        errors = measured[name]
        if "predictions" in errors:
            cells = [f"prototypes {errors['prototypes']:.1e}", f"predictions {errors['predictions']:.1e}", ""]
        else:
            worst = [max(e for key, e in errors.items() if key.endswith(end)) for end in (".logits", ".iou")]
            cells = [f"{error:.1e}" for error in (errors["embedding"], *worst)]
        cases = len({key.partition(".")[0] for key in errors} - {"embedding", "predictions", "prototypes"})
        return [f"`{name}`", f"{len(official)}", str(cases or ""), *cells]

    headings = ["model", "official tensors", "prompt cases", "image embedding", "logits", "predicted IoU"]
    return _table(headings, map(row, sorted(measured)))


def _unused() -> str:
    rows = []
    for card in _cards():
        with torch.device("meta"):
            unused: tuple[str, ...] = build_network(card).unused_keys  # type: ignore[assignment]
        if unused:
            rows.append([f"`{card.name}`", ", ".join(f"`{name}*`" for name in unused)])
    return _table(["model", "tensors"], rows)


def _licences() -> str:
    rows = [
        [f"`{card.name}`", card.licence_weights, f"[text]({card.licence_terms})"]
        for card in _cards()
        if card.licence_terms
    ]
    return _table(["model", "licence to accept", "what it says"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "models": _models,
    "published": _published,
    "sources": _sources,
    "errors": _errors,
    "unused": _unused,
    "licences": _licences,
}


def pictures(folder: Path) -> None:
    """Draw what `nano` answers to each kind of prompt, as small JPEG files."""
    model = ls.load("nano", device="cpu")
    for case in CASES:
        photo = load_photo(case.photo)
        if case.name in ("box", "point", "points"):
            masks = model.segment(photo, **case.prompts)
            _save(draw(photo, masks.crops(), **case.prompts), folder / f"prompt-{case.name}.jpg")
        elif case.name == "everything":
            _save(draw(photo, model.everything(photo).crops()), folder / "prompt-everything.jpg")
    name, first, both = _REFINED
    photo = load_photo(name)
    embedding = model.embed(photo)
    before = model.segment(embedding, points=first)
    after = model.segment(embedding, points=both, mask_input=before.logits)
    steps = [draw(photo, masks.crops(), points=clicks) for masks, clicks in ((before, first), (after, both))]
    _save(montage([steps]), folder / "prompt-mask.jpg")


def _save(picture: Image.Image, path: Path) -> None:
    size = WIDTH, round(picture.height * WIDTH / picture.width)
    picture.resize(size, Image.Resampling.LANCZOS).save(path, quality=80, optimize=True)


def main() -> None:
    """Write the page; with --pictures, draw them too."""
    parser = argparse.ArgumentParser(description="Writes the tables of docs/models.md.")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures as well")
    options = parser.parse_args()
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    if options.pictures:
        pictures(DOCS / "images")


if __name__ == "__main__":
    main()
