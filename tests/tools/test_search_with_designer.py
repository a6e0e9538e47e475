"""`search --designer` as a user runs it: asks a finished search, or trains each network; its predictor is asked by other searches."""

from __future__ import annotations

import functools
import json
import signal

import numpy as np
import pytest

from tests.search import runs
from tf_proxyless.app import design_search
from tf_proxyless.cost import model as model_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import solver
from tf_proxyless.search import ask_tell
from tf_proxyless.search import run_directory
from tf_proxyless.search.designers import genetic
from tf_proxyless.search.designers import random
from tf_proxyless.search.predictors import file as predictor_file
from tf_proxyless.space import chamnet
from tf_proxyless.space import io
from tf_proxyless.space import schema

run = functools.partial(runs.run)
PROXY = ('--dataset=digits', '--validation_images=0.2', '--epochs=1', '--batch_size=128', '--learning_rate=0.1')


@pytest.fixture(scope='module')
def space_file(tmp_path_factory):
  """A space of some hundred networks, of widths, expansions and depths."""
  space = chamnet.chamnet(stem_filters=8, stage_filters=(8, (8, 16, 24), (16, 24)), stage_blocks=(1, (1, 2), 1), stage_strides=(1, 2, 1),
                          expansions=(1, (2, 4), (2, 4)), last_filters=(32, 64), resolution=8, classes=10, name='tiny')
  path = tmp_path_factory.mktemp('space') / 'space.json'
  io.save_search_space(space, path)
  return path


@pytest.fixture(scope='module')
def supernet(space_file, data_dir):
  """The directory of a short search with a supernet."""
  directory = space_file.parent / 'supernet'
  result = run('--dataset=digits', f'--data_dir={data_dir}', f'--search_space={space_file}', '--target_macs=5e4', '--batch_size=128',
               '--validation_batch_size=100', '--warmup_epochs=2', '--search_epochs=2', '--weight_steps_per_update=4',
               f'--run_dir={directory}')
  assert result.returncode == 0, result.stderr
  return directory


def flags_of(space_file, evaluator, directory, *more):
  return ('--dataset=digits', f'--search_space={space_file}', f'--evaluator={evaluator}', f'--run_dir={directory}', *more)


@pytest.mark.long
def test_a_finished_search_is_asked_and_its_predictor_again(space_file, supernet, tmp_path):
  """Networks scored by shared weights, a predictor of them, a network for each target; other searches ask the predictor alone."""
  first = tmp_path / 'first'
  result = run(*flags_of(space_file, supernet, first, '--designer=bayesian', '--targets=30%,60%', '--evaluations=30'))
  assert (result.returncode, result.stderr) == (0, ''), result.stderr
  space = io.load_search_space(space_file)
  costs = model_lib.from_macs(space)
  found = evaluations_lib.load(first / 'samples.bin')[1]
  assert len(found) == 30 and found.cost.max() <= costs.smallest + 0.6 * (costs.largest - costs.smallest)
  predictor, held_out = predictor_file.load(first / 'predictor.json', space)
  np.testing.assert_array_equal(predictor.paths, found.paths)
  assert design_search.describe(held_out.scores) in result.stdout
  check_front(first, space, [costs.smallest + share * (costs.largest - costs.smallest) for share in (0.3, 0.6)])
  page = (first / 'report.html').read_text(encoding='utf-8')
  assert 'best of all within the target' in page and 'Predicted and evaluated accuracy' in page
  history = [json.loads(line) for line in (first / 'history.jsonl').read_text().splitlines()]
  assert [entry['networks'] for entry in history] == [10, 20, 30]

  refused = run(*flags_of(space_file, first, tmp_path / 'refused', '--designer=bayesian', '--target_macs=40000'))
  runs.check_mistake(refused, '--designer=bayesian has a predictor of its own', '--designer=genetic searches it')
  second = tmp_path / 'second'
  result = run(*flags_of(space_file, first, second, '--designer=genetic', '--target_macs=40000'))
  assert result.returncode == 0 and not (second / 'samples.bin').exists(), result.stderr
  for directory in (first, second):
    derived = runs.tool('derive', f'--run_dir={directory}', '--max_macs=40000', f'--output={tmp_path / "derived.json"}')
    assert derived.returncode == 0 and 'chosen by predictor' in derived.stdout, derived.stderr
    assert io.load_architecture(tmp_path / 'derived.json').genotype == io.load_architecture(second / 'architecture.json').genotype


