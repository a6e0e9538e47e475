"""Two workers over gRPC: they search as two devices do, one writes, and the other is missed within a minute."""

import time

import numpy as np
import pytest

from tests import forks
from tests.reliability import workers
from tests.search import runs
from tests.train import runs as train_runs
from tf_proxyless.search import run_directory
from tf_proxyless.train import run_directory as train_directory

LOST = 'has ended or cannot be reached; see what it says itself. The same command on all workers continues from the last checkpoint\n'
IN_ONE_PROCESS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tf_proxyless.app import command_line
from tf_proxyless.app.commands import search
command_line.run(search)
"""


def kill_and_continue(module, flags, run, victim, begins):
  """Kills a worker in the middle, sees what the other says, and starts both again."""
  started = workers.start(module, *flags)
  while runs.checkpoint_number(run) < 1:
    assert [each.poll() for each in started] == [None, None], [each.communicate() for each in started]
    time.sleep(0.05)
  killed = time.monotonic()
  started[victim].kill()
  (code, _, stderr), = workers.finish([started[1 - victim]], limit_s=60)
  assert time.monotonic() - killed < 60
  line = stderr.splitlines(keepends=True)[-1]
  assert code == 2 and line.startswith(f'error: worker {victim} (localhost:') and line.endswith(LOST), stderr
  status = run.read_status()
  assert status['state'] == ('interrupted' if victim == 0 else 'failed') and (victim == 0 or 'worker 1' in status['reason'])
  first, second = workers.finish(workers.start(module, *flags))
  assert (first[0], second) == (0, (0, '', '')) and begins in first[1], (first, second)
  assert run.read_status()['state'] == 'finished'


@pytest.mark.long
@pytest.mark.parametrize('victim', [1, pytest.param(0, marks=pytest.mark.by_hand)])
def test_a_search_whose_worker_is_killed(tmp_path, data_dir, victim):
  run = run_directory.RunDirectory(tmp_path / 'run')
  flags = (*runs.TINY, f'--run_dir={run.path}', f'--data_dir={data_dir}', '--distribution=multi_worker')
  kill_and_continue('tf_proxyless.search', flags, run, victim, 'chosen by validation')
  assert [entry['epoch'] for entry in run.read_history()] == [0, 1, 2, 3, 4]


@pytest.mark.by_hand
@pytest.mark.parametrize('victim', [0, 1])
def test_a_training_whose_worker_is_killed(tmp_path, data_dir, victim):
  run = train_directory.RunDirectory(tmp_path / 'run')
  flags = (*train_runs.TINY, f'--run_dir={run.path}', f'--data_dir={data_dir}',
           f'--architecture={train_runs.architecture(tmp_path / "tiny.json")}', '--epochs=40')
  kill_and_continue('tf_proxyless.train', flags, run, victim, 'top-1')


@pytest.mark.by_hand
@pytest.mark.parametrize('optimizer', ['reinforce', 'gradient'])
def test_two_workers_are_two_devices(tmp_path, data_dir, optimizer):
  """Bit for bit, although each worker reads its own images."""
  flags = (*runs.TINY, f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}')
  one, two = (run_directory.RunDirectory(tmp_path / name) for name in ('one', 'two'))
  alone = forks.run('-c', IN_ONE_PROCESS, *flags, f'--run_dir={one.path}', '--distribution=mirrored', timeout=600)
  assert alone.returncode == 0, alone.stderr
  found = workers.finish(workers.start('tf_proxyless.search', *flags, f'--run_dir={two.path}'))
  assert [each[0] for each in found] == [0, 0], found
  assert runs.history(one) == runs.history(two) and one.architecture.read_bytes() == two.architecture.read_bytes()
  expected, got = runs.variables(one), runs.variables(two)
  assert expected.keys() == got.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(got[name], value, err_msg=name)


@pytest.mark.long
def test_workers_of_different_commands(tmp_path, data_dir):
  """The one that differs says in what; the other, that it is gone."""
  flags = (*runs.TINY, f'--data_dir={data_dir}')
  same, other = f'--run_dir={tmp_path / "run"}', f'--run_dir={tmp_path / "other"}'
  for more, message in ((((same,), (same, '--seed=1')), 'all workers need the same command, and one --run_dir on a disk that they share'),
                        (((same,), (other,)), 'all workers need the same command, and one --run_dir on a disk that they share')):
    chief, worker = workers.finish(workers.start('tf_proxyless.search', *flags, more=more), limit_s=200)
    assert worker[0] == 2 and message in worker[2] and worker[2].count('\n') == 1, worker
    assert chief[0] == 2 and chief[2].splitlines(keepends=True)[-1].endswith(LOST), chief
