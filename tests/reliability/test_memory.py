"""Long runs hold their memory flat, and leave no descriptor, process or temporary folder: measured on the processes of users."""

import json
import subprocess
import sys

import pytest

from tests.reliability import processes
from tests.search import runs as search_runs
from tests.tools import test_quantize
from tests.train import runs as train_runs
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import run_directory

pytestmark = pytest.mark.long
# Batches of 16: 71 weight steps an epoch.
STEPS = ('--batch_size=16', '--warmup_epochs=2', '--checkpoint_every_steps=50')
MOST_GROWTH = 0.02


def lines(path):
  return path.read_bytes().count(b'\n') if path.exists() else 0


def check(samples, warm, epochs):
  """Flat memory, the same descriptors throughout, no children. On a busy machine an epoch may end unseen."""
  assert warm + 6 < len(samples) <= epochs
  growth = processes.growth(samples, warm)
  counts = [len(one.descriptors) for one in samples[warm:]]
  resident = [one.resident_bytes >> 20 for one in samples]
  print(f'{len(samples)} samples, {resident} MiB, growth {100 * growth:.2f} %, descriptors {min(counts)} to {max(counts)}')
  assert growth < MOST_GROWTH
  assert min(counts[len(counts) // 2:]) <= min(counts[:len(counts) // 2]) + 1  # least, since some are open for a moment
  assert not any(one.children for one in samples)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
  """The folder for temporary files, empty again in the end."""
  folder = tmp_path / 'temporary'
  folder.mkdir()
  monkeypatch.setenv('TMPDIR', str(folder))
  yield folder
  assert list(folder.iterdir()) == []


def watch(process, path):
  """Samples of a run at the end of each epoch."""
  run = run_directory.RunDirectory(path)
  samples = processes.watch(process, lambda: lines(run.history))
  stdout, stderr = process.communicate()
  assert process.returncode == 0, stderr
  assert json.loads(run.status.read_text())['state'] == 'finished'
  return samples


@pytest.mark.by_hand
def test_a_search_of_two_thousand_steps(tmp_path, temporary, data_dir):
  process = search_runs.start(*search_runs.TINY, *STEPS, '--search_epochs=27', f'--data_dir={data_dir}', f'--run_dir={tmp_path / "run"}')
  check(watch(process, tmp_path / 'run'), warm=8, epochs=29)


@pytest.mark.by_hand
def test_a_training_and_a_quantization(tmp_path, temporary, data_dir):
  """Twenty epochs each."""
  more = ('--epochs=20', '--batch_size=64', f'--data_dir={data_dir}')
  process = train_runs.start(*train_runs.TINY, f'--architecture={train_runs.architecture(tmp_path / "tiny.json")}', *more,
                             f'--run_dir={tmp_path / "run"}')
  check(watch(process, tmp_path / 'run'), warm=6, epochs=20)
  process = test_quantize.start(*test_quantize.TINY, f'--model={tmp_path / "run"}', *more, f'--run_dir={tmp_path / "int8"}')
  check(watch(process, tmp_path / 'int8'), warm=7, epochs=21)


@pytest.mark.parametrize('name', dataset_names.EMBEDDED)
def test_preparing_a_dataset_leaves_no_temporary_folder(tmp_path, temporary, name):
  code = f'from tf_proxyless.data import sources; sources.open_dataset({name!r}, {str(tmp_path / "data")!r})'
  subprocess.run([sys.executable, '-c', code], env=search_runs.environment(), check=True, timeout=300)
  assert (tmp_path / 'data' / name).is_dir()
