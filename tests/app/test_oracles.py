"""keras-tuner's oracles with a store that survives, its chief and workers, and that suggestions find what evenly drawn values do not."""

import json
import math
import statistics
import threading
import time

import pytest

from tf_proxyless.app import chief as chief_lib
from tf_proxyless.app import oracles
from tf_proxyless.app import tuning
from tf_proxyless.infra import files

RATE = tuning.parse('learning_rate=0.001:1:log')
SMOOTHING = tuning.parse('label_smoothing=0:0.2')
HYPERPARAMETERS = [RATE, SMOOTHING, tuning.parse('epochs=2:4:integer'), tuning.parse('optimizer=sgd|rmsprop')]
MORE = {'bayesian': {'random_trials': 3}, 'hyperband': {'max_epochs': 9}}


def make(folder, kind='bayesian', hyperparameters=HYPERPARAMETERS, trials=9, seed=0, is_alive=lambda tuner_id: True,
         on_end=lambda trial: None, **more):
  return oracles.ORACLES[kind](folder, hyperparameters, trials, seed, is_alive, on_end, **{**MORE.get(kind, {}), **more})


def accuracy(trial):
  """1 at learning rate 0.03, smoothing 0.1 and SGD."""
  values = trial.hyperparameters.values
  if not values:
    return 0.5
  distance = 0.3 * math.log10(values['learning_rate'] / 0.03) ** 2 + 10 * (values.get('label_smoothing', 0.1) - 0.1) ** 2
  return 1 - distance - 0.1 * (values.get('optimizer') == 'rmsprop')


def run(oracle, trials=99, of=accuracy, tuner_id='tuner0'):
  """So many trials."""
  left = iter(range(trials))
  chief_lib.work(oracle, tuner_id, of, lambda: next(left, None) is None)
  return [(oracle.texts(trial), trial.score) for trial in oracle.trials.values()]


def stored(folder):
  """What lies in a store, sets as sets."""
  state = json.loads((folder / 'oracle.json').read_text())
  state['tried_so_far'].sort()
  return state, [file.read_text() for file in sorted(folder.glob('trial_*/trial.json'))]


@pytest.mark.parametrize('kind', oracles.ORACLES)
def test_each_continues_as_if_it_had_not_stopped(kind, tmp_path):
  whole = run(make(tmp_path / 'whole', kind, [RATE], 6))
  assert len(whole) == 6 and whole[0][0] == {} and len({str(texts) for texts, _ in whole}) >= 5
  for number in (1, 4, 99):
    parts = run(make(tmp_path / 'parts', kind, [RATE], 6), number)
  assert parts == whole and stored(tmp_path / 'parts') == stored(tmp_path / 'whole')
  assert len(make(tmp_path / 'parts', kind, [RATE], 7).trials) == 6  # more may be asked for later


def test_a_kill_at_any_moment_costs_nothing(tmp_path, monkeypatch):
  """At each of the writes in turn, before it and after it."""
  whole = run(make(tmp_path / 'whole', 'random', trials=3))
  write, moments = files.write_atomically, 0
  for after in (False, True):
    for moment in range(13):
      folder, count = tmp_path / f'{after}_{moment}', iter(range(99))

      def killed(path, content, moment=moment, count=count, after=after):
        dies = next(count) == moment
        if not dies or after:
          write(path, content)
        if dies:
          raise KeyboardInterrupt

      monkeypatch.setattr(files, 'write_atomically', killed)
      with pytest.raises(KeyboardInterrupt):
        run(make(folder, 'random', trials=3))
      monkeypatch.setattr(files, 'write_atomically', write)
      assert run(make(folder, 'random', trials=3)) == whole
      assert stored(folder) == stored(tmp_path / 'whole')
      moments += 1
  assert moments == 26


def test_a_store_that_is_damaged_is_refused_in_a_line(tmp_path):
  run(make(tmp_path, 'random', trials=3))
  good = (tmp_path / 'oracle.json').read_text()
  for text, message in [(good[:100], 'oracle.json: not JSON, or truncated'), ('{}', 'oracle.json: not as keras-tuner writes it: start_ord'),
                        (good.replace('"start_order": ["0"', '"start_order": ["7"'), 'trial.json')]:
    (tmp_path / 'oracle.json').write_text(text)
    with pytest.raises((ValueError, OSError), match=message):
      make(tmp_path, 'random', trials=3)


def test_suggestions_are_in_range_and_of_their_seed(tmp_path):
  found = run(make(tmp_path / '0', trials=5))
  for texts, _ in found[1:]:
    assert 0.001 <= float(texts['learning_rate']) <= 1 and 0 <= float(texts['label_smoothing']) <= 0.2
    assert texts['epochs'] in ('2', '3', '4') and texts['optimizer'] in ('sgd', 'rmsprop') and len(texts) == 4
  assert run(make(tmp_path / '1', seed=1), 3)[1] != found[1]


