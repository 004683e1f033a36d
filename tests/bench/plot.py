"""Draws what bench-curves measured:  tests/bench/plot.py CURVES.json… > docs/performance.svg

A panel for each curve: the rate as a share of its first point, which stands in the panel's title, over what varies, on a
logarithmic axis; the band is from the slowest to the fastest round.."""

import json
import math
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, COLUMNS = 300, 190, 3
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 34, 34
TITLES = {
    "batch": "most commands in a batch", "attributes": "attributes stored by a command",
    "extensions": "extensions in a batch", "hot": "commands in a row to one record",
    "partitions": "partitions", "workers": "workers", "records": "records in the table", "backlog": "commands in the topic"}
STYLE = ("text { font: 11px sans-serif; fill: #444 } .title { font-weight: bold } .axis { stroke: #aaa } "
         ".grid { stroke: #eee } .line { stroke: #1565c0; stroke-width: 2; fill: none } .dot { fill: #1565c0 } "
         ".band { fill: #1565c0; opacity: .15 }")


def rates(point):
    return [run["rate"] for run in point["runs"]]


def short(number):
    for size, letter in ((1000000, "M"), (1000, "k")):
        if number >= size:
            return ("%.1f" % (number / size)).rstrip("0").rstrip(".") + letter
    return "%g" % number


class Panel:
    def __init__(self, name, points):
        self.name, self.first = name, points[0]["value"]
        self.base = statistics.median(rates(points[0]))
        self.points = sorted(points, key=lambda point: point["value"])
        self.values = [point["value"] for point in self.points]
        self.top = max(1.25, 1.1 * max(max(rates(point)) for point in self.points) / self.base)

    def x(self, value):
        low, high = math.log(self.values[0]), math.log(self.values[-1])
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(value) - low) / (high - low)

    def y(self, rate):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / self.base / self.top

    def draw(self):
        yield '<text class="title" x="%d" y="14">%s</text>' % (LEFT, escape(TITLES[self.name]))
        yield '<text x="%d" y="28">1 = %s commands/s at %s</text>' % (LEFT, short(self.base), short(self.first))
        for share in (tick / 2 for tick in range(int(2 * self.top) + 1)):
            at = self.y(share * self.base)
            yield '<line class="%s" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' % (
                "grid" if share else "axis", LEFT, WIDTH - RIGHT, at, at)
            yield '<text x="%d" y="%.1f" text-anchor="end">%g</text>' % (LEFT - 6, at + 4, share)
        for value in self.values:
            yield '<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (self.x(value), HEIGHT - BOTTOM + 16, short(value))
        edges = [(self.x(point["value"]), self.y(max(rates(point)))) for point in self.points]
        edges += [(self.x(point["value"]), self.y(min(rates(point)))) for point in reversed(self.points)]
        yield '<polygon class="band" points="%s"/>' % " ".join("%.1f,%.1f" % edge for edge in edges)
        middle = [(self.x(point["value"]), self.y(statistics.median(rates(point)))) for point in self.points]
        yield '<polyline class="line" points="%s"/>' % " ".join("%.1f,%.1f" % place for place in middle)
        for place in middle:
            yield '<circle class="dot" cx="%.1f" cy="%.1f" r="3"/>' % place


def main():
    curves = {}
    for path in sys.argv[1:]:
        curves.update(json.loads(Path(path).read_text()))
    panels = [Panel(name, points) for name, points in curves.items() if len(points) > 1]
    rows = -(-len(panels) // COLUMNS)
    print('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"><style>%s</style>' % (
        WIDTH * min(COLUMNS, len(panels)), HEIGHT * rows, STYLE))
    print('<rect width="100%" height="100%" fill="white"/>')
    for number, panel in enumerate(panels):
        print('<g transform="translate(%d %d)">' % (WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS)))
        print("\n".join(panel.draw()))
        print("</g>")
    print("</svg>")


if __name__ == "__main__":
    main()
