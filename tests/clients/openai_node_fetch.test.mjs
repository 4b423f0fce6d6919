// The official SDK over what it brings by default, node-fetch 2, in a process of its own: the choice
// is one for a whole process.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Engine, chunk, completion, gateway, hello, installed } from './harness.mjs';

const OpenAI = installed('openai');

// What a stream says, or why it failed.
async function streamed(baseURL) {
  const client = new OpenAI({ baseURL, apiKey: 'x', maxRetries: 0 });
  let said = '';
  try {
    for await (const one of await client.chat.completions.create({ model: 'm', messages: hello, stream: true })) {
      said += one.choices[0].delta.content ?? '';
    }
  } catch (error) {
    return error.message;
  }
  return said;
}

test('plain answers come over kept connections, and a stream as from the engine itself', async (t) => {
  const engine = await Engine.start(t, (call) => (call.asked.stream
    ? call.events([chunk({ content: 'Hel' }), chunk({ content: 'lo' }), chunk({}, 'stop')])
    : call.json(completion('Hello'))));
  const { url } = await gateway(t, engine);
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  for (let i = 0; i < 3; ++i) {
    const answer = await client.chat.completions.create({ model: 'm', messages: hello });
    assert.equal(answer.choices[0].message.content, 'Hello');
  }
  // On some versions of Node it takes every end of a chunked answer for a premature one: then of Node's
  // own server too.
  const direct = await streamed(engine.url);
  t.diagnostic(`a stream without the gateway: ${direct}`);
  assert.match(direct, /^(Hello|Premature close)$/);
  assert.equal(await streamed(url), direct);
});
