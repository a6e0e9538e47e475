"""Animations: one frame an epoch, whole or not there, and none where there is nothing to show."""

import json
import os
import subprocess

import numpy as np
from PIL import Image
import pytest

from tests import programs
from tests.report import documents
from tf_proxyless.report.figures import animation
from tf_proxyless.report.figures import frames


def test_gif_has_a_frame_for_each_epoch(tmp_path):
  path, seen = tmp_path / 'history.gif', []
  animation.save(documents.tiny(), path, lambda done, total: seen.append((done, total)), width=480)
  assert seen == [(done, 6) for done in range(1, 7)]
  with Image.open(path) as image:
    assert (image.format, image.n_frames, image.size, image.info['loop']) == ('GIF', 6, (480, 270), 0)
    assert image.info['duration'] == 500  # 6 epochs in 12 s would be slower than anybody looks on
    first = np.asarray(image.convert('RGB')).astype(int)
    image.seek(5)
    assert np.abs(np.asarray(image.convert('RGB')).astype(int) - first).max() > 100
    assert image.info['duration'] == 2500
  assert [file.name for file in tmp_path.iterdir()] == ['history.gif']


def test_frames_show_the_network_of_their_epoch_in_the_colours_of_its_kernels():
  run = documents.tiny()['runs'][0]
  variants = run['most_likely']['blocks'][2]
  for block, kernel in zip((variants[0], {**variants[0]}), (3, 7)):
    block.update(form='depthwise', skipped=False, kernel=kernel, expansion=6.0, cost=1.0)
    variants.append(block)
  row = run['most_likely']['variants'][0]
  run['most_likely']['variants'] = [[*row[:2], number, *row[3:]] for number in (len(variants) - 2, len(variants) - 1)]
  for variant in (variant for block in run['most_likely']['blocks'] for variant in block):
    variant['kernel'] = 7 if variant is variants[-1] else 3
  before, after = frames.draw(run, [0, 1], 480)
  count = lambda picture: int((np.abs(picture[:150].astype(int) - (0x00, 0x9e, 0x73)).max(axis=-1) < 8).sum())
  assert count(before) == 0
  assert count(after) > 50


def test_mp4_plays(tmp_path):
  programs.require('ffmpeg')
  path = tmp_path / 'history.mp4'
  animation.save(documents.tiny(), path, width=487)
  probe = subprocess.run([programs.require('ffprobe', 'ffmpeg'), '-v', 'error', '-count_frames', '-show_streams', '-of', 'json', path],
                         capture_output=True, text=True, check=True, timeout=60)
  stream = json.loads(probe.stdout)['streams'][0]
  assert (stream['codec_name'], stream['pix_fmt'], stream['r_frame_rate']) == ('h264', 'yuv420p', '2/1')
  assert (stream['width'], stream['height']) == (486, 274)
  assert int(stream['nb_read_frames']) >= 6 + 2 * 2  # the last one is held
  assert [file.name for file in tmp_path.iterdir()] == ['history.mp4']


def test_without_ffmpeg_a_gif_is_named(monkeypatch, tmp_path):
  monkeypatch.setenv('PATH', str(tmp_path))
  with pytest.raises(ValueError, match='MP4 needs the program ffmpeg.*write a .gif'):
    animation.check('history.mp4')
  animation.check('history.GIF')


def test_what_ffmpeg_says_is_told_and_no_file_is_left(monkeypatch, tmp_path):
  (tmp_path / 'bin').mkdir()
  program = tmp_path / 'bin' / 'ffmpeg'
  program.write_text('#!/bin/sh\necho "no space left for it" >&2\nexit 7\n')
  program.chmod(0o755)
  monkeypatch.setenv('PATH', f'{program.parent}:{os.environ["PATH"]}')
  with pytest.raises(ValueError, match='ffmpeg failed with 7: no space left for it'):
    animation.save(documents.tiny(), tmp_path / 'history.mp4', width=480)
  assert [file.name for file in tmp_path.iterdir()] == ['bin']


@pytest.mark.parametrize('suffix', animation.SUFFIXES)
def test_an_animation_that_is_broken_off_leaves_the_old_one(suffix, tmp_path):
  if suffix == '.mp4':
    programs.require('ffmpeg')
  path = tmp_path / f'history{suffix}'
  path.write_bytes(b'the old one')

  def stop(done, total):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    animation.save(documents.tiny(), path, stop, width=480)
  assert path.read_bytes() == b'the old one'
  assert list(tmp_path.iterdir()) == [path]


def test_mistakes(tmp_path):
  with pytest.raises(ValueError, match='.gif and .mp4 files, not .avi'):
    animation.check('history.avi')
  with pytest.raises(ValueError, match='nothing to animate'):
    animation.save(documents.empty(), tmp_path / 'history.gif')
  assert not list(tmp_path.iterdir())


def test_long_histories_are_thinned_from_the_first_epoch_to_the_last():
  assert animation.thin(120) == list(range(120))
  chosen = animation.thin(5000)
  assert (len(chosen), chosen[0], chosen[-1]) == (300, 0, 4999)
  assert chosen == sorted(set(chosen))


@pytest.mark.long
def test_a_search_on_imagenet_is_below_5_megabytes(tmp_path):
  animation.save(documents.imagenet(), tmp_path / 'history.gif')
  assert (tmp_path / 'history.gif').stat().st_size < 5e6
