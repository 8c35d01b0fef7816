# Writes the two IDX files beside it from scikit-learn 1.9.1's copy of the data
# set (sklearn.datasets.load_digits), with numpy 2.4.6. See README.md.
import gzip, pathlib, struct
import numpy as np
from sklearn.datasets import load_digits

d = load_digits()
images, labels = d.images.astype(np.uint8), d.target.astype(np.uint8)
assert images.shape == (1797, 8, 8) and images.max() == 16 and (images == d.images).all()
here = pathlib.Path(__file__).parent

def write(name, header, data):
    (here / name).write_bytes(gzip.compress(header + data.tobytes(), 9, mtime=0))

write("images.idx3-ubyte.gz", struct.pack(">I3I", 0x803, *images.shape), images)
write("labels.idx1-ubyte.gz", struct.pack(">II", 0x801, len(labels)), labels)