def test_nothing_is_tried_twice_and_it_ends_where_nothing_is_left(tmp_path):
  """The best is at an end, where the oracle wants to stay."""
  epochs = tuning.parse('epochs=1:40:integer')
  found = run(make(tmp_path / 'left', hyperparameters=[epochs], trials=5, random_trials=2),
              of=lambda trial: trial.hyperparameters.values.get('epochs', 1) / 40)
  assert len({texts.get('epochs') for texts, _ in found}) == 5
  oracle = make(tmp_path / 'none', hyperparameters=[tuning.parse('optimizer=sgd|rmsprop')], random_trials=1)
  assert len(run(oracle, of=lambda trial: 0.5)) == 3 and oracle.is_over


def test_grid_tries_all_combinations(tmp_path):
  hyperparameters = [tuning.parse('epochs=2:4:integer'), tuning.parse('optimizer=sgd|rmsprop')]
  found = run(make(tmp_path, 'grid', hyperparameters, trials=99), of=lambda trial: 0.5)
  assert len(found) == 7 and {tuple(texts.values()) for texts, _ in found[1:]} == {(e, o) for e in '234' for o in ('sgd', 'rmsprop')}


def test_hyperband_makes_longer_trials_of_the_best_short_ones(tmp_path):
  oracle = make(tmp_path, 'hyperband', [RATE], trials=20)
  run(oracle)
  values = [trial.hyperparameters.values for trial in oracle.trials.values()][1:]
  assert {each['tuner/epochs'] for each in values} == {1, 3, 9}
  longer = next(each for each in values if each['tuner/round'] == 1)
  assert longer['learning_rate'] == oracle.trials[longer['tuner/trial_id']].hyperparameters.values['learning_rate']


def test_failed_trials_warn_off(tmp_path):
  """All that is above 0.1 fails; so the oracle stays below."""
  of = lambda trial: math.nan if trial.hyperparameters.values.get('learning_rate', 0) > 0.1 else accuracy(trial) / 2
  oracle = make(tmp_path, hyperparameters=[RATE], trials=12, random_trials=5)
  ended = run(oracle, of=of)
  assert None in [score for _, score in ended] and all(score is not None for _, score in ended[8:])


def test_three_failures_in_a_row_end_it_until_it_is_started_again(tmp_path):
  of = lambda trial: math.nan if trial.hyperparameters.values else 0.5
  ends = []
  oracle = make(tmp_path, 'random', on_end=lambda trial: ends.append(trial.status))
  assert len(run(oracle, of=of)) == 4 and len(oracle.failures) == 3 and oracle.is_over
  assert ends == ['COMPLETED'] + ['FAILED'] * 3 and oracle.best.trial_id == '0'
  again = make(tmp_path, 'random')
  assert not again.failures and len(run(again)) == 9 and again.best.score > 0.5


def test_the_trial_of_a_worker_that_died_is_given_to_another(tmp_path):
  alive = {'a', 'b'}
  oracle = make(tmp_path, 'random', trials=2, is_alive=alive.__contains__)
  first, second = oracle.create_trial('a'), oracle.create_trial('b')
  assert oracle.create_trial('a') is first  # whoever asks again is at it still
  oracle.update_trial(second.trial_id, {'accuracy': 0.7})
  second.status = 'COMPLETED'
  oracle.end_trial(second)
  assert oracle.create_trial('b').status == 'IDLE' and not oracle.is_over  # until it is known how the other ends
  oracle = make(tmp_path, 'random', trials=2, is_alive=alive.__contains__)  # of a chief that was started again
  assert oracle.create_trial('b').status == 'IDLE'
  alive.remove('a')
  assert oracle.create_trial('b').trial_id == first.trial_id
  for accuracy_of, times in ((0.6, 2), (0.1, 1)):  # said twice, and once more by a worker who was thought dead
    for _ in range(times):
      oracle.update_trial(first.trial_id, {'accuracy': accuracy_of})
      first.status = 'COMPLETED'
      oracle.end_trial(first)
  assert oracle.trials[first.trial_id].score == 0.6 and oracle.end_order == [second.trial_id, first.trial_id]
  assert oracle.create_trial('b').status == 'STOPPED' and oracle.is_over


