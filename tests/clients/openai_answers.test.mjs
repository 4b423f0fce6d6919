// The official SDK, as its users call it: what it asks for and what it gets.

import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import test from 'node:test';

import { Engine, chunk, completion, gateway, hello, installed, sdk, simulated } from './harness.mjs';

globalThis.File ??= File; // Node 18 has it here alone, and the SDK asks for it
const OpenAI = sdk();
const { zodResponseFormat } = installed('openai/helpers/zod');
const { z } = installed('zod');

// A client of a gateway in front of an engine that does what the script says.
async function through(t, script, more = {}) {
  const engine = await Engine.start(t, script);
  const { url } = await gateway(t, engine, more);
  return { engine, client: new OpenAI({ baseURL: url, apiKey: 'of-the-application', maxRetries: 0 }) };
}

async function all(stream) {
  const chunks = [];
  for await (const one of stream) chunks.push(one);
  return chunks;
}

const text = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? '').join('');

test('the simulated engine answers plainly, as a stream and with usage', async (t) => {
  const { url } = await gateway(t, await simulated(t), { cache: { answers: 'all' } });
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const asked = { model: 'simulated', messages: hello };
  const plain = await client.chat.completions.create(asked);
  assert.equal(plain.choices[0].finish_reason, 'stop');
  assert.ok(plain.usage.total_tokens > 0);
  assert.ok(plain._request_id, 'the SDK shows the request id that the gateway gave');

  const streamed = await all(await client.chat.completions.create({ ...asked, stream: true }));
  assert.equal(text(streamed), plain.choices[0].message.content);
  assert.ok(streamed.every((c) => !c.usage), 'usage that was not asked for');
  const counted = await all(await client.chat.completions.create({
    ...asked, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(counted.at(-1).choices, []);
  assert.deepEqual(counted.at(-1).usage, plain.usage);

  const { data, response } = await client.chat.completions.create(asked).withResponse();
  assert.equal(data.choices[0].message.content, plain.choices[0].message.content);
  assert.equal(response.headers.get('x-penstock-cache'), 'hit; level=memory');

  const old = await client.completions.create({ model: 'simulated', prompt: 'Once' });
  assert.ok(old.choices[0].text.length > 0);
});

test('models are listed and looked up', async (t) => {
  const { url } = await gateway(t, await simulated(t, '--model', 'a', '--model', 'b/c'));
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ['a', 'b/c']);
  assert.equal((await client.models.retrieve('b/c')).id, 'b/c');
  await assert.rejects(client.models.retrieve('none'), OpenAI.NotFoundError);
});

test('embeddings come as numbers, in both encodings', async (t) => {
  const { url } = await gateway(t, await simulated(t), { cache: { answers: 'all' } });
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const asked = { model: 'simulated', input: ['one', 'two'], dimensions: 8 };
  const floats = await client.embeddings.create({ ...asked, encoding_format: 'float' });
  // Unasked, the SDK asks for base64 and decodes it.
  const packed = await client.embeddings.create(asked);
  assert.equal(packed.data.length, 2);
  for (const [i, one] of packed.data.entries()) {
    assert.deepEqual(Array.from(one.embedding, Math.fround), floats.data[i].embedding.map(Math.fround));
  }
  assert.notDeepEqual(packed.data[0].embedding, packed.data[1].embedding);
});

const weather = { type: 'function', function: { name: 'weather', parameters: {
  type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } };

test('tools reach the engine and its calls come back, streamed ones too', async (t) => {
  const called = { role: 'assistant', content: null, tool_calls: [
    { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Zürich"}' } }] };
  const { client, engine } = await through(t, (call) => {
    if (!call.asked.stream) {
      call.json(completion(null, { choices: [
        { index: 0, finish_reason: 'tool_calls', logprobs: null, message: called }] }));
      return;
    }
    const part = (index, more) => chunk({ tool_calls: [{ index, ...more }] });
    call.events([chunk({ role: 'assistant', content: null }),
      part(0, { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
      part(1, { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"ci' } }),
      part(0, { function: { arguments: '{"city":' } }), part(1, { function: { arguments: 'ty":"Bern"}' } }),
      part(0, { function: { arguments: '"Zürich"}' } }), chunk({}, 'tool_calls')]);
  });
  const asked = { model: 'm', messages: hello, tools: [weather], tool_choice: 'required',
    parallel_tool_calls: true };
  const plain = await client.chat.completions.create(asked);
  assert.deepEqual(plain.choices[0].message, called);
  assert.deepEqual(engine.calls[0].asked, asked);

  const stream = client.beta.chat.completions.stream(asked);
  const { choices } = await stream.finalChatCompletion();
  assert.deepEqual(choices[0].message.tool_calls.map((c) => [c.id, c.function.arguments]),
    [['call_1', '{"city":"Zürich"}'], ['call_2', '{"city":"Bern"}']]);
  assert.equal(choices[0].finish_reason, 'tool_calls');
});

test('the SDK runs tools until the answer is there', async (t) => {
  const { client, engine } = await through(t, (call, number) => {
    if (number === 1) {
      call.json(completion(null, { choices: [{ index: 0, finish_reason: 'tool_calls', logprobs: null,
        message: { role: 'assistant', content: null, tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }] } }] }));
    } else {
      call.json(completion('It rains.'));
    }
  }, { cache: { answers: 'all' } });
  const runner = client.beta.chat.completions.runTools({ model: 'm', messages: hello, tools: [
    { ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` } }] });
  assert.equal(await runner.finalContent(), 'It rains.');
  assert.deepEqual(engine.calls[1].asked.messages.at(-1),
    { role: 'tool', tool_call_id: 'call_1', content: 'rain in Bern' });
});

test('structured output is asked for and parsed', async (t) => {
  const Event = z.object({ name: z.string(), days: z.array(z.number()) });
  const { client, engine } = await through(t, (call) => {
    if (call.asked.stream) call.events([chunk({ role: 'assistant', content: '{"name":"x",' }),
      chunk({ content: '"days":[1]}' }), chunk({}, 'stop')]);
    else call.json(completion('{"name":"Fête","days":[1,2]}'));
  });
  const asked = { model: 'm', messages: hello, response_format: zodResponseFormat(Event, 'event') };
  const parsed = await client.beta.chat.completions.parse(asked);
  assert.deepEqual(parsed.choices[0].message.parsed, { name: 'Fête', days: [1, 2] });
  const format = engine.calls[0].asked.response_format;
  assert.equal(format.json_schema.strict, true);
  assert.deepEqual(format.json_schema.schema.required, ['name', 'days']);
  const streamed = await client.beta.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, { name: 'x', days: [1] });
});

test('the simulated engine calls tools and fills schemas, so that an application can be tried', async (t) => {
  const { url } = await gateway(t, await simulated(t), { cache: { answers: 'all' } });
  const client = new OpenAI({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const Person = z.object({ name: z.string(), age: z.number().int(), kind: z.enum(['a', 'b']),
    tags: z.array(z.string()), boss: z.object({ name: z.string() }).nullable() });
  const asked = { model: 'simulated', messages: hello, response_format: zodResponseFormat(Person, 'person') };
  const { choices } = await client.beta.chat.completions.parse(asked);
  assert.equal(Person.safeParse(choices[0].message.parsed).success, true);
  const streamed = await client.beta.chat.completions.stream(asked).finalChatCompletion();
  assert.equal(Person.safeParse(streamed.choices[0].message.parsed).success, true);

  for (const stream of [false, true]) {
    const asked = [];
    const runner = client.beta.chat.completions.runTools({ model: 'simulated', stream, messages: hello, tools: [
      { ...weather, function: { ...weather.function, parse: JSON.parse, function: (given) => {
        asked.push(given);
        return 'rain';
      } } }] });
    assert.equal((await runner.finalContent()).split(' ').length > 1, true, 'prose after the tool');
    assert.deepEqual(asked, [{ city: 'simulated' }]);
  }
});

test('several choices, logprobs and what nobody has heard of pass as they came', async (t) => {
  const logprobs = { content: [{ token: 'é', logprob: -0.25, bytes: [195, 169], top_logprobs: [] }], refusal: null };
  const answer = { ...completion('é'), system_fingerprint: 'fp_1', service_tier: 'x', kv_transfer: { a: [1.5e-7] } };
  answer.choices.push({ ...answer.choices[0], index: 1, logprobs,
    message: { role: 'assistant', content: '2', reasoning_content: 'because' } });
  const chunks = [chunk({ role: 'assistant', content: 'a' }),
    { ...chunk({ content: 'b' }, null, { index: 1, logprobs }), system_fingerprint: 'fp_1' },
    chunk({ reasoning_content: 'because' }), chunk({}, 'stop'), chunk({}, 'length', { index: 1 })];
  const { client, engine } = await through(t, (call) =>
    (call.asked.stream ? call.events(chunks) : call.json(answer)));
  const asked = { model: 'm', messages: hello, n: 2, logprobs: true, top_logprobs: 1, top_k: 40,
    chat_template_kwargs: { enable_thinking: false }, seed: 7 };
  assert.deepEqual({ ...(await client.chat.completions.create(asked)) }, answer);
  assert.deepEqual(engine.calls[0].asked, asked);
  assert.deepEqual(await all(await client.chat.completions.create({ ...asked, stream: true })), chunks);
});

test('any text and any length comes back as it was', async (t) => {
  const { client } = await through(t, (call) => {
    const said = call.asked.messages[0].content;
    if (call.asked.stream) {
      const pieces = said.match(/[^]{1,40000}/gu);
      call.events([...pieces.map((content) => chunk({ content })), chunk({}, 'stop')]);
    } else {
      call.json(completion(said));
    }
  });
  const odd = 'Grüße 世界 🌍👩‍👩‍👧 \u0000\u001f\u2028 "\\" </script> שלום é ' + '\r\n'.repeat(3);
  for (const content of [odd, odd.repeat(20_000)]) { // the second is over 1 MiB
    const messages = [{ role: 'user', content }];
    const plain = await client.chat.completions.create({ model: 'm', messages });
    assert.ok(plain.choices[0].message.content === content);
    const chunks = await all(await client.chat.completions.create({ model: 'm', messages, stream: true }));
    assert.ok(text(chunks) === content);
  }
});

test('fifty questions at once are fifty answers', async (t) => {
  const { client, engine } = await through(t, (call) => call.json(completion(call.asked.messages[0].content)));
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.chat.completions.create({
    model: 'm', messages: [{ role: 'user', content: `question ${i}` }] })));
  assert.deepEqual(answers.map((a) => a.choices[0].message.content), answers.map((_, i) => `question ${i}`));
  assert.equal(engine.calls.length, 50);
});

test('what the gateway does not know passes through: responses, images, uploads', async (t) => {
  const events = [{ type: 'response.output_text.delta', delta: 'Hi', item_id: '1', output_index: 0, content_index: 0 },
    { type: 'response.completed', response: { id: 'resp_1', output: [] } }];
  const { client, engine } = await through(t, (call) => {
    if (call.path === '/v1/responses') {
      call.response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const e of events) call.response.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
      call.response.end();
    } else if (call.path === '/v1/audio/transcriptions') {
      call.json({ text: 'spoken' });
    } else {
      call.json({ created: 1, data: [{ b64_json: 'AAAA' }] });
    }
  });
  const stream = await client.responses.create({ model: 'm', input: 'Hello?', stream: true });
  assert.deepEqual(await all(stream), events);
  const image = await client.images.generate({ model: 'm', prompt: 'a gate' });
  assert.equal(image.data[0].b64_json, 'AAAA');
  const file = await OpenAI.toFile(Buffer.from('RIFF'), 'a.wav');
  const heard = await client.audio.transcriptions.create({ model: 'm', file });
  assert.equal(heard.text, 'spoken');
  assert.match(engine.calls.at(-1).headers['content-type'], /^multipart\/form-data/);
});

test("the application's key stays with the gateway, and the engine gets its own", async (t) => {
  const { client, engine } = await through(t, (call) => call.json(completion('Hi')));
  await client.chat.completions.create({ model: 'm', messages: hello });
  assert.equal(engine.calls[0].headers.authorization, 'Bearer sk-of-the-engine');
  assert.match(engine.calls[0].headers['user-agent'], /^OpenAI\/JS 4\./);
  assert.equal(engine.calls[0].headers['x-stainless-lang'], 'js');
});
