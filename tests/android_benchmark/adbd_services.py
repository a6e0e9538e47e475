"""What adbd.py offers over a connection: shell commands and file transfer."""

from __future__ import annotations

import contextlib
import os
import queue
import struct
import subprocess
import threading
import time

SYNC_MAX = 64 * 1024
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)  # ids of the shell protocol's packets


class Dropped(Exception):
  """The connection is gone, by a fault or by the other side."""


class Stream:
  """A service that the client opened: bytes both ways, of which each message is acknowledged before the next."""

  def __init__(self, connection, number: int, peer_number: int):
    self._connection, self._number, self._peer_number = connection, number, peer_number
    self.phone = connection.phone
    self._incoming: queue.SimpleQueue = queue.SimpleQueue()
    self._acknowledged = threading.Semaphore(0)
    self._buffer = bytearray()
    self._ended = False

  def serve(self, service: str):
    try:
      self._connection.send(b'OKAY', self._number, self._peer_number)
      name, _, argument = service.partition(':')
      if name.split(',')[0] == 'shell':
        _Shell(self, v2=name.startswith('shell,v2')).serve(argument)
      elif name == 'exec':
        _Shell(self, v2=False).serve(argument)
      elif name == 'sync':
        _Sync(self).serve()
      elif name == 'reboot':
        self.phone.reboot(wipe=False)
      if not self._ended:
        self._connection.send(b'CLSE', self._number, self._peer_number)
    except Dropped:
      pass
    finally:
      self._connection.forget(self._number)
      self.end()  # for who still reads

  def receive(self, command: bytes, payload: bytes):
    if command == b'OKAY':
      self._acknowledged.release()
    elif command == b'WRTE':
      self._incoming.put(payload)
    else:
      self.end()

  def end(self):
    """The other side is gone."""
    self._ended = True
    self._incoming.put(None)
    self._acknowledged.release()

  def write(self, data: bytes):
    for start in range(0, len(data), self._connection.max_data):
      if self._ended:
        raise Dropped('stream closed')
      self._connection.send(b'WRTE', self._number, self._peer_number, data[start:start + self._connection.max_data])
      self._acknowledged.acquire()

  def read_some(self) -> bytes:
    """The next message; empty at the end."""
    data = self._incoming.get()
    if data is None:
      return b''
    self._connection.send(b'OKAY', self._number, self._peer_number)
    return data

  def read(self, size: int) -> bytes:
    while len(self._buffer) < size:
      data = self.read_some()
      if not data:
        raise Dropped('stream closed')
      self._buffer += data
    data, self._buffer = bytes(self._buffer[:size]), self._buffer[size:]
    return data

  def fail(self, fault):
    """Lets a fault that ends the conversation happen."""
    if fault.kind == 'reboot':
      self.phone.reboot()
    elif fault.kind == 'drop':
      self.phone.drop()
    elif fault.kind == 'hang':
      while not self._ended:
        time.sleep(0.01)
    raise Dropped(fault.kind)


class _Shell:
  """Runs a command; by the shell_v2 protocol, with exit code and separate standard error, or without."""

  def __init__(self, stream: Stream, v2: bool):
    self._stream, self._v2 = stream, v2

  def serve(self, command: str):
    phone = self._stream.phone
    phone.commands.append(command)
    fault = phone.take_fault('shell', command)
    if fault is not None and fault.kind == 'exit':
      self._write(EXIT, bytes([fault.exit_code]))
      return
    started = time.time()
    stderr = subprocess.PIPE if self._v2 else subprocess.STDOUT
    process = phone.android.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
    threading.Thread(target=self._feed, args=(process,), daemon=True).start()
    errors = threading.Thread(target=self._copy, args=(process.stderr, STDERR), daemon=True)
    if self._v2:
      errors.start()
    try:
      if fault is not None and fault.after_bytes == 0:  # it has begun, and says nothing
        process.stdout.close()
        self._stream.fail(fault)
      self._copy(process.stdout, STDOUT, fault)
    finally:
      code = process.wait()
      phone.android.finish(started)
    if self._v2:
      errors.join()
      self._write(EXIT, bytes([code if code >= 0 else 0x80 | -code]))

  def _copy(self, pipe, kind: int, fault=None):
    """Passes output on, up to a fault."""
    passed = 0
    with contextlib.suppress(Dropped), pipe:  # the command goes on, until it writes to the closed pipe
      for lines in _whole_lines(pipe):
        data = self._stream.phone.android.unmap(lines)
        if fault is not None and passed + len(data) > fault.after_bytes:
          data = data[:fault.after_bytes - passed]
          fault_due = True
        else:
          fault_due = False
        self._write(kind, data)
        passed += len(data)
        if fault_due:
          self._stream.fail(fault)

  def _feed(self, process):
    """Standard input; the shell protocol says when it ends."""
    with contextlib.suppress(Dropped, OSError, ValueError):
      while not self._v2 and (data := self._stream.read_some()):
        process.stdin.write(data)
        process.stdin.flush()
      while self._v2:
        kind, length = struct.unpack('<BI', self._stream.read(5))
        data = self._stream.read(length)
        if kind == STDIN:
          process.stdin.write(data)
          process.stdin.flush()
        elif kind == CLOSE_STDIN:
          process.stdin.close()

  def _write(self, kind: int, data: bytes):
    if self._v2:
      self._stream.write(struct.pack('<BI', kind, len(data)) + data)
    elif kind != EXIT:
      self._stream.write(data)


