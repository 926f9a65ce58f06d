"""Draw the packages of hf_model and stages and their imports: ``python docs/draw_packages.py`` writes packages.svg.

Rows are the layers of the import contracts in pyproject.toml. An arrow goes from a package to one that it imports,
unless a longer path of arrows leads there already (within hf_model, or within stages).
"""

from __future__ import annotations

import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "packages.svg"

BOX_HEIGHT, ROW_HEIGHT, GAP, BEND_WIDTH, MARGIN = 30, 78, 22, 8, 14
STYLE = """
text { font: 13px system-ui, sans-serif; text-anchor: middle; fill: #1a237e }
.stages text { fill: #4e342e }
rect { fill: #e8eaf6; stroke: #3f51b5; rx: 6px }
.stages rect { fill: #fff3e0; stroke: #ef6c00 }
path { fill: none; stroke: #5c6bc0; stroke-width: 1.2 }
path.stages { stroke: #ef9a50 }
"""

Edge = tuple[str, str]


def read_packages() -> tuple[list[list[str]], set[Edge]]:
    """Read layers of nodes, from the top down, and the imports between nodes that are in different layers.

    A node is a package or a module directly in hf_model or stages, under its dotted name.
    """
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    rows = {
        contract.get("containers", ["stages"])[0]: contract["layers"] for contract in contracts if "layers" in contract
    }
    layers = [[name.strip() for name in line.split("|")] for line in rows["stages"]]
    layers += [[f"hf_model.{name.strip()}" for name in line.split("|")] for line in rows["hf_model"]]
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph("hf_model", "stages", exclude_type_checking_imports=True, cache_dir=None)
    layers = [[name for name in layer if name in graph.modules] for layer in layers]
    row = {name: number for number, layer in enumerate(layers) for name in layer}
    edges = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            ends = tuple(".".join(module.split(".")[:2]) for module in (importer, imported))
            if all(end in row for end in ends) and row[ends[0]] < row[ends[1]]:
                edges.add((ends[0], ends[1]))
    return layers, edges


def reduce_edges(edges: set[Edge]) -> list[Edge]:
    """Leave out every edge whose end is also reached by a longer path among nodes of the end's own top package."""
    below: dict[str, set[str]] = {}
    for start, end in edges:
        below.setdefault(start, set()).add(end)

    def reached(start: str) -> set[str]:
        ends = below.get(start, set())
        return ends.union(*(reached(end) for end in ends))

    def others(start: str, end: str) -> set[str]:
        return {one for one in below[start] - {end} if one.split(".")[0] == end.split(".")[0]}

    return sorted((a, b) for a, b in edges if not any(b in reached(other) for other in others(a, b)))


def add_bends(layers: list[list[str]], edges: list[Edge]) -> tuple[list[list[str]], list[list[str]]]:
    """Give each edge a point in every layer that it crosses; returns the layers with these points, and all routes."""
    layers = [list(layer) for layer in layers]
    row = {name: number for number, layer in enumerate(layers) for name in layer}
    routes = []
    for start, end in edges:
        bends = [f"{start}>{end}>{number}" for number in range(row[start] + 1, row[end])]
        for number, bend in enumerate(bends, row[start] + 1):
            layers[number].append(bend)
        routes.append([start, *bends, end])
    return layers, routes


def width(name: str) -> float:
    """Pixels that a box takes, or a bend of an arrow."""
    return BEND_WIDTH if ">" in name else 22 + 7.6 * len(label(name))


def label(name: str) -> str:
    """Give the text in a box: packages end with a slash."""
    top, _, rest = name.partition(".")
    folder = (ROOT / top / rest).is_dir()
    return f"{rest}/" if folder else f"{rest}.py"


def order(layers: list[list[str]], routes: list[list[str]]) -> list[list[str]]:
    """Order each layer by the mean place of its neighbours, down and up in turns; keep the fewest crossings."""
    steps = [step for route in routes for step in pairwise(route)]
    best, fewest = layers, crossings(layers, steps)
    for sweep in range(40):
        place = places(layers)
        down = sweep % 2 == 0
        sorted_layers = [list(layer) for layer in layers]
        numbers = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for number in numbers:
            mean = {}
            for name in sorted_layers[number]:
                near = [a if down else b for a, b in steps if name == (b if down else a)]
                mean[name] = sum(place[one] for one in near) / len(near) if near else place[name]
            sorted_layers[number].sort(key=lambda name, mean=mean: (mean[name], name))
            place |= places([sorted_layers[number]])
        layers = sorted_layers
        if (count := crossings(layers, steps)) < fewest:
            best, fewest = layers, count
    return best


