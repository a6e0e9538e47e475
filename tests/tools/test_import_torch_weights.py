"""tools/import_torch_weights.py where PyTorch plays no part: mistakes that come to light before it is loaded, and its absence."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.search import runs

TOOL = runs.ROOT / 'tools' / 'import_torch_weights.py'


def import_weights(*arguments, path=''):
  """The command; `path` comes first where Python looks for modules."""
  environment = {**runs.environment(), 'PYTHONPATH': os.pathsep.join(filter(None, [str(path), str(runs.ROOT)]))}
  return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture
def weights(tmp_path) -> pathlib.Path:
  (tmp_path / 'weights.pth').write_bytes(b'PK')
  return tmp_path / 'weights.pth'


@pytest.mark.parametrize('arguments, message', [
    ((), '--weights is required'),
    (('--weights=weights.pth',), '--architecture is required'),
    (('--weights=weights.pth', '--architecture=proxyless_mobile'), '--output is required'),
    (('--weights=no.pth', '--architecture=proxyless_mobile', '--output=model.keras'), "there is no file 'no.pth'"),
    (('--weights=WEIGHTS', '--architecture=proxyless_mobile', '--output=model.h5'), "--output must end in .keras, got 'model.h5'"),
    (('--weights=WEIGHTS', '--architecture=proxyless_mobile', '--output=nowhere/model.keras'), "there is no folder 'nowhere'"),
    (('--weights=WEIGHTS', '--architecture=mobile', '--output=model.keras'), "did you mean 'proxyless_mobile'?"),
    (('--weights=WEIGHTS', '--architecture=proxyless_mobile', '--output=model.keras', '--resolution=100'), 'multiple of the total stride'),
    (('--weights=WEIGHTS', '--architecture=proxyless_mobile', '--output=model.keras', '--classes=0'), '--classes'),
])
def test_mistakes(weights, arguments, message):
  runs.check_mistake(import_weights(*(argument.replace('WEIGHTS', str(weights)) for argument in arguments)), message)


def test_pytorch_is_not_installed(weights, tmp_path):
  absent = tmp_path / 'absent'
  absent.mkdir()
  (absent / 'torch.py').write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
  result = import_weights(f'--weights={weights}', '--architecture=proxyless_mobile', f'--output={tmp_path / "model.keras"}', path=absent)
  runs.check_mistake(result, "reading .pth files needs PyTorch (No module named 'torch'): pip install 'tf_proxyless[torch]'")
