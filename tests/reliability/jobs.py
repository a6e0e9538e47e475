"""The mains that are killed: tiny, with a checkpoint every other step; and when two of their results are the same."""

from __future__ import annotations

import json
import pathlib
import zipfile

import h5py
import numpy as np

from tests.android_benchmark import measuring
from tests.reliability import killing
from tests.search import runs
from tests.train import runs as train_runs
from tf_proxyless.cost import table as table_lib
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.search import run_directory

_TINY = tuple(flag for flag in runs.TINY if not flag.startswith(('--checkpoint_every_steps', '--scored_networks', '--warmup_epochs')))
_SPACE = tuple(flag for flag in _TINY if flag.startswith(('--resolution', '--stem', '--first', '--stage', '--head')))


def search(data_dir: str, optimizer: str) -> killing.Job:
  """A search of two decisions."""
  return killing.Job(
      f'search_{optimizer}',
      lambda folder: ('tf_proxyless.search', *_TINY, '--checkpoint_every_steps=2', '--scored_networks=60', '--warmup_epochs=1',
                      f'--data_dir={data_dir}', f'--architecture_optimizer={optimizer}', f'--run_dir={folder}'),
      _check_search, _staging, _check_run, _is_finished)


def train(data_dir: str, architecture: pathlib.Path) -> killing.Job:
  """A training with dropout, momenta and averages of weights."""
  return killing.Job(
      'train',
      lambda folder: ('tf_proxyless.train', *train_runs.TINY, '--checkpoint_every_steps=2', f'--data_dir={data_dir}',
                      f'--architecture={architecture}', f'--run_dir={folder}'),
      _check_training, _staging, _check_run, _is_finished)


def quantize(data_dir: str, model: pathlib.Path) -> killing.Job:
  """A quantization-aware fine-tuning."""
  return killing.Job(
      'quantize',
      lambda folder: (str(runs.ROOT / 'tools' / 'quantize.py'), f'--model={model}', '--dataset=digits', '--batch_size=128', '--epochs=2',
                      '--checkpoint_every_steps=2', f'--data_dir={data_dir}', f'--run_dir={folder}'),
      _check_training, _staging, _check_run, _is_finished)


def build_table() -> killing.Job:
  """A latency table of the search's operations, by a benchmark_model that measures the same each time."""
  seen: dict[pathlib.Path, list[bytes]] = {}

  def after_kill(folder: pathlib.Path) -> None:
    _check_blocks(folder, seen.setdefault(folder, []))

  def command(folder: pathlib.Path):
    folder.mkdir(exist_ok=True)
    return (str(runs.ROOT / 'tools' / 'build_latency_table.py'), *_SPACE, '--classes=10', '--device=host', '--rounds=2',
            f'--benchmark_binary={measuring.BINARY}',
            '--calibration_networks=4', '--validation_networks=4', f'--output={folder / "table.json"}', f'--work_dir={folder / "work"}')

  return killing.Job('build_table', command, _check_table, lambda folder: folder / 'work' / 'operations' / 'measurements.json.partial',
                     after_kill, _is_table_done)


def _staging(folder: pathlib.Path) -> pathlib.Path:
  return folder / 'checkpoints' / 'writing'


def _is_finished(folder: pathlib.Path) -> bool:
  status = folder / 'status.json'
  return status.exists() and json.loads(status.read_text())['state'] == 'finished'


def _is_table_done(folder: pathlib.Path) -> bool:
  """The proof is written and the measurements are forgotten: the same command would measure anew."""
  return (folder / 'table_proof.json').exists() and not (folder / 'work' / 'operations' / 'request.json').exists()


def _check_run(folder: pathlib.Path) -> None:
  """All that can be seen in a run directory is whole."""
  run = run_directory.RunDirectory(folder)
  for file in folder.glob('*.json'):
    json.loads(file.read_text())
  run.read_history()
  kept = sorted(run.checkpoints.glob('*.index'), key=lambda file: int(file.stem.removeprefix('ckpt-')))
  newest = run.newest_checkpoint()
  assert newest is None or newest == str(kept[-1]).removesuffix('.index')


def _check_arrays(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
  assert found.keys() == expected.keys() and expected
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)


def _check_common(folder: pathlib.Path, whole: pathlib.Path) -> None:
  found, expected = run_directory.RunDirectory(folder), run_directory.RunDirectory(whole)
  assert found.is_finished()
  assert runs.history(found) == runs.history(expected) and len(runs.history(found)) > 1
  _check_arrays(runs.variables(found), runs.variables(expected))
  for name in ('architecture.json', 'identity.json', 'split.npz'):
    assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
  assert not _staging(folder).exists() and not list(folder.glob('.*.json.*'))


def _check_search(folder: pathlib.Path, whole: pathlib.Path) -> None:
  _check_common(folder, whole)
  for name in ('derivation.json', 'samples.bin', 'search_space.json'):
    assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def _check_training(folder: pathlib.Path, whole: pathlib.Path) -> None:
  _check_common(folder, whole)
  results = [json.loads((path / 'results.json').read_text()) for path in (folder, whole)]
  for result in results:
    del result['seconds']
  assert results[0] == results[1]
  _check_arrays(*(_weights(path) for path in (folder, whole)))


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Of the final model."""
  if (folder / 'weights.npz').exists():
    with np.load(folder / 'weights.npz') as content:
      return dict(content)
  found = {}
  with zipfile.ZipFile(folder / 'model.keras') as archive, archive.open('model.weights.h5') as content, h5py.File(content) as weights:
    weights.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
  return found


def _check_blocks(folder: pathlib.Path, seen: list[bytes]) -> None:
  """What was measured before is there still, in the same place: not lost, and not measured again."""
  operations = folder / 'work' / 'operations'
  partial, whole = operations / 'measurements.json.partial', operations / 'measurements.json'
  try:
    content = partial.read_bytes()
  except FileNotFoundError:  # not begun, or done: by a benchmark that outlives its main by a moment, perhaps just now
    content = None
  if content is not None:
    lines = content[:content.rfind(b'\n') + 1].splitlines()
    assert lines[:len(seen)] == seen
    seen[:] = lines
  elif whole.exists():
    json.loads(whole.read_text())
  else:
    assert not seen


def _check_table(folder: pathlib.Path, whole: pathlib.Path) -> None:
  """The same table with the same proof."""
  table, expected = (table_lib.load(path / 'table.json') for path in (folder, whole))
  assert table.calibration is not None
  for value in ('entries', 'runtime', 'calibration', 'validation'):
    assert getattr(table, value) == getattr(expected, value), value
  rows, expected_rows = (validation_lib.load_rows(path / 'table_proof.json') for path in (folder, whole))
  assert rows == expected_rows
