"""Disks that are full and folders that cannot be written to: one line, nothing half written, and the same command continues."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.search import runs
from tests.train import runs as train_runs
from tf_proxyless.infra import checkpoints
from tf_proxyless.infra import files


def in_small_disk(tmp_path, size, command):
  """Runs a shell command in a mount namespace of its own, where `tmp_path`/disk is a disk of so many bytes."""
  disk = tmp_path / 'disk'
  disk.mkdir(exist_ok=True)
  script = f'mount -t tmpfs -o size={size} none {disk} && {command}'
  return subprocess.run(['unshare', '-rm', 'sh', '-c', script], capture_output=True, text=True, timeout=300, env=runs.environment())


@pytest.fixture(scope='module')
def namespaces():
  if subprocess.run(['unshare', '-rm', 'true'], capture_output=True).returncode:
    pytest.skip('this machine allows no mount namespaces')


def test_a_file_that_finds_no_room_leaves_the_old_one(tmp_path):
  """A process whose files may have 4000 bytes: the system refuses the rest as a full disk does."""
  code = ('import errno, resource, sys\nfrom tf_proxyless.infra import files\nfiles.write_atomically(sys.argv[1], b"old")\n'
          'resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n'
          'try:\n  files.write_atomically(sys.argv[1], bytes(5000))\nexcept OSError as error:\n  print(errno.errorcode[error.errno])')
  process = subprocess.run([sys.executable, '-c', code, tmp_path / 'file'], capture_output=True, text=True, env=runs.environment())
  assert (process.stdout, process.stderr) == ('EFBIG\n', '')
  assert (tmp_path / 'file').read_bytes() == b'old' and os.listdir(tmp_path) == ['file']


def test_a_checkpoint_that_finds_no_room_leaves_those_that_are_there(tmp_path):
  kept = checkpoints.Checkpoints(tmp_path)
  variable = tf.Variable(tf.zeros([1000]))
  checkpoint = tf.train.Checkpoint(variable=variable)
  kept.add(checkpoint.write)

  def full(path):
    checkpoint.write(path)
    raise tf.errors.ResourceExhaustedError(None, None, 'No space left on device')

  before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
  with pytest.raises(OSError, match='the checkpoint cannot be written: No space left on device'):
    kept.add(full)
  assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
  kept.add(checkpoint.write)
  assert checkpoints.Checkpoints(tmp_path).newest().endswith('ckpt-2')


@pytest.mark.long
def test_a_training_on_a_disk_that_fills_up_continues_where_there_is_room(tmp_path, data_dir, namespaces):
  """Of 200 kB, which the checkpoints do not fit in."""
  architecture = train_runs.architecture(tmp_path / 'tiny.json', filters=64)
  flags = [*train_runs.TINY, f'--architecture={architecture}', f'--data_dir={data_dir}']
  disk, kept = tmp_path / 'disk', tmp_path / 'kept'
  command = ' '.join([sys.executable, '-m', 'tf_proxyless.train', *flags, f'--run_dir={disk / "run"}'])
  result = in_small_disk(tmp_path, 200_000, f'{command}; code=$?; cp -r {disk / "run"} {kept}; exit $code')
  assert result.returncode == 2 and result.stderr.count('\n') == 1 and result.stderr.startswith('error: '), result.stderr
  assert not list(kept.glob('checkpoints/writing/*')) and not list(kept.glob('.*'))
  for file in kept.glob('*.json'):
    json.loads(file.read_text())
  again = train_runs.run(*flags, f'--run_dir={kept}')
  assert again.returncode == 0, again.stderr
  assert files.read_json(kept / 'status.json', 'status')['state'] == 'finished'


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path, data_dir, namespaces):
  """A disk that is mounted read-only, which root cannot write to either."""
  run = tmp_path / 'disk' / 'run'
  command = ' '.join([sys.executable, '-m', 'tf_proxyless.search', *runs.TINY, f'--run_dir={run}', f'--data_dir={data_dir}'])
  remount = f'mount -o remount,ro {run.parent}'
  result = in_small_disk(tmp_path, 10**6, f'{remount} && {command}')
  runs.check_mistake(result, 'Read-only file system')
  result = in_small_disk(tmp_path, 10**6, f'mkdir -p {run / "checkpoints"} && {remount} && {command}')
  runs.check_mistake(result, str(run))