def check_front(directory, space, limits):
  front = json.loads((directory / 'front' / 'front.json').read_text())
  assert front['by'] == 'predictor' and [point['limit'] for point in front['points']] == pytest.approx(limits)
  estimates = [point['estimate'] for point in front['points']]
  assert estimates == sorted(estimates)
  for point, limit in zip(front['points'], limits):
    architecture = io.load_architecture(directory / 'front' / point['architecture'])
    assert architecture.network == schema.resolve(space, architecture.genotype)
    assert architecture.cost.macs == point['cost'] <= limit
    assert architecture.derivation.by == 'predictor'


@pytest.mark.long
def test_networks_are_trained_also_after_a_stop(space_file, data_dir, tmp_path):
  """Two at a time; stopped among the trainings and continued, the networks that were trained are those of a search that was not."""
  (tmp_path / 'proxy.flags').write_text('\n'.join((*PROXY, f'--data_dir={data_dir}')))
  more = ('--designer=genetic', '--targets=50%', '--evaluations=10', '--processes=2', f'--train_flagfile={tmp_path / "proxy.flags"}',
          f'--data_dir={data_dir}')
  directory = tmp_path / 'stopped'
  flags = flags_of(space_file, 'train', directory, *more)
  trained = lambda: sum((folder / 'results.json').exists() for folder in (directory / 'trainings').glob('*/'))
  result = runs.stop_when(runs.start(*flags), lambda: trained() >= 3, signal.SIGTERM)
  assert result.returncode == 0 and 'stopped and saved; the same command continues' in result.stderr
  assert json.loads((directory / 'status.json').read_text())['state'] == 'interrupted'
  runs.check_mistake(run(*flags, '--seed=1'), 'holds a run with other settings: seed was 0, is now 1')
  finished = run(*flags)
  assert finished.returncode == 0, finished.stderr
  assert len(evaluations_lib.load(directory / 'samples.bin')[1]) == 10
  found = evaluations_lib.load(directory / 'samples.bin')[1]
  accuracies = dict(zip(map(tuple, found.paths.tolist()), found.accuracy.tolist()))
  costs = model_lib.from_macs(io.load_search_space(space_file))
  limit = solver.Constraint(costs, costs.smallest + 0.5 * (costs.largest - costs.smallest))
  whole = ask_tell.ask_tell(genetic.Genetic(costs.decisions, [limit]), lambda paths: [accuracies[tuple(path)] for path in paths.tolist()],
                            costs, 10)
  np.testing.assert_array_equal(found.paths, whole.paths)  # of the same accuracies without a stop
  samples = (directory / 'samples.bin').read_bytes()
  again = run(*flags)
  assert again.returncode == 0 and (directory / 'samples.bin').read_bytes() == samples
  for training in (directory / 'trainings').glob('*/'):
    assert run_directory.RunDirectory(training).is_finished()


@pytest.mark.by_hand
def test_workers_train_for_a_chief(space_file, data_dir, tmp_path):
  """One is killed within a training, then the chief; the networks are those of a search alone, and each is trained once."""
  (tmp_path / 'proxy.flags').write_text('\n'.join((*PROXY, '--epochs=2', f'--data_dir={data_dir}')))
  more = ('--designer=random', '--targets=50%', '--evaluations=10', f'--train_flagfile={tmp_path / "proxy.flags"}',
          f'--data_dir={data_dir}')
  directory, port = tmp_path / 'run', runs.free_port()
  command = ('search', *flags_of(space_file, 'train', directory, *more))
  begun = lambda: list((directory / 'trainings').glob('*/history.jsonl'))
  trained = lambda: list((directory / 'trainings').glob('*/results.json'))
  chief, first = runs.start_as('chief', port, *command), runs.start_as('a', port, *command)
  assert runs.stop_when(first, lambda: len(begun()) > len(trained()), signal.SIGKILL, 900).returncode == -9
  workers = [runs.start_as(tuner_id, port, *command) for tuner_id in 'bc']
  runs.stop_when(chief, lambda: len(trained()) >= 3, signal.SIGKILL, 900)
  chief = runs.start_as('chief', port, *command)
  outputs = [process.communicate(timeout=900) for process in (chief, *workers)]
  assert [process.returncode for process in (chief, *workers)] == [0, 0, 0], outputs
  found = evaluations_lib.load(directory / 'samples.bin')[1]
  costs = model_lib.from_macs(io.load_search_space(space_file))
  limit = solver.Constraint(costs, costs.smallest + 0.5 * (costs.largest - costs.smallest))
  whole = ask_tell.ask_tell(random.Random(costs.decisions, [limit]), lambda paths: np.zeros(len(paths)), costs, 10)
  np.testing.assert_array_equal(found.paths, whole.paths)
  assert len(trained()) == len(np.unique(found.paths, axis=0)) and 'left out' not in ''.join(stderr for _, stderr in outputs)
  assert all(len(file.read_text().splitlines()) == 2 for file in begun())  # epochs, none of them twice


