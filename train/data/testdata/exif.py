# Writes exif-1.jpg … exif-8.jpg beside it, 32×16 pictures of four coloured
# quarters with each EXIF orientation, and exif.json: their size and quarters
# (top left, top right, bottom left, bottom right) as Pillow's exif_transpose shows them.
# Version: Pillow 13.0.0.
import json, pathlib
from PIL import Image, ImageOps

here = pathlib.Path(__file__).parent
colors = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
m = Image.new("RGB", (32, 16))
for (x, y), c in zip([(0, 0), (16, 0), (0, 8), (16, 8)], colors.values()):
    m.paste(c, (x, y, x + 16, y + 8))
out = {}
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif[0x0112] = o
    path = here / f"exif-{o}.jpg"
    m.save(path, exif=exif, quality=90, subsampling=0)
    shown = ImageOps.exif_transpose(Image.open(path))
    w, h = shown.size
    def name(x, y):
        p = shown.getpixel((x, y))
        return min(colors, key=lambda n: sum((a - b) ** 2 for a, b in zip(colors[n], p)))
    out[path.name] = {"width": w, "height": h, "quarters": [name(x, y) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]}
(here / "exif.json").write_text(json.dumps(out, indent=1) + "\n")
