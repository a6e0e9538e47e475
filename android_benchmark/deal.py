"""Deals the blocks of a plan out to phones that measure at the same time, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import threading

from android_benchmark import agreement
from android_benchmark import errors
from android_benchmark import processes
from android_benchmark import protocol
from android_benchmark import store as store_lib

_POLL_S = 0.1


class Deal:
  """Gives each phone that is free a block, until all is measured.

  A block goes back if its phone is lost, and to whoever is free then. What phones measured that left, or before an interruption, counts.

  Args:
    plan: Plan of the measurements.
    store: Store of measured blocks.
    names: How the phones that measure are called, by their keys.
    report: Takes a line for the user.

  Raises:
    ValueError: Phones are too far apart; see `agreement.apart`.
  """

  def __init__(self, plan: protocol.Plan, store: store_lib.Store, names: Mapping[str, str], report: Callable[[str], None]):
    self.plan = plan
    self.interrupts = {phone: threading.Event() for phone in names}  # see processes.interruptible
    self._store = store
    self._names = {**{record.phone: record.phone for record in store.records}, **names}
    self._report = report
    self._changed = threading.Condition()
    self._changes = 0
    self._busy: dict[str, tuple[int, int]] = {}  # blocks by phone
    self._away: set[str] = set()  # phones that cool down, are waited for, or are being prepared
    self._left: dict[str, str] = {}  # why, by phone
    self._apart: dict[str, str] = {}  # likewise, of those that are too far off the others
    self._compare()

  @property
  def records(self) -> Sequence[protocol.Record]:
    """What counts of what was measured so far."""
    return [record for record in self._store.records if record.phone not in self._apart]

  @property
  def names(self) -> Mapping[str, str]:
    """How all phones are called that ever measured, by their keys."""
    return self._names

  @property
  def living(self) -> Sequence[str]:
    """Keys of the phones that still measure."""
    return [phone for phone in self.interrupts if phone not in self._left and phone not in self._apart]

  @property
  def warnings(self) -> list[str]:
    """What became of phones that do not measure any more."""
    return [f'{text}; what it measured is left out' for text in self._apart.values()] + [
        text for phone, text in self._left.items() if phone not in self._apart]

  def is_done(self) -> bool:
    """Whether nothing is left to measure for any phone, and nobody measures."""
    with self._changed:
      return not self._busy and not any(self._has_work(phone) for phone in self.living)

  def wait_for_work(self, phone: str) -> bool:
    """Waits until there is a block for a phone, or all is done: then returns False.

    Raises:
      BenchmarkError: This phone is of no use: its reference does not run, or it is too far off the others.
    """
    with self._changed:
      self._away.discard(phone)
      while not self.is_done():
        if phone in self._apart:
          raise errors.BenchmarkError(self._apart[phone])
        if self._next(phone) is not None:
          self._away.add(phone)
          return True
        seen = self._changes
        while self._changes == seen:  # a notification is lost that comes when the time of the wait is over
          self._changed.wait(_POLL_S)
          processes.check_interrupt()
      self.interrupts[phone].clear()  # it was waited for, perhaps
      return False

  def take(self, phone: str) -> protocol.Block | None:
    """The block that a phone is to measure now, if there is one."""
    with self._changed:
      block = self._next(phone)
      if block is not None:
        self._busy[phone] = (block.round, block.index)
        self._away.discard(phone)
      return block

  def give_back(self, phone: str) -> None:
    """Gives back the block that a phone has, if it has one, while the phone is waited for."""
    with self._changed:
      self._away.add(phone)
      self._release(phone)

  def put(self, record: protocol.Record) -> None:
    """Keeps what a phone measured.

    Raises:
      ValueError: Phones are too far apart; see `agreement.apart`.
    """
    with self._changed:
      self._store.append(record)
      self._compare()
      self._release(record.phone)

  def leave(self, phone: str, error: Exception) -> bool:
    """Takes a phone out that cannot go on; False if no other is there, so that it cannot be done without."""
    with self._changed:
      others = [self._names[other] for other in self.living if other != phone]
      if others and phone not in self._left:
        blocks = sum(record.phone == phone for record in self._store.records)
        left = f'{self._names[phone]} was left out after {blocks} blocks, and its share went to {" and ".join(others)}: {error}'
        self._left[phone] = left
        if phone not in self._apart:
          self._report(f'warning: {left}')
      self._release(phone)
      return bool(others)

  def interrupt(self) -> None:
    """Ends the work of all phones as Ctrl-C does that of one."""
    for event in self.interrupts.values():
      event.set()

  def _release(self, phone: str) -> None:
    self._busy.pop(phone, None)
    if self.is_done():
      for away in self._away - {phone}:  # there is nothing left to wait for them for
        self.interrupts[away].set()
    self._changes += 1
    self._changed.notify_all()

  def _compare(self) -> None:
    """Looks whether phones are too far apart."""
    present = [phone for phone in self.interrupts if phone not in self._left]
    found = agreement.apart(self.plan, self._store.records, present, self._names)
    for phone in found.keys() - self._apart.keys():
      self._report(f'warning: {found[phone]}; what it measured is left out')
    self._apart = found

  def _next(self, phone: str) -> protocol.Block | None:
    busy = [block for other, block in self._busy.items() if other != phone]
    return protocol.next_block(self.plan, self.records, phone, busy)

  def _has_work(self, phone: str) -> bool:
    try:
      return self._next(phone) is not None
    except errors.BenchmarkError:  # which it learns when it asks itself
      return True
