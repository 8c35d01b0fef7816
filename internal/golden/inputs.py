"""The inputs of operations: what their values are drawn from."""

from typing import NamedTuple

import numpy
import torch

from precise import normal


class In(NamedTuple):
    shape: tuple
    kind: str = "normal"  # positive: in [0.5, 2); halves: multiples of 0.5, for ties and kinks; wide: from -10 to 10; unit: in (0, 1); sparse: normal, but the first row and every third element are 0; index: below high; mask: 0 or -inf; bias: a constant
    high: int = 0

    @property
    def differentiable(self):
        return self.kind not in ("index", "mask", "bias")

    def values(self, seed):
        """Float64 numbers that float32 holds exactly, or int64 indices."""
        random = numpy.random.default_rng(seed)
        if self.kind == "index":
            return torch.tensor(random.integers(0, self.high, self.shape))
        if self.kind == "positive":
            x = random.uniform(0.5, 2, self.shape)
        elif self.kind == "halves":
            x = numpy.round(2 * random.standard_normal(self.shape)) / 2
        elif self.kind == "wide":
            x = numpy.linspace(-10, 10, *self.shape)
        elif self.kind == "unit":
            x = random.uniform(0, 1, self.shape)
        elif self.kind == "sparse":
            x = numpy.array(normal(seed, self.shape))
            x.reshape(-1)[::3] = 0
            x[0] = 0
        elif self.kind == "mask":  # every row keeps its first key
            x = numpy.where(random.uniform(size=self.shape) < 0.4, -numpy.inf, 0)
            x[..., 0] = 0
        else:
            x = normal(seed, self.shape)
        return torch.tensor(numpy.asarray(x).astype(numpy.float32).astype(numpy.float64))
