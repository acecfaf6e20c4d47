"""What the AGOP probe costs beside gradients of one row after another, on the study's network.

Run: python benchmarks/agop.py [--rounds 5] [--rows 256] [--looped 16]. One thread. All ways
compute the same matrix in double precision, as outer products of single rows' Jacobians of the
logits by the embeddings; the loop over rows does fewer of them and is scaled. `vmap` is that of
torch.func over jacrev. Rounds alternate between the ways and the median of their ratios is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from plugins.data.modular_arithmetic import ModularArithmetic
from plugins.maths.features.agop import average
from plugins.maths.features.gradients import RowGradients
from plugins.models.transformer import Transformer
from runner import Seed

CASES = {  # name -> (network, modulus)
    "64 wide, modulus 59": (Transformer(width=64, activation="gelu"), 59),
    "128 wide, modulus 97 (published)": (Transformer(width=128, activation="gelu"), 97),
}


class Rest(nn.Module):
    """The network behind its embedding: (B, T, D) -> (B, C)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, block: Tensor) -> Tensor:
        """Return the logits."""
        stream = block + self.network.position.weight[: block.shape[1]]
        for layer in self.network.blocks:
            stream = layer(stream)
        return self.network.head(self.network.norm(stream[:, -1]))


def looped(rest: Rest, x: Tensor) -> Tensor:
    """Return the AGOP by torch.autograd.functional.jacobian, a row at a time."""
    total: Tensor | float = 0.0
    for row in rest.network.token(x).detach():
        found = torch.autograd.functional.jacobian(lambda one: rest(one[None])[0], row)
        found = found.flatten(1)
        total = total + found.T @ found
    return total / len(x)


def mapped(rest: Rest, x: Tensor, chunk: int) -> Tensor:
    """Return the AGOP by vmap over jacrev, `chunk` rows at a time."""
    weights = dict(rest.named_parameters())
    each = jacrev(lambda one: functional_call(rest, weights, (one[None],))[0])
    total: Tensor | float = 0.0
    for some in rest.network.token(x).detach().split(chunk):
        found = vmap(each)(some).flatten(2)  # (B, C, d)
        total = total + torch.einsum("bci,bcj->ij", found, found)
    return total / len(x)


def timed(compute: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return process seconds and the result."""
    start = time.process_time()
    found = compute()
    return time.process_time() - start, found


def row_of_the_table(
    model: Transformer, modulus: int, memory: int, wish: argparse.Namespace
) -> str:
    """Measure one network; return ms a row, both ratios and the largest relative difference."""
    data = ModularArithmetic(modulus=modulus).run(Seed(0))
    network = model.shaped_for(data).initialise(Seed(0)).module().double()
    x, y = (torch.as_tensor(data["train"][name][: wish.rows]) for name in ("x", "y"))
    gradients, rest = RowGradients.by(network, "", "logits", x), Rest(network)
    few = slice(0, wish.looped)

    def ours(rows: slice = slice(None)) -> Tensor:
        return average(gradients, x[rows], y[rows], centred=False, memory=memory << 20).matrix

    times = []
    for _ in range(wish.rounds):
        mine, found = timed(ours)
        loop, from_loop = timed(lambda: looped(rest, x[few]))
        mapping, from_map = timed(lambda: mapped(rest, x, 32))
        times.append((mine / len(x), loop / wish.looped, mapping / len(x)))
    gap = max((ours(few) - from_loop).abs().max().item(), (found - from_map).abs().max().item())
    each = statistics.median(t[0] for t in times) * 1e3
    loop_ratio = statistics.median(t[1] / t[0] for t in times)
    map_ratio = statistics.median(t[2] / t[0] for t in times)
    gap /= found.abs().max().item()
    return f"{memory} MiB | {each:.2f} | {loop_ratio:.1f} | {map_ratio:.2f} | {gap:.0e}"


def main() -> None:
    """Print a table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--looped", type=int, default=16)
    parser.add_argument("--memory", type=int, nargs="+", default=[32], help="MiB")
    wish = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | memory | ours, ms a row | loop / ours | vmap / ours | difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (model, modulus) in CASES.items():
        for memory in wish.memory:
            print(f"| {name} | {row_of_the_table(model, modulus, memory, wish)} |", flush=True)


if __name__ == "__main__":
    main()
