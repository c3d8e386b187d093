"""Makes the pictures in this folder: ``python docs/screenshots/make.py SITE REPORT``.

SITE is what ``bindmatrix site --out SITE`` wrote, REPORT is the page of ``bindmatrix report RESULTS --html REPORT``.
Needs playwright and Chromium.
"""

from __future__ import annotations

import shutil
import sys
import zlib
from collections import Counter
from itertools import chain, product
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {"desktop": (1400, 900), "phone": (390, 844)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
#: a value of a channel -> the nearest of 16 shades
SHADES = bytes(round(value / 17) * 17 for value in range(256))
SCHEMES = ("light", "dark")
#: bytes of a picture, at most
MOST = 150_000


def smaller(png: bytes) -> bytes:
    """The same picture with a palette: the commonest colours, and 16 shades a channel for the edges of letters."""
    width, rows = pixels(png)
    points = [[bytes(row[at : at + 3]) for at in range(0, len(row), 3)] for row in rows]
    counted = Counter(chain.from_iterable(points))
    common = {colour for colour, _ in counted.most_common(100)}
    shown = {colour: colour if colour in common else colour.translate(SHADES) for colour in counted}
    colours = sorted(set(shown.values()))
    number = {colour: colours.index(one) for colour, one in shown.items()}
    lines = [bytes([0, *map(number.__getitem__, row)]) for row in points]
    head = width.to_bytes(4, "big") + len(rows).to_bytes(4, "big") + bytes([8, 3, 0, 0, 0])
    chunks = {b"IHDR": head, b"PLTE": b"".join(colours), b"IDAT": zlib.compress(b"".join(lines), 9), b"IEND": b""}
    return png[:8] + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks.items()
    )


def pixels(png: bytes) -> tuple[int, list[bytearray]]:
    """The width, and the rows of 3 bytes a pixel, of a PNG file as Chromium writes it (RGB, not interlaced)."""
    width, packed, at = int.from_bytes(png[16:20], "big"), b"", 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        packed += png[at + 8 : at + 8 + size] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += size + 12
    raw, size, rows = zlib.decompress(packed), 3 * width, [bytearray(3 * width)]
    for start in range(0, len(raw), size + 1):
        kind, row, above = raw[start], bytearray(raw[start + 1 : start + 1 + size]), rows[-1]
        for index in range(size) if kind else ():
            left, corner = (row[index - 3], above[index - 3]) if index > 2 else (0, 0)
            up = above[index]
            if kind == 4:
                straight = left + up - corner
                guess = min(
                    (abs(straight - left), 0, left), (abs(straight - up), 1, up), (abs(straight - corner), 2, corner)
                )[2]
            else:
                guess = (0, left, up, (left + up) // 2)[kind]
            row[index] = (row[index] + guess) & 255
        rows.append(row)
    return width, rows[1:]


def main(site: Path, report: Path) -> None:
    """Write a picture of each page for each size and colour scheme."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    pages = {"explorer": site / "index.html", "matrix": report}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for (name, path), (size, (width, height)), scheme in product(pages.items(), SIZES.items(), SCHEMES):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(path.resolve().as_uri())
            page.wait_for_selector("body.ready, #area article, #area p.headline")
            picture = Path(__file__).parent / f"{name}-{size}-{scheme}.png"
            picture.write_bytes(smaller(page.screenshot()))
            page.close()
            if picture.stat().st_size > MOST:
                sys.exit(f"{picture}: {picture.stat().st_size:,} bytes; expected at most {MOST:,}")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/screenshots/make.py SITE REPORT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
