"""JSON that may be anything is a value of the kind that is expected, or one line."""

import functools

import pytest

from android_benchmark import reading


@pytest.mark.parametrize('kind, value', [
    (reading.text, ''), (reading.number, -1.5), (reading.number, 1e12), (reading.count, 0), (reading.positive_count, 1),
    (reading.time, 1e-9), (functools.partial(reading.optional, reading.text), None),
    (functools.partial(reading.mapping, reading.count), {'a': 1}), (functools.partial(reading.sequence, reading.text), ['a']),
    (functools.partial(reading.fields, a=reading.text, b=reading.count), {'b': 2, 'a': ''})])
def test_what_is_accepted_stays_as_it_is(kind, value):
  assert kind(value) == value


@pytest.mark.parametrize('kind, value, message', [
    (reading.text, 1, 'expected text, got 1'),
    (reading.number, True, 'expected a number, got True'),
    (reading.number, '1', 'expected a number, got 1'),
    (reading.number, float('nan'), 'expected a number, got nan'),
    (reading.number, -2e12, 'expected a number'),
    (reading.count, -1, 'expected a count, got -1'),
    (reading.count, 1.0, 'expected a count, got 1.0'),
    (reading.count, True, 'expected a number, got True'),
    (reading.positive_count, 0, 'expected a count from 1, got 0'),
    (reading.time, 0.0, 'expected a time, got 0.0'),
    (functools.partial(reading.mapping, reading.text), ['a'], "expected an object, got \\['a'\\]"),
    (functools.partial(reading.mapping, reading.text), {'a': 1}, 'expected text'),
    (functools.partial(reading.sequence, reading.text), 'ab', 'expected a list, got ab'),
    (functools.partial(reading.fields, a=reading.text, b=reading.count), {'a': ''}, "expected an object of a, b, got \\['a'\\]"),
    (functools.partial(reading.fields, a=reading.text), 'a', 'expected an object of a, got a'),
    (reading.parse_object, b'[1]', 'not a JSON object: \\[1\\]'),
    (reading.parse_object, b'{"a": NaN}', 'not JSON: expected a number, got NaN'),
    (reading.parse_object, b'{"a": ', 'not JSON: '),
    (reading.parse_object, b'[' * 100_000, 'not JSON: nested too deeply'),
    (reading.parse_object, b'\xff', 'not JSON: ')])
def test_what_is_refused(kind, value, message):
  with pytest.raises(ValueError, match=message) as caught:
    kind(value)
  assert str(caught.value).isprintable()


def test_what_is_shown_of_a_value_is_one_line_of_bounded_length():
  assert reading.shorten('plain') == 'plain'
  assert reading.shorten('a\n\x1b[31m') == "'a\\n\\x1b[31m'"
  assert len(reading.shorten(['x' * 10_000])) == 100
  assert reading.printable('a\nb\x1b\u202ec') == 'a?b??c'
