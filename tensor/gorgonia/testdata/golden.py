# Writes the .npy files beside it, with NumPy 2.4.6. The element at flat
# row-major index i is i − 3 (u1: i).
import pathlib
import numpy as np

here = pathlib.Path(__file__).parent
def array(shape, dtype):
    n = int(np.prod(shape))
    return (np.arange(n) - (0 if dtype == "u1" else 3)).astype(dtype).reshape(shape)

for dtype in ["f4", "f8", "i4", "i8", "i1", "u1"]:
    np.save(here / f"{dtype}.npy", array((2, 3, 4), dtype))
np.save(here / "vector.npy", array((5,), "f4"))
np.save(here / "scalar.npy", array((), "f8"))
np.save(here / "fortran.npy", np.asfortranarray(array((2, 3, 4), "f4")))
with open(here / "version2.npy", "wb") as f:
    np.lib.format.write_array(f, array((2, 3), "f4"), version=(2, 0))
# A header whose length is a multiple of 64 before padding: NumPy adds 64 bytes more.
for shape in [(1,) * n + (d,) for n in range(1, 20) for d in (1, 10, 100)]:
    np.save(here / "aligned.npy", array(shape, "f4"))
    text = (here / "aligned.npy").read_bytes()
    if (text.index(b"}") + 1 + 20 + 1) % 64 == 0:
        break
else:
    raise SystemExit("no shape makes the header aligned")
