"""tools/import_torch_weights.py as a user runs it on files of PyTorch, and on files that only look like it."""

import datetime
import functools
import pathlib
import random
import struct

import numpy as np
import pytest

from tests.search import runs
from tests.tools import test_import_torch_weights as process
from tests.torch import networks
from tf_proxyless import zoo
from tf_proxyless.app.commands import import_torch_weights
from tf_proxyless.space import io
from tf_proxyless.space import published

pytestmark = pytest.mark.torch


@functools.cache
def official(name='proxyless_mobile', classes=1000):
  net = networks.ProxylessNet(published.network(name, classes=classes, padding='symmetric'))
  networks.randomize(net, seed=5)
  return net


def test_from_file_to_file(tmp_path):
  networks.save(official(), tmp_path / 'mobile.pth', zipped=False, wrap=lambda state: {
      'state_dict': {f'module.{name}': tensor for name, tensor in state.items()}, 'epoch': 3, 'dataset': 'imagenet'})
  result = process.import_weights(f'--weights={tmp_path / "mobile.pth"}', '--architecture=proxyless_mobile',
                                  f'--output={tmp_path / "mobile.keras"}')
  assert (result.returncode, result.stderr) == (0, '')
  assert '4,080,512 parameters, 320.43 M MACs' in result.stdout and 'images                 (x / 255 - mean) / std' in result.stdout
  assert sorted(path.name for path in tmp_path.iterdir()) == ['mobile.json', 'mobile.keras', 'mobile.pth']
  description = io.load_architecture(tmp_path / 'mobile.json')
  assert description.network == published.network('proxyless_mobile', padding='symmetric')
  assert description.input_normalization == {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}
  assert description.cost == io.Cost(macs=320_427_584, parameters=4_080_512) and 'tf_keras' in description.versions
  model = zoo.proxyless_mobile(padding='symmetric', weights=tmp_path / 'mobile.keras')
  images = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype(np.float32)
  np.testing.assert_allclose(model(images), networks.logits(official(), images), rtol=0, atol=1e-3)


def test_an_architecture_file_becomes_symmetric(tmp_path):
  net = official('proxyless_gpu', classes=10)
  networks.save(net, tmp_path / 'gpu.pth')
  space, genotype = published.published('proxyless_gpu', classes=10, resolution=64)
  found = io.Architecture(published.network('proxyless_gpu', classes=10, resolution=64), genotype, io.Cost(1, 2, predicted_ms=3.0))
  io.save_architecture(found, tmp_path / 'found.json')
  result = process.import_weights(f'--weights={tmp_path / "gpu.pth"}', f'--architecture={tmp_path / "found.json"}',
                                  f'--output={tmp_path / "model.keras"}', '--input_normalization=none')
  assert (result.returncode, result.stderr) == (0, '') and 'images' not in result.stdout
  description = io.load_architecture(tmp_path / 'architecture.json')
  assert description.network.padding == 'symmetric' and description.input_normalization is None
  assert description.cost.predicted_ms is None, 'it was of another padding'


def test_another_network_is_refused_with_the_right_name(tmp_path):
  networks.save(official('proxyless_gpu', classes=10), tmp_path / 'gpu.pth')
  result = process.import_weights(f'--weights={tmp_path / "gpu.pth"}', '--architecture=proxyless_mobile',
                                  f'--output={tmp_path / "model.keras"}')
  runs.check_mistake(result, 'missing: blocks.2.*, blocks.6.*', 'of another shape: first_conv.conv.weight 40x3x3x3, not 32x3x3x3',
                     "These are the weights of 'proxyless_gpu' with 10 classes")
  assert not (tmp_path / 'model.keras').exists()


@pytest.fixture(params=[True, False], ids=['zip', 'legacy'])
def small(request, tmp_path):
  """A small file in either form."""
  path = tmp_path / 'small.pth'
  torch = networks.torch
  state = {'conv.weight': torch.randn(64, 32, 1, 1), 'bn.weight': torch.ones(64)}
  torch.save({'state_dict': state}, path, _use_new_zipfile_serialization=request.param)
  return path


def test_both_forms_and_every_precision(tmp_path):
  torch = networks.torch
  values = {'half': torch.float16, 'brain': torch.bfloat16, 'single': torch.float32, 'double': torch.float64}
  for zipped in (True, False):
    torch.save({name: torch.tensor([1.0, -2.5]).to(kind) for name, kind in values.items()}, tmp_path / 'precisions.pth',
               _use_new_zipfile_serialization=zipped)
    read = import_torch_weights._read(tmp_path / 'precisions.pth')
    assert {name: (array.dtype, array.tolist()) for name, array in read.items()} == {
        name: (np.float32, [1.0, -2.5]) for name in values}


def test_what_holds_no_numbers(tmp_path):
  torch = networks.torch
  torch.save({'a': torch.eye(2).to_sparse()}, tmp_path / 'sparse.pth')
  with pytest.raises(ValueError, match='a holds no plain numbers: torch.float32, torch.sparse_coo'):
    import_torch_weights._read(tmp_path / 'sparse.pth')


class Unknown:
  """Something that a file may only hold if loading it runs code."""

  def __reduce__(self):
    return (pathlib.Path('/tmp/it_ran').touch, ())


def test_files_run_nothing(small):
  for content in (Unknown(), datetime.timedelta(1)):
    networks.torch.save({'state_dict': {}, 'other': content}, small)
    with pytest.raises(ValueError, match='small.pth: corrupt, or not a file of PyTorch weights .*UnpicklingError'):
      import_torch_weights._read(small)


@pytest.mark.parametrize('content', [b'', b'not weights at all', b'PK\x03\x04' + bytes(100), b'\x80\x02garbage', bytes(1000),
                                     struct.pack('<Q', 2**62) * 10])
def test_other_files(tmp_path, content):
  (tmp_path / 'other.pth').write_bytes(content)
  with pytest.raises(ValueError, match='other.pth: corrupt, or not a file of PyTorch weights'):
    import_torch_weights._read(tmp_path / 'other.pth')


@pytest.mark.parametrize('count', [100, pytest.param(5000, marks=pytest.mark.long)])
def test_damaged_files_raise_value_errors_only(small, count):
  """Truncated anywhere, or with altered bytes; what is still read has the names and shapes of a state dict."""
  whole, generator = small.read_bytes(), random.Random(0)
  refused = 0
  for i in range(count):
    data = bytearray(whole)
    if i % 2:
      del data[generator.randrange(len(data)):]
    else:
      for _ in range(generator.choice([1, 3, 30])):
        data[generator.randrange(1200 if i % 4 else len(data))] = generator.randrange(256)
    small.write_bytes(data)
    try:
      state = import_torch_weights._read(small)
    except ValueError:
      refused += 1
    else:
      assert all(isinstance(name, str) and array.dtype == np.float32 for name, array in state.items())
  assert refused > count / 2


def test_wrong_checksums_are_noticed(tmp_path):
  """PyTorch itself reads on."""
  torch, path = networks.torch, tmp_path / 'flipped.pth'
  torch.save({'a': torch.zeros(1000)}, path)
  data = bytearray(path.read_bytes())
  data[data.find(bytes(400)) + 200] = 7
  path.write_bytes(data)
  assert torch.load(path, weights_only=True)['a'].any()
  with pytest.raises(ValueError, match='wrong checksum of .*data/0'):
    import_torch_weights._read(path)
