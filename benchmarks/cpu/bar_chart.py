# SPDX-License-Identifier: Apache-2.0
"""A bar chart as SVG, of text and rectangles alone; it takes the reader's light or dark colours."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 14px; font-weight: 600; }
.head { font-weight: 600; }
.group { fill: #59636e; }
.ours { fill: #0969da; }
.peer { fill: #afb8c1; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .group { fill: #9198a1; }
  .ours { fill: #4493f8; }
  .peer { fill: #565d66; }
}
"""
WIDTH, NAMES, VALUES, GAP = 340, 104, 56, 16  # of a panel; of its names, of its numbers; between panels
BAR, LINE, GROUP, HEAD = 13, 18, 20, 28  # heights


@dataclass
class Bar:
    name: str
    value: float
    ours: bool


@dataclass
class Group:
    name: str
    bars: list[Bar]


@dataclass
class Panel:
    name: str
    groups: list[Group]

    def height(self) -> int:
        return HEAD + sum(GROUP + LINE * len(group.bars) for group in self.groups)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:g}" y="{y:g}"{more}>{escape(words)}</text>'


def draw_panel(panel: Panel, x: int, y: int) -> list[str]:
    longest = max((bar.value for group in panel.groups for bar in group.bars), default=0) or 1
    made = [text(x, y + 16, panel.name, "head")]
    y += HEAD
    for group in panel.groups:
        made.append(text(x, y + 13, group.name, "group"))
        y += GROUP
        for bar in group.bars:
            length = max((WIDTH - NAMES - VALUES) * bar.value / longest, 1)
            made.append(text(x + NAMES - 6, y + 11, bar.name, anchor="end"))
            kind = "ours" if bar.ours else "peer"
            made.append(f'<rect x="{x + NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" class="{kind}"/>')
            made.append(text(round(x + NAMES + length + 5, 1), y + 11, f"{bar.value:,.0f}"))
            y += LINE
    return made


def draw(title: str, panels: list[Panel], columns: int) -> str:
    columns = min(columns, len(panels))
    made, y = [text(0, 18, title, "title")], 34
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        for i, panel in enumerate(row):
            made += draw_panel(panel, i * (WIDTH + GAP), y)
        y += max(panel.height() for panel in row) + GAP
    width = max(columns * (WIDTH + GAP) - GAP, 7 * len(title))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *made, "</svg>"]) + "\n"
