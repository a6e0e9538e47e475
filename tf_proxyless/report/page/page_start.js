// Starts everything, saves the data, and reloads the page while the search runs.

find('save').addEventListener('click', () => {
  find('save').href = URL.createObjectURL(new Blob([JSON.stringify(data)], {type: 'application/json'}));
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

for (const svg of document.querySelectorAll('[data-hover]')) setUp(svg);
if (player) {
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
