"""GPUs of this machine, given to parcels one by one: never more at work than there are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property


@dataclass
class Gpus:
    """The GPUs of this machine, given to parcels by index; `count` is asked when one is needed."""

    count: Callable[[], int]
    _taken: set[int] = field(default_factory=set)

    @cached_property
    def total(self) -> int:
        """How many there are."""
        return self.count()

    def free(self) -> list[int]:
        """Return the indices that no parcel holds."""
        return [index for index in range(self.total) if index not in self._taken]

    def take(self, amount: int) -> list[int]:
        """Take that many of the free ones."""
        taken = self.free()[:amount] if amount else []
        self._taken.update(taken)
        return taken

    def give_back(self, indices: Collection[int]) -> None:
        """Let others have them."""
        self._taken.difference_update(indices)

    def unmet(self, device: str, amount: int) -> str:
        """Return why a parcel on this device can never have that many, or an empty text."""
        if not amount:
            return ""
        if (wrong := gpu_on(device, amount)) or amount <= self.total:
            return wrong
        return (
            f"asks for {amount} GPUs (resources.gpu), and this machine has {self.total}; compute "
            "where there are more (--dask), or ask for fewer: --set FAMILY.STEP.resources.gpu=N"
        )


def gpu_on(device: str, amount: int) -> str:
    """Return what is wrong with asking for GPUs on a device, or an empty text."""
    if not amount or device.startswith("cuda"):
        return ""
    return (
        f"asks for a GPU (resources.gpu = {amount}), and the run computes on {device}; add "
        "--device cuda, or ask for none: --set FAMILY.STEP.resources.gpu=0"
    )


def cuda_devices() -> int:
    """Return how many GPUs torch can use on this machine."""
    import torch

    return torch.cuda.device_count()
