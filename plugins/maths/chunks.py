"""How many networks of a stack to evaluate at a time: enough to fill a cache or a GPU, no more."""

from __future__ import annotations

import torch
from torch import Tensor

from plugins.maths.stacked import Stack, forward

# A network that fills the second-level cache alone gains nothing from company: measured at width
# 128 and 512 inputs, sixteen at a time cost 1.1 to 1.4 times what one by one does. Small networks
# share the cost of the calls.
CACHE = 1 << 24  # bytes
SHARE = 0.25  # of a GPU's free memory: the chains' own weights and factors need the rest


def at_once(stack: Stack, x: Tensor) -> int:
    """Return how many networks to evaluate at a time on a minibatch like x, at least 1.

    On a CPU their intermediate results stay within the cache, on a GPU within its free memory.
    """
    room: float = CACHE
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
