"""Opens the events of a run as TensorBoard does, and compares them with what is beside them.

    langevin train examples/digits.yaml record.histograms=500 sample.peek=true
    python scripts/tensorboard/open.py runs/digits

Scalars must be the metrics of metrics.jsonl as float32, histograms must count what they say, and pictures must decode in the
size that they state. Any other run exits with an error. Needs tensorboard==2.21.0 and pillow.
"""

import io
import json
import math
import os
import struct
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def number(v):
    return float(v) if not isinstance(v, str) else float(v.replace("Infinity", "inf"))


def float32(v):
    return struct.unpack("f", struct.pack("f", v))[0]


def main(run):
    acc = EventAccumulator(os.path.join(run, "events"), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    acc.Reload()
    tags = acc.Tags()
    want = {}
    with open(os.path.join(run, "metrics.jsonl")) as f:
        for line in f:
            record = json.loads(line)
            for key, v in record.items():
                if key not in ("step", "time"):
                    want.setdefault(key, []).append((record["step"], float32(number(v))))
    for key, values in want.items():
        got = [(e.step, e.value) for e in acc.Scalars(key)]
        same = len(got) == len(values) and all(
            a[0] == b[0] and (a[1] == b[1] or math.isnan(a[1]) and math.isnan(b[1])) for a, b in zip(got, values)
        )
        if not same:
            sys.exit(f"{key}: {len(got)} scalars in the events are not the {len(values)} of metrics.jsonl")
    for tag in tags["histograms"]:
        for e in acc.Histograms(tag):
            h = e.histogram_value
            if sum(h.bucket) != h.num or len(h.bucket) != len(h.bucket_limit) or not h.min <= h.sum / h.num <= h.max:
                sys.exit(f"{tag}, step {e.step}: the histogram contradicts itself")
    for tag in tags["images"]:
        for e in acc.Images(tag):
            size = Image.open(io.BytesIO(e.encoded_image_string)).size
            if size != (e.width, e.height):
                sys.exit(f"{tag}, step {e.step}: a picture of {size} says {e.width}x{e.height}")
    print(f"{len(want)} metrics equal, {len(tags['scalars'])} scalars, {len(tags['histograms'])} histograms, pictures {', '.join(tags['images'])}")


main(sys.argv[1])
