"""Writes events.golden: the event file that TensorBoard's own messages and
record writer give for what TestEventsGolden writes. tensorboard==2.21.0"""

import io
import os

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

WALL = 1700000000.25
histo = HistogramProto(min=-1.0, max=2.0, num=3, sum=1.0, sum_squares=5.0)

# The buckets by TensorFlow's rule (histogram.cc): limits +-1e-12*1.1^k, zero in the middle.
limits = []
v = 1e-12
while v < 1e20:
    limits.append(v)
    v *= 1.1
limits.append(1.7976931348623157e308)
limits = [-x for x in reversed(limits)] + [0.0] + limits
counts = [0.0] * len(limits)
for x in (-1.0, 0.0, 2.0):
    counts[next(i for i, l in enumerate(limits) if l > x)] += 1
used = [i for i, c in enumerate(counts) if c]
first, last = max(used[0] - 1, 0), used[-1]
histo.bucket_limit.extend(limits[first : last + 1])
histo.bucket.extend(counts[first : last + 1])

events = [
    Event(wall_time=WALL, file_version="brain.Event:2"),
    Event(wall_time=WALL, step=8, session_log=SessionLog(status=SessionLog.START)),
    Event(
        wall_time=WALL,
        step=8,
        summary=Summary(
            value=[
                Summary.Value(tag="train/loss", simple_value=0.1),
                Summary.Value(tag="zero", simple_value=0.0),
                Summary.Value(tag="nan", simple_value=float("nan")),
                Summary.Value(tag="inf", simple_value=float("-inf")),
            ]
        ),
    ),
    Event(wall_time=WALL, step=1 << 40, summary=Summary(value=[Summary.Value(tag="w", histo=histo)])),
    Event(
        wall_time=WALL,
        step=9,
        summary=Summary(
            value=[
                Summary.Value(
                    tag="grid",
                    image=Summary.Image(height=1, width=2, colorspace=3, encoded_image_string=b"PNG"),
                )
            ]
        ),
    ),
]
out = io.BytesIO()
writer = RecordWriter(out)
for e in events:
    writer.write(e.SerializeToString(deterministic=True))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "events.golden"), "wb") as f:
    f.write(out.getvalue())
