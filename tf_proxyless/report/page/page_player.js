// The player: the network of an epoch, probabilities as bars, its numbers, slider, button and keys.

// The drawing holds every variant of every block: the epoch's are shown and moved to their places.
const {most_likely: networks} = run;
const frame = find('frame');
function showNetwork(index) {
  const gap = Number(frame.dataset.gap);
  let x = gap;
  frame.querySelectorAll('.block').forEach((block, position) => {
    const chosen = block.children[networks.variants[index][position]];
    for (const variant of block.children) {
      if (variant === chosen) variant.removeAttribute('display'); else variant.setAttribute('display', 'none');
    }
    block.setAttribute('transform', `translate(${x} 0)`);
    x += Number(chosen.dataset.width) + gap;
  });
  find('spine').setAttribute('d', find('spine').getAttribute('d').replace(/h.*/, 'h' + x));
  const labels = networks.variants[index].map((variant, position) => networks.blocks[position][variant].label);
  frame.setAttribute('aria-label', `Epoch ${history.epoch[index]}: ` + labels.join(', '));
}

// Stacked bars: one row a decision, of which only widths change.
const rows = [...document.querySelectorAll('#bars .row')].map((row) => ({bar: row.children[1], best: row.children[2]}));
function showBars(probabilities) {
  rows.forEach(({bar, best}, index) => {
    const {label, choices} = decisions[index];
    const values = probabilities[index], total = sum(values) || 1, pixels = bar.clientWidth || 400;
    let left = 0;
    choices.forEach((choice, position) => {
      const group = bar.children[position], share = values[position] / total, text = group.lastElementChild;
      for (const rect of group.querySelectorAll('rect')) {
        rect.setAttribute('x', (left * 100).toFixed(2) + '%');
        rect.setAttribute('width', (share * 100).toFixed(2) + '%');
      }
      text.setAttribute('x', ((left + share / 2) * 100).toFixed(2) + '%');
      text.setAttribute('visibility', share * pixels > text.getComputedTextLength() + 6 ? 'visible' : 'hidden');
      group.dataset.tip = `${label}: ${choice.label}\n${percent(values[position])}, ${price(choice.cost)}`;
      left += share;
    });
    const top = values.indexOf(Math.max(...values));
    best.textContent = `${choices[top].label} ${(100 * values[top]).toFixed(0)} %`;
    bar.setAttribute('aria-label', label + ': ' + choices.map((choice, i) => `${choice.label} ${percent(values[i])}`).join(', '));
  });
}

function showReadings() {
  const at = (name) => (history[name] ? history[name][current] : null);
  const readings = [['phase', at('phase')], ['expected cost', price(at('expected_cost')), 'one'], ['most likely network', price(at('most_likely_cost')), 'two'],
    ['target', price(cost.target)], ['its accuracy (validation)', percent(at('most_likely_accuracy'))], ['entropy', number(at('entropy'))]];
  find('readings').replaceChildren();
  for (const [name, value, kind] of readings) {
    const cell = make(find('readings'), 'div');
    make(cell, 'dt', {class: kind || ''}, name);
    make(cell, 'dd', {}, value);
  }
  showGauge(at('expected_cost'), at('most_likely_cost'));
}
function showGauge(expected, likely) {
  const gauge = find('gauge');
  gauge.replaceChildren();
  if (cost.smallest == null || cost.largest == null || cost.largest <= cost.smallest) return;
  const at = (value) => Math.max(0, Math.min(100, 100 * (value - cost.smallest) / (cost.largest - cost.smallest)));
  if (expected != null) make(gauge, 'b', {'data-tip': 'expected cost ' + price(expected)}).style.left = at(expected) + '%';
  if (likely != null) make(gauge, 'b', {'data-tip': 'most likely network ' + price(likely)}).style.left = at(likely) + '%';
  make(gauge, 'span', {class: 'low'}, 'cheapest ' + price(cost.smallest));
  make(gauge, 'span', {class: 'high'}, 'dearest ' + price(cost.largest));
  if (cost.target == null) return;
  make(gauge, 'i').style.left = at(cost.target) + '%';
  if (innerWidth > 640 && at(cost.target) > 22 && at(cost.target) < 78) make(gauge, 'span', {}, 'target ' + price(cost.target)).style.left = at(cost.target) + '%';
}

// The player.
const player = find('player');
const slider = find('epoch');
let timer = null;
function go(index) {
  current = Math.max(0, Math.min(last, index));
  slider.value = current;
  const words = `epoch ${history.epoch[current]} of ${history.epoch[last]}`;
  slider.setAttribute('aria-valuetext', words);
  find('now').textContent = words;
  showNetwork(current);
  showBars(history.probabilities[current]);
  showReadings();
  for (const chart of charts) chart.rest();
  for (const {mark} of strips) mark.style.left = (last ? 100 * current / last : 50) + '%';
}
function stop() {
  clearInterval(timer);
  timer = null;
  showButton(false);
}
function showButton(playing) {
  const button = find('play');
  button.setAttribute('aria-pressed', playing);
  button.replaceChildren();
  make(button, 'span', {'aria-hidden': true}, playing ? '❚❚' : '▶');
  button.append(playing ? ' Pause' : ' Play');
}
function play() {
  if (timer !== null) return stop();
  if (current === last) go(0);
  timer = setInterval(() => { if (current < last) go(current + 1); if (current === last) stop(); }, Math.max(60, Math.min(350, 15000 / (last + 1))));
  showButton(true);
}
function step(event) {
  const steps = {ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10};
  if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in steps)) return false;
  event.preventDefault();
  stop();
  go(current + steps[event.key]);
  return true;
}
const strips = [];
function setUpStrips() {
  document.querySelectorAll('.strip').forEach((strip, index) => {
    const {label, choices} = decisions[index];
    const mark = make(strip, 'i', {'aria-hidden': true});
    strips.push({mark});
    const at = (event) => {
      const box = strip.getBoundingClientRect();
      return Math.max(0, Math.min(last, Math.round(last * (event.clientX - box.left) / box.width)));
    };
    strip.firstElementChild.addEventListener('click', (event) => { stop(); go(at(event)); });
    strip.firstElementChild.addEventListener('pointerleave', hush);
    strip.firstElementChild.addEventListener('pointermove', (event) => {
      event.stopPropagation();  // the document would hush
      const values = history.probabilities[at(event)];
      const order = values.map((_, choice) => choice).sort((a, b) => values[b] - values[a]).slice(0, 3);
      tell([`${label}, epoch ${history.epoch[at(event)]}`, ...order.map((choice) => `${choices[choice].label} ${percent(values[choice])}`)].join('\n'),
           event.clientX, event.clientY);
    });
  });
}
