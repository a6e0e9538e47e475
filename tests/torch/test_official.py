"""The same against the code that the authors published. Run by hand, where it lies:

  OFFICIAL_CODE=CLONE OFFICIAL_CONFIGS=FOLDER pytest tests/torch/test_official.py

CLONE holds their package `proxyless_nas`, FOLDER their four network configurations as proxyless_mobile.config and so on. If their weights
are in FOLDER too (proxyless_mobile.pth), those are compared as well.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys

import numpy as np
import pytest

from tests.torch import networks
from tf_proxyless.app.commands import import_torch_weights
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import torch_weights
from tf_proxyless.space import published

CODE, CONFIGS = os.environ.get('OFFICIAL_CODE'), os.environ.get('OFFICIAL_CONFIGS')
pytestmark = [pytest.mark.torch, pytest.mark.skipif(not (CODE and CONFIGS), reason='OFFICIAL_CODE and OFFICIAL_CONFIGS are not set')]


@pytest.fixture
def modules(monkeypatch):
  monkeypatch.syspath_prepend(CODE)
  yield __import__('proxyless_nas.nas_modules').nas_modules
  for name in [name for name in sys.modules if name.split('.')[0] == 'proxyless_nas']:
    del sys.modules[name]


@pytest.mark.parametrize('weights', ['random', 'published'])
@pytest.mark.parametrize('name', published.PROXYLESS_NAMES)
def test_logits_agree(modules, tmp_path, name, weights):
  config = json.loads(next(pathlib.Path(CONFIGS).glob(f'{name}.*config*')).read_text())
  net = modules.ProxylessNASNets.build_from_config(config)
  net.set_bn_param(bn_momentum=config['bn']['momentum'], bn_eps=config['bn']['eps'])
  path = pathlib.Path(CONFIGS, f'{name}.pth')
  if weights == 'published':
    if not path.exists():
      pytest.skip(f'there is no {path}')
    net.load_state_dict(networks.torch.load(path, map_location='cpu', weights_only=True)['state_dict'])
  else:
    path = tmp_path / 'random.pth'
    networks.randomize(net, seed=1)
    networks.save(net, path, wrap=lambda state: {'state_dict': state, 'dataset': 'imagenet'})
  network = published.network(name, padding='symmetric')
  model = keras_network.build(network)
  torch_weights.assign(model, network, import_torch_weights._read(path))
  images = np.random.default_rng(0).normal(size=(4, 224, 224, 3)).astype(np.float32)
  theirs = networks.logits(net, images)
  difference = np.abs(model(images, training=False).numpy() - theirs).max()
  print(f'{name}, {weights} weights: largest difference {difference:.1e} of logits up to {np.abs(theirs).max():.2f}')
  assert difference < 1e-3
