"""Makes tables of latency or energy: models of a space's operations, measured by android_benchmark or on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
import pathlib
import shlex
import shutil
import statistics
import sys
import time
from typing import Any

from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.space import network as network_lib

CSV = '.csv'
OF_ENERGY = '--unit=mJ'  # of android_benchmark
HOST_RUNNER = 'tf_proxyless.deploy.litert_benchmark'
_REQUEST = 'request.json'  # what the measurements beside it are of
_USABLE = (0, 3)  # exit codes of android_benchmark with an output: all is well, or the output says what is not


@dataclasses.dataclass(frozen=True)
class Setup:
  """How and on what latencies, or energies, are measured.

  Attributes:
    device: 'host', 'adb', 'adb:SERIAL', 'adb:SERIAL,SERIAL' (phones of one model that share the work), 'gpu', or a CSV file of what
      somebody measured otherwise.
    precision: 'int8' or 'float32'.
    kernels: 'builtin' or 'xnnpack'; None on a GPU.
    threads: Threads of the interpreter.
    batch_size: Images a run; 1 but on a GPU.
    rounds: Separate measurements of each model.
    options: More flags of android_benchmark, for instance '--core_mask=10'.
    benchmark_binary: TFLite's benchmark_model for the device; on the host, None takes our own runner.
  """

  device: str
  precision: str
  kernels: str | None = 'builtin'
  threads: int = 1
  batch_size: int = 1
  rounds: int = 5
  options: tuple[str, ...] = ()
  benchmark_binary: str | None = None

  @property
  def unit(self) -> str:
    """'ms', or 'mJ' of energy."""
    return 'mJ' if OF_ENERGY in self.options else 'ms'


def measure(networks: Mapping[str, network_lib.Network], setup: Setup, work: pathlib.Path, io: str = 'int8') -> dict[str, Any]:
  """Measures networks, or operations as networks of one block.

  Args:
    networks: By a name that can be a file's.
    setup: How.
    work: Folder for models and measurements; what was measured there for the same request, before an interruption, say, is not
      measured again. Models are kept beside it, in `cache`.
    io: Type of inputs and outputs of int8 models: 'int8', or 'uint8' as deployed.

  Returns:
    The measurements, as android_benchmark writes them.

  Raises:
    UserError: The device cannot be used, or was lost.
  """
  if setup.device == 'gpu':
    from tf_proxyless.deploy import gpu_latency  # TensorFlow

    return gpu_latency.measure(networks, batch_size=setup.batch_size, rounds=setup.rounds)
  return measure_models(write_models(networks, setup.precision, work.parent / 'cache', io), setup, work)


def measure_models(paths: Mapping[str, pathlib.Path], setup: Setup, work: pathlib.Path) -> dict[str, Any]:
  """Measures .tflite files by android_benchmark; arguments and errors as for `measure`.

  Args:
    paths: By a name that can be a file's.
    setup: How; not on a GPU.
    work: Folder for copies and measurements.
  """
  models = work / 'models'
  _stage(paths, models)
  if setup.device.endswith(CSV):
    return _from_csv(pathlib.Path(setup.device), models, setup)
  request = json.dumps({'setup': dataclasses.asdict(setup), 'models': {path.name: _sha256(path) for path in sorted(models.iterdir())}})
  asked, output = work / _REQUEST, work / 'measurements.json'
  known = asked.exists() and _is_continued(asked.read_text(encoding='utf-8'), request)
  if not (known and output.exists()):
    if not known:
      for stale in (output, output.with_name(f'{output.name}.partial')):  # measured for another request
        stale.unlink(missing_ok=True)
    files.write_atomically(asked, request)
    _run_benchmark(models, setup, output)
  return measurements_lib.read(output)


def _is_continued(asked: str, request: str) -> bool:
  """Whether what was measured for one request counts for another: for the same, also where phones were added, or one was taken away."""
  bodies = json.loads(asked), json.loads(request)
  former, present = ({*body['setup'].pop('device').removeprefix('adb:').split(',')} for body in bodies)
  return bool(former & present) and bodies[0] == bodies[1]


def _from_csv(path: pathlib.Path, models: pathlib.Path, setup: Setup) -> dict[str, Any]:
  """Measurements from the lines of `measurements.read_csv`; several of a model say how large the error is.

  Raises:
    ValueError: A line is not as it should be.
    UserError: Some models are not there; tells which, and where they are.
  """
  found: dict[str, list[float]] = {name.stem: [] for name in sorted(models.iterdir())}
  for name, value in measurements_lib.read_csv(path, setup.unit):
    if name in found:  # else of another stage
      found[name].append(value)
  missing = [name for name, values in found.items() if not values]
  if missing:
    raise errors.UserError(f'{path} lacks {len(missing)} of the {len(found)} models in {models}, first {missing[0]}: measure these .tflite '
                           f'files, add a line `model,{setup.unit}` for each, and repeat the command')
  figures = {name: {**dict.fromkeys((*_STATISTICS, 'min_ms')), 'runs': len(values), 'launches': values, **{
      f'{kind}_{setup.unit.lower()}': value for kind, value in (
          ('median', statistics.median(values)), ('mean', statistics.fmean(values)),
          ('std', statistics.stdev(values) if len(values) > 1 else None))}} for name, values in found.items()}
  return {'device': {'model': path.stem, 'soc': None}, 'benchmark': {'tool': None, 'version': None, 'sha256': None}, 'settings': {},
          'reference': {'model': '', 'drift_percent': 0.0}, 'models': figures, 'failed': {}, 'warnings': (), 'meter': path.name}


def discard_cache(work: pathlib.Path) -> None:
  """Ends a job whose results are safe elsewhere: whatever is measured in this folder next, or in those in it, is measured anew."""
  for asked in work.glob(f'**/{_REQUEST}'):
    asked.unlink()


def _sha256(path: pathlib.Path) -> str:
  return hashlib.sha256(path.read_bytes()).hexdigest()


def write_models(networks: Mapping[str, network_lib.Network], precision: str, folder: pathlib.Path, io: str) -> dict[str, pathlib.Path]:
  """A .tflite file for each network, made where it is not in `folder` yet."""
  from tf_proxyless.deploy import op_models  # TensorFlow

  folder.mkdir(parents=True, exist_ok=True)
  items = progress.over(networks.items(), 'converting models', len(networks), 'model')
  return {name: op_models.write(network, precision, folder, io) for name, network in items}


def _stage(models: Mapping[str, pathlib.Path], folder: pathlib.Path) -> None:
  """A folder with exactly these models, by their names."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  for name, path in models.items():
    shutil.copyfile(path, folder / f'{name}.tflite')


