"""What is varied, what was tried, and that the oracle's suggestions find what evenly drawn values do not."""

import math
import statistics

import pytest

from tf_proxyless.app import tuning

RATE = tuning.parse('learning_rate=0.001:1:log')
SMOOTHING = tuning.parse('label_smoothing=0:0.2')


@pytest.mark.parametrize('text, expected', [
    ('learning_rate=1e-3:0.5:log', tuning.Hyperparameter('learning_rate', 1e-3, 0.5, 'log')),
    ('label_smoothing=0:0.2', tuning.Hyperparameter('label_smoothing', 0.0, 0.2, 'linear')),
    ('warmup_epochs=-1.5:2:linear', tuning.Hyperparameter('warmup_epochs', -1.5, 2.0, 'linear')),
    ('epochs=5:30:integer', tuning.Hyperparameter('epochs', 5.0, 30.0, 'integer')),
    ('optimizer=sgd|rmsprop', tuning.Hyperparameter('optimizer', choices=('sgd', 'rmsprop'))),
])
def test_forms(text, expected):
  assert tuning.parse(text) == expected


@pytest.mark.parametrize('text', [
    '', 'learning_rate', 'learning_rate=', 'learning_rate=1', '=1:2', 'a-b=1:2', 'learning_rate=1:2:sqrt', 'learning_rate=1:2:log:3',
    'learning_rate=a:b', 'epochs=1.5:3:integer', 'a=2:1', 'a=1:1', 'a=0:1:log', 'a=-1:1:log', 'a=nan:1', 'a=0:inf', 'a=|b', 'a=b|b'])
def test_other_forms_are_refused(text):
  with pytest.raises(ValueError) as error:
    tuning.parse(text)
  assert repr(text) in str(error.value)


def study(*trials):
  return tuning.Study('train', ('learning_rate=0.001:1:log',), ('--dataset=digits',), 3, trials)


def test_file_round_trip(tmp_path):
  whole = study(tuning.Trial(0, {}, 'finished', 0.5, 0.4), tuning.Trial(1, {'learning_rate': '0.1'}, 'failed', reason='NaN'),
                tuning.Trial(2, {'learning_rate': '0.01'}))
  tuning.save(whole, tmp_path / 'tuning.json')
  assert tuning.load(tmp_path / 'tuning.json') == whole
  (tmp_path / 'tuning.json').write_text('{"schema": "tf_proxyless/tuning", "version": 1, "job": 3}')
  with pytest.raises(ValueError, match='tuning.json: missing fields'):
    tuning.load(tmp_path / 'tuning.json')


def test_best_is_the_first_of_equals_and_finished():
  trials = [tuning.Trial(0, {}, 'finished', 0.5), tuning.Trial(1, {}, 'finished', 0.7), tuning.Trial(2, {}, 'finished', 0.7),
            tuning.Trial(3, {}, 'failed'), tuning.Trial(4, {})]
  assert study(*trials).best == trials[1]
  assert study(trials[3]).best is None


def test_a_trial_replaces_that_of_its_number():
  first, second = tuning.Trial(0, {}, 'finished', 0.5), tuning.Trial(1, {'learning_rate': '0.1'})
  ended = tuning.Trial(1, {'learning_rate': '0.1'}, 'finished', 0.6)
  assert study(first).with_trial(second).with_trial(ended).trials == (first, ended)
  assert study(first).settings() == study().settings() and study().settings()['seed'] == 3


HYPERPARAMETERS = [RATE, SMOOTHING, tuning.parse('epochs=2:4:integer'), tuning.parse('optimizer=sgd|rmsprop')]


def check_range(values):
  assert 0.001 <= float(values['learning_rate']) <= 1 and 0 <= float(values['label_smoothing']) <= 0.2
  assert values['epochs'] in ('2', '3', '4') and values['optimizer'] in ('sgd', 'rmsprop') and len(values) == 4


def test_suggestions_are_in_range_and_a_function_of_trials_and_seed():
  trials = []
  for number in range(8):
    values = tuning.suggest(HYPERPARAMETERS, trials, seed=0, random_trials=6)
    check_range(values)
    trials.append(tuning.Trial(number, values, 'finished', 1 - float(values['label_smoothing'])))
  for number in (0, 3, 7):
    assert tuning.suggest(HYPERPARAMETERS, trials[:number], seed=0, random_trials=6) == trials[number].values
  assert tuning.suggest(HYPERPARAMETERS, [], seed=1, random_trials=6) != trials[0].values
  assert len({tuple(trial.values.items()) for trial in trials}) == 8


def test_nothing_is_tried_twice_while_something_is_left():
  """The best is at an end, where the oracle wants to stay."""
  trials = []
  for number in range(4):
    values = tuning.suggest([tuning.parse('epochs=1:40:integer')], trials, seed=0, random_trials=2)
    trials.append(tuning.Trial(number, values, 'finished', float(values['epochs']) / 40))
  assert len({trial.values['epochs'] for trial in trials}) == 4
  only = [tuning.Trial(0, {'optimizer': 'sgd'}, 'finished', 0.5), tuning.Trial(1, {'optimizer': 'rmsprop'}, 'finished', 0.4)]
  assert tuning.suggest([tuning.parse('optimizer=sgd|rmsprop')], only, seed=0, random_trials=1)['optimizer'] in ('sgd', 'rmsprop')


def test_failed_trials_warn_off():
  """All that is above 0.1 failed; so the oracle stays below."""
  rates = [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.2, 0.4, 0.8]
  ends = [('failed',) if rate > 0.1 else ('finished', 0.5 + 0.1 * math.log10(rate / 0.002)) for rate in rates]
  trials = [tuning.Trial(i, {'learning_rate': str(rate)}, *end) for i, (rate, end) in enumerate(zip(rates, ends))]
  assert float(tuning.suggest([RATE], trials, seed=0, random_trials=3)['learning_rate']) < 0.2


def accuracies(seed, random_trials):
  """Of 16 trials on a landscape with its top, 1, at learning rate 0.03, smoothing 0.1 and SGD."""
  hyperparameters, trials = [RATE, SMOOTHING, tuning.parse('optimizer=sgd|rmsprop')], []
  for number in range(16):
    values = tuning.suggest(hyperparameters, trials, seed, random_trials)
    distance = 0.3 * math.log10(float(values['learning_rate']) / 0.03) ** 2 + 10 * (float(values['label_smoothing']) - 0.1) ** 2
    trials.append(tuning.Trial(number, values, 'finished', 1 - distance - 0.1 * (values['optimizer'] == 'rmsprop')))
  return [trial.accuracy for trial in trials]


@pytest.mark.by_hand
def test_the_oracle_finds_more_than_drawing_evenly():
  """Over five seeds, by the shortfalls of the best trial and of the last eight, which the oracle chose."""
  oracle, even = ([accuracies(seed, random_trials) for seed in range(5)] for random_trials in (6, 99))
  shortfall = lambda studies, of: statistics.mean(1 - of(study) for study in studies)
  last = lambda study: statistics.mean(study[8:])
  print([shortfall(studies, of) for of in (max, last) for studies in (oracle, even)])
  assert shortfall(oracle, last) < 0.5 * shortfall(even, last)
  assert shortfall(oracle, max) < shortfall(even, max)
