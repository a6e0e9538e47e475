"""tools/tune.py as a user runs it; its trials are runs of their own."""

from __future__ import annotations

import fcntl
import functools
import signal
import time

import numpy as np
import pytest

from tests.search import runs
from tests.train import runs as train_runs
from tf_proxyless.app import models
from tf_proxyless.app.commands import tune
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

start = functools.partial(runs.start_tool, 'tune')
run = functools.partial(runs.tool, 'tune')


@pytest.mark.parametrize('arguments, message', [
    ((), '--run_dir is required'),
    (('--run_dir=DIR',), 'the flags of train are missing; they stand at the end, after --'),
    (('--run_dir=DIR', '--validation_images=0', '--', '--dataset=digits'), '--validation_images must be a count above 1'),
    (('--run_dir=DIR', '--hyperparameter=learning_rate', '--', '--dataset=digits'), 'a hyper-parameter must be NAME=LOW:HIGH'),
    (('--run_dir=DIR', '--hyperparameter=seed=0:9', '--hyperparameter=seed=0:9', '--', '--dataset=digits'), 'seed cannot be varied, or'),
    (('--run_dir=DIR', '--hyperparameter=run_dir=a|b', '--', '--dataset=digits'), 'run_dir cannot be varied'),
    (('--run_dir=DIR', '--hyperparameter=learning_rat=0:1', '--', '--dataset=digits'),
     "--hyperparameter: 'learning_rat' is no flag of train; did you mean 'learning_rate'"),
    (('--run_dir=DIR', '--trials=1', '--', '--dataset=digits'), '--trials'),
    (('--run_dir=DIR', '--dataset=digits'), 'unknown flag --dataset'),
    (('--run_dir=DIR', '--', '--architecture=proxyless_mobile', '--datset=digits'),
     'unknown flag --datset; did you mean --dataset?'),
    (('--run_dir=DIR', '--', '--architecture=nothing.json', '--dataset=digits'), 'trial 0: nothing.json: No such file or directory'),
])
def test_mistakes_of_both_command_lines(tmp_path, arguments, message):
  runs.check_mistake(run(*(argument.replace('DIR', str(tmp_path / 'tuning')) for argument in arguments)), message)
  assert not tune.TuningDirectory(tmp_path / 'tuning').begun, 'a mistake is no trial'


@pytest.mark.parametrize('settings, message', [
    ({'hyperparameter': ('optimizer=sgd|adam',)}, 'flag --optimizer=adam: must be one of sgd, rmsprop'),
    ({'hyperparameter': ('epochs=0:9:integer',)}, 'flag --epochs=0: must be an integer, at least 1'),
    ({'hyperparameter': ('seed=0:9:integer',)}, 'seed cannot be varied'),
    ({'oracle': 'hyperband', 'hyperparameter': ('epochs=2:9:integer',)}, '`oracle=hyperband` varies epochs by itself'),
    ({'oracle': 'hyperband', 'arguments': ('--dataset=digits', '--architecture=mobilenet_v2', '--warmup_epochs=3')},
     '`warmup_epochs=3` is more than `epochs=1`'),
    ({'job': 'search'}, '`job=search` and `train_flagfile` go together'),
    ({'train_flagfile': 'x.flags'}, '`job=search` and `train_flagfile` go together'),
    ({'job': 'search', 'train_flagfile': 'x.flags', 'arguments': ('--dataset=digits', '--designer=random')}, 'not one with `designer`'),
    ({'job': 'search', 'train_flagfile': 'x.flags', 'arguments': ('--dataset=digits', '--target_macs=3e5')}, 'x.flags'),
    ({'job': 'search', 'train_flagfile': 'train/cluttered_digits.flags', 'arguments': ('--dataset=digits', '--target_macs=3e5')},
     'train/cluttered_digits.flags is for cluttered_digits, the search for digits'),
    ({'arguments': ('--dataset=digits',)}, '`architecture` is required'),
])
def test_mistakes_of_what_is_tuned(tmp_path, settings, message):
  with pytest.raises(ValueError, match=message):
    tune._read(tune.Config(**{'run_dir': str(tmp_path), 'arguments': ('--dataset=digits', '--architecture=mobilenet_v2'), **settings}))


