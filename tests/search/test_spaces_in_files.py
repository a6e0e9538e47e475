"""A search of a space in a file: as one by flags, known by what is in the file."""

import shutil

import pytest

from tests.search import runs
from tests.search import test_bad_input
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import schema

_WITHOUT_SPACE = ('--dataset=digits', '--validation_images=0.2', '--target_macs=3e5', '--batch_size=128', '--validation_batch_size=100',
                  '--warmup_epochs=2', '--search_epochs=3', '--weight_steps_per_update=2', '--checkpoint_every_steps=3',
                  '--scored_networks=100')  # of runs.TINY


def _save(path, classes=10):
  """A space that no flags describe: the resolution is a decision."""
  op = schema.OneOf((ops.MBConv(8, 3, 1, 3), ops.SeparableConv(8), ops.Pool('max'), ops.Zero()), 'op')
  size = schema.OneOf((8, 12), 'resolution', 'resolution')
  blocks = (network_lib.Block('stem', ops.ConvBn(8, 3, 1)), network_lib.Block('block', op, residual=True),
            network_lib.Block('classifier', ops.Classifier(classes)))
  io.save_search_space(network_lib.Network('own', (size, size, 3), blocks), path)
  return path


def _finish(result):
  assert result.returncode == 0, result.stderr


@pytest.mark.by_hand
def test_it_is_the_search_that_flags_describe(tmp_path):
  by_flags, by_file = run_directory.RunDirectory(tmp_path / 'flags'), run_directory.RunDirectory(tmp_path / 'file')
  _finish(runs.run(*runs.TINY, f'--run_dir={by_flags.path}'))
  _finish(runs.run(*_WITHOUT_SPACE, f'--search_space={by_flags.search_space}', f'--run_dir={by_file.path}'))
  for name in ('architecture', 'samples', 'search_space'):
    assert getattr(by_file, name).read_bytes() == getattr(by_flags, name).read_bytes(), name


@pytest.mark.long
def test_a_run_goes_on_with_the_same_space_wherever_it_lies(tmp_path):
  space, run = _save(tmp_path / 'own.json'), tmp_path / 'run'
  arguments = (*_WITHOUT_SPACE, '--target_macs=4e4', '--warmup_epochs=1', '--search_epochs=1', '--frozen_epochs=0', f'--run_dir={run}')
  _finish(runs.run(*arguments, f'--search_space={space}'))
  assert io.load_architecture(run / 'architecture.json').network.input_shape[0] in (8, 12)
  assert '--search_space=' in (flags := (run / 'flags.txt').read_text()) and '--stem_filters' not in flags
  moved = shutil.move(space, tmp_path / 'moved.json')
  _finish(runs.tool('derive', f'--run_dir={run}', cwd=tmp_path))  # by validation, with the run's own copy of the space
  _finish(runs.run(*arguments, f'--search_space={moved}'))
  changed = io.load_search_space(moved)
  io.save_search_space(network_lib.Network('own', changed.input_shape, changed.blocks, 'symmetric'), moved)
  runs.check_mistake(runs.run(*arguments, f'--search_space={moved}'), 'other settings', "search_space was 'own ")


@pytest.mark.parametrize('flags, messages', [
    (['--search_space=fbnett'], ["search space 'fbnett' is neither a file nor one of those shipped", 'fbnet', 'fashion_mnist.json']),
    (['--search_space=fbnet', '--stage_blocks=1,2'], ['--stage_blocks describes --search_space=proxyless, not fbnet']),
    (['--search_space=own.json', '--stem_filters=8'], ['--stem_filters describes --search_space=proxyless', 'own.json has its own']),
    (['--search_space=own.json'], ['--search_space=own.json is for 11 classes, there are 10']),
    (['--search_space=broken.json'], ['broken.json']),
])
def test_what_does_not_fit(tmp_path, flags, messages):
  _save(tmp_path / 'own.json', classes=11)
  (tmp_path / 'broken.json').write_text('{"format": 3', encoding='utf-8')
  runs.check_mistake(test_bad_input.refuse(tmp_path, *_WITHOUT_SPACE, *flags), *messages)
  assert not (tmp_path / 'run').exists()


def test_the_classes_of_a_file_are_its_own(tmp_path):
  space = config_lib.SpaceConfig(search_space=str(_save(tmp_path / 'own.json', classes=11)))
  assert problem_lib.make_space(space).classes == 11