def test_a_chief_answers_workers(tmp_path, monkeypatch):
  """Two workers in threads; a chief that comes late is waited for, and one that cannot listen says so."""
  monkeypatch.setattr(chief_lib, '_PAUSE_S', 0.05)
  role = tuning.Role('worker', 'localhost:18723')
  for name, value in ((tuning.ORACLE_IP, 'localhost'), (tuning.ORACLE_PORT, '18723'), (tuning.TUNER_ID, 'worker')):
    monkeypatch.setenv(name, value)
  oracle = make(tmp_path, hyperparameters=[RATE], trials=6)
  clients = [chief_lib.Client(role, lambda: False, lambda: False) for _ in 'ab']
  work = lambda client, tuner_id: chief_lib.work(client, tuner_id, accuracy, lambda: False)
  workers = [threading.Thread(target=work, args=(client, f'worker{i}')) for i, client in enumerate(clients)]
  for worker in workers:
    worker.start()
  with chief_lib.served(oracle, role):
    chief_lib.wait(oracle, lambda: False, lambda tuner_id: True)
  for worker in workers:
    worker.join()
  assert oracle.trials['0'].hyperparameters.values == {} and oracle.trials['0'].score == 0.5
  assert len(oracle.end_order) == 6 and all(trial.score == pytest.approx(accuracy(trial)) for trial in oracle.trials.values())
  other = chief_lib.grpc.server(chief_lib.futures.ThreadPoolExecutor(max_workers=1), options=[('grpc.so_reuseport', 0)])
  other.add_insecure_port('localhost:18723')
  with pytest.raises(ValueError, match='cannot listen at localhost:18723, which is in use or not an address of this machine'):
    with chief_lib.served(oracle, role):
      pass
  other.stop(None)


def test_trials_that_are_given_are_dealt_once_unless_a_worker_dies(tmp_path, monkeypatch):
  monkeypatch.setattr(chief_lib, '_PAUSE_S', 0.05)
  alive = {'a', 'b', 'c'}
  for tuner_id in alive:
    (tmp_path / tuner_id).mkdir()
  make_dealer = lambda: chief_lib.Dealer(tmp_path, alive.__contains__)
  dealer, ended = make_dealer(), []

  def ask(dealer):
    thread = threading.Thread(target=dealer.run, args=(['x', 'y'], lambda *end: ended.append(end), lambda: len(ended) == 2))
    thread.start()
    return thread

  def end(dealer, name, status):
    dealer.end_trial(chief_lib.trial_lib.Trial(None, name, status))

  assert dealer.create_trial('a').status == 'IDLE'
  ask(dealer)
  time.sleep(0.05)
  assert [dealer.create_trial(tuner_id).trial_id for tuner_id in 'aab'] == ['x', 'x', 'y']
  dealer = make_dealer()  # the chief was killed
  thread = ask(dealer)
  time.sleep(0.05)
  assert dealer.create_trial('c').status == 'IDLE' and dealer.create_trial('b').trial_id == 'y'
  alive.remove('a')
  assert dealer.create_trial('c').trial_id == 'x'
  end(dealer, 'y', 'FAILED')
  end(dealer, 'x', 'COMPLETED')
  end(dealer, 'x', 'FAILED')  # said again
  thread.join()
  assert ended == [('y', False), ('x', True)] and dealer.create_trial('b').status == 'IDLE'
  dealer.is_over = True
  assert dealer.create_trial('b').status == 'STOPPED' and dealer.tuner_ids == {'c'}


def test_a_worker_that_waits_can_be_stopped_and_its_patience_ends(monkeypatch, capsys):
  monkeypatch.setattr(chief_lib, '_PAUSE_S', 0.05)
  monkeypatch.setattr(chief_lib.oracle_client, 'TIMEOUT', 0.1)
  for name, value in ((tuning.ORACLE_IP, 'localhost'), (tuning.ORACLE_PORT, '18724'), (tuning.TUNER_ID, 'worker')):
    monkeypatch.setenv(name, value)
  role, asked = tuning.Role('worker', 'localhost:18724'), iter((False, False, True))
  with pytest.raises(chief_lib.StoppedError):
    chief_lib.Client(role, lambda: next(asked), lambda: False).wait()
  assert capsys.readouterr().err == 'no chief answers at localhost:18724; waiting for it\n'
  client = chief_lib.Client(role, lambda: False, lambda: True)
  client._met = True  # a chief that has ended since
  with pytest.raises(chief_lib.StoppedError):
    client.wait()
  monkeypatch.setattr(chief_lib, '_PATIENCE_S', 0.2)
  with pytest.raises(ValueError, match='no chief has answered at localhost:18724'):
    chief_lib.Client(role, lambda: False, lambda: False).wait()


@pytest.mark.by_hand
def test_the_oracle_finds_more_than_drawing_evenly(tmp_path):
  """Over five seeds, by the shortfalls of the best trial and of the last eight, which the oracle chose."""
  hyperparameters = [RATE, SMOOTHING, tuning.parse('optimizer=sgd|rmsprop')]
  studies = {kind: [[score for _, score in run(make(tmp_path / f'{kind}{seed}', kind, hyperparameters, 17, seed, **more))[1:]]
                    for seed in range(5)] for kind, more in (('bayesian', {'random_trials': 6}), ('random', {}))}
  shortfall = lambda kind, of: statistics.mean(1 - of(study) for study in studies[kind])
  last = lambda study: statistics.mean(study[8:])
  print([shortfall(kind, of) for of in (max, last) for kind in studies])
  assert shortfall('bayesian', last) < 0.5 * shortfall('random', last)
  assert shortfall('bayesian', max) < shortfall('random', max)
