// Node's own fetch (undici): no SDK, no package.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Engine, chunk, completion, gateway, hello, simulated, within } from './harness.mjs';

function asking(body, more = {}) {
  return { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: hello, ...body }), ...more };
}

// The data of an event stream's events, as they come.
async function* events(response) {
  let held = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    held += piece;
    for (let end; (end = held.indexOf('\n\n')) >= 0; held = held.slice(end + 2)) {
      yield held.slice('data: '.length, end);
    }
  }
  assert.equal(held, '', 'an event without its end');
}

test('a plain and a streamed answer, by fetch', async (t) => {
  const { url } = await gateway(t, await simulated(t), { cache: { answers: 'all' } });
  const plain = await fetch(`${url}/chat/completions`, asking({ model: 'simulated' }));
  assert.equal(plain.status, 200);
  const said = (await plain.json()).choices[0].message.content;
  const response = await fetch(`${url}/chat/completions`, asking({ model: 'simulated', stream: true }));
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const all = [];
  for await (const event of events(response)) all.push(event);
  assert.equal(all.pop(), '[DONE]');
  assert.equal(all.map((e) => JSON.parse(e).choices[0].delta.content ?? '').join(''), said);
});

test('an event comes when the engine sends it, not when the answer is whole', async (t) => {
  let open;
  const engine = await Engine.start(t, (call) => {
    open = call;
    call.events([chunk({ content: 'first' })], false);
  });
  const { url } = await gateway(t, engine);
  const stream = events(await fetch(`${url}/chat/completions`, asking({ stream: true })));
  assert.match((await within(stream.next(), 'the first event')).value, /first/);
  open.events([chunk({ content: 'second' })]);
  assert.match((await stream.next()).value, /second/);
  assert.equal((await stream.next()).value, '[DONE]');
  assert.ok((await stream.next()).done);
});

test('an aborted fetch ends the call of the engine', async (t) => {
  const engine = await Engine.start(t, (call) => call.events([chunk({ content: 'first' })], false));
  const { url } = await gateway(t, engine);
  const leave = new AbortController();
  const response = await fetch(`${url}/chat/completions`, asking({ stream: true }, { signal: leave.signal }));
  await events(response).next().catch(() => {});
  leave.abort();
  await within(engine.calls[0].cancelled, 'the end of the call');
});

test('a body of unknown length is sent in chunks and arrives whole', async (t) => {
  const engine = await Engine.start(t, (call) => call.json(completion(call.asked.messages[0].content)));
  const { url } = await gateway(t, engine);
  const text = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'ü'.repeat(300_000) }] });
  const body = new Blob([text]).stream();
  const answer = await fetch(`${url}/chat/completions`, { method: 'POST', body, duplex: 'half',
    headers: { 'content-type': 'application/json' } });
  assert.equal((await answer.json()).choices[0].message.content.length, 300_000);
});

test('a refusal is JSON, and the connection goes on', async (t) => {
  const { url, origin } = await gateway(t, await simulated(t));
  for (const [path, status] of [['/v1/none-at-all', 404], ['/v2', 404], ['/v1/chat/completions', 405]]) {
    const answer = await fetch(origin + path);
    assert.equal(answer.status, status, path);
    assert.deepEqual(Object.keys((await answer.json()).error), ['message', 'type', 'param', 'code']);
  }
  assert.equal((await fetch(`${url}/models`)).status, 200);
});
