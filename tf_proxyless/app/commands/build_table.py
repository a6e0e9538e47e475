r"""Measures a table of latency, or energy, of a search space on a phone, on this machine or on a GPU, and proves that it predicts.

  tf-proxyless build-table --device=host --output=host.json
  tf-proxyless build-table --device=adb --benchmark_binary=android_aarch64_benchmark_model --core_mask=10 --output=pixel2.json
  tf-proxyless build-table --unit=mJ --device=adb --benchmark_binary=android_aarch64_benchmark_model --output=pixel8_energy.json
  tf-proxyless build-table --device=gpu --precision=float32 --output=gpu.json

Every operation of the space is measured as a model of its own. Then whole networks are measured: some give the table its scale and
offset, the others say how far off its predictions are. Beside the table come OUTPUT_proof.json and OUTPUT_proof.png. An interrupted
run continues from --work_dir, by default OUTPUT_work; docs/measuring.md tells how to measure a phone.
"""

from __future__ import annotations

import dataclasses
import pathlib

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import device
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.space import network as network_lib


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  classes: int | None = options.option(None, 'Outputs of the classifier; by default those of a file, or 1000.', low=1)
  precision: str = options.option('int8', 'Precision of the models.', choices=('int8', 'float32'))
  batch_size: int = options.option(8, 'Images in a run, on a GPU only.', low=1)
  calibration_networks: int = options.option(10, 'Whole networks that scale and offset are fitted on.', low=0)
  validation_networks: int = options.option(30, 'Other whole networks that the predictions are checked on.', low=0)
  seed: int = options.option(0, 'Seed of the choice of networks and the order of measurements.', low=0)
  output: str | None = options.option(None, 'The table, a JSON file.', required=True)
  work_dir: str | None = options.option(None, 'Folder for models and measurements; by default OUTPUT_work.')
  space: config_lib.SpaceConfig = options.group('Search space', config_lib.SpaceConfig)
  device: config_lib.TableDeviceConfig = options.group('Measuring', config_lib.TableDeviceConfig)




def _setup(config: Config) -> table_builder.Setup:
  """How to measure.

  Raises:
    ValueError: Options do not fit each other.
  """
  if config.device.device != 'gpu':
    return device.setup(config.device, config.precision, config.seed)
  if config.device.unit != 'ms':
    raise ValueError('`device=gpu` shows no energy that this can read; `unit=mJ` is for phones and this machine')
  if config.precision != 'float32':
    raise ValueError('`device=gpu` measures TensorFlow in float32; add `precision=float32`')
  return table_builder.Setup('gpu', 'float32', None, 1, config.batch_size, config.device.rounds)


def _check(config: Config) -> tuple[network_lib.Network, table_builder.Setup, pathlib.Path, pathlib.Path]:
  config.require()
  output = pathlib.Path(config.output)
  if not output.parent.is_dir():
    raise ValueError(f'`output`: there is no folder {str(output.parent)!r}')
  if bool(config.calibration_networks) != bool(config.validation_networks):
    raise ValueError('give both `calibration_networks` and `validation_networks`, or 0 for both to leave the proof out')
  space = problem_lib.make_space(config.space, config.classes)
  setup = _setup(config)
  work = pathlib.Path(config.work_dir) if config.work_dir else output.with_name(f'{output.stem}_work')
  work.mkdir(parents=True, exist_ok=True)
  return space, setup, work, output


def _report_measurements(measurements: dict) -> None:
  for name, reason in measurements['failed'].items():
    print(f'warning: {name} failed and is left out: {reason}')
  for warning in measurements['warnings']:
    print(f'warning: {warning}')


def _save_proof(proof: validation_lib.Proof, output: pathlib.Path) -> None:
  from tf_proxyless.report.figures import scatter

  path = validation_lib.path_for(output)
  validation_lib.save(proof, path)
  groups = {purpose: [(row.predicted_ms, row.measured_ms) for row in proof.rows if row.purpose == purpose]
            for purpose in ('calibration', 'validation', 'published')}
  picture = path.with_suffix('.png')
  scatter.save(groups, proof.table.name, picture, proof.table.unit)
  print(f'{validation_lib.describe(proof)}\npicture                {picture}')


def main(config: Config) -> None:
  with errors.user_errors():
    space, setup, work, output = _check(config)
    lock = locking.take(work)
  stderr_lib.load_tensorflow()
  with lock, errors.user_errors():
    table, measurements = table_builder.build(space, setup, work)
    _report_measurements(measurements)
    table_lib.save(table, output)  # it is worth something already, should the proof be interrupted
    print(f'table                  {output}: {len(table.entries)} entries, {table.name}')
    if table.unit == 'mJ':
      print(f'error                  {table_builder.describe_errors(table.entries)}')
    missing = table.missing(network_lib.op_signatures(space))
    if missing:
      raise ValueError(f'no proof, since {len(missing)} operations of the space could not be measured: '
                       f'{"; ".join(map(str, missing))}; to measure anew, remove {work / "operations"}')
    if config.validation_networks:
      proof = validation_lib.validate(space, table, setup, work, config.calibration_networks, config.validation_networks, config.seed)
      _report_measurements(proof.measurements)
      table_lib.save(proof.table, output)
      _save_proof(proof, output)
    table_builder.discard_cache(work)