def places(layers: list[list[str]]) -> dict[str, float]:
    """Give each node its place in its layer, 0 to 1."""
    return {name: (index + 0.5) / len(layer) for layer in layers for index, name in enumerate(layer)}


def crossings(layers: list[list[str]], steps: list[Edge]) -> int:
    """Count the pairs of arrows that cross between neighbouring layers."""
    place = places(layers)
    row = {name: number for number, layer in enumerate(layers) for name in layer}
    count = 0
    for number in range(len(layers) - 1):
        ends = [(place[a], place[b]) for a, b in steps if row[a] == number]
        count += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[:i])
    return count


def coordinates(layers: list[list[str]], routes: list[list[str]]) -> dict[str, float]:
    """Give each node the x of its middle: near its neighbours in other layers, without overlaps in its own."""
    near: dict[str, list[str]] = {}
    for a, b in (step for route in routes for step in pairwise(route)):
        weight = 1 + 3 * (">" in a) + 3 * (">" in b)  # long arrows run straight
        near.setdefault(a, []).extend([b] * weight)
        near.setdefault(b, []).extend([a] * weight)
    x: dict[str, float] = {}
    for layer in layers:
        x |= dict(zip(layer, spread(layer, [0.0] * len(layer)), strict=True))
    for _ in range(200):
        for layer in layers:
            wanted = [sum(x[one] for one in near.get(name, [name])) / len(near.get(name, [name])) for name in layer]
            x |= dict(zip(layer, spread(layer, wanted), strict=True))
    left = min(x[name] - width(name) / 2 for name in x)
    return {name: round(value - left + MARGIN) for name, value in x.items()}


def spread(layer: list[str], wanted: list[float]) -> list[float]:
    """Move nodes as little as possible (least squares) so that they keep their order and do not touch."""
    offsets = [0.0]
    for one, other in pairwise(layer):
        offsets.append(offsets[-1] + (width(one) + width(other)) / 2 + GAP)
    blocks: list[list[float]] = []  # mean, length: pool adjacent violators
    for value, offset in zip(wanted, offsets, strict=True):
        blocks.append([value - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, count = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + mean * count) / (blocks[-1][1] + count),
                blocks[-1][1] + count,
            ]
    means = [mean for mean, count in blocks for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def draw() -> str:
    """Draw the picture as the text of an SVG file."""
    layers, edges = read_packages()
    layers, routes = add_bends(layers, reduce_edges(edges))
    layers = order(layers, routes)
    x = coordinates(layers, routes)
    top = {name: MARGIN + number * ROW_HEIGHT for number, layer in enumerate(layers) for name in layer}
    right = max(x[name] + width(name) / 2 for name in x) + MARGIN
    bottom = MARGIN * 2 + (len(layers) - 1) * ROW_HEIGHT + BOX_HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom}" role="img">',
        "<title>The packages of stages and hf_model, and which imports which</title>",
        f"<style>{STYLE}</style>",
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<polygon points="0,0 8,4 0,8" fill="context-stroke"/></marker>',
        '<rect width="100%" height="100%" style="fill: white; stroke: none"/>',
    ]
    for route in routes:
        kind = ' class="stages"' if route[0].startswith("stages") else ""
        parts = [f"M{x[route[0]]} {top[route[0]] + BOX_HEIGHT}"]
        for one, other in pairwise(route):
            start, end = top[one] + BOX_HEIGHT, top[other]
            middle = (start + end) / 2
            parts.append(f"C{x[one]} {middle:g} {x[other]} {middle:g} {x[other]} {end}")
            if ">" in other:
                parts.append(f"V{end + BOX_HEIGHT}")
        lines.append(f'<path{kind} d="{" ".join(parts)}" marker-end="url(#head)"/>')
    for name in (name for layer in layers for name in layer if ">" not in name):
        kind = ' class="stages"' if name.startswith("stages") else ""
        left = x[name] - width(name) / 2
        lines.append(
            f'<g{kind}><rect x="{left:g}" y="{top[name]}" width="{width(name):g}" height="{BOX_HEIGHT}"/>'
            f'<text x="{x[name]}" y="{top[name] + 20}">{label(name)}</text></g>'
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
