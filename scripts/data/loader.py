"""Pictures a second of torch's DataLoader, for comparison with this project's loader.

    python scripts/data/loader.py make jpegs          # 512 JPEGs of 500x375
    python scripts/data/loader.py read jpegs          # two workers; medians of rounds
    LANGEVIN_JPEGS=$PWD/jpegs go test -run '^$' -bench JPEGs -benchtime 5s ./train/data

Both decode, cut at random (RandomResizedCrop), scale to 64x64 (bilinear, antialiased), mirror at random and bring to [-1, 1], in
batches of 32. Needs torch, torchvision, Pillow and numpy.
"""

import argparse
import os
import statistics
import time

import numpy as np
import torch
from PIL import Image
from torchvision import transforms


def make(folder, count):
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(0)
    for k in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        noisy = np.clip(np.asarray(coarse) + rng.normal(0, 6, (375, 500, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(os.path.join(folder, f"{k:04d}.jpg"), quality=90)


class Folder(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.files = sorted(os.path.join(folder, f) for f in os.listdir(folder))
        self.transform = transforms.Compose([
            transforms.RandomResizedCrop(64, antialias=True),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ])

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return self.transform(Image.open(self.files[i]).convert("RGB"))


def read(folder, workers, rounds):
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(Folder(folder), batch_size=32, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True)
    rates = []
    for k in range(rounds + 1):  # the first starts the workers
        begin, seen = time.perf_counter(), 0
        for x in loader:
            seen += len(x)
        if k:
            rates.append(seen / (time.perf_counter() - begin))
    print(f"{workers} workers: {statistics.median(rates):.0f} pictures a second ({min(rates):.0f} to {max(rates):.0f})")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["make", "read"])
    p.add_argument("folder")
    p.add_argument("--count", type=int, default=512)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    a = p.parse_args()
    make(a.folder, a.count) if a.what == "make" else read(a.folder, a.workers, a.rounds)
