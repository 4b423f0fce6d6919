// The official SDK when things go wrong: which error it raises, how often it asks again, what becomes
// of a call that nobody waits for any more.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Engine, chunk, completion, gateway, hello, nobody, sdk, simulated, within } from './harness.mjs';

const OpenAI = sdk();
const asked = { model: 'm', messages: hello };

async function through(t, script, options = {}, more = {}) {
  const engine = await Engine.start(t, script);
  const { url } = await gateway(t, engine, more);
  return { engine, client: new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0, ...options }) };
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not fail' });
}

test('what the gateway refuses is the class that the SDK has for it', async (t) => {
  const { client, engine } = await through(t, (call) => call.json(completion('Hi')));
  const bad = await failure(client.chat.completions.create({ ...asked, temperature: 'hot' }));
  assert.ok(bad instanceof OpenAI.BadRequestError);
  assert.equal(bad.param, 'temperature');
  assert.equal(bad.type, 'invalid_request_error');
  assert.ok(bad.request_id);
  const lost = new OpenAI({ baseURL: client.baseURL.replace('/v1', '/api'), apiKey: 'x', maxRetries: 0 });
  assert.ok(await failure(lost.chat.completions.create(asked)) instanceof OpenAI.NotFoundError);
  assert.equal(engine.calls.length, 0);
});

test('what the engine refuses keeps its class, its words and its fields', async (t) => {
  let status = 0;
  const { client, engine } = await through(t, (call) => call.refuse(status, `No ${status}.`, {
    'x-ratelimit-remaining-requests': '0' }));
  const classes = { 400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 409: OpenAI.ConflictError,
    422: OpenAI.UnprocessableEntityError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError,
    503: OpenAI.InternalServerError };
  for (const [code, kind] of Object.entries(classes)) {
    status = Number(code);
    const error = await failure(client.chat.completions.create(asked));
    assert.ok(error instanceof kind, code);
    assert.deepEqual([error.status, error.code, error.type], [status, 'some_code', 'some_error']);
    assert.match(error.message, new RegExp(`No ${status}\\.`));
    assert.equal(error.headers['x-ratelimit-remaining-requests'], '0');
  }
  assert.equal(engine.calls.length, Object.keys(classes).length);
});

