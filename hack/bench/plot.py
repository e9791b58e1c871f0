"""Plots as SVG: bars of two sides, and curves on logarithmic scales."""

import math

OURS, THEIRS, INK, PALE = "#2563eb", "#d97706", "#1f2937", "#d1d5db"
COLOURS = [OURS, THEIRS, "#059669", "#7c3aed", "#dc2626"]
WIDTH = 720


def text(x, y, content, anchor="start", size=12, colour=INK):
    content = content.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{content}</text>'


def page(height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([f'{head} font-family="sans-serif">', ground, *parts, "</svg>\n"])


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def bars(title, unit, rows):
    """`rows`: a name with values by side. The scale is logarithmic: what counts is the ratio."""
    rows = [(name, {side: value for side, value in sides.items() if value}) for name, sides in rows]
    values = [value for _, sides in rows for value in sides.values()]
    if not values:
        return None
    low, high = min(values) / 2, max(values)
    left, right, line, y = 200, 90, 15, 44
    parts = [text(12, 22, f"{title} ({unit}, logarithmic)", size=15)]
    for name, sides in rows:
        parts.append(text(left - 8, y + line * max(len(sides), 1) / 2 + 4, name, "end"))
        for side, value in sides.items():
            length = (WIDTH - left - right) * math.log(value / low) / math.log(high / low)
            colour = OURS if side == "ours" else THEIRS
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{line - 3}" fill="{colour}"/>')
            parts.append(text(left + length + 5, y + 10, f"{number(value)}", size=11))
            y += line
        y += 8
    for at, (side, colour) in enumerate([("ours", OURS), ("upstream", THEIRS)]):
        parts.append(f'<rect x="{left + at * 110}" y="{y + 4}" width="10" height="10" fill="{colour}"/>')
        parts.append(text(left + 16 + at * 110, y + 13, side, size=11))
    return page(y + 28, parts)


def curves(title, across, up, lines):
    """`lines`: a name with points. Both scales are logarithmic: a slope is an exponent."""
    lines = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in lines.items()}
    points = [point for line in lines.values() for point in line]
    if not points:
        return None
    left, right, top, bottom, height = 64, 150, 44, 40, 360

    def scale(values):
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return low, max(high, low + 1)

    (x0, x1), (y0, y1) = scale([x for x, _ in points]), scale([y for _, y in points])
    at_x = lambda x: left + (WIDTH - left - right) * (math.log10(x) - x0) / (x1 - x0)
    at_y = lambda y: height - bottom - (height - top - bottom) * (math.log10(y) - y0) / (y1 - y0)
    parts = [text(12, 22, title, size=15)]
    for power in range(x0, x1 + 1):
        x = at_x(10.0**power)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="{PALE}"/>')
        parts.append(text(x, height - bottom + 16, f"{10**power:g}", "middle", 11))
    for power in range(y0, y1 + 1):
        y = at_y(10.0**power)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}" stroke="{PALE}"/>')
        parts.append(text(left - 6, y + 4, f"{10.0**power:g}", "end", 11))
    parts.append(text((left + WIDTH - right) / 2, height - 6, across, "middle"))
    parts.append(text(12, top - 8, up, size=11))
    for at, (name, line) in enumerate(lines.items()):
        colour = COLOURS[at % len(COLOURS)]
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        parts.append(text(WIDTH - right + 10, top + 14 + at * 18, name, size=11, colour=colour))
    return page(height, parts)