def _run_benchmark(models: pathlib.Path, setup: Setup, output: pathlib.Path) -> None:
  command = ['-m', 'android_benchmark', f'--models={models}', f'--device={setup.device}', f'--output={output}',
             f'--threads={setup.threads}', f'--kernels={setup.kernels}', f'--rounds={setup.rounds}', *setup.options]
  if setup.benchmark_binary is not None:
    command.append(f'--benchmark_binary={setup.benchmark_binary}')
  else:
    command.append(f'--host_runner={shlex.quote(sys.executable)} -m {HOST_RUNNER}')
  exit_code = child_processes.run(command)  # asked to end, it restores a phone's settings first
  if exit_code not in _USABLE:
    raise errors.UserError(f'measuring ended with exit code {exit_code}, see above; the same command continues')


def runtime(measurements: Mapping[str, Any], setup: Setup) -> table_lib.Runtime:
  """What measurements hold for."""
  device, tool = measurements['device'], measurements['benchmark']
  return table_lib.Runtime(
      device=device['model'], precision=setup.precision, kernels=setup.kernels or 'unknown', threads=setup.threads,
      batch_size=setup.batch_size, soc=device['soc'], core_mask=measurements['settings'].get('core_mask'), benchmark_tool=tool['tool'],
      benchmark_version=tool['version'], benchmark_sha256=tool['sha256'], date=time.strftime('%Y-%m-%d'))


_STATISTICS = ('median_ms', 'p5_ms', 'p95_ms', 'mean_ms', 'std_ms', 'runs')


def _statistics(figures: Mapping[str, Any], unit: str) -> table_lib.LatencyStats:
  """An entry of a table."""
  if unit == 'ms':
    return table_lib.LatencyStats('measured', undisturbed_ms=figures.get('undisturbed_ms'), **{key: figures[key] for key in _STATISTICS})
  return table_lib.LatencyStats('measured', figures['median_mj'], mean_ms=figures['mean_mj'], std_ms=figures['std_mj'],
                                runs=len(figures['launches']))


def describe_errors(entries: Sequence[table_lib.Entry]) -> str:
  """How large the standard errors of measured entries are."""
  errors_ = [error for entry in entries if (error := entry.latency.error_percent) is not None]
  if not errors_:
    return 'each measured once, so that the error is not known'
  return f'standard error of an entry {statistics.median(errors_):.1f} % (median), at most {max(errors_):.1f} %'


def build(space: network_lib.Network, setup: Setup, work: pathlib.Path) -> tuple[table_lib.LatencyTable, dict[str, Any]]:
  """Measures every operation of a space.

  Returns:
    The table, not yet calibrated, and the measurements. Operations that always failed are not in the table; the measurements name them.

  Raises:
    UserError: The device cannot be used, or no operation could be measured.
  """
  signatures = {signature.file_name: signature for signature in network_lib.op_signatures(space)}
  networks = {name: network_lib.network_of_signature(signature) for name, signature in signatures.items()}
  measurements = measure(networks, setup, work / 'operations')
  entries = []
  for name, signature in signatures.items():
    if name in measurements['models']:
      entries.append(table_lib.Entry(signature, _statistics(measurements['models'][name], setup.unit)))
  if not entries:
    raise errors.UserError(f'no operation could be measured: {measurements["failed"]}')
  found = runtime(measurements, setup)
  name = f'{found.device}, {found.precision}, {found.kernels} kernels' + (', energy' if setup.unit == 'mJ' else '')
  reference = measurements['reference']
  source = f'measured on {found.date} in {setup.rounds} rounds; the reference drifted by {reference["drift_percent"]:.1f} %'
  if setup.unit == 'mJ':
    source += f'; above idle, by {measurements["meter"]}, {describe_errors(entries)}'
  if phones := measurements_lib.describe_phones(measurements):
    source += f'; the average of {phones}'
  return table_lib.LatencyTable(name, found, tuple(entries), source, unit=setup.unit), measurements