test("a key of the gateway's that the engine refuses is not the application's fault, nor tried again", async (t) => {
  const { url } = await gateway(t, await simulated(t, '--api-key', 'another'));
  const client = new OpenAI({ baseURL: url, apiKey: 'x' });
  for (const call of [() => client.chat.completions.create(asked), () => client.models.retrieve('simulated')]) {
    const error = await failure(call());
    assert.ok(error instanceof OpenAI.InternalServerError);
    assert.deepEqual([error.status, error.code], [502, 'engine_credentials_refused']);
    assert.match(error.message, /Engine e refused the gateway's credentials/);
    assert.equal(error.headers['x-should-retry'], 'false');
  }
});

test('an engine that cannot be reached is a 503', async (t) => {
  const { url } = await gateway(t, await nobody());
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const error = await failure(client.chat.completions.create(asked));
  assert.ok(error instanceof OpenAI.InternalServerError);
  assert.deepEqual([error.status, error.code], [503, 'engine_unavailable']);
});

test('a gateway that is not there is a connection error', async () => {
  const client = new OpenAI({ baseURL: await nobody(), apiKey: 'x', maxRetries: 0 });
  assert.ok(await failure(client.chat.completions.create(asked)) instanceof OpenAI.APIConnectionError);
});

test('the SDK asks three times, and says which time it is', async (t) => {
  const { client, engine } = await through(t, (call, number) => {
    if (number < 3) call.refuse(500 + number, 'Busy.', { 'retry-after-ms': '1' });
    else call.json(completion('At last.'));
  }, { maxRetries: 2 });
  const answer = await client.chat.completions.create(asked);
  assert.equal(answer.choices[0].message.content, 'At last.');
  assert.deepEqual(engine.calls.map((c) => c.headers['x-stainless-retry-count']), ['0', '1', '2']);
});

test('an engine that stays at its limit is asked three times, then the error is raised', async (t) => {
  const { client, engine } = await through(t, (call) => call.refuse(429, 'Slow down.', { 'retry-after-ms': '1' }),
    { maxRetries: 2 });
  const error = await failure(client.chat.completions.create({ ...asked, stream: true }));
  assert.ok(error instanceof OpenAI.RateLimitError);
  assert.equal(engine.calls.length, 3);
});

test('x-should-retry decides before retry-after-ms, and that before retry-after', async (t) => {
  let fields;
  const { client, engine } = await through(t, (call) => call.refuse(call.asked.seed, 'No.', fields),
    { maxRetries: 1 });
  const times = [];
  const calls = async (status, given) => {
    fields = given;
    const before = engine.calls.length;
    const begun = performance.now();
    await failure(client.chat.completions.create({ ...asked, seed: status }));
    times.push(performance.now() - begun);
    return engine.calls.length - before;
  };
  assert.equal(await calls(500, { 'x-should-retry': 'false' }), 1);
  assert.equal(await calls(400, {}), 1);
  assert.equal(await calls(400, { 'x-should-retry': 'true', 'retry-after-ms': '1' }), 2);
  assert.equal(await calls(429, { 'retry-after-ms': '1', 'retry-after': '50' }), 2);
  assert.ok(times.at(-1) < 20_000, 'retry-after was obeyed though retry-after-ms was there');
  assert.equal(await calls(429, { 'retry-after': '1' }), 2);
  assert.ok(times.at(-1) >= 950, `retry-after was not obeyed: ${times.at(-1)} ms`);
});

test('a stream that breaks raises, with what had come', async (t) => {
  const { client } = await through(t, (call) => {
    call.events([chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' })], false);
    setImmediate(() => call.response.destroy());
  });
  const stream = await client.chat.completions.create({ ...asked, stream: true });
  let said = '';
  const error = await failure((async () => {
    for await (const one of stream) said += one.choices[0].delta.content;
  })());
  assert.equal(said, 'Hello');
  assert.ok(error instanceof OpenAI.APIError);
  assert.equal(error.code, 'engine_error');
});

test("an engine's own error within a stream raises, in its words", async (t) => {
  const { client } = await through(t, (call) => call.events([chunk({ content: 'Hel' }),
    { error: { message: 'CUDA out of memory', type: 'server_error', param: null, code: 'oom' } }]));
  const stream = await client.chat.completions.create({ ...asked, stream: true });
  const error = await failure((async () => { for await (const one of stream) assert.ok(one); })());
  assert.ok(error instanceof OpenAI.APIError);
  assert.deepEqual([error.code, error.error.message], ['oom', 'CUDA out of memory']);
});

// From a deed of the client to the end of the engine's call, in ms: the least of five, since the
// machine may be busy with other things.
async function fastest(attempt) {
  const times = [];
  for (let i = 0; i < 5; ++i) times.push(await attempt(i));
  return Math.min(...times);
}

test('an abort ends the call of the engine within 100 ms, streamed or not', async (t) => {
  const { client, engine } = await through(t, (call) => {
    if (call.asked.stream) call.events([chunk({ role: 'assistant', content: 'Hel' })], false);
  });
  const streamed = await fastest(async () => {
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    for await (const one of stream) {
      assert.equal(one.choices[0].delta.content, 'Hel');
      break; // what an application does that has heard enough
    }
    const left = performance.now();
    return await within(engine.calls.at(-1).cancelled, 'the end of the stream') - left;
  });
  const plain = await fastest(async (i) => {
    const leave = new AbortController();
    const answer = client.chat.completions.create(asked, { signal: leave.signal });
    answer.catch(() => {});
    const before = engine.calls.length;
    while (engine.calls.length === before) await new Promise(setImmediate);
    const left = performance.now();
    leave.abort();
    assert.ok(await failure(answer) instanceof OpenAI.APIUserAbortError, `attempt ${i}`);
    return await within(engine.calls.at(-1).cancelled, 'the end of the call') - left;
  });
  t.diagnostic(`streamed ${streamed.toFixed(1)} ms, plain ${plain.toFixed(1)} ms`);
  assert.ok(streamed < 100, `${streamed} ms`);
  assert.ok(plain < 100, `${plain} ms`);
});

test('a client that is out of patience raises a time-out and leaves no call behind', async (t) => {
  const { client, engine } = await through(t, () => {});
  const error = await failure(client.chat.completions.create(asked, { timeout: 200 }));
  assert.ok(error instanceof OpenAI.APIConnectionTimeoutError);
  await within(engine.calls[0].cancelled, 'the end of the call');
  // What it tells of its patience is the gateway's too: the call ends by itself.
  const told = await failure(client.chat.completions.create(asked, {
    timeout: 15_000, headers: { 'x-stainless-timeout': '1' } }));
  assert.ok(told instanceof OpenAI.InternalServerError);
  assert.deepEqual([told.status, told.code], [504, 'engine_timeout']);
});

test('a question over the limit is told so', async (t) => {
  const { client, engine } = await through(t, (call) => call.json(completion('Hi')), {},
    { listen: { address: '127.0.0.1:0', limits: { body_bytes: '1MiB' } } });
  const messages = [{ role: 'user', content: 'x'.repeat(3 << 20) }];
  const error = await failure(client.chat.completions.create({ model: 'm', messages }));
  assert.equal(error.status, 413);
  assert.match(error.message, /listen\.limits\.body_bytes/);
  assert.equal(engine.calls.length, 0);
  assert.equal((await client.chat.completions.create(asked)).choices[0].message.content, 'Hi');
});
