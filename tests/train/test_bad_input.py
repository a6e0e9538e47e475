"""A user's mistakes in a training: one line that says what to do and exit code 2, before TensorFlow is loaded where that can be."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.search import runs as search_runs
from tests.train import runs
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.train import run_directory

_WITHOUT_TENSORFLOW = '''
import sys
sys.modules['tensorflow'] = None
from tf_proxyless.app import command_line
from tf_proxyless.train import __main__ as train_main
command_line.run(train_main.main)
'''


def refuse(tmp_path, *arguments):
  """Runs the main where TensorFlow cannot be imported."""
  runs.architecture(tmp_path / 'tiny.json')
  command = [sys.executable, '-c', _WITHOUT_TENSORFLOW, '--architecture=tiny.json', '--run_dir=run', *runs.TINY, *map(os.fspath, arguments)]
  return subprocess.run(command, cwd=tmp_path, env=search_runs.environment(), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize('flags, messages', [
    (['--dataset='], ['--dataset is required']),
    (['--run_dir='], ['--run_dir is required']),
    (['--architecture='], ['--architecture is required, or --init']),
    (['--architecture=absent.json'], ['absent.json: No such file']),
    (['--architecture=proxyless_mobil'], ["'proxyless_mobil' is neither a file nor one of proxyless_mobile,", 'mobilenet_v2']),
    (['--dataset=cifar100'], ['tiny.json has 10 classes, the dataset has 100']),
    (['--width_multiplier=0.5'], ['--width_multiplier is for proxyless_mobile and mobilenet_v2, not for tiny.json']),
    (['--architecture=proxyless_gpu', '--width_multiplier=0.5'], ['--width_multiplier is for', 'not for proxyless_gpu']),
    (['--architecture=proxyless_mobile', '--width_multiplier=0'], ['--width_multiplier must be above 0']),
    (['--epochs=0'], ['--epochs=0']),
    (['--batch_size=0'], ['--batch_size=0']),
    (['--learning_rate=0'], ['--learning_rate must be above 0']),
    (['--learning_rate=nan'], ['--learning_rate=nan']),
    (['--learning_rate=-1'], ['--learning_rate=-1']),
    (['--momentum=1'], ['--momentum must be below 1']),
    (['--dropout_rate=1'], ['--dropout_rate must be below 1']),
    (['--weight_decay=2'], ['--weight_decay must be below 1']),
    (['--warmup_epochs=4'], ['--warmup_epochs=4 is more than --epochs=3']),
    (['--validation_images=1'], ['--validation_images must be a count above 1, or a fraction below 1, got 1']),
    (['--optimizer=adam'], ['--optimizer=adam', 'sgd', 'rmsprop']),
    (['--precision=int8'], ['--precision=int8', 'mixed_bfloat16']),
    (['--init=supernet'], ['--init=supernet and --search_dir go together']),
    (['--search_dir=somewhere'], ['--init=supernet and --search_dir go together']),
    (['--init=supernet', '--search_dir=nowhere'], ['nowhere', 'No such file']),
    (['--init=supernet', '--search_dir=x', '--resolution=16'], ['--init=supernet leaves resolution and widths as they were searched']),
    (['--init=absent.keras'], ['absent.keras: there is no such model']),
    (['--evaluate_only', '--run_dir='], ['--evaluate_only needs --init or --run_dir']),
    (['--evaluate_only'], ['run: there is no such model']),
    (['--evaluate_only', '--init=supernet'], ['--evaluate_only is for a model']),
    (['--flagfile=train/digitz.flags'], ['train/digitz.flags', "did you mean 'digits.flags'?"]),
    (['stray'], ["unexpected argument 'stray'"]),
])
def test_flags(tmp_path, flags, messages):
  search_runs.check_mistake(refuse(tmp_path, *flags), *messages)
  assert not (tmp_path / 'run').exists()


def test_good_flags_come_to_tensorflow(tmp_path):
  assert 'import of tensorflow halted' in refuse(tmp_path).stderr


def test_another_run(tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'run')
  run.create()
  run.claim({'seed': 1})
  assert 'import of tensorflow halted' in refuse(tmp_path).stderr  # nothing is lost yet
  (run.checkpoints / 'ckpt-3.index').write_bytes(b'')
  search_runs.check_mistake(refuse(tmp_path), 'seed was 1, is now 0', 'batch_size was None, is now 128', 'choose another --run_dir')


def test_an_architecture_of_another_space(tmp_path):
  search = tmp_path / 'search'
  search.mkdir()
  io.save_search_space(proxyless.proxyless(stage_filters=[8], stage_blocks=[2], stage_strides=[1], resolution=8, classes=10),
                       search / 'search_space.json')
  result = refuse(tmp_path, '--init=supernet', '--search_dir=search')
  search_runs.check_mistake(result, 'the architecture is not of the space that search searched: no choice for decision')


@pytest.mark.parametrize('content, message', [
    (b'', 'is not a .keras file, or a damaged one'),
    (b'PK\x03\x04 half of a file', 'is not a .keras file, or a damaged one'),
    ({'metadata.json': '{"keras_version": "3.12.0"}'}, 'was written by Keras 3.12.0; models are read that tf_keras (2.x) has written'),
    ({'metadata.json': '[]'}, 'is not a .keras file, or a damaged one'),
    ({'config.json': '{}'}, 'is not a .keras file, or a damaged one'),
])
def test_models_that_are_none(tmp_path, content, message):
  path = tmp_path / 'model.keras'
  if isinstance(content, bytes):
    path.write_bytes(content)
  else:
    with zipfile.ZipFile(path, 'w') as archive:
      for name, text in content.items():
        archive.writestr(name, text)
  for flags in (['--init=model.keras'], ['--init=model.keras', '--evaluate_only']):
    search_runs.check_mistake(refuse(tmp_path, *flags), 'model.keras', message)


@pytest.mark.parametrize('flag, message', [
    ('--dataset=digitz', 'digitz'),
    pytest.param('--batch_size=5000', 'batch_size must be an integer from 1 to 1437', marks=pytest.mark.long),
    pytest.param('--validation_images=5000', 'leaves nothing to train on', marks=pytest.mark.long),
    pytest.param('--learning_rate=1e30', 'the loss became', marks=pytest.mark.long),
])
def test_mistakes_that_come_to_light_later(tmp_path, data_dir, flag, message):
  architecture = runs.architecture(tmp_path / 'tiny.json')
  result = runs.run(*runs.TINY, f'--architecture={architecture}', f'--run_dir={tmp_path / "run"}', f'--data_dir={data_dir}', flag)
  search_runs.check_mistake(result, message)