def _whole_lines(pipe):
  """What comes out of a pipe, cut only where lines end."""
  rest = b''
  while data := pipe.read1(SYNC_MAX):
    lines, newline, data = data.rpartition(b'\n')
    if newline:
      yield rest + lines + newline
      rest = b''
    rest += data
  if rest:
    yield rest


class _Sync:
  """File transfer."""

  def __init__(self, stream: Stream):
    self._stream, self._phone = stream, stream.phone

  def serve(self):
    while True:
      kind, length = struct.unpack('<4sI', self._stream.read(8))
      if kind == b'QUIT':
        return
      path = self._stream.read(length).decode()
      {b'STAT': self._stat, b'STA2': self._stat2, b'LST2': self._stat2, b'SEND': self._receive_file, b'RECV': self._send_file}[kind](path)

  def _stat(self, path: str):
    try:
      found = os.stat(self._phone.android.map_path(path))
      self._stream.write(struct.pack('<4s3I', b'STAT', found.st_mode, found.st_size, int(found.st_mtime)))
    except OSError:
      self._stream.write(struct.pack('<4s3I', b'STAT', 0, 0, 0))

  def _stat2(self, path: str):
    fields = '<4sI2Q4IQ3q'
    try:
      f = os.stat(self._phone.android.map_path(path))
      self._stream.write(struct.pack(fields, b'STA2', 0, f.st_dev, f.st_ino, f.st_mode, f.st_nlink, 2000, 2000, f.st_size,
                                     int(f.st_atime), int(f.st_mtime), int(f.st_ctime)))
    except OSError as error:
      self._stream.write(struct.pack(fields, b'STA2', error.errno, *[0] * 10))

  def _receive_file(self, path_and_mode: str):
    path, _, mode = path_and_mode.rpartition(',')
    fault = self._phone.take_fault('push', path)
    limit = self._phone.android.free_bytes
    if fault is not None and fault.kind == 'disk_full':
      limit = fault.after_bytes
    target = self._phone.android.map_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    received, full = 0, False
    with open(target, 'wb') as file:
      while True:
        kind, length = struct.unpack('<4sI', self._stream.read(8))
        if kind == b'DONE':  # the length is the time of modification
          break
        data = self._stream.read(length)
        received += len(data)
        full = full or limit is not None and received > limit
        if not full:  # as adbd does: after an error the rest is read and thrown away
          file.write(data)
        if fault is not None and fault.kind != 'disk_full' and received > fault.after_bytes:
          file.flush()
          self._stream.fail(fault)
    if full:
      target.unlink()
      self._fail('couldn\'t write: No space left on device')
      return
    target.chmod(int(mode) & 0o777)
    self._phone.pushed.append(path)
    self._stream.write(struct.pack('<4sI', b'OKAY', 0))

  def _send_file(self, path: str):
    fault = self._phone.take_fault('pull', path)
    try:
      data = self._phone.android.map_path(path).read_bytes()
    except OSError as error:
      self._fail(f'open failed: {error.strerror}')
      return
    for start in range(0, len(data), SYNC_MAX):
      part = data[start:start + SYNC_MAX]
      if fault is not None and start + len(part) > fault.after_bytes:
        self._stream.write(struct.pack('<4sI', b'DATA', len(part)) + part[:fault.after_bytes - start])
        self._stream.fail(fault)
      self._stream.write(struct.pack('<4sI', b'DATA', len(part)) + part)
    self._stream.write(struct.pack('<4sI', b'DONE', 0))

  def _fail(self, message: str):
    self._stream.write(struct.pack('<4sI', b'FAIL', len(message)) + message.encode())
