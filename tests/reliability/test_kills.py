"""Search, train, quantize and table building killed at random moments: what comes out is what comes out of a run that nobody killed."""

import pytest

from tests.reliability import jobs
from tests.reliability import killing
from tests.train import runs as train_runs

SEED = 0
pytestmark = pytest.mark.timeout(1800)


def report(killer):
  print(f'{killer._job.name}, seed {SEED}: {killer.tally}')


@pytest.mark.long
@pytest.mark.parametrize('name, times', [
    ('reinforce', 4), ('train', 3), ('build_table', 1),
    *(pytest.param(name, times, marks=pytest.mark.by_hand) for name, times in (
        ('reinforce', 16), ('gradient', 10), ('train', 12), ('quantize', 8), ('build_table', 6)))])
def test_kills(tmp_path, data_dir, name, times):
  if name in ('reinforce', 'gradient'):
    job = jobs.search(data_dir, name)
  elif name == 'build_table':
    job = jobs.build_table()
  else:
    job = jobs.train(data_dir, train_runs.architecture(tmp_path / 'tiny.json'))
    if name == 'quantize':
      model = tmp_path / 'model'
      assert killing.wait(killing.start(model, job.command(model)), killing.LIMIT_S) == 0
      job = jobs.quantize(data_dir, model)
  killer = killing.Killer(job, tmp_path, SEED, plain_every=9)
  killer.kill(times)
  report(killer)
