"""Opens one model with the kernels asked for, and measures its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import gc
import os
import time

from ai_edge_litert import interpreter as litert
import numpy as np

from tf_proxyless.deploy.litert_benchmark import results


@dataclasses.dataclass(frozen=True)
class Settings:
  """Flags of benchmark_model, with its defaults.

  Attributes:
    num_threads: Threads of the interpreter; -1 leaves it to LiteRT, which takes one.
    num_runs, min_secs, max_secs: There are at least so many runs and so many seconds of them, unless the latter exceed max_secs.
    warmup_runs, warmup_min_secs: The same for the runs before.
    use_xnnpack: None applies XNNPACK without a word, True says what became of it, False runs the builtin kernels.
  """

  num_threads: int = -1
  num_runs: int = 50
  min_secs: float = 1.0
  max_secs: float = 150.0
  warmup_runs: int = 1
  warmup_min_secs: float = 0.5
  use_xnnpack: bool | None = None


def run(path: str, settings: Settings, say: Callable[[str, str], None]) -> None:
  """Measures one model.

  Args:
    path: The .tflite file.
    settings: How.
    say: Takes a severity, 'INFO' or 'WARN', and a line.

  Raises:
    OSError, RuntimeError, ValueError: The model cannot be read or run.
  """
  size = os.path.getsize(path)
  start = time.perf_counter()
  interpreter = _open(path, settings)
  init_us = (time.perf_counter() - start) * 1e6
  say('INFO', f'Loaded model {path}')
  if settings.use_xnnpack:
    say(*_what_became_of_xnnpack(interpreter))
  say('INFO', f'The input model file size (MB): {size / 1e6:.6g}')
  say('INFO', f'Initialized session in {init_us / 1000:.6g}ms.')
  inputs = _random_inputs(interpreter)
  times = []
  for num_runs, min_secs in ((settings.warmup_runs, settings.warmup_min_secs), (settings.num_runs, settings.min_secs)):
    say('INFO', f'Running benchmark for at least {num_runs} iterations and at least {min_secs:g} seconds '
                f'but terminate if exceeding {settings.max_secs:g} seconds.')
    times.append(_times_us(interpreter, inputs, num_runs, min_secs, settings.max_secs))
    say('INFO', results.statistics(times[-1]) + '\n')
  say('INFO', results.summary(init_us, *times))


def _open(path: str, settings: Settings) -> litert.Interpreter:
  types = litert.OpResolverType
  resolver = types.BUILTIN_WITHOUT_DEFAULT_DELEGATES if settings.use_xnnpack is False else types.BUILTIN
  threads = None if settings.num_threads == -1 else settings.num_threads
  interpreter = litert.Interpreter(path, num_threads=threads, experimental_op_resolver_type=resolver)
  interpreter.allocate_tensors()  # applies XNNPACK as well
  return interpreter


def _what_became_of_xnnpack(interpreter: litert.Interpreter) -> tuple[str, str]:
  """Severity and line as Google's; its tool sees the execution plan, here the delegate's own nodes must do."""
  delegates = [node for node in interpreter._get_ops_details() if node['op_name'] == 'DELEGATE']
  if not delegates:
    return 'WARN', 'Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.'
  inputs = {detail['index'] for detail in interpreter.get_input_details()}
  outputs = {detail['index'] for detail in interpreter.get_output_details()}
  if len(delegates) == 1 and inputs <= set(delegates[0]['inputs']) and outputs <= set(delegates[0]['outputs']):
    part = 'completely executed by the delegate.'
  else:
    part = f'partially executed by the delegate w/ {len(delegates)} delegate kernels.'
  return 'INFO', f'Explicitly applied XNNPACK delegate, and the model graph will be {part}'


def _random_inputs(interpreter: litert.Interpreter) -> list[tuple[int, np.ndarray]]:
  """Index and value of each input: floats in [-0.5, 0.5), integers of the whole range."""
  rng = np.random.default_rng(0)
  inputs = []
  for detail in interpreter.get_input_details():
    if np.issubdtype(detail['dtype'], np.integer):
      limits = np.iinfo(detail['dtype'])
      value = rng.integers(limits.min, limits.max, detail['shape'], detail['dtype'], endpoint=True)
    else:
      value = (rng.random(detail['shape']) - 0.5).astype(detail['dtype'])
    inputs.append((detail['index'], value))
  return inputs


def _times_us(interpreter: litert.Interpreter, inputs: Sequence[tuple[int, np.ndarray]], num_runs: int, min_secs: float,
              max_secs: float) -> list[float]:
  """Microseconds of each run; what happens between runs is not in them, and garbage is collected before."""
  times: list[float] = []
  gc.collect()
  gc.disable()
  try:
    start = now = time.perf_counter_ns()
    while not times or ((len(times) < num_runs or now - start < min_secs * 1e9) and now - start <= max_secs * 1e9):
      for index, value in inputs:  # as Google's tool does, anew for each run
        interpreter.set_tensor(index, value)
      begin = time.perf_counter_ns()
      interpreter.invoke()
      now = time.perf_counter_ns()
      times.append((now - begin) / 1000)
  finally:
    gc.enable()
  return times
