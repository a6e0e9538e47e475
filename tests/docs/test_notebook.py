"""docs/notebooks/quickstart.ipynb, run from the first cell to the last."""

import os
import pathlib
import re

import nbclient
import nbformat
import pytest

PATH = pathlib.Path(__file__).parents[2] / 'docs' / 'notebooks' / 'quickstart.ipynb'


def texts(cell):
  """What a cell has shown."""
  for output in cell.get('outputs', ()):
    yield from ([output['text']] if output['output_type'] == 'stream' else output.get('data', {}).values())


def test_the_kept_outputs_are_small_and_of_a_whole_run():
  notebook = nbformat.read(PATH, 4)
  assert PATH.stat().st_size < 300_000
  cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
  assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
  assert not [output for cell in cells for output in cell.outputs if output['output_type'] == 'error']
  assert not re.search(r'/(home|root|work)/', PATH.read_text(encoding='utf-8'))


@pytest.mark.long
def test_from_images_to_a_measured_model(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setenv('PYTHONPATH', str(PATH.parents[2]))
  monkeypatch.setenv('TMPDIR', str(tmp_path))
  notebook = nbformat.read(PATH, 4)
  nbclient.NotebookClient(notebook, timeout=1500, kernel_name='python3', resources={'metadata': {'path': os.fspath(tmp_path)}}).execute()
  shown = [text for cell in notebook.cells for text in texts(cell)]
  assert sum(text.startswith('<svg') for text in shown) == 2
  accuracies, = re.findall(r'float ([\d.]+) %, int8 ([\d.]+) %', '\n'.join(shown))
  assert min(map(float, accuracies)) > 90
  predicted, measured = map(float, re.search(r'predicted ([\d.]+) ms, measured ([\d.]+) ms', '\n'.join(shown)).groups())
  assert abs(measured / predicted - 1) < 0.1
