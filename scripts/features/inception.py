"""Writes the weights of torch-fidelity's or pytorch-fid's Inception as safetensors, for `langevin eval --features inception:FILE`.

    python inception.py weights-inception-2015-12-05-6726825d.pth inception.safetensors

torch-fidelity downloads the first file from its releases (v0.2.0) to torch's cache; pytorch-fid's pt_inception-2015-12-05-6726825d.pth
has the same tensors. Nothing of the file is run: torch reads it with weights_only.
"""

import argparse

import torch
from safetensors.torch import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help=".pth file")
    parser.add_argument("out", help=".safetensors file")
    args = parser.parse_args()
    state = torch.load(args.weights, map_location="cpu", weights_only=True)
    if "fc.weight" not in state or tuple(state["fc.weight"].shape) != (1008, 2048):
        parser.error(f"{args.weights}: not the Inception of the Fréchet distance, whose fc.weight is of shape (1008, 2048)")
    tensors = {k: v.float().contiguous() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(tensors, args.out, {"format": "pt"})
    print(f"{args.out}: {len(tensors)} tensors")


if __name__ == "__main__":
    main()
