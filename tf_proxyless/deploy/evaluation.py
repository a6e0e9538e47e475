"""Runs .tflite files with LiteRT on this machine, and compares them with the Keras models that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import concurrent.futures
import dataclasses
import os
import threading

from ai_edge_litert import interpreter as litert
import numpy as np

from tf_proxyless.infra import stderr as stderr_lib

_TOP = 5


class LiteRtModel:
  """A model of one input and one output, of images one at a time."""

  def __init__(self, content: bytes, kernels: str = 'builtin', workers: int | None = None):
    """Opens a model.

    Args:
      content: Bytes of a .tflite file.
      kernels: 'builtin' or 'xnnpack'. The latter has no int8 7x7 depthwise kernel, so that such networks take 20 times as long.
      workers: Interpreters that work at the same time, each with one thread; None is one for each core.

    Raises:
      ValueError: LiteRT cannot load the model, or it has another number of inputs or outputs.
    """
    if kernels not in ('builtin', 'xnnpack'):
      raise ValueError(f'kernels must be builtin or xnnpack, got {kernels!r}')
    types = litert.OpResolverType
    self._content, self._local = content, threading.local()
    self._resolver = types.BUILTIN_WITHOUT_DEFAULT_DELEGATES if kernels == 'builtin' else types.BUILTIN
    try:
      with stderr_lib.suppress_stderr():  # LiteRT tells that it has made a delegate
        first = self._open()
    except (RuntimeError, ValueError) as error:
      raise ValueError(f'LiteRT cannot load the model: {error}') from error
    inputs, outputs = first.get_input_details(), first.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
      raise ValueError(f'the model must have one input and one output, got {len(inputs)} and {len(outputs)}')
    self.input, self.output = inputs[0], outputs[0]
    self._pool = concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count())

  def _open(self) -> litert.Interpreter:
    interpreter = litert.Interpreter(model_content=self._content, num_threads=1, experimental_op_resolver_type=self._resolver)
    interpreter.allocate_tensors()
    return interpreter

  def __call__(self, images: np.ndarray) -> np.ndarray:
    """Runs images.

    Args:
      images: float32 [batch, height, width, channels], pixels / 255.

    Returns:
      [batch, classes] in the type of the model's output.
    """
    return np.stack(list(self._pool.map(self._run, quantize(images, self.input))))

  def _run(self, image: np.ndarray) -> np.ndarray:
    if not hasattr(self._local, 'interpreter'):
      self._local.interpreter = self._open()
    interpreter = self._local.interpreter
    interpreter.set_tensor(self.input['index'], image[np.newaxis])
    interpreter.invoke()
    return interpreter.get_tensor(self.output['index'])[0]


def quantize(values: np.ndarray, detail: dict) -> np.ndarray:
  """Real values as a tensor stores them: round(value / scale) + zero point, clipped (Jacob et al. 2018, arXiv 1712.05877, Eq. 1).

  Args:
    values: float32, any shape.
    detail: Details of LiteRT's interpreter, of that tensor.
  """
  scale, zero_point = detail['quantization']
  if not scale:
    return values.astype(detail['dtype'])
  limits = np.iinfo(detail['dtype'])
  levels = np.floor(values / np.float32(scale) + np.float32(0.5))  # halves upwards, as the models and kernels do; np.round takes even ones
  return np.clip(levels + zero_point, limits.min, limits.max).astype(detail['dtype'])


def dequantize(stored: np.ndarray, detail: dict) -> np.ndarray:
  """The real values that a tensor stands for, float32; the inverse of `quantize` but for its rounding."""
  scale, zero_point = detail['quantization']
  return (stored.astype(np.float32) - zero_point) * np.float32(scale) if scale else stored.astype(np.float32)


def steps_apart(model: LiteRtModel, reference: Callable[[np.ndarray], np.ndarray], images: np.ndarray,
                background: bool = False) -> np.ndarray:
  """By how many steps of its output a quantized file differs from the model that emulates it, int [images, classes].

  Args:
    model, reference, background: As for `compare`.
    images: float32 [images, height, width, channels]; both get what the file's input can hold of them.
  """
  pixels = dequantize(quantize(images, model.input), model.input)
  expected = quantize(np.asarray(reference(pixels)), model.output).astype(np.int64)
  return np.abs(model(pixels)[:, int(background):].astype(np.int64) - expected)


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A .tflite file against its Keras model, on the same images.

  Attributes:
    images: How many.
    reference_top1, reference_top5: Share that the Keras model gets right, by its highest output and by its five highest.
    top1, top5: Likewise of the .tflite file.
    agreement: Share of images of which both say the same.
    difference: Largest between outputs: in steps of a quantized output, else relative to the largest output of the Keras model.
  """

  images: int
  reference_top1: float
  reference_top5: float
  top1: float
  top5: float
  agreement: float
  difference: float