@pytest.mark.by_hand
def test_where_all_trainings_fail_the_search_ends_with_the_reason(space_file, data_dir, tmp_path):
  """Every training diverges at this learning rate: each failure is printed, then the error of the search."""
  (tmp_path / 'proxy.flags').write_text('\n'.join((*PROXY, f'--data_dir={data_dir}', '--learning_rate=1e30')))
  result = run(*flags_of(space_file, 'train', tmp_path / 'run', '--designer=random', '--targets=50%', '--evaluations=10', '--processes=2',
                         f'--train_flagfile={tmp_path / "proxy.flags"}', f'--data_dir={data_dir}'))
  lines = result.stderr.splitlines()
  assert result.returncode == 2 and len(lines) > 5 and all('the network is left out' in line for line in lines[:-1])
  assert lines[-1].startswith('error: training of ')


def test_mistakes_before_anything_is_evaluated(space_file, tmp_path):
  other = tmp_path / 'other.json'
  io.save_search_space(chamnet.chamnet(resolution=32, classes=10), other)
  (tmp_path / 'photos').mkdir()
  (tmp_path / 'photos' / 'flags.txt').write_text('--dataset=cifar10\n')
  (tmp_path / 'wrong.flags').write_text('--dataset=fashion_mnist\n--epochs=1\n')
  (tmp_path / 'resized.flags').write_text('--dataset=digits\n--resolution=16\n')
  directory = tmp_path / 'run'
  for arguments, message in [
      (['--evaluator=train'], '--evaluator is for a search with a --designer'),
      (['--targets=50%'], '--targets is for a search with a --designer'),
      (['--designer=genetic'], "--designer needs an --evaluator: 'train', or the directory of a search"),
      (['--designer=genetic', '--evaluator=train'], '--evaluator=train and --train_flagfile go together'),
      (['--designer=genetic', '--evaluator=runs/x', '--train_flagfile=a'], '--evaluator=train and --train_flagfile go together'),
      (['--designer=annealing'], '--designer'),
      (['--designer=random', '--evaluator=train', '--train_flagfile=nowhere.flags', '--targets=5e4'], 'nowhere.flags'),
      (['--designer=random', '--evaluator=train', f'--train_flagfile={tmp_path}/wrong.flags', '--targets=5e4'],
       'is for fashion_mnist, the search for digits'),
      (['--designer=random', '--evaluator=train', f'--train_flagfile={tmp_path}/resized.flags', '--targets=5e4'], 'trained from scratch'),
      (['--designer=random', '--evaluator=nowhere', '--targets=5e4'], "/nowhere is neither 'train' nor the directory of a"),
      (['--designer=random', '--evaluator=photos', '--targets=5e4'],
       '/photos is a search on cifar10, whose accuracies say nothing of --dataset=digits'),
      (['--designer=random', '--evaluator=nowhere', '--targets=1'], '--targets=1 is below the smallest network'),
      (['--designer=random', '--evaluator=nowhere', '--targets=many'], "got 'many'"),
      (['--designer=random', '--evaluator=nowhere', '--targets=50%,50%'], 'the same stands there twice'),
      (['--designer=random', '--evaluator=nowhere', '--targets=50%', '--target_macs=5e4'], 'give --targets or --target_macs, not both'),
      (['--designer=random', '--evaluator=nowhere', '--targets=50%', '--evaluations=9'], '--evaluations=9: must be an integer'),
      (['--designer=random', '--evaluator=nowhere'], 'give exactly one of'),
  ]:
    more = [] if any(each.startswith(('--targ', '--designer=r')) for each in arguments) else ['--target_macs=5e4']
    result = run('--dataset=digits', f'--search_space={space_file}', f'--run_dir={directory}', *arguments, *more, cwd=tmp_path)
    runs.check_mistake(result, message)
  assert not (directory / 'samples.bin').exists()


@pytest.mark.long
def test_a_search_of_another_space_is_not_asked(space_file, supernet, tmp_path):
  other = tmp_path / 'other.json'
  io.save_search_space(chamnet.chamnet(resolution=32, classes=10), other)
  result = run(*flags_of(other, supernet, tmp_path / 'run', '--designer=random', '--targets=50%'))
  runs.check_mistake(result, 'is a search of another space: tiny with input (8, 8, 3) and 10 classes, here chamnet with input')
