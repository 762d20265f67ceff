"""Line plots as SVG, with nothing but the standard library."""
import html
import math

COLORS = {"copy": "#888888", "quant_ste": "#c2185b", "torch eager": "#ef6c00",
          "torch.compile": "#1565c0", "Brevitas": "#2e7d32", "bitorch": "#6a1b9a",
          "numpy": "#00838f"}
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 130, 32, 40


def _size(elements):
    for unit, scale in (("M", 2 ** 20), ("K", 2 ** 10)):
        if elements >= scale:
            return f"{elements // scale} {unit}"
    return str(elements)


def roofline(title, lines):
    """{name: [(elements, GB/s)]} on logarithmic axes; the copy is the roof."""
    xs = sorted({x for line in lines.values() for x, _ in line})
    ys = [y for line in lines.values() for _, y in line]
    x0, x1 = math.log2(xs[0]), max(math.log2(xs[-1]), math.log2(xs[0]) + 1)
    y0, y1 = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    y1 = max(y1, y0 + 1)

    def at(x, y):
        return (LEFT + (math.log2(x) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT),
                TOP + (y1 - math.log10(y)) / (y1 - y0) * (HEIGHT - TOP - BOTTOM))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>']
    for decade in range(y0, y1 + 1):
        _, y = at(xs[0], 10.0 ** decade)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                   f'stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{10.0 ** decade:g}</text>')
    for x in xs:
        left, bottom = at(x, 10.0 ** y0)
        out.append(f'<text x="{left:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">'
                   f'{_size(x)}</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">elements</text>')
    out.append(f'<text x="12" y="{TOP - 4}">GB/s</text>')
    labels = []
    for name, line in lines.items():
        color = COLORS.get(name, "#000000")
        dash = ' stroke-dasharray="5 3"' if name == "copy" else ""
        line = sorted(line)
        path = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" '
                   f'stroke-width="2"{dash}/>')
        for point in line:
            out.append('<circle cx="{:.1f}" cy="{:.1f}" r="2.5" fill="{}"/>'.format(
                *at(*point), color))
        labels.append([at(*line[-1])[1], name, color])
    # Labels beside the last points, pushed apart.
    labels.sort()
    for i in range(1, len(labels)):
        labels[i][0] = max(labels[i][0], labels[i - 1][0] + 14)
    for y, name, color in labels:
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4:.1f}" fill="{color}">'
                   f'{html.escape(name)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
