"""Makes the golden files in testdata/, or with --check compares them with what this machine makes.

    python make.py [--check] [NAME ...]      NAME: unet textunet dit temporal schedulers samplers pipelines ops optimizers flow diffusion text features tokenizers,
                                             or one file such as unet/deep
"""

import argparse
import os
import sys

import diffusers
import torch
import transformers

import bound
import bound_network
import byte_pairs
import consistency
import discrete
import features
import flow
import flow_training
import guidance
import manifolds
import modern
import networks
import ops
import optimizers
import pipelines
import samplers_sde
import schedulers
import schedulers_sde
import store
import students
import temporal
import text_encoders

TESTDATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata")


def jobs():
    for name, case in networks.UNETS.items():
        yield f"unet/{name}", lambda name=name, case=case: networks.make("unet", name, case)
    for name, case in networks.TEXT_UNETS.items():
        yield f"textunet/{name}", lambda name=name, case=case: networks.make("textunet", name, case)
    for name, case in networks.DITS.items():
        yield f"dit/{name}", lambda name=name, case=case: networks.make("dit", name, case)
    for name in temporal.CASES:
        yield f"temporal/{name}", lambda name=name: temporal.make(name)
    for name in schedulers.CASES:
        yield f"schedulers/{name}", lambda name=name: schedulers.make(name)
    for name in schedulers_sde.CASES:
        yield f"schedulers/{name}", lambda name=name: schedulers_sde.make(name)
    yield "samplers/stochastic", samplers_sde.make
    for name in pipelines.PIPELINES:
        yield f"pipelines/{name}/samples", lambda name=name: pipelines.make(name)
    for family in ops.FAMILIES:
        yield f"ops/{family}", lambda family=family: ops.make(family)
    yield "optimizers/optimizers", optimizers.make
    yield "optimizers/modern", modern.make
    yield "flow/flow", flow.make
    yield "flow/training", flow_training.make
    yield "flow/manifold", manifolds.make
    yield "flow/discrete", discrete.make
    yield "flow/consistency", consistency.make
    yield "diffusion/guidance", guidance.make
    yield "diffusion/bound", bound.make
    yield "diffusion/bound_network", bound_network.make
    yield "diffusion/students", students.make
    for name in text_encoders.CASES:
        yield f"text/{name}", lambda name=name: text_encoders.make(name)
    yield "features/inception", features.make_inception
    for name in features.DINOV2:
        yield f"features/dinov2-{name}", lambda name=name: features.make_dinov2(name)
    for style in byte_pairs.STYLES:
        yield f"tokenizers/{style}/cases", lambda style=style: byte_pairs.make(style)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a committed file differs")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    selected = [(n, f) for n, f in jobs() if not args.names or any(n == a or n.split("/")[0] == a for a in args.names)]
    if not selected:
        parser.error(f"nothing is called {' or '.join(args.names)}; there are {', '.join(n for n, _ in jobs())}")

    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)  # the order of the sums then does not depend on the machine's cores
    networks.check_embeddings()
    failed = 0
    for name, job in selected:
        tensors, metadata, *files = job()
        metadata = {"made_with": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}", **metadata}
        path = os.path.join(TESTDATA, name + ".safetensors")
        if not args.check:
            store.write(path, tensors, metadata)
            for folder in files:
                store.write_files(os.path.dirname(path), folder)
            print(f"{name}: {len(tensors)} tensors, {os.path.getsize(path) // 1024} KiB")
            continue
        metadata.pop("made_with")
        problems = store.compare(path, tensors, metadata)
        for folder in files:
            problems += store.compare_files(os.path.dirname(path), folder)
        print(f"{name}: {'the same' if not problems else '; '.join(problems)}")
        failed += bool(problems)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
