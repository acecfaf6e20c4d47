"""How many networks of a stack to evaluate at a time: by the size of caches or of a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from plugins.maths.networks.stacked import Stack, forward

# Networks side by side share the cost of the calls, until their intermediate results leave the
# caches: at 23 MiB each (width 128, 512 inputs) four cost as much as one by one, sixteen more; at
# 11 MiB each (128 inputs) eight cost 0.8 times what they do one by one.
ROOM = 96 << 20  # bytes, on a CPU
SHARE = 0.25  # of a GPU's free memory: the chains' own weights and factors need the rest


def at_once(stack: Stack, x: Tensor) -> int:
    """Return how many networks to evaluate at a time on a minibatch like x, at least 1.

    On a CPU their intermediate results take up to ROOM, on a GPU a share of its free memory.
    """
    room: float = ROOM
    if stack.flat.is_cuda:
        free, _ = torch.cuda.mem_get_info(stack.flat.device)
        room = SHARE * free
    return max(1, int(room / footprint(stack, x)))


def footprint(stack: Stack, x: Tensor) -> int:
    """Return the bytes that a forward pass of one network on x keeps for the way back.

    Two gradients of the weights are counted too: one written, one in the making.
    """
    kept: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    one, first = stack.flat[:1].clone().requires_grad_(), slice(0, 1)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        weights = stack.layout.views(one) | stack.buffers_of(first)
        out = forward(stack.module, weights, x)  # alive until counted: no address comes twice
    total = sum(kept.values()) + 2 * one.nbytes
    del out
    return total
