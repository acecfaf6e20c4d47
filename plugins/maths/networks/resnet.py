"""The residual networks for CIFAR as torch modules. Shapes: B images, C classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Padded(nn.Module):
    """Shortcut A: every second pixel, the new channels zero, half of them before and after."""

    def __init__(self, new: int) -> None:
        super().__init__()
        self.before, self.after = new // 2, new - new // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, c, h, w) as (B, c + new, h / 2, w / 2)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to the input."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = (
                Padded(outputs - inputs)
                if shortcut == "A"
                else nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's outputs."""
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(found + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """Images (B, channels, h, w) -> logits (B, C)."""

    def __init__(self, blocks: int, width: int, channels: int, outputs: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for stage in range(3):
            found = []
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                found.append(Residual(before, width << stage, stride, shortcut))
                before = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*found))
        self.linear = nn.Linear(before, outputs)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C)."""
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        found: Tensor = self.linear(torch.mean(x, (2, 3)))
        return found
