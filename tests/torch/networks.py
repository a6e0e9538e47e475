"""ProxylessNAS networks as PyTorch modules, written for these tests, with the names of the official state dicts.

Whoever imports this is skipped where PyTorch is not installed, and fails where CI_TORCH says that it must be.
"""

from __future__ import annotations

import os

import pytest

if os.environ.get('CI_TORCH'):
  import torch
else:
  torch = pytest.importorskip('torch')

from torch import nn

from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops


class ConvBn(nn.Module):
  """Convolution without bias, padded by k // 2, batch normalisation with epsilon 1e-3, and ReLU6 if wanted."""

  def __init__(self, inputs: int, filters: int, kernel_size: int, strides: int = 1, groups: int = 1, activate: bool = True):
    super().__init__()
    self.conv = nn.Conv2d(inputs, filters, kernel_size, strides, kernel_size // 2, groups=groups, bias=False)
    self.bn = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1)
    self.activate = activate

  def forward(self, x):
    y = self.bn(self.conv(x))
    return nn.functional.relu6(y) if self.activate else y


class MBConv(nn.Module):
  """Mobile inverted bottleneck."""

  def __init__(self, inputs: int, op: ops.MBConv):
    super().__init__()
    middle = inputs * op.expand_ratio
    self.inverted_bottleneck = ConvBn(inputs, middle, 1) if op.expand_ratio > 1 else None
    self.depth_conv = ConvBn(middle, middle, op.kernel_size, op.strides, groups=middle)
    self.point_linear = ConvBn(middle, op.filters, 1, activate=False)

  def forward(self, x):
    y = x if self.inverted_bottleneck is None else self.inverted_bottleneck(x)
    return self.point_linear(self.depth_conv(y))


class Block(nn.Module):
  """An MBConv with or without shortcut, or nothing."""

  def __init__(self, traced: network_lib.TracedBlock):
    super().__init__()
    op = traced.block.op
    self.mobile_inverted_conv = MBConv(traced.input_shape[2], op) if isinstance(op, ops.MBConv) else None
    self.residual = traced.block.residual

  def forward(self, x):
    if self.mobile_inverted_conv is None:
      return x
    y = self.mobile_inverted_conv(x)
    return x + y if self.residual else y


class Classifier(nn.Module):

  def __init__(self, features: int, units: int):
    super().__init__()
    self.linear = nn.Linear(features, units)

  def forward(self, x):
    return self.linear(x)


class ProxylessNet(nn.Module):
  """The network of an architecture; images are float [batch, 3, height, width]."""

  def __init__(self, network: network_lib.Network):
    super().__init__()
    stem, *blocks, mix, last = network_lib.trace(network)
    self.first_conv = ConvBn(stem.input_shape[2], stem.block.op.filters, stem.block.op.kernel_size, stem.block.op.strides)
    self.blocks = nn.ModuleList(map(Block, blocks))
    self.feature_mix_layer = ConvBn(mix.input_shape[2], mix.block.op.filters, mix.block.op.kernel_size)
    self.classifier = Classifier(last.input_shape[2], network.classes)

  def forward(self, x):
    x = self.first_conv(x)
    for block in self.blocks:
      x = block(x)
    return self.classifier(self.feature_mix_layer(x).mean((2, 3)))


def randomize(net: nn.Module, seed: int) -> None:
  """Sets weights that keep activations at the size of trained ones, and batch normalisation that differs from its start in all four."""
  generator = torch.Generator().manual_seed(seed)
  uniform = lambda tensor, low, high: tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
  with torch.no_grad():
    for module in net.modules():
      if isinstance(module, nn.Conv2d):
        fan_in = module.weight[0].numel()
        module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
      elif isinstance(module, nn.BatchNorm2d):
        for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5), (module.running_mean, -0.5, 0.5),
                                  (module.running_var, 0.5, 2.0)):
          uniform(tensor, low, high)
      elif isinstance(module, nn.Linear):
        uniform(module.weight, -0.05, 0.05)
        uniform(module.bias, -0.5, 0.5)


def logits(net: nn.Module, images) -> torch.Tensor:
  """Of float NumPy images [batch, height, width, 3], with the statistics that the network keeps."""
  net.eval()
  with torch.no_grad():
    return net(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


def save(net: nn.Module, path, zipped: bool = True, wrap=lambda state: state) -> None:
  """Writes a state dict, `wrap`ped, in the newer form or in that of PyTorch before 1.6."""
  torch.save(wrap(net.state_dict()), path, _use_new_zipfile_serialization=zipped)
