"""Runs files on whatever runtime a Python has: python old_runtime.py INPUTS.npz OUTPUTS.npz FILE... by itself, with nothing of ours.

INPUTS holds 'FILE_NUMBER', each the inputs of a file as [samples, *shape] in the order of the file; OUTPUTS gets the outputs likewise.
Prints the version of the runtime. Any Python from 3.6 on.
"""

import importlib
import sys

import numpy as np

try:
  Interpreter = importlib.import_module('tflite_runtime.interpreter').Interpreter
  VERSION = importlib.import_module('tflite_runtime').__version__
except ImportError:
  import tensorflow as tf
  Interpreter, VERSION = tf.lite.Interpreter, tf.__version__


def main(inputs_path, outputs_path, *paths):
  inputs, outputs = np.load(inputs_path), {}
  for k, path in enumerate(paths):
    runner = Interpreter(path, num_threads=1)
    runner.allocate_tensors()
    sources, target = runner.get_input_details(), runner.get_output_details()[0]
    found = []
    for sample in zip(*(inputs[f'{k}_{i}'] for i in range(len(sources)))):
      for source, value in zip(sources, sample):
        runner.set_tensor(source['index'], value)
      runner.invoke()
      found.append(runner.get_tensor(target['index']))
    outputs[str(k)] = np.array(found)
  np.savez(outputs_path, **outputs)
  print(VERSION)


if __name__ == '__main__':
  main(*sys.argv[1:])
