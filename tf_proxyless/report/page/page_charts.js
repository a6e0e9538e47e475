// Charts that were drawn by charts.py: what is under the pointer, and the player's cursor.

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
