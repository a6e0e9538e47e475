"""Measures the steps of a search against fixed networks, in the ImageNet space of ProxylessNAS, a wider one, FBNet's, or the tree space.

python tools/benchmark_search_step.py
python tools/benchmark_search_step.py --space=wide
python tools/benchmark_search_step.py --space=cifar_tree --resolution=32 --recompute_activations --weight_sharing=separate
python tools/benchmark_search_step.py --json --repetitions=10 --paths=2 --scaling

A fixed network is one sampled network alone: a static graph with the same kernels, depthwise gradient and optimizer. Ratios of
steps are taken in one process, interleaved step by step: the sum over paths of median times, over that of the other step, with a
bootstrap 95 % interval. Start-up and memory come from fresh processes. --json prints one object:

  setting            space, weight_sharing, resolution, batch_size, candidates, repetitions, paths, precision, recompute_activations
  machine            cores, tensorflow (version)
  ratios             weight_step (over the fixed network's), two_path_step (over the supernet's weight step) and forward (one
                     REINFORCE sample over a forward pass of the fixed network), mixture_step (of all candidates, for Gumbel-softmax)
                     and one_path_step (its straight-through form), both over the weight step and not of the tree,
                     expected_latency (E[latency] of the architecture parameters and its gradient, over the weight step), each with
                     ratio, low and high
  seconds            of one step, mean over paths of medians: weight_step, fixed_weight_step, two_path_step, forward, fixed_forward,
                     mixture_step, one_path_step, expected_latency
  start_up_seconds   after `import tensorflow` until the first step is done: all_steps (three graphs; no mixture),
                     weight_step (that graph only), fixed_network (the slowest of the fixed networks, which pays it again)
  peak_memory_mb     supernet (all steps on all paths; no mixture), fixed_network (weight step and forward, the largest), ratio, and
                     mixture (weight steps and mixtures; not of the tree)
  scaling            with --scaling: a list of such objects for fewer repetitions and paths, where another number of
                     candidates, batch size or resolution is the only change
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import gc
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from tf_proxyless.app import command_line
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import fbnet
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

# tf_proxyless.nn and .search bring TensorFlow: they are imported where a process measures with it.

# Candidates of a block, without Zero, which is the last where a block may be skipped.
_CANDIDATES_OF = {
    'proxyless': tuple(dict(kernel_size=kernel, expand_ratio=expand) for kernel, expand in proxyless.CANDIDATES),
    'wide': tuple(dict(zip(('kernel_size', 'expand_ratio', 'activation', 'se_ratio'), values))
                  for values in itertools.product((3, 5), (3, 6), ('relu6', 'hard_swish'), (0.0, 0.25))),
}
_TREE = 'cifar_tree'
_PUBLISHED = {'fbnet': (fbnet.fbnet, len(fbnet.CHOICES)), _TREE: (cifar_tree.cifar_tree, len(cifar_tree.EDGES))}  # and their candidates
_MOST_CANDIDATES = max(map(len, _CANDIDATES_OF.values())) + 1


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  json: bool = options.option(False, 'Whether to print one JSON object instead of tables.')
  space: str = options.option('proxyless', 'proxyless: MBConv of k3 k5 k7 and e3 e6; wide: of k3 k5, e3 e6, relu6 or hard_swish, with and '
                              'without squeeze-excite; fbnet, cifar_tree: as published.', choices=(*_CANDIDATES_OF, *_PUBLISHED))
  weight_sharing: str = options.option('nested', 'As in a search: nested or separate weights of the candidates.',
                                       choices=('nested', 'separate'))
  precision: str = options.option('float32', 'As in a search: of the supernet and of the fixed networks.',
                                  choices=config_lib.PRECISIONS)
  recompute_activations: bool = options.option(False, 'As in a search: of the supernet and of the fixed networks.')
  resolution: int = options.option(112, 'Input height and width, pixels.', low=32)
  batch_size: int = options.option(16, 'Images in a step.', low=2)
  candidates: int | None = options.option(
      None, 'How many candidates a block has: the first of k3e3 k3e6 k5e3 k5e6 k7e3 k7e6 Zero, or of the 17 of the wide space; all by '
      'default.', low=2, high=_MOST_CANDIDATES)
  repetitions: int = options.option(30, 'Times that each step of each path is measured.', low=2)
  paths: int = options.option(5, 'Sampled networks; each costs a trace of its fixed network.', low=1)
  scaling: bool = options.option(False, 'Whether to add other numbers of candidates, batch sizes and resolutions.')
  part: str = options.option('', 'What one process of this tool measures for another; not for people.')


STEPS = ('weight_step', 'fixed_weight_step', 'two_path_step', 'forward', 'fixed_forward', 'mixture_step', 'one_path_step',
         'expected_latency')
RATIOS = {'weight_step': 'fixed_weight_step', 'two_path_step': 'weight_step', 'forward': 'fixed_forward', 'mixture_step': 'weight_step',
          'one_path_step': 'weight_step', 'expected_latency': 'weight_step'}
_OF_MIXTURES = ('mixture_step', 'one_path_step')
# What this project accepts and aims at on two CPU cores (docs/performance.md).
LIMITS = {'weight_step': (1.10, 1.05), 'two_path_step': (1.30, 0.90), 'forward': (1.05, 1.05), 'expected_latency': (0.01, 0.01),
          'start-up': (12.0, 8.0),
          'memory': (1.35, 1.20)}
_WIDE_LIMITS = {**LIMITS, 'weight_step': (1.20, 1.15)}


@dataclasses.dataclass(frozen=True)
class Setting:
  """What is measured; the fields are flags of the same names."""

  resolution: int
  batch_size: int
  candidates: int
  repetitions: int
  paths: int
  space: str = 'proxyless'
  weight_sharing: str = 'nested'
  precision: str = 'float32'
  recompute_activations: bool = False

  @property
  def mixes(self) -> bool:
    """Whether all candidates are mixed too, of which the tree has too many."""
    return self.space != _TREE

  @property
  def nested(self) -> bool:
    return self.weight_sharing == 'nested'


def make_space(setting: Setting) -> network_lib.Network:
  """The space of a setting, with the first candidates of its order."""
  if setting.space in _PUBLISHED:
    return _PUBLISHED[setting.space][0](resolution=setting.resolution)
  candidates = _CANDIDATES_OF[setting.space]
  space = proxyless.proxyless(zero=setting.candidates > len(candidates), resolution=setting.resolution, allow_uneven=True)
  return dataclasses.replace(space, blocks=tuple(_with_candidates(block, candidates[:setting.candidates]) for block in space.blocks))


def _with_candidates(block: network_lib.Block, candidates: Sequence[dict[str, Any]]) -> network_lib.Block:
  """A block with other candidates, and Zero if it had it."""
  if not isinstance(block.op, schema.OneOf):
    return block
  choices = [dataclasses.replace(block.op.choices[0], **fields) for fields in candidates]
  choices += [op for op in block.op.choices if ops.is_zero(op)]
  return dataclasses.replace(block, op=schema.OneOf(tuple(choices), block.op.tag))


def sample_paths(space: network_lib.Network, count: int) -> np.ndarray:
  """Seeded uniform paths, and other choices beside them for the two-path step: int32 [count, 2, decisions]."""
  random = np.random.default_rng(0)
  sizes = np.array([len(one_of.choices) for _, one_of in schema.walk(space)])
  active = random.integers(sizes, size=(count, len(sizes)))
  inactive = (active + random.integers(1, sizes, size=active.shape)) % sizes
  return np.stack([active, inactive], axis=1).astype(np.int32)


def ratio_of_medians(numerator: np.ndarray, denominator: np.ndarray) -> dict[str, float]:
  """Ratio of summed medians with a bootstrap 95 % interval.

  Args:
    numerator: float [paths, repetitions], seconds.
    denominator: float [paths, repetitions], measured in turn with `numerator`, so both are resampled together.

  Returns:
    'ratio', 'low', 'high'.
  """
  random = np.random.default_rng(0)
  paths, repetitions = numerator.shape
  picks = random.integers(repetitions, size=(2000, paths, repetitions))
  resampled = [np.median(np.take_along_axis(times[None], picks, axis=2), axis=2).sum(axis=1) for times in (numerator, denominator)]
  low, high = np.percentile(resampled[0] / resampled[1], [2.5, 97.5])
  ratio = np.median(numerator, axis=1).sum() / np.median(denominator, axis=1).sum()
  return {'ratio': float(ratio), 'low': float(low), 'high': float(high)}


class Trainee:
  """A supernet or a fixed network, its optimizer, and its steps on one batch of noise."""

  def __init__(self, space: network_lib.Network, setting: Setting):
    import tensorflow as tf
    from tf_proxyless.nn import supernet as supernet_lib
    from tf_proxyless.search import steps as steps_lib
    from tf_proxyless.search import weight_optimizer
    random = np.random.default_rng(0)
    images = random.standard_normal((setting.batch_size, *space.input_shape), np.float32)
    self._batch = (tf.constant(images), tf.constant(random.integers(space.classes, size=setting.batch_size), tf.int32))
    self._learning_rate = tf.constant(1e-3)
    self._constant = tf.constant
    supernet = supernet_lib.Supernet(space, nested=setting.nested, precision=setting.precision, recompute=setting.recompute_activations)
    self._steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))

  def weight_step(self, path: np.ndarray) -> None:
    loss, _ = self._steps.train(*self._batch, self._constant(path), self._learning_rate)
    loss.numpy()

  def two_path_step(self, active: np.ndarray, inactive: np.ndarray) -> None:
    _, gradients = self._steps.gate_gradients(active, inactive, self._batch)
    gradients.numpy()

  def mixture_step(self) -> None:
    shape = (len(self._steps.decisions), max(len(each.choices) for each in self._steps.decisions))
    _, gradients = self._steps.mixture_gradients(np.full(shape, 1 / shape[1], np.float32), self._batch)
    gradients.numpy()

  def one_path_step(self, path: np.ndarray) -> None:
    choices = max(len(each.choices) for each in self._steps.decisions)
    self._steps.sampled_gradients(np.eye(choices, dtype=np.float32)[path], self._batch)

  def forward(self, path: np.ndarray) -> None:
    self._steps.accuracies(path[None], self._batch)


def make_expected_latency(space: network_lib.Network) -> Callable[[], None]:
  """E[latency] under the architecture parameters, and its gradient in them; the latencies are invented."""
  import tensorflow as tf
  from tf_proxyless.search import policy as policy_lib
  random = np.random.default_rng(0)
  runtime = table_lib.Runtime('invented', 'float32')
  stats = lambda: table_lib.LatencyStats('estimated', median_ms=float(random.uniform(0.1, 10.0)))
  entries = tuple(table_lib.Entry(signature, stats()) for signature in network_lib.op_signatures(space))
  model = model_lib.from_latency_table(space, table_lib.LatencyTable('invented', runtime, entries))
  parameters = policy_lib.Policy(model.choice_counts)

  @tf.function
  def value_and_gradient() -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
      expected = model.expected(parameters.probabilities())
    return expected, tape.gradient(expected, parameters.alpha)

  return lambda: value_and_gradient()[1].numpy()


_NO_DECISIONS = np.zeros(0, np.int32)


def make_fixed(space: network_lib.Network, path: np.ndarray, setting: Setting) -> Trainee:
  """One network of a space alone."""
  genotype = {name: int(index) for (name, _), index in zip(schema.walk(space), path, strict=True)}
  return Trainee(schema.resolve(space, genotype), setting)


def measure_steps(space: network_lib.Network, setting: Setting) -> dict[str, np.ndarray]:
  """Seconds of each of `STEPS`, in turn: float [paths, repetitions]."""
  supernet = Trainee(space, setting)
  expected_latency = make_expected_latency(space)
  names = [name for name in STEPS if setting.mixes or name not in _OF_MIXTURES]
  seconds = {name: np.zeros((setting.paths, setting.repetitions)) for name in names}
  for i, (active, inactive) in enumerate(sample_paths(space, setting.paths)):
    fixed = make_fixed(space, active, setting)
    calls: dict[str, Callable[[], None]] = {
        'weight_step': lambda active=active: supernet.weight_step(active),
        'fixed_weight_step': lambda fixed=fixed: fixed.weight_step(_NO_DECISIONS),
        'two_path_step': lambda active=active, inactive=inactive: supernet.two_path_step(active, inactive),
        'forward': lambda active=active: supernet.forward(active),
        'fixed_forward': lambda fixed=fixed: fixed.forward(_NO_DECISIONS),
        'mixture_step': supernet.mixture_step,
        'one_path_step': lambda active=active: supernet.one_path_step(active),
        'expected_latency': expected_latency,
    }
    for repetition in range(-2, setting.repetitions):  # twice to warm up
      for name in names:
        start = time.perf_counter()
        calls[name]()
        if repetition >= 0:
          seconds[name][i, repetition] = time.perf_counter() - start
    del fixed, calls
    gc.collect()  # the fixed network's graphs are cycles
  return seconds


def measure_process(space: network_lib.Network, setting: Setting, part: str) -> dict[str, float]:
  """Start-up and peak memory of this process, which must be fresh.

  Args:
    space: From `make_space`.
    setting: What to measure.
    part: 'search' (all three steps), 'weight' (weight steps only), 'mixture' (these and mixtures), or the index of a path for its fixed
      network.

  Returns:
    'start_up_seconds' and 'peak_memory_mb'.
  """
  import tensorflow  # noqa: F401, start-up is counted from here
  start = time.perf_counter()
  paths = sample_paths(space, setting.paths)
  if part == 'search':
    supernet = Trainee(space, setting)
    run = lambda active, inactive: (
        supernet.weight_step(active), supernet.two_path_step(active, inactive), supernet.forward(active))
  elif part == 'mixture':
    supernet = Trainee(space, setting)
    run = lambda active, inactive: (supernet.weight_step(active), supernet.mixture_step())
  elif part == 'weight':
    supernet = Trainee(space, setting)
    run = lambda active, inactive: supernet.weight_step(active)
  else:
    paths = paths[int(part)][None]
    fixed = make_fixed(space, paths[0, 0], setting)
    run = lambda active, inactive: (fixed.weight_step(_NO_DECISIONS), fixed.forward(_NO_DECISIONS))
  run(*paths[0])
  start_up = time.perf_counter() - start
  for active, inactive in np.tile(paths, (3, 1, 1)):
    run(active, inactive)
  unit = 2**20 if sys.platform == 'darwin' else 2**10  # ru_maxrss is in bytes there
  return {'start_up_seconds': start_up, 'peak_memory_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}


def run_part(setting: Setting, part: str) -> Any:
  """What a fresh process of this tool measures. This one must not hold TensorFlow: a child's peak memory begins at its parent's."""
  arguments = [f'--{name}={value}' for name, value in dataclasses.asdict(setting).items()]
  environment = {'TF_CPP_MIN_LOG_LEVEL': '2', **os.environ}
  result = subprocess.run([sys.executable, __file__, f'--part={part}', *arguments], env=environment, check=True, stdout=subprocess.PIPE)
  return json.loads(result.stdout)


def summarise_steps(seconds: dict[str, np.ndarray]) -> dict[str, Any]:
  """'ratios' and 'seconds' of what `measure_steps` gives."""
  return {
      'ratios': {name: ratio_of_medians(seconds[name], seconds[other]) for name, other in RATIOS.items() if name in seconds},
      'seconds': {name: float(np.median(times, axis=1).mean()) for name, times in seconds.items()},
  }


def benchmark(setting: Setting) -> dict[str, Any]:
  """All of one setting, as the module's docstring says."""
  search, weight = (run_part(setting, part) for part in ('search', 'weight'))
  mixture = run_part(setting, 'mixture') if setting.mixes else None
  fixed = [run_part(setting, str(i)) for i in range(setting.paths)]
  steps = run_part(setting, 'steps')
  largest = max(part['peak_memory_mb'] for part in fixed)
  return {
      'setting': dataclasses.asdict(setting),
      'machine': steps['machine'],
      **summarise_steps({name: np.array(times) for name, times in steps['seconds'].items()}),
      'start_up_seconds': {
          'all_steps': search['start_up_seconds'], 'weight_step': weight['start_up_seconds'],
          'fixed_network': max(part['start_up_seconds'] for part in fixed)},
      'peak_memory_mb': {
          'supernet': search['peak_memory_mb'], 'fixed_network': largest, 'ratio': search['peak_memory_mb'] / largest,
          **({'mixture': mixture['peak_memory_mb']} if mixture else {})},
  }


