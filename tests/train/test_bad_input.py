"""A user's mistakes in a training: one line that says what to do and exit code 2, before TensorFlow is loaded where that can be."""

import zipfile

import pytest

from tests import forks
from tests.search import runs as search_runs
from tests.train import runs
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.train import run_directory

_WITHOUT_TENSORFLOW = '''
import sys
sys.modules['tensorflow'] = None
from tf_proxyless.app import commands
commands.run('train')
'''


def refuse(tmp_path, *arguments):
  """Runs the main where TensorFlow cannot be imported."""
  runs.architecture(tmp_path / 'tiny.json')
  command = ['-c', _WITHOUT_TENSORFLOW, '--architecture=tiny.json', '--run_dir=run', *runs.TINY, *arguments]
  return forks.run(*command, cwd=tmp_path, kind='light')


@pytest.mark.parametrize('flags, messages', [
    (['--dataset='], ['--dataset is required']),
    (['--architecture='], ['--architecture is required, or --init']),
    (['--architecture=proxyless_mobil'], ["'proxyless_mobil' is neither a file nor one of proxyless_mobile,", 'mobilenet_v2']),
    (['--dataset=cifar100'], ['tiny.json has 10 classes, the dataset has 100']),
    (['--learning_rate=0'], ['--learning_rate=0: must be a number, above 0']),
    (['--warmup_epochs=4'], ['--warmup_epochs=4 is more than --epochs=3']),
    (['--init=supernet'], ['--init=supernet and --search_dir go together']),
    (['--evaluate_only'], ['run: there is no such model']),
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
  search_runs.check_mistake(result, 'the architecture is not of the space that ', '/search searched: no choice for decision')


def test_models_that_are_none(tmp_path):
  path = tmp_path / 'model.keras'
  path.write_bytes(b'PK\x03\x04 half of a file')
  search_runs.check_mistake(refuse(tmp_path, '--init=model.keras'), 'model.keras', 'is not a .keras file, or a damaged one')
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('metadata.json', '{"keras_version": "3.12.0"}')
  search_runs.check_mistake(refuse(tmp_path, '--init=model.keras', '--evaluate_only'),
                            'was written by Keras 3.12.0; models are read that tf_keras (2.x) has written')


@pytest.mark.long
@pytest.mark.parametrize('flag, message', [('--batch_size=5000', 'batch_size must be an integer from 1 to 1437'),
                                           ('--validation_images=5000', 'leaves nothing to train on')])
def test_mistakes_that_come_to_light_later(tmp_path, data_dir, flag, message):
  architecture = runs.architecture(tmp_path / 'tiny.json')
  result = runs.run(*runs.TINY, f'--architecture={architecture}', f'--run_dir={tmp_path / "run"}', f'--data_dir={data_dir}', flag)
  search_runs.check_mistake(result, message)
