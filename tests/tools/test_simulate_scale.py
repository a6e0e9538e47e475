"""The simulation of a search on many devices: what docs/scale.md says of it."""

import pathlib

from tools import simulate_scale


def test_the_table_of_the_page():
  text = (pathlib.Path(__file__).parents[2] / 'docs' / 'scale.md').read_text(encoding='utf-8')
  for label, batch in (('all', 256), ('all, batch 2048', 2048)):
    config = simulate_scale.Config(batch_size=batch)
    hours = [sum(simulate_scale.seconds(config, part, devices, 3.8e6) for part in simulate_scale.parts(batch)) / 3600
             for devices in config.devices]
    assert f'| {label} | | | | {" | ".join(f"{each:.1f} h" for each in hours)} |' in text
  assert [f'{part.steps:,}' in text for part in simulate_scale.parts(256)] == [True] * 4
