"""The picture of a latency table's proof."""

import numpy as np
from PIL import Image

from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.figures import scatter


def pixels(path):
  return np.asarray(Image.open(path).convert('RGB')).reshape(-1, 3)


def count_color(path, color):
  """Pixels of about a colour."""
  rgb = np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)])
  return int((np.abs(pixels(path).astype(int) - rgb).max(axis=1) < 12).sum())


def test_every_group_is_drawn_in_its_colour(tmp_path):
  groups = {'calibration': [(1.0, 1.1), (2.0, 2.0)], 'validation': [(1.5, 1.4), (3.0, 3.2), (2.5, 2.4)], 'published': []}
  scatter.save(groups, 'a table', tmp_path / 'some.png')
  assert count_color(tmp_path / 'some.png', figure_style.BLUE) > 50
  assert count_color(tmp_path / 'some.png', figure_style.GREEN) == 0
  scatter.save({**groups, 'published': [(2.2, 2.2)]}, 'a table', tmp_path / 'all.png')
  assert count_color(tmp_path / 'all.png', figure_style.GREEN) > 20
  assert Image.open(tmp_path / 'all.png').size == Image.open(tmp_path / 'some.png').size
