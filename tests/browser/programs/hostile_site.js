// What another web site tries. Gives the names of what it could read; the test looks at what it could change.
async ([web, kafka, gets, posts]) => {
  const read = [], wsOpen = [];
  const within = (promise, ms) => Promise.race([promise, new Promise(done => setTimeout(() => done(null), ms))]);
  const attempt = async (what, work) => { try { if (await within(work(), 8000)) read.push(what); } catch {} };
  for (const path of gets) {
    await attempt('fetch ' + path, async () => (await fetch(web + path)).ok);
    await attempt('fetch with cookies ' + path, async () => (await fetch(web + path, {credentials: 'include'})).ok);
  }
  await attempt('fetch no-cors', async () => (await (await fetch(web + '/topics.json', {mode: 'no-cors'})).text()).includes('orders'));
  await attempt('fetch json', async () => (await fetch(web + '/topics.json', {headers: {'X-Sandbox': 'x'}})).ok);
  await attempt('xhr', () => new Promise(done => {
    const xhr = new XMLHttpRequest();
    xhr.onload = () => done(xhr.responseText.includes('orders')); xhr.onerror = () => done(false);
    xhr.open('GET', web + '/topics.json'); xhr.send();
  }));
  const element = (tag, attributes, parent = document.body) => new Promise(done => {
    const one = document.createElement(tag);
    one.onload = () => done(one); one.onerror = () => done(null);
    Object.assign(one, attributes); parent.append(one);
  });
  await attempt('script', async () => await element('script', {src: web + '/topics.json'}));
  await attempt('own script', async () => await element('script', {src: web + '/static/app.js'}));
  await attempt('img', async () => await element('img', {src: web + '/static/icon.svg'}));
  await attempt('css', async () => await element('link', {rel: 'stylesheet', href: web + '/static/app.css'}));
  await attempt('iframe', async () => {
    const frame = await within(element('iframe', {src: web + '/'}), 2000);
    return frame && frame.contentDocument && frame.contentDocument.body.innerText.includes('Topics');
  });
  await attempt('window', async () => {
    const opened = window.open(web + '/', '_blank', 'popup');
    if (!opened) return false;
    await new Promise(done => setTimeout(done, 500));
    try { return opened.document.body.innerText.includes('Topics'); } finally { opened.close(); }
  });
  await attempt('download of a snapshot', async () => (await fetch(web + '/snapshots/before/download')).ok);
  for (const path of posts) {
    const fields = new URLSearchParams({topic: 'orders', name: 'retention.ms', value: '1', to: 'latest', sure: '1',
      partitions: '9', group: 'billing', confirm: 'orders', count: '9', api: 'Fetch', error: 'UNKNOWN_SERVER_ERROR'});
    await fetch(web + path, {method: 'POST', mode: 'no-cors', credentials: 'include', body: fields}).catch(() => 0);
    for (const type of ['application/json', 'text/plain'])
      await fetch(web + path, {method: 'POST', mode: type === 'text/plain' ? 'no-cors' : 'cors', body: '{"topic": "orders"}',
        headers: {'Content-Type': type, ...(type === 'text/plain' ? {} : {'X-Sandbox': 'x'})}}).catch(() => 0);
  }
  navigator.sendBeacon(web + '/topics', new URLSearchParams({topic: 'stolen'}));
  const upload = new FormData();
  upload.append('file', new Blob(['SQLite format 3']), 'a.db'); upload.append('name', 'stolen');
  await fetch(web + '/snapshots/~upload', {method: 'POST', mode: 'no-cors', body: upload}).catch(() => 0);
  for (const method of ['PUT', 'DELETE', 'PATCH'])
    await attempt(method, async () => (await fetch(web + '/topics/orders', {method})).ok);
  for (const target of ['here', '_blank']) {
    const frame = document.createElement('iframe'); frame.name = 'here'; document.body.append(frame);
    const form = document.createElement('form');
    form.method = 'post'; form.action = web + '/topics'; form.target = target;
    for (const [name, value] of [['topic', 'stolen'], ['partitions', '1']]) {
      const input = document.createElement('input'); input.name = name; input.value = value; form.append(input);
    }
    document.body.append(form); form.submit();
    await new Promise(done => setTimeout(done, 300));
  }
  await attempt('websocket', () => new Promise(done => {
    const socket = new WebSocket(web.replace('http', 'ws') + '/live?view=/topics/orders/messages');
    socket.onopen = () => done(true); socket.onmessage = () => done(true); socket.onerror = () => done(false);
  }));
  // A Kafka request in the body of an HTTP request: version 0 of CreateTopics would be one.
  const bytes = new Uint8Array([0, 0, 0, 16, 0, 19, 0, 2, 0, 0, 0, 1, 0, 1, 120, 0, 0, 0, 0, 0]);
  await attempt('kafka', async () => (await fetch(kafka, {method: 'POST', mode: 'no-cors', body: bytes})).type);
  await attempt('kafka websocket', () => new Promise(done => {
    const socket = new WebSocket(kafka.replace('http', 'ws'));
    socket.onopen = () => done(true); socket.onerror = () => done(false);
  }));
  return read;
}
