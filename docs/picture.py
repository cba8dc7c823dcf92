"""Draw docs/frontier.svg, the README's picture, from the two frontier charts of a finished study's report.

python docs/picture.py STUDY_FOLDER
"""

import re
import sys
from pathlib import Path

COLOURS = {
    "--paper": "#ffffff", "--panel": "#f6f7f8", "--ink": "#1a1d21", "--muted": "#5a626c", "--line": "#dfe3e7",
    "--accent": "#005f99", "--g-clamp": "#0072b2", "--g-baseline": "#c85200", "--g-control": "#7b828a",
    "--g-none": "#1a1d21",
}  # fmt: skip

RULES = r"(?:\.chart|\.grid|\.bar|\.tether|\.sweep|\.ring|\.m\b)"
"""The lines of the report's style sheet that are about charts."""


def main():
    page = (Path(sys.argv[1]) / "report.html").read_text(encoding="utf-8")
    charts = re.findall(r"<svg(?=[^>]*class=\"chart\").*?</svg>", page, re.S)[:2]
    rules = re.findall(rf"^ *({RULES}[^\n]*)", page, re.M)
    style = "\n".join(rules)
    for name, colour in COLOURS.items():
        style = style.replace(f"var({name})", colour)
        charts = [chart.replace(f"var({name})", colour) for chart in charts]
    placed = [
        re.sub(r"<svg", f'<svg x="{10 + 420 * i}" y="10" width="400" height="384"', chart, count=1)
        for i, chart in enumerate(charts)
    ]
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 404" width="840" height="404">'
        f'<rect width="840" height="404" fill="#ffffff"/><style>{style}</style>{"".join(placed)}</svg>\n'
    )
    (Path(__file__).parent / "frontier.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
