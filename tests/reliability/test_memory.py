"""Long runs hold their memory flat, and leave no descriptor, process or temporary folder: measured on the processes of users."""

import pytest

from tests.reliability import processes
from tests.search import runs as search_runs
from tf_proxyless.search import run_directory

pytestmark = pytest.mark.long
# Batches of 16: 71 weight steps an epoch.
STEPS = ('--batch_size=16', '--warmup_epochs=2', '--checkpoint_every_steps=50')
MOST_GROWTH = 0.02


def lines(path):
  return path.read_bytes().count(b'\n') if path.exists() else 0


def check(samples, warm, at_least):
  """Flat memory, the same descriptors throughout, no children."""
  assert len(samples) >= at_least, len(samples)
  growth = processes.growth(samples, warm)
  counts = [len(one.descriptors) for one in samples[warm:]]
  resident = [one.resident_bytes >> 20 for one in samples]
  print(f'{len(samples)} samples, {resident} MiB, growth {100 * growth:.2f} %, descriptors {counts[0]} to {counts[-1]}')
  assert growth < MOST_GROWTH
  assert max(counts[len(counts) // 2:]) <= max(counts[:len(counts) // 2]) + 1  # one that is open for a moment
  assert not any(one.children for one in samples)


@pytest.mark.parametrize('optimizer', ['reinforce', 'gradient'])
def test_a_search_of_two_thousand_steps(tmp_path, data_dir, monkeypatch, optimizer):
  folder = tmp_path / 'temporary'
  folder.mkdir()
  monkeypatch.setenv('TMPDIR', str(folder))
  run = run_directory.RunDirectory(tmp_path / 'run')
  process = search_runs.start(*search_runs.TINY, *STEPS, '--search_epochs=27', f'--architecture_optimizer={optimizer}',
                              f'--data_dir={data_dir}', f'--run_dir={run.path}')
  samples = processes.watch(process, lambda: lines(run.history))
  stdout, stderr = process.communicate()
  assert process.returncode == 0, stderr
  check(samples, warm=8, at_least=28)
  assert list(folder.iterdir()) == []
