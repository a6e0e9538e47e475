"""Whatever a file holds, its parser gives a valid object or one documented error, in one line and in less than a second."""

from __future__ import annotations

import ast
import io
import json
import os
import pathlib
import resource
import tarfile
import zipfile

import hypothesis
import numpy as np
import pytest

from tests.fuzz import device_parsers  # noqa: F401, adds its parsers
from tests.fuzz import file_parsers
from tests.fuzz import harness
from tests.fuzz import strategies
from tests.fuzz import torch_parsers
from tf_proxyless.infra import safe_zip

LONG = 10  # times as many inputs as the quick tests
_SETTINGS = hypothesis.settings(deadline=None, database=None, print_blob=True, suppress_health_check=list(hypothesis.HealthCheck),
                                phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink))
_NO_FILES = (b'', b'\0', b'\n', b'\xff' * 100, b'{', b'[' * 100_000, b'{"a":' * 100_000, bytes(range(256)) * 400, b'9' * 100_000,
             b'a' * 300_000, b' ' * 300_000, b'\n' * 100_000, b'PK\x03\x04' + bytes(100), b'x=1 ' * 50_000, b'--' * 100_000)


@pytest.fixture(autouse=True)
def _needs_torch(request):
  if request.node.get_closest_marker('torch'):
    from tests.torch import networks  # noqa: F401, skips the test where PyTorch is not installed


def fuzz(parser, examples, folder):
  """Tries damaged inputs; Hypothesis shows the smallest that fails. FUZZ_SEED=n gives other inputs."""
  harness.check_seeds(parser, folder)

  @hypothesis.seed(int(os.environ.get('FUZZ_SEED', '0')))
  @hypothesis.settings(_SETTINGS, max_examples=examples)
  @hypothesis.given(strategies.damaged(parser.file_format, parser.seeds()))
  def run(content):
    harness.check(parser, content, folder)

  run()


