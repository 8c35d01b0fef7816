"""Writes small tables and archives beside it, as other programs write them, and shards.json: what is in them.

    python shards.py      (pyarrow 26, Pillow, numpy)
"""

import io
import json
import pathlib
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(3)


def png(k):
    pixels = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    pixels[0, 0] = (k, 2 * k, 255 - k)
    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "PNG")
    return b.getvalue(), pixels.reshape(-1).tolist()


pictures = [png(k) for k in range(7)]
labels = [2, 0, 1, 1, 2, 0, 2]
captions = [[f"picture {k}", f"number {k}"][: 1 + k % 2] for k in range(7)]
names = ["ant", "bee", "cat"]
json.dump({"pixels": [p for _, p in pictures], "labels": labels, "captions": captions, "names": names}, open(here / "shards.json", "w"))

# As datasets.push_to_hub writes: structs of bytes and path, the features in the metadata.
meta = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
image = pa.array([{"bytes": b, "path": f"{k}.png"} for k, (b, _) in enumerate(pictures)], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
table = pa.table({"image": image, "label": pa.array(labels, pa.int64()), "texts": pa.array(captions, pa.list_(pa.string()))})
table = table.replace_schema_metadata({"huggingface": json.dumps(meta)})
(here / "parquet").mkdir(exist_ok=True)
pq.write_table(table.slice(0, 4), here / "parquet/train-00000-of-00002.parquet", row_group_size=3, compression="snappy")
pq.write_table(table.slice(4), here / "parquet/train-00001-of-00002.parquet", row_group_size=3, compression="zstd", data_page_version="2.0", use_dictionary=False)
plain = pa.table({"jpg": pa.array([b for b, _ in pictures], pa.binary()), "class": pa.array(labels, pa.int32()), "text": pa.array([c[0] for c in captions])})
pq.write_table(plain, here / "parquet-plain.parquet", compression="gzip")

# As webdataset.ShardWriter writes.
(here / "tar").mkdir(exist_ok=True)
for shard, ks in enumerate([range(0, 4), range(4, 7)]):
    with tarfile.open(here / f"tar/train-{shard:06d}.tar", "w", format=[tarfile.PAX_FORMAT, tarfile.GNU_FORMAT][shard]) as t:
        for k in ks:
            key = f"sample{k:04d}" if k != 5 else "folder/" + "long" * 30 + f"{k:04d}"  # beyond the 100 bytes of a header
            for ending, b in [("png", pictures[k][0]), ("cls", str(labels[k]).encode()), ("json", json.dumps({"text": captions[k][0], "n": labels[k]}).encode())]:
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(b)
                t.addfile(info, io.BytesIO(b))