def test_another_tuning_is_not_continued(tmp_path):
  flags = ('--hyperparameter=momentum=0:0.9', '--', '--architecture=mobilenet_v2', '--dataset=digits')
  found = tune._read(tune.Config(run_dir=str(tmp_path), hyperparameter=('momentum=0:0.9',), arguments=flags[2:]))
  tune._claim(found, tune.TuningDirectory(tmp_path))
  trial = run_directory.RunDirectory(tmp_path / 'trial_00')
  trial.create()
  trial.claim({})
  (trial.checkpoints / 'ckpt-1.index').touch()
  runs.check_mistake(run(f'--run_dir={tmp_path}', '--seed=1', *flags), 'holds a run with other settings: seed was 0, is now 1')
  (tmp_path / 'tuning.json').touch()
  runs.check_mistake(run(f'--run_dir={tmp_path}', *flags), 'holds a tuning of an earlier edition, which cannot be continued')


def test_two_at_once_are_refused(tmp_path):
  with open(tmp_path / 'lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    runs.check_mistake(run(f'--run_dir={tmp_path}', '--', '--architecture=mobilenet_v2', '--dataset=digits'), 'is in use by another')


def ended(directory, state, **results):
  files.write_json(directory / 'status.json', 'status', state)
  if results:
    files.write_json(directory / 'results.json', models.RESULTS, results)


def test_outcomes(tmp_path):
  trial = run_directory.RunDirectory(tmp_path)
  (tmp_path / 'output.txt').write_text('warning: x\nerror: flag --batch_size=0: too small\n')
  with pytest.raises(ValueError, match='trial 3: flag --batch_size=0: too small'):
    tune._why_failed(trial, '03', 2)
  assert tune._why_failed(trial, '03', -9) == f'signal 9, see {tmp_path / "output.txt"}'
  assert tune._why_failed(trial, '03', 1).startswith('exit code 1')
  ended(tmp_path, {'state': 'interrupted'})
  assert tune._why_failed(trial, '03', 0) is None
  ended(tmp_path, {'state': 'failed', 'reason': 'the loss is NaN'})
  assert tune._why_failed(trial, '03', 2) == 'the loss is NaN'
  ended(tmp_path, {'state': 'finished'}, validation_top1=0.75, test_top1=0.5)
  assert tune._result(tmp_path, 'validation_top1') == 0.75
  ended(tmp_path, {'state': 'finished'}, test_top1=0.5)
  with pytest.raises(ValueError, match='results.json has no validation_top1'):
    tune._result(tmp_path, 'validation_top1')


@pytest.fixture(scope='module')
def architecture(tmp_path_factory):
  """A file of a network that trains in a second."""
  space = proxyless.proxyless(stage_filters=(8,), stage_blocks=(1,), stage_strides=(1,), stem_filters=8, stem_strides=1,
                              first_block_filters=8, head_filters=16, resolution=8, classes=10)
  genotype = schema.Genotype({path: 0 for path, _ in schema.walk(space)})
  path = tmp_path_factory.mktemp('tune') / 'architecture.json'
  io.save_architecture(io.Architecture(schema.resolve(space, genotype), genotype), path)
  return path


def arguments(architecture, data_dir, directory, trials=3, epochs=2, rates='0.01:0.3:log'):
  return (f'--run_dir={directory}', f'--trials={trials}', '--random_trials=2', f'--hyperparameter=learning_rate={rates}', '--',
          f'--architecture={architecture}', '--dataset=digits', f'--epochs={epochs}', '--batch_size=64', f'--data_dir={data_dir}')


def scores(directory):
  """Status and score of each trial by its number, as keras-tuner's store has them."""
  trials = [files.read_object(file) for file in directory.glob('trial_*/trial.json')]
  return {int(trial['trial_id']): (trial['status'], trial['score']) for trial in trials}


@pytest.mark.long
def test_interrupted_and_continued_equals_uninterrupted(architecture, data_dir, tmp_path):
  whole = run(*arguments(architecture, data_dir, tmp_path / 'whole'))
  assert whole.returncode == 0, whole.stderr
  assert whole.stdout.count('trial ') == 3 and 'with the flags as they are' in whole.stdout
  found = scores(tmp_path / 'whole')
  assert [found[number][0] for number in range(3)] == ['COMPLETED'] * 3
  best = (tmp_path / 'whole' / 'best.flags').read_text()
  number = max(range(3), key=lambda number: found[number][1])
  assert f': trial {number}, {100 * found[number][1]:.2f} %' in best and best.count('--learning_rate=') == (number > 0)

  parts = arguments(architecture, data_dir, tmp_path / 'parts')
  history = tmp_path / 'parts' / 'trial_1' / 'history.jsonl'
  stopped = runs.stop_when(start(*parts), lambda: history.exists() and history.stat().st_size, signal.SIGTERM)
  assert stopped.returncode == 0 and 'the same command continues' in stopped.stderr, stopped.stderr
  assert run(*parts).returncode == 0
  for file in ('best.flags', *(f'trial_{number}/trial.json' for number in range(3))):
    assert (tmp_path / 'parts' / file).read_text() == (tmp_path / 'whole' / file).read_text()
  more = run(*arguments(architecture, data_dir, tmp_path / 'parts', trials=4))
  assert more.returncode == 0 and more.stdout.count('trial ') == 1


@pytest.mark.by_hand
def test_a_trial_that_outlives_its_tuning_is_not_run_twice(architecture, data_dir, tmp_path):
  command = arguments(architecture, data_dir, tmp_path, trials=2, epochs=12)
  history = tmp_path / 'trial_0' / 'history.jsonl'
  runs.stop_when(start(*command), lambda: history.exists() and history.read_text(), signal.SIGKILL)
  deadline = time.monotonic() + 300
  while (continued := run(*command)).returncode and time.monotonic() < deadline:  # the trial saves, which it was asked to, and ends
    runs.check_mistake(continued, 'is in use by a process that outlived process')
  assert continued.returncode == 0, continued.stderr
  assert len(history.read_text().splitlines()) == 12


@pytest.mark.by_hand
def test_trials_that_diverge_are_failures_not_the_end(architecture, data_dir, tmp_path):
  result = run(*arguments(architecture, data_dir, tmp_path, trials=6, rates='1e20:1e30:log'))
  found = scores(tmp_path)
  assert [found[number][0] for number in range(4)] == ['COMPLETED', 'FAILED', 'FAILED', 'FAILED'] and len(found) == 4
  assert (result.returncode, result.stderr.count('\n')) == (2, 1) and '3 trials in a row failed' in result.stderr
  assert result.stdout.count('failed: ') == 3
  assert (tmp_path / 'best.flags').read_text().count('\n--') == 0


@pytest.mark.by_hand
def test_two_workers_and_a_chief_some_of_whom_are_killed(architecture, data_dir, tmp_path):
  """A worker is killed within a trial, which the other continues; then the chief, which is started again."""
  directory, port = tmp_path / 'tuning', runs.free_port()
  command = arguments(architecture, data_dir, directory, trials=6, epochs=6)
  chief, first = runs.start_as('chief', port, 'tune', *command), runs.start_as('worker1', port, 'tune', *command)
  history = directory / 'trial_0' / 'history.jsonl'
  runs.stop_when(first, lambda: history.exists() and history.read_text(), signal.SIGKILL, 900)
  epochs = len(history.read_text().splitlines())
  second, third = runs.start_as('worker2', port, 'tune', *command), runs.start_as('worker3', port, 'tune', *command)
  history = directory / 'trial_3' / 'history.jsonl'
  runs.stop_when(chief, lambda: history.exists() and history.read_text(), signal.SIGKILL, 900)
  chief = runs.start_as('chief', port, 'tune', *command)
  outputs = [process.communicate(timeout=900) for process in (chief, second, third)]
  assert [process.returncode for process in (chief, second, third)] == [0, 0, 0], outputs
  assert [scores(directory)[number][0] for number in range(6)] == ['COMPLETED'] * 6
  lines = (directory / 'trial_0' / 'history.jsonl').read_text().splitlines()
  assert len(lines) == 6 > epochs  # from its checkpoint
  assert 'best values' in outputs[0][0] and all('trial ' in stdout for stdout, _ in outputs[1:]), outputs
  assert (directory / 'best.flags').exists()
  alone = tmp_path / 'alone'  # values drawn evenly are the same whoever asks for them
  assert run(*arguments(architecture, data_dir, alone, trials=3, epochs=6)).returncode == 0
  for number in range(3):
    trials = [files.read_object(folder / f'trial_{number}' / 'trial.json') for folder in (directory, alone)]
    assert trials[0]['hyperparameters']['values'] == trials[1]['hyperparameters']['values']
    assert trials[0]['score'] == pytest.approx(trials[1]['score'])  # the chief gets 32 bits

  other = runs.start_as('worker4', port, 'tune', *arguments(architecture, data_dir, tmp_path / 'elsewhere', trials=6, epochs=6))
  again = runs.start_as('chief', port, 'tune', *arguments(architecture, data_dir, directory, trials=7, epochs=6))
  _, stderr = other.communicate(timeout=900)
  assert other.returncode == 2 and stderr.splitlines()[-1].startswith('error: ') and 'is not the folder of the chief at' in stderr
  again.send_signal(signal.SIGTERM)
  _, stderr = again.communicate(timeout=60)
  assert again.returncode == 0 and 'the same command continues' in stderr


def test_mistakes_of_chiefs_and_workers(tmp_path, monkeypatch):
  command = (f'--run_dir={tmp_path}', '--', '--architecture=mobilenet_v2', '--dataset=digits')
  monkeypatch.setenv('KERASTUNER_ORACLE_IP', 'localhost')
  runs.check_mistake(run(*command), 'KERASTUNER_ORACLE_IP is set, but KERASTUNER_ORACLE_PORT is not')
  monkeypatch.setenv('KERASTUNER_ORACLE_PORT', '8000')
  monkeypatch.setenv('KERASTUNER_TUNER_ID', 'worker1')
  (tmp_path / 'workers' / 'worker1').mkdir(parents=True)
  with locking.take(tmp_path / 'workers' / 'worker1'):
    runs.check_mistake(run(*command), 'workers/worker1 is in use by process')


@pytest.mark.long
def test_a_search_is_tuned_by_the_network_that_it_finds(data_dir, tmp_path):
  (tmp_path / 'proxy.flags').write_text('--dataset=digits\n--epochs=1\n--batch_size=64\n--learning_rate=0.1\n')
  command = ('--job=search', f'--run_dir={tmp_path / "tuning"}', '--trials=2', f'--train_flagfile={tmp_path / "proxy.flags"}',
             '--hyperparameter=search_learning_rate=0.01:0.1:log', '--', *runs.TINY,
             '--warmup_epochs=1', '--search_epochs=1', '--frozen_epochs=0', f'--data_dir={data_dir}')
  history = tmp_path / 'tuning' / 'trial_1' / 'train' / 'history.jsonl'
  stopped = runs.stop_when(start(*command), lambda: (tmp_path / 'tuning' / 'trial_1' / 'train').exists(), signal.SIGTERM,
                           limit_s=900)
  assert stopped.returncode == 0 and not history.exists(), stopped.stderr
  result = run(*command)
  assert result.returncode == 0, result.stderr
  assert scores(tmp_path / 'tuning').keys() == {0, 1}
  trial = tmp_path / 'tuning' / 'trial_0'
  assert models.read_results(trial / 'train' / 'results.json')['validation_top1'] == scores(tmp_path / 'tuning')[0][1]
  digits = sources.open_dataset('digits', data_dir)
  search, training = (splits.load(str(trial / name / 'split.npz'), digits) for name in ('search', 'train'))
  assert not np.isin(training.validation, [*search.training, *search.validation]).any() and len(search.validation)


@pytest.mark.by_hand
def test_a_quantization_is_tuned_too(architecture, data_dir, tmp_path):
  trained = train_runs.run(f'--architecture={architecture}', '--dataset=digits', '--epochs=3', '--batch_size=64', '--validation_images=0.2',
                           f'--data_dir={data_dir}', f'--run_dir={tmp_path / "float"}')
  assert trained.returncode == 0, trained.stderr
  result = run('--job=quantize', f'--run_dir={tmp_path / "tuning"}', '--trials=2', '--', f'--model={tmp_path / "float"}', '--epochs=1',
               '--batch_size=64', f'--data_dir={data_dir}')
  assert result.returncode == 0, result.stderr
  assert [scores(tmp_path / 'tuning')[number][0] for number in range(2)] == ['COMPLETED', 'COMPLETED']
  second = files.read_object(tmp_path / 'tuning' / 'trial_1' / 'trial.json')
  assert second['hyperparameters']['values'].keys() == {'learning_rate', 'batch_norm_share', 'range_momentum'}
