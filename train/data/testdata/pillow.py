"""Writes pillow.json: what Pillow 12 or later makes of a picture with ImageOps.fit and Image.resize.

    python pillow.py
"""

import base64
import io
import json
import pathlib

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "lanczos": Image.LANCZOS, "box": Image.BOX}
SIZES = [(8, 8), (5, 13), (23, 37), (40, 64), (23, 8), (7, 37), (1, 1)]  # height, width
BOXES = [(0, 0, 37, 23), (3, 2, 19, 18), (1.25, 0.5, 30.75, 22.125), (30.5, 3, 36.5, 9)]


def text(b):
    return base64.b64encode(b).decode()


def main():
    rng = np.random.default_rng(7)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 8, 3), dtype=np.uint8)).resize((37, 23), Image.BICUBIC)
    pixels = np.clip(np.asarray(coarse) + rng.normal(0, 25, (23, 37, 3)), 0, 255).astype(np.uint8)
    pixels[4:9, 10:20] = 255  # edges, at which filters overshoot
    pixels[9:14, 10:20] = 0
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    picture.save(file, "PNG")
    cases = []
    for mode in ("RGB", "L"):
        m = picture.convert(mode)
        for name, f in FILTERS.items():
            for h, w in SIZES:
                cases.append({"mode": mode, "filter": name, "h": h, "w": w, "fit": text(ImageOps.fit(m, (w, h), f).tobytes())})
            for b in BOXES:
                cases.append({"mode": mode, "filter": name, "h": 6, "w": 9, "box": b, "fit": text(m.resize((9, 6), f, box=b).tobytes())})
    out = {"png": text(file.getvalue()), "cases": cases}
    pathlib.Path(__file__).with_name("pillow.json").write_text(json.dumps(out))


main()