def compare(model: LiteRtModel, reference: Callable[[np.ndarray], np.ndarray], batches: Iterable[tuple[np.ndarray, np.ndarray]],
            background: bool = False, progress: Callable[[int], None] = lambda images: None) -> Comparison:
  """Runs both models over labelled images.

  Args:
    model: The .tflite file.
    reference: The Keras model: from images to outputs, float32 [batch, classes].
    batches: Images, float32 [batch, height, width, channels], pixels / 255, and labels, integers [batch].
    background: Whether the file has an output more, in front, which stands for no class.
    progress: Called with the number of images after each batch.

  Raises:
    ValueError: There is no image, or the outputs are of different sizes.
  """
  counts, differences, largest = np.zeros(6, np.int64), [], 0.0
  for images, labels in batches:
    expected, found = np.asarray(reference(images)), model(images)
    if found.shape[1:] != (expected.shape[1] + background,):
      raise ValueError(f'the .tflite file has {found.shape[1]} outputs, its Keras model {expected.shape[1]}')
    labels = np.asarray(labels)
    counts += [len(labels), *_hits(expected, labels), *_hits(found, labels + background),
               np.sum(found.argmax(1) == expected.argmax(1) + background)]
    differences.append(_difference(found[:, int(background):], expected, model.output))
    largest = max(largest, float(np.abs(expected).max()))
    progress(len(labels))
  if not counts[0]:
    raise ValueError('there are no images to compare the models on')
  difference = max(differences) if model.output['quantization'][0] else max(differences) / (largest or 1.0)
  return Comparison(int(counts[0]), *(float(count / counts[0]) for count in counts[1:]), difference)


@dataclasses.dataclass(frozen=True)
class Accuracy:
  """Share of images that a file gets right, by its highest output and by its five highest."""

  images: int
  top1: float
  top5: float


def accuracy(model: LiteRtModel, batches: Iterable[tuple[np.ndarray, np.ndarray]], background: bool = False,
             progress: Callable[[int], None] = lambda images: None) -> Accuracy:
  """Runs a file over labelled images; arguments as for `compare`.

  Raises:
    ValueError: There is no image.
  """
  counts = np.zeros(3, np.int64)
  for images, labels in batches:
    counts += [len(labels), *_hits(model(images), np.asarray(labels) + background)]
    progress(len(labels))
  if not counts[0]:
    raise ValueError('there are no images to evaluate the model on')
  return Accuracy(int(counts[0]), *(float(count / counts[0]) for count in counts[1:]))


def _hits(outputs: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
  """Images whose label has the highest output, and one of the five highest; of equal outputs the first counts as the highest."""
  order = np.argsort(-outputs.astype(np.float64), axis=1, kind='stable')[:, :_TOP]
  right = order == labels[:, np.newaxis]
  return int(right[:, 0].sum()), int(right.any(1).sum())


def _difference(found: np.ndarray, expected: np.ndarray, detail: dict) -> float:
  """The largest, in steps of quantization where there are any."""
  return float(np.abs(found.astype(np.float64) - quantize(expected, detail)).max())