@pytest.mark.parametrize('parser', harness.PARSERS[::4])
def test_some_inputs(parser, tmp_path):
  fuzz(parser, parser.quick, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize('parser', harness.PARSERS)
def test_many_inputs(parser, tmp_path):
  fuzz(parser, LONG * parser.quick, tmp_path)
  for content in _NO_FILES:
    harness.check(parser, content, tmp_path)


def test_nothing_is_ever_executed():
  """No module unpickles, evaluates, or starts a shell."""
  forbidden = {'eval', 'exec', 'pickle.load', 'pickle.loads', 'yaml.load', 'yaml.unsafe_load', 'marshal.loads', 'joblib.load'}
  root = pathlib.Path(__file__).parents[2]
  for path in (path for folder in ('tf_proxyless', 'tools', 'android_benchmark') for path in (root / folder).rglob('*.py')):
    text = path.read_text(encoding='utf-8')
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert not called & forbidden, path
    assert not any(word in text for word in ('allow_pickle=True', 'weights_only=False', 'shell=True')), path


@pytest.mark.parametrize('layer', [
    {'module': 'os', 'class_name': 'system', 'config': {}}, {'module': 'keras.layers', 'class_name': 'Lambda', 'config': {}},
    {'module': 'keras.utils', 'class_name': 'get_file', 'config': {}}, {'class_name': 'Lambda', 'config': {'function': ['4wA', None]}},
    {'module': 'builtins', 'class_name': 'function', 'config': 'eval'}, {'class_name': '__lambda__', 'config': {'value': '4wA'}},
    {'module': ['os'], 'class_name': 'x'}, {'module': 'keras.layers', 'class_name': 'x', 'registered_name': 'Lambda'}])
def test_a_keras_file_that_names_anything_but_layers_is_refused(tmp_path, layer):
  path = harness.put(file_parsers.keras_model(), tmp_path, 'model.keras')
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  config = json.loads(members['config.json'])
  config['config']['layers'].append(layer)
  harness.put(strategies.make_zip([*{**members, 'config.json': harness.to_json(config)}.items()]), tmp_path, 'model.keras')
  with pytest.raises(ValueError, match='modules or layers that are not of Keras'):
    safe_zip.check_keras(path)


def test_an_archive_that_would_fill_the_memory_is_refused():
  bomb = strategies.make_zip([(str(i), bytes(10_000_000)) for i in range(3)], zipfile.ZIP_DEFLATED)
  assert len(bomb) < 100_000
  with pytest.raises(ValueError, match='more than 20000000 bytes'):
    safe_zip.read(bomb, 20_000_000)


@pytest.mark.parametrize('array', [np.array([{}]), np.zeros(2, complex), np.zeros(2, [('a', 'f4')]), np.array(['2020'], 'M8[s]')])
def test_arrays_of_other_types_are_refused(tmp_path, array):
  np.savez(tmp_path / 'arrays.npz', a=array)
  with pytest.raises(ValueError, match="arrays.npz: 'a.npy' is not an array: "):
    safe_zip.read_arrays(tmp_path / 'arrays.npz')


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
  buffer = io.BytesIO()
  np.lib.format.write_array_header_1_0(buffer, {'descr': '<f8', 'fortran_order': False, 'shape': (2**36,)})
  path = harness.put(strategies.make_zip([('a.npy', buffer.getvalue())]), tmp_path, 'arrays.npz')
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  with pytest.raises(ValueError, match='is not an array'):
    safe_zip.read_arrays(path)
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000  # KiB


# --- PyTorch


def _text(value: str) -> bytes:
  """The pickle instruction BINUNICODE."""
  return b'X' + len(value).to_bytes(4, 'little') + value.encode()


def _weight_file(folder: pathlib.Path, instructions: bytes, zipped: bool) -> pathlib.Path:
  """A weight file of the state dict {'a': the result of pickle instructions}."""
  from tests.torch import networks

  path, pickled = folder / 'hostile.pth', b'\x80\x02}' + _text('a') + instructions + b's.'
  networks.torch.save({}, path, _use_new_zipfile_serialization=zipped)
  if zipped:
    with zipfile.ZipFile(path) as archive:
      members = [(name, pickled if name.endswith('data.pkl') else archive.read(name)) for name in archive.namelist()]
    path.write_bytes(strategies.make_zip(members))
  else:
    empty = b'\x80\x02}q\x00.'  # the state dict, after a magic number, a version and the machine
    assert path.read_bytes().count(empty) == 1
    path.write_bytes(path.read_bytes().replace(empty, pickled))
  return path


@pytest.mark.torch
@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('instructions', [
    *(strategies.call(name, _text(argument)) for name, argument in (
        ('os system', 'touch owned'), ('posix system', 'touch owned'), ('builtins eval', '1/0'), ('__builtin__ exec', '1/0'),
        ('builtins open', 'owned'), ('subprocess Popen', 'true'), ('torch.hub load_state_dict_from_url', 'http://127.0.0.1:9/x'),
        ('torch load', '/etc/passwd'), ('importlib import_module', 'this'), ('webbrowser open', 'x'))),
    strategies.call('torch._C _jit_set_profiling_mode', b'\x88'), b'(' + _text('touch owned') + b'ios\nsystem\n',
    _text('os') + _text('system') + b'\x93' + _text('touch owned') + b'\x85R'])
def test_nothing_in_a_weight_file_is_run(tmp_path, monkeypatch, instructions, zipped):
  monkeypatch.chdir(tmp_path)
  path = _weight_file(tmp_path, instructions, zipped)
  with pytest.raises(ValueError, match='not a file of PyTorch weights .UnpicklingError'):
    torch_parsers.read(path)
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.torch
@pytest.mark.parametrize('zipped', [True, False])
def test_a_small_weight_file_cannot_fill_the_memory(tmp_path, zipped):
  from tests.torch import networks

  path = _weight_file(tmp_path, strategies.call('builtins bytearray', strategies.integer(2**36)), zipped)
  with pytest.raises(ValueError, match='a bytearray, which may be of any length'):
    torch_parsers.read(path)
  networks.torch.save({'a': networks.torch.zeros(1, dtype=networks.torch.float16).expand(2**18, 2**18)}, path,
                      _use_new_zipfile_serialization=zipped)
  with pytest.raises(ValueError, match='claims more numbers than it has bytes'):
    torch_parsers.read(path)
  with pytest.raises(ValueError, match="'a' is no tensor"):
    torch_parsers.read(_weight_file(tmp_path, b'ctorch\nTensor\n', zipped))
  if zipped:
    path.write_bytes(strategies.make_zip([('archive/data/0', bytes(10_000_000))], zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match='compressed, which PyTorch never does'):
      torch_parsers.read(path)


@pytest.mark.torch
def test_a_storage_that_claims_more_than_it_holds_is_refused(tmp_path):
  """PyTorch itself fills 8 GiB: it allocates what the storage claims, and copies that as the tensor claims one number more."""
  from tests.torch import networks

  path, number = tmp_path / 'claims.pth', b'M' + (1000).to_bytes(2, 'little')
  networks.torch.save({'a': networks.torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
  before, of_storage, of_tensor = path.read_bytes().split(number)
  path.write_bytes(before + strategies.integer(2**31 - 1) + of_storage + strategies.integer(2**31) + of_tensor)
  used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  with pytest.raises(ValueError, match='claims more numbers than it has bytes'):
    torch_parsers.read(path)
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < used + 300_000  # KiB


@pytest.mark.torch
def test_an_archive_of_old_is_not_unpacked(tmp_path):
  path = tmp_path / 'old.pth'
  with tarfile.open(path, 'w') as archive:
    archive.add(__file__, 'storages')
  with pytest.raises(ValueError, match='not a file of PyTorch weights'):
    torch_parsers.read(path)


@pytest.mark.torch
@pytest.mark.parametrize('zipped', [True, False])
def test_a_long_word_is_refused_at_once(tmp_path, zipped):
  """PyTorch itself searches its message about an unknown name in a time that grows with the square of its length."""
  with pytest.raises(ValueError, match='a word of 500000 characters'):
    torch_parsers.read(_weight_file(tmp_path, b'ctorch\n' + b'x' * 500_000 + b'\n', zipped))
  text = 'a note of the training, ' * 1000
  path = tmp_path / 'checkpoint.pth'
  from tests.torch import networks
  networks.torch.save({'state_dict': {'a': networks.torch.zeros(1)}, 'note': text}, path, _use_new_zipfile_serialization=zipped)
  assert list(torch_parsers.read(path)) == ['a']
