'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const {drawing} = data;
  const [run] = data.runs;
  const {history, decisions, cost} = run;
  const SVG = 'http://www.w3.org/2000/svg';
  const find = (id) => document.getElementById(id);
  document.documentElement.classList.add('scripted');

  // Text goes in as text and attributes as attributes, never as markup: names come from files.
  function make(parent, tag, attributes = {}, text = null) {
    const node = parent instanceof SVGElement || tag === 'svg' ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== null) node.textContent = text;
    parent.append(node);
    return node;
  }

  const shorten = (text, length) => (text.length <= length ? text : text.slice(0, length - 1) + '…');
  const percent = (value) => (value == null ? '–' : (100 * value).toFixed(1) + ' %');
  const factor = cost.unit === 'MACs' ? 1e-6 : 1;
  const unit = cost.unit === 'MACs' ? 'M MACs' : cost.unit;
  function number(value, digits = 3) {
    if (value == null) return '–';
    if (value === 0) return '0';
    const exponent = Math.floor(Math.log10(Math.abs(value)));
    if (exponent < -5 || exponent > 8) return value.toExponential(digits - 1);
    return value.toFixed(Math.max(digits - 1 - exponent, 0));
  }
  const price = (value) => (value == null ? '–' : number(factor * value) + ' ' + unit);

  // What a pointer is told.
  const tip = find('tip');
  function tell(text, x, y) {
    tip.textContent = text;
    tip.classList.add('shown');
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 6)) + 'px';
    tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(6, y - box.height - 12) : y + 18) + 'px';
  }
  const hush = () => tip.classList.remove('shown');
  function adoptTitles(root) {  // a page's own tips come at once, and on phones too
    for (const title of root.querySelectorAll('title')) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();
    }
  }
  adoptTitles(document.body);
  document.addEventListener('pointermove', (event) => {
    const target = event.target.closest && event.target.closest('[data-tip]');
    if (target) tell(target.dataset.tip, event.clientX, event.clientY);
    else if (!(event.target.closest && event.target.closest('[data-hover]'))) hush();
  });
  document.addEventListener('pointerdown', (event) => {
    const target = event.target.closest && event.target.closest('[data-tip]');
    if (target) tell(target.dataset.tip, event.clientX, event.clientY);
  });
  document.addEventListener('scroll', hush, {passive: true});
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hush(); });

  const last = history.epoch.length - 1;
  const charts = [];  // those over epochs, which have the player's cursor
  let current = last;

  function place(svg, x, y) {  // a point of the picture on the screen
    return new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
  }
  function setUp(svg) {
    const hover = JSON.parse(svg.dataset.hover);
    const within = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (hover.points) setUpPoints(svg, hover, within);
    else setUpLines(svg, hover, within);
  }
  function setUpPoints(svg, hover, within) {
    const ring = make(svg, 'circle', {r: 7, class: 'line cursor', visibility: 'hidden'});
    let chosen = -1;
    function show(index) {
      const [x, y, text] = hover.points[chosen = index];
      for (const [name, value] of [['cx', x], ['cy', y], ['visibility', 'visible']]) ring.setAttribute(name, value);
      const at = place(svg, x, y);
      tell(text, at.x, at.y);
    }
    function hide() { ring.setAttribute('visibility', 'hidden'); hush(); }
    svg.addEventListener('pointermove', (event) => {
      const at = within(event);
      let best = -1, nearest = 24 * 24;
      hover.points.forEach(([x, y], index) => {
        const distance = (x - at.x) ** 2 + (y - at.y) ** 2;
        if (distance <= nearest) [best, nearest] = [index, distance];
      });
      if (best < 0) hide(); else show(best);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', (event) => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!step || !hover.points.length) return;
      event.preventDefault();
      show((chosen + step + hover.points.length) % hover.points.length);
    });
  }
  function setUpLines(svg, hover, within) {
    const [low, high, start, end] = hover.x;
    const [bottom, top, y0, y1] = hover.y;
    const cursor = make(svg, 'path', {class: 'cursor', visibility: 'hidden'});
    const dots = hover.lines.map((line) => make(svg, 'circle', {r: 4, class: 'line s' + line.style, visibility: 'hidden'}));
    const x = (epoch) => start + (epoch - low) / (high - low) * (end - start);
    function show(epoch) {
      cursor.setAttribute('d', `M${x(epoch)} ${y0}V${y1}`);
      cursor.setAttribute('visibility', 'visible');
      const lines = ['epoch ' + epoch];
      hover.lines.forEach((line, index) => {
        const value = line.y[line.x.indexOf(epoch)];
        dots[index].setAttribute('visibility', value == null ? 'hidden' : 'visible');
        if (value == null) return;
        dots[index].setAttribute('cx', x(epoch));
        dots[index].setAttribute('cy', y0 + (value - bottom) / (top - bottom) * (y1 - y0));
        lines.push(`${line.name}: ${number(hover.factor * value, 4)}`);
      });
      return lines.join('\n');
    }
    const epochs = [...new Set(hover.lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const nearest = (event) => {
      const value = low + (within(event).x - start) / (end - start) * (high - low);
      return epochs.reduce((best, epoch) => (Math.abs(epoch - value) < Math.abs(best - value) ? epoch : best), epochs[0]);
    };
    const chart = {rest: () => show(history.epoch[current])};
    charts.push(chart);
    svg.addEventListener('pointermove', (event) => tell(show(nearest(event)), event.clientX, event.clientY));
    svg.addEventListener('pointerleave', () => { hush(); chart.rest(); });
    svg.addEventListener('click', (event) => { const index = history.epoch.indexOf(nearest(event)); if (index >= 0 && player) go(index); });
    svg.addEventListener('blur', hush);
    svg.addEventListener('keydown', (event) => {
      if (!player || !step(event)) return;
      const box = svg.getBoundingClientRect();
      tell(show(history.epoch[current]), box.left + box.width / 2, box.top + 10);
    });
  }

  // The network of an epoch, by the rules of drawing.py and network_svg.py.
  function resolve(choices) {
    return run.fixed_blocks.blocks.map((block) => (block.decision == null ? block
      : {...block, ...decisions[block.decision].choices[choices[block.decision]], decision: block.decision}));
  }
  function keyOf(block) {
    if (block.kind === 'zero') return 'skip';
    if (block.kind !== 'mbconv') return 'fixed';
    return drawing.patterns['k' + block.kernel] ? 'k' + block.kernel : 'other';
  }
  const widthsOf = (blocks) => blocks.map((block) => (block.kind === 'zero' ? 0 : known ? block.cost : 1));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  let known = true, perUnit = 1, tallest = 6, frameWidth = 0;
  function measure() {
    if (!run.fixed_blocks) return;
    const all = run.most_likely.choices.map(resolve);
    known = all.every((blocks) => blocks.every((block) => block.cost != null));
    perUnit = drawing.blocks_width / (Math.max(...all.map((blocks) => sum(widthsOf(blocks)))) || 1);
    tallest = Math.max(6, ...run.fixed_blocks.blocks.map((block) => block.expansion || 1),
                       ...decisions.flatMap((decision) => decision.choices.map((choice) => choice.expansion || 1)));
    frameWidth = (drawing.blocks_width + drawing.gap * (run.fixed_blocks.blocks.length + 1)) * drawing.scale_x;
  }
  function drawNetwork(choices) {
    const svg = find('frame');
    if (!run.fixed_blocks) return;
    const {gap, scale_x: sx, scale_y: sy, top} = drawing;
    const blocks = resolve(choices);
    const widths = widthsOf(blocks);
    const lineY = top + (drawing.arc_height + drawing.height / 2) * sy;
    const bottom = top + (drawing.height + 2 * drawing.arc_height) * sy + drawing.bottom - 30;
    svg.setAttribute('viewBox', `0 0 ${frameWidth.toFixed(0)} ${bottom.toFixed(0)}`);
    svg.setAttribute('aria-label', `Epoch ${history.epoch[current]}: ` + blocks.map((block) => block.label).join(', '));
    svg.replaceChildren();
    const total = sum(widths) || 1;
    let x = gap, occupied = -1;
    const mark = (at, size) => {
      const low = at < occupied, text = `${size[0]}×${size[1]}`;
      make(svg, 'path', {class: 'mark', d: `M${at} 4V${bottom}`});
      make(svg, 'text', {class: 'small strong', x: at + 4, y: low ? 26 : 13}, text);
      occupied = low ? -1 : at + 8 + 6.5 * text.length;
    };
    const length = sum(widths.map((width, index) => (blocks[index].kind === 'zero' ? 0 : Math.max(width * perUnit, .25)) + gap)) + gap;
    make(svg, 'path', {class: 'spine', d: `M0 ${lineY}H${length * sx}`});
    mark(0, run.fixed_blocks.input);
    blocks.forEach((block, index) => {
      const skipped = block.kind === 'zero', key = keyOf(block);
      const width = (skipped ? 0 : Math.max(widths[index] * perUnit, .25)) * sx;
      const height = drawing.height * (block.expansion || 1) / tallest * sy;
      const left = x * sx, y = lineY - height / 2, label = shorten(block.label, 16);
      const group = make(svg, 'g', {'data-tip': `${block.name}: ${block.label}\n${block.input.join('×')} → ${block.output.join('×')}` +
        (skipped ? '' : `\n${price(block.cost)}, ${(100 * widths[index] / total).toFixed(1)} % of all blocks`)});
      if (skipped) {
        make(group, 'circle', {class: 'skip', cx: left, cy: lineY, r: 3.4});
        make(group, 'text', {class: 'small', transform: `translate(${left - 3.5} ${lineY + 9}) rotate(90)`}, label);
      } else {
        if (block.residual) {
          const x0 = left - gap * sx / 2, x1 = left + width + gap * sx / 2, peak = y - .62 * drawing.arc_height * sy;
          make(group, 'path', {class: 'arc',
            d: `M${x0} ${lineY}V${y}Q${x0} ${peak} ${(x0 + x1) / 2} ${peak}Q${x1} ${peak} ${x1} ${y}V${lineY}`});
        }
        make(group, 'rect', {class: 'k ' + key, x: left, y, width, height});
        make(group, 'rect', {class: 'p p-' + drawing.patterns[key], x: left, y, width, height});
        const length = 6.5 * label.length, middle = left + width / 2;
        const lying = width >= length + 10 && height >= 18, standing = width >= 13 && height >= length + 4;
        const at = lying ? `translate(${middle} ${lineY + 4})` : standing ? `translate(${middle + 4} ${lineY}) rotate(-90)`
          : `translate(${middle - 3.5} ${y + height + 5}) rotate(90)`;
        make(group, 'text', {class: lying || standing ? 'inbox mid' : 'small', transform: at}, label);
      }
      x += width / sx + gap;
      if (block.strides > 1) mark((x - gap / 2) * sx, block.output);
    });
  }

  // Stacked bars: one row a decision, made once; then only widths change.
  const rows = [];
  function makeBars() {
    decisions.forEach((decision) => {
      const row = make(find('bars'), 'div', {class: 'row'});
      make(row, 'span', {}, decision.label);
      const bar = make(row, 'svg', {class: 'bar', role: 'img'});
      const ratios = [...new Set(decision.choices.map((choice) => choice.expansion).filter((value) => value != null))].sort((a, b) => a - b);
      const parts = decision.choices.map((choice) => {
        const rank = ratios.indexOf(choice.expansion);
        const tint = rank < 0 || rank === ratios.length - 1 ? 't2' : rank === 0 ? 't0' : 't1';
        const group = make(bar, 'g');
        return {group, rects: [make(group, 'rect', {class: `k ${keyOf(choice)} ${tint}`, height: 20}),
          make(group, 'rect', {class: 'p p-' + drawing.patterns[keyOf(choice)], height: 20})],
          text: make(group, 'text', {y: 14, 'text-anchor': 'middle'}, shorten(choice.label, 16))};
      });
      rows.push({decision, bar, parts, best: make(row, 'span')});
    });
  }
  function showBars(probabilities) {
    rows.forEach(({decision, bar, parts, best}, index) => {
      const values = probabilities[index], total = sum(values) || 1, pixels = bar.clientWidth || 400;
      let left = 0;
      parts.forEach(({group, rects, text}, choice) => {
        const share = values[choice] / total;
        for (const rect of rects) {
          rect.setAttribute('x', (left * 100).toFixed(2) + '%');
          rect.setAttribute('width', (share * 100).toFixed(2) + '%');
        }
        text.setAttribute('x', ((left + share / 2) * 100).toFixed(2) + '%');
        text.setAttribute('visibility', share * pixels > 6.2 * text.textContent.length + 4 ? 'visible' : 'hidden');
        group.dataset.tip = `${decision.label}: ${decision.choices[choice].label}\n${percent(values[choice])}, ${price(decision.choices[choice].cost)}`;
        left += share;
      });
      const top = values.indexOf(Math.max(...values));
      best.textContent = `${decision.choices[top].label} ${(100 * values[top]).toFixed(0)} %`;
      bar.setAttribute('aria-label', decision.label + ': ' + decision.choices.map((choice, i) => `${choice.label} ${percent(values[i])}`).join(', '));
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
    if (cost.smallest == null || cost.largest == null || cost.largest <= cost.smallest) return gauge.remove();
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
    drawNetwork(run.most_likely.choices[current]);
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
    timer = setInterval(() => { if (current < last) go(current + 1); if (current === last) stop(); }, Math.max(60, Math.min(500, 15000 / (last + 1))));
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
  for (const svg of document.querySelectorAll('[data-hover]')) setUp(svg);
  if (player) {
    measure();
    makeBars();
    setUpStrips();
    showButton(false);
    go(restored('epoch', last));
    slider.addEventListener('input', () => { stop(); go(Number(slider.value)); });
    find('play').addEventListener('click', play);
    player.addEventListener('keydown', (event) => {
      if (event.key === ' ' && event.target !== find('play')) {
        event.preventDefault();
        play();
      } else if (event.target !== slider || event.key.startsWith('Page')) {
        if (!event.target.classList.contains('scroll')) step(event);
      }
    });
    addEventListener('resize', () => go(current));
  }

  find('save').addEventListener('click', () => {
    const {drawing: unused, ...report} = data;
    find('save').href = URL.createObjectURL(new Blob([JSON.stringify(report)], {type: 'application/json'}));
  });

  // While the search runs the file is written anew each epoch: reload it, and go on where the reader was.
  function restored(name, otherwise) {
    try {
      const kept = JSON.parse(sessionStorage.getItem('tf_proxyless/' + run.name) || '{}');
      return name in kept && kept[name] !== null ? kept[name] : otherwise;
    } catch (error) {
      return otherwise;  // storage is switched off, or holds something else
    }
  }
  function keep() {
    const open = [...document.querySelectorAll('details')].map((details) => details.open);
    const kept = {scroll: scrollY, open, epoch: player && current < last ? current : null, reload: find('reload').checked};
    try {
      sessionStorage.setItem('tf_proxyless/' + run.name, JSON.stringify(kept));
    } catch (error) {
      return;  // then it starts at the top
    }
  }
  if (run.refreshing) {
    const open = restored('open', []);
    document.querySelectorAll('details').forEach((details, index) => { details.open = Boolean(open[index]); });
    find('reload').checked = restored('reload', true);
    scrollTo(0, restored('scroll', 0));
    let touched = 0;
    for (const name of ['pointermove', 'keydown', 'wheel', 'touchmove']) addEventListener(name, () => { touched = Date.now(); }, {passive: true});
    setInterval(() => {
      if (document.hidden || timer !== null || !find('reload').checked || Date.now() - touched < 2000) return;
      keep();
      location.reload();
    }, 10000);
  }
})();
