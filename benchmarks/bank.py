"""Banks against plain code: forward and backward of K = 10 networks, side by side.

    python benchmarks/bank.py [--device cuda] [--threads 2] [--only dcgan] [--record]

For every policy the plain program that defines it is timed in turn with the bank, and
the table gives the median of the ratios of neighbouring runs, so that a machine that is
busy with something else slows both alike; on one thread it is processor time that is
compared. "K passes" is what one would write without the policy's idea: K whole networks
one after another (for own_first and own_last that is another model, whose batch norms
see one network's samples at a time).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from multigan_lib.nets import (
    Bank,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    ResNetGenerator,
)

K = 10
POINTS = [("MLP 128-128, points", MLPGenerator, (64, 512))]
IMAGES = [
    ("DCGAN 16 px, width 16", partial(DCGANGenerator, (1, 16, 16), width=16), (6, 64)),
    ("DCGAN 16 px, width 32", partial(DCGANGenerator, (1, 16, 16), width=32), (6, 64)),
    ("DCGAN 32 px, width 16", partial(DCGANGenerator, (3, 32, 32), width=16), (6, 64)),
    ("DCGAN 32 px, width 32", partial(DCGANGenerator, (3, 32, 32), width=32), (6, 64)),
    ("DCGAN 32 px, width 64", partial(DCGANGenerator, (3, 32, 32), width=64), (12,)),
    ("DCGAN 32 px, width 128", partial(DCGANGenerator, (3, 32, 32), width=128), (12,)),
    ("DCGAN 64 px, width 16", partial(DCGANGenerator, (3, 64, 64), width=16), (6,)),
    ("ResNet 32 px, width 16", partial(ResNetGenerator, width=16), (6,)),
]
"""Names, networks and batch sizes a network: 64 samples in all, or 64 each."""
JUDGES = [
    ("MLP 128, points", MLPDiscriminator, (512,)),
    ("DCGAN 16 px, width 16", partial(DCGANDiscriminator, (1, 16, 16), 16), (64,)),
    ("DCGAN 32 px, width 16", partial(DCGANDiscriminator, (3, 32, 32), 16), (64,)),
    ("DCGAN 32 px, width 32", partial(DCGANDiscriminator, (3, 32, 32), 32), (64,)),
    ("DCGAN 32 px, width 64", partial(DCGANDiscriminator, (3, 32, 32), 64), (16,)),
]


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(
        f"K = {K}, {arguments.device}, {arguments.threads} threads, forward + backward"
    )
    print(
        f"{'policy':10} {'network':24} {'batch':>5} {'bank':>9}   reference  K passes"
    )
    ratios = {}
    start = time.perf_counter()
    for policy, role, (name, make, sizes) in _cases():
        for batch in sizes:
            case = f"{policy}, {role} {name}, batch {batch}"
            if arguments.only in case:
                bank, reference, passes = measure(
                    make, policy, batch, arguments.device, arguments.repeats
                )
                label = f"{policy:10} {role[0]} {name:22} {batch:5}"
                times = f"{1e3 * bank:6.1f} ms {reference:9.2f} × {passes:7.2f} ×"
                print(label, times, flush=True)
                ratios[f"{case}: reference / bank"] = reference
                ratios[f"{case}: K passes / bank"] = passes
    if arguments.record:
        _record(ratios, time.perf_counter() - start, arguments)


def measure(
    make: Callable[[], nn.Module], policy: str, batch: int, device: str, repeats: int
) -> tuple[float, float, float]:
    """Seconds of the bank, and how many times longer the others take."""
    nets = [make() for _ in range(K)]
    bank = Bank(nets, policy=policy).to(device)
    children = dict(nets[0].named_children())
    own = {"own_first": "first", "own_last": "last"}.get(policy)
    for net in nets[1:]:
        for name in set(children) - {own} if own else ():
            setattr(net, name, children[name])
    nets = [net.to(device) for net in nets]
    shape = (nets[0].latent_size,) if hasattr(nets[0], "latent_size") else nets[0].shape
    x = torch.randn(batch, *shape, device=device)

    def passes() -> Tensor:
        return torch.stack([net(x) for net in nets])

    def reference() -> Tensor:
        if policy == "own_first":
            h = torch.cat([net.first(x) for net in nets])
            return nets[0].last(nets[0].trunk(h)).unflatten(0, (K, -1))
        if policy == "own_last":
            h = nets[0].trunk(nets[0].first(x))
            return torch.stack([net.last(h) for net in nets])
        return passes()

    parameters = [*bank.parameters(), *nn.ModuleList(nets).parameters()]
    programs = [partial(bank, x), reference, passes]
    seconds = []
    for repeat in range(repeats + 2):
        times = [_time(program, parameters, device) for program in programs]
        if repeat >= 2:  # the first two warm up
            seconds.append(times)
    return (
        statistics.median(t[0] for t in seconds),
        statistics.median(t[1] / t[0] for t in seconds),
        statistics.median(t[2] / t[0] for t in seconds),
    )


def _time(
    program: Callable[[], Tensor], parameters: list[nn.Parameter], device: str
) -> float:
    for parameter in parameters:
        parameter.grad = None
    _wait(device)
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    program().square().mean().backward()
    _wait(device)
    return clock() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _cases():
    for policy in ("own_first", "own_last", "own_all"):
        for case in POINTS + IMAGES:
            yield policy, "generators", case
    for case in JUDGES:
        yield "own_all", "discriminators", case


def _record(
    ratios: dict[str, float], seconds: float, arguments: argparse.Namespace
) -> None:
    from multigan_lib import results
    from multigan_lib.experiments import provenance

    commit, dirty = provenance.commit()
    device = provenance.device_name(torch.device(arguments.device))
    record = results.Record(
        recipe="bank_benchmark",
        about="Time of plain code over that of a bank, forward and backward.",
        command="python benchmarks/bank.py --record",
        config={
            "networks": K,
            "threads": arguments.threads,
            "repeats": arguments.repeats,
        },
        seeds=[0],
        metrics={name: [ratio] for name, ratio in ratios.items()},
        how={name: results.How() for name in ratios},
        runs=[
            {
                "device": device,
                "commit": commit,
                "dirty": dirty,
                "seconds": seconds,
                "images_per_second": None,
            }
        ],
        versions=provenance.versions(),
    )
    print(results.write(record))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--record", action="store_true", help="write data/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