def scaled_settings(setting: Setting) -> list[Setting]:
  """Settings that differ from the given one in one respect, measured more briefly; the first does not differ."""
  brief = dataclasses.replace(setting, repetitions=max(2, setting.repetitions // 3), paths=min(2, setting.paths))
  changes = [{}, {'candidates': 2}, {'candidates': 4}, {'batch_size': 2 * setting.batch_size}]
  changes += [{'resolution': resolution} for resolution in (160, 224) if resolution > setting.resolution]
  return [dataclasses.replace(brief, **change) for change in changes]


def to_text(result: dict[str, Any]) -> str:
  """One setting as a table for people."""
  setting, seconds, start_up, memory = (
      result[key] for key in ('setting', 'seconds', 'start_up_seconds', 'peak_memory_mb'))
  lines = [f'space {setting["space"]}, {setting["weight_sharing"]} weights, {setting["precision"]}, '
           f'{setting["resolution"]} x {setting["resolution"]} pixels, '
           f'batch {setting["batch_size"]}, {setting["candidates"]} candidates, {setting["paths"]} paths, '
           f'{setting["repetitions"]} repetitions; {result["machine"]["cores"]} cores',
           f'{"":34}{"measured":>10}{"95 % interval":>16}{"limit":>8}{"aim":>7}']

  def row(label: str, value: str, interval: str, limit: str) -> str:
    limits = (LIMITS if setting['space'] == 'proxyless' else _WIDE_LIMITS).get(limit)
    shown = f'{limits[0]:>8.2f}{limits[1]:>7.2f}' if limits else ''
    return f'{label:34}{value:>10}{interval:>16}{shown}'.rstrip()

  for name, label in (('weight_step', 'weight step / fixed network'), ('two_path_step', 'two-path step / weight step'),
                      ('forward', 'forward / fixed network'), ('mixture_step', 'mixture of all / weight step'),
                      ('one_path_step', 'one-path step / weight step'),
                      ('expected_latency', 'expected latency / weight step')):
    if name not in result['ratios']:
      continue
    found, digits = result['ratios'][name], 4 if name == 'expected_latency' else 3
    lines.append(row(label, f'{found["ratio"]:.{digits}f}', f'{found["low"]:.{digits}f}-{found["high"]:.{digits}f}', name))
  lines += [row('start-up of all steps, s', f'{start_up["all_steps"]:.1f}', '', 'start-up'),
            row('peak memory / fixed network', f'{memory["ratio"]:.2f}', '', 'memory'),
            'seconds: ' + ', '.join(f'{name} {value:.4f}' for name, value in seconds.items()),
            'start-up, s: ' + ', '.join(f'{name} {value:.1f}' for name, value in start_up.items()),
            f'peak memory, MB: supernet {memory["supernet"]:.0f}, '
            + (f'with mixtures {memory["mixture"]:.0f}, ' if 'mixture' in memory else '')
            + f'fixed network {memory["fixed_network"]:.0f}']
  return '\n'.join(lines)


def measure_part(setting: Setting, part: str) -> Any:
  """What this process measures for another: `part` is 'steps', or as in `measure_process`."""
  space = make_space(setting)
  if part != 'steps':
    return measure_process(space, setting, part)
  seconds = {name: times.tolist() for name, times in measure_steps(space, setting).items()}
  import tensorflow as tf
  return {'seconds': seconds, 'machine': {'cores': os.cpu_count(), 'tensorflow': tf.__version__}}


def main(config: Config) -> None:
  most = _PUBLISHED[config.space][1] if config.space in _PUBLISHED else len(_CANDIDATES_OF[config.space]) + 1
  if config.space in _PUBLISHED and config.candidates not in (None, most):
    raise errors.UserError(f'`candidates` is for the spaces {" and ".join(_CANDIDATES_OF)}, got {config.candidates} for {config.space}')
  if (config.candidates or most) > most:
    raise errors.UserError(f'`candidates` must be at most {most} in the space {config.space}, got {config.candidates}')
  setting = Setting(config.resolution, config.batch_size, config.candidates or most, config.repetitions, config.paths, config.space,
                    config.weight_sharing, config.precision, config.recompute_activations)
  if config.part:
    print(json.dumps(measure_part(setting, config.part)))
    return
  result = benchmark(setting)
  if config.scaling:
    result['scaling'] = [benchmark(scaled) for scaled in scaled_settings(setting)]
  if config.json:
    print(json.dumps(result))
  else:
    print('\n\n'.join(map(to_text, [result, *result.get('scaling', [])])))


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
