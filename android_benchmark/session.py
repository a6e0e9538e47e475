"""Measures on a device block after block until all is measured, whatever happens to the device meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import datetime
import time

from android_benchmark import benchmark_model
from android_benchmark import deal as deal_lib
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import launchers
from android_benchmark import output
from android_benchmark import power
from android_benchmark import protocol
from android_benchmark import round_script

_MAX_LOSSES = 3  # of the connection, in one block


def now() -> str:
  """ISO 8601, with the time zone."""
  return datetime.datetime.now().astimezone().isoformat(timespec='seconds')


class Session:
  """Measures the blocks that a device is dealt.

  Args:
    deal: Gives blocks and takes what was measured.
    phone: Key of the device.
    settings: Settings of the measurement.
    device: Device to measure.
    launcher: Launcher of the blocks.
    make_ready: Called before every block; waits until the device is cool.
    on_return: Called when a lost device is back; a restart may have undone its settings.
    reconnect_s: Seconds to wait for a lost device.
    report: Takes lines for the user.
    meter: What the launcher reads around launches, for energy.
  """

  def __init__(self, deal: deal_lib.Deal, phone: str, settings: benchmark_model.Settings, device: device_lib.Device,
               launcher: launchers.Launcher, make_ready: Callable[[], None], on_return: Callable[[], None], reconnect_s: float,
               report: Callable[[str], None], meter: power.Meter | None = None):
    self._meter = meter
    self._deal = deal
    self._phone = phone
    self._settings = settings
    self._device = device
    self._launcher = launcher
    self._make_ready = make_ready
    self._on_return = on_return
    self._returned = False
    self._reconnect_s = reconnect_s
    self._report = report
    self._prepared = False

  def run(self) -> None:
    """Measures until there is nothing left to measure, here and elsewhere.

    Raises:
      BenchmarkError: Nothing can be measured: the tool or the reference model does not run.
      DeviceError: The device cannot be used, or was lost and did not come back.
    """
    losses = 0
    while self._deal.wait_for_work(self._phone):
      try:
        self._prepare()
        block = self._deal.take(self._phone)
        if block is None:  # another phone took it meanwhile
          continue
        record = self._measure(block)
      except errors.ConnectionLost as error:
        self._deal.give_back(self._phone)  # another phone need not wait for this one
        losses += 1
        self._prepared = False
        if losses > _MAX_LOSSES:
          raise
        self._report(f'{error}; waiting up to {self._reconnect_s:g} s for the device')
        try:
          self._returned = self._device.reconnect(self._reconnect_s)
        except KeyboardInterrupt:
          if self._deal.is_done():  # nobody waits for it any more
            raise error from None
          raise
        if not self._returned:
          raise
      else:
        losses = 0
        self._check(block, record)
        self._deal.put(record)
        self._report(self._progress(record))

  def _prepare(self) -> None:
    if self._returned:
      self._on_return()
      self._returned = False
    if not self._prepared:
      self._launcher.prepare()
      self._prepared = True
    self._make_ready()

  def _check(self, block: protocol.Block, record: protocol.Record) -> None:
    """Raises if the first block shows that nothing runs here."""
    if not record.launches and not any(earlier.launches for earlier in self._deal.records if earlier.phone == self._phone):
      model, reason = next(iter(record.failed.items()))
      raise errors.BenchmarkError(f'none of the first {len(block.models)} models runs; {model}: {reason}')

  def _measure(self, block: protocol.Block) -> protocol.Record:
    health, began, clock = self._device.health(), now(), time.monotonic()
    names = (block.reference, *block.models, block.reference)
    idle_w, results = self._launch(names)
    again = {index: result for index, result in enumerate(results) if isinstance(result, str)}
    retried: dict[int, output.Launch | str] = dict(zip(again, self._launch([names[index] for index in again])[1] if again else ()))
    final = [retried.get(index, result) for index, result in enumerate(results)]
    return protocol.Record(
        block.round, block.index, block.reference,
        readings_ms=tuple(self._reading(result) for result in (final[0], final[-1])),
        launches={name: result for name, result in zip(names[1:-1], final[1:-1]) if isinstance(result, output.Launch)},
        failed={name: result for name, result in zip(names, final) if isinstance(result, str)},
        retried={names[index]: again[index] for index, result in retried.items() if isinstance(result, output.Launch)},
        time=began, seconds=round(time.monotonic() - clock, 3),
        health={**dataclasses.asdict(health), **({} if idle_w is None else {'idle_w': idle_w})}, phone=self._phone)

  def _reading(self, result: output.Launch | str) -> float | None:
    if isinstance(result, str):
      return None
    return result.undisturbed_ms if self._device.is_shared else result.latency_ms

  def _launch(self, names: Sequence[str]) -> tuple[float | None, list[output.Launch | str]]:
    """The power of the idle device before and after, W, if there is a meter; and what each launch measured, or why it failed."""
    if self._meter is None:
      return None, [self._read(section) for section in self._launcher.launch(names)]
    first, *sections, last = self._launcher.launch((launchers.IDLE, *names, launchers.IDLE))
    idle_w = (self._meter.power_w(first.readings) + self._meter.power_w(last.readings)) / 2
    return idle_w, [self._read(section, idle_w) for section in sections]

  def _read(self, section: round_script.Section, idle_w: float | None = None) -> output.Launch | str:
    try:
      if section.exit_code is None:
        raise errors.BenchmarkError('its output is truncated')
      launch = benchmark_model.read(section.exit_code, section.text, self._settings)
      if self._meter is None or idle_w is None:
        return launch
      power_w = self._meter.power_w(section.readings)
      if power_w <= idle_w:
        raise errors.BenchmarkError(f'it draws {power_w:.4g} W, not more than the idle device, {idle_w:.4g} W')
      return dataclasses.replace(launch, energy_mj=(power_w - idle_w) * launch.mean_ms)
    except errors.BenchmarkError as error:
      return str(error)

  def _progress(self, record: protocol.Record) -> str:
    """A line about the block just measured."""
    records, plan = self._deal.records, self._deal.plan
    measured = {(earlier.round, earlier.index) for earlier in records}
    total = len(protocol.blocks(plan))
    remaining_s = (total - len(measured)) * sum(earlier.seconds for earlier in records) / len(records) / max(1, len(self._deal.living))
    text = f'round {record.round + 1} of {plan.rounds}, {len(measured)} of {total} blocks'
    if None not in record.readings_ms:
      own = [earlier for earlier in records if earlier.phone == self._phone]
      drift = protocol.drift_percent(record, protocol.level_ms(plan, record.reference, own))
      text += f', reference {record.readings_ms[-1]:.3f} ms, drift {drift:.1f} %'
    for model, reason in record.failed.items():
      text += f'; {model} failed and is left out: {reason}'
    return f'{text}; about {datetime.timedelta(seconds=round(remaining_s))} left'
