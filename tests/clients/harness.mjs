// The gateway as a real program and an engine that does what a test says, for clients in Node.
//
//   const engine = await Engine.start(t, (call) => call.json(completion('Hello.')));
//   const { url } = await gateway(t, engine);
//
// Runs on Node 18, with nothing but what `npm ci` has put into PENSTOCK_CLIENTS. All of a test ends
// with it; the gateway must then have ended with code 0.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = process.env.PENSTOCK_BIN;
const LIMIT = 20_000; // ms that any single condition may take to come true, on a slow machine too
export const KEY = 'sk-of-the-engine';

// The packages lie in the build directory, where `import` does not look.
export const installed = createRequire(join(process.env.PENSTOCK_CLIENTS, 'package.json'));

// The official SDK, over Node's own fetch. By default it brings node-fetch 2, which reports "Premature
// close" at the end of chunked answers from whatever server, on a Node that listens to connections
// between two requests; Debian 12's does (node-fetch issue 1767, docs/clients.md).
export function sdk() {
  installed('openai/shims/web');
  return installed('openai');
}

export async function within(promise, what, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limit} ms: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A run of the program; `ready` is the first match of a pattern in its output.
async function run(t, args, pattern, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  let look = () => {};
  const ready = new Promise((resolve, reject) => {
    look = () => {
      const match = pattern.exec(output);
      if (match) resolve(match);
    };
    child.on('exit', () => reject(new Error(`${args.join(' ')} ended:\n${output}`)));
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
      look();
    });
  }
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGINT');
    const [code] = await within(ended, `the end of ${args[0]}`);
    assert.equal(code, 0, output);
    assert.ok(!output.includes(KEY), 'a key was written');
  });
  return { match: await within(ready, `${pattern} in:\n${output}`), output: () => output };
}

// A gateway in front of `engine` (or of any URL), for every model. `more` goes over its settings.
export async function gateway(t, engine, more = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-clients-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'penstock.yaml');
  const settings = {
    listen: { address: '127.0.0.1:0', workers: 2, ...more.listen },
    admin: { address: '127.0.0.1:0' },
    engines: [{ name: 'e', kind: 'openai', url: engine.url ?? engine, api_key: KEY, health: 'off', ...more.engine }],
    models: [{ name: '*', engines: ['e'] }],
    cache: { answers: 'off', ...more.cache },
  };
  await writeFile(file, JSON.stringify(settings)); // JSON is YAML too
  const { match } = await run(t, ['serve', '--config', file],
    /listening on (http:\/\/127\.0\.0\.1:\d+)[^]*admin on/);
  return { origin: match[1], url: `${match[1]}/v1` };
}

// `penstock engine`, the simulated one.
export async function simulated(t, ...args) {
  const fast = ['--first-token', '0s', '--tokens-per-second', '0', '--tokens', '12'];
  const { match } = await run(t, ['engine', '--listen', '127.0.0.1:0', ...fast, ...args],
    /listening on (\S+)/);
  return match[1];
}

// A URL where nobody listens.
export async function nobody() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}/v1`;
}

// What a scripted engine was asked, and how it answers.
class Call {
  constructor(request, response, body) {
    Object.assign(this, { request, response, body, method: request.method, path: request.url });
    this.headers = request.headers;
    // When the gateway closed the connection before the answer's end.
    this.cancelled = new Promise((resolve) => {
      response.on('close', () => {
        if (!response.writableFinished) resolve(performance.now());
      });
    });
  }

  get asked() {
    return JSON.parse(this.body);
  }

  json(value, status = 200, headers = {}) {
    const text = JSON.stringify(value);
    this.response.writeHead(status, {
      'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
    this.response.end(text);
  }

  // An error as OpenAI has it.
  refuse(status, message = 'No.', headers = {}) {
    this.json({ error: { message, type: 'some_error', param: null, code: 'some_code' } }, status, headers);
  }

  // Events, as objects or as text; the stream stays open without `end`.
  events(list, end = true) {
    if (!this.response.headersSent) this.response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of list) {
      this.response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
    }
    if (end) this.response.end('data: [DONE]\n\n');
  }
}

export class Engine {
  constructor(script) {
    this.calls = [];
    this.server = createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const call = new Call(request, response, Buffer.concat(pieces));
      this.calls.push(call);
      script(call, this.calls.length);
    });
  }

  static async start(t, script) {
    const engine = new Engine(script);
    engine.server.listen(0, '127.0.0.1');
    await once(engine.server, 'listening');
    t.after(() => {
      engine.server.close();
      engine.server.closeAllConnections();
    });
    engine.url = `http://127.0.0.1:${engine.server.address().port}/v1`;
    return engine;
  }
}

// What an engine would answer.

export function completion(content, more = {}) {
  return { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm',
    choices: [{ index: 0, finish_reason: 'stop', logprobs: null,
      message: { role: 'assistant', content, refusal: null } }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }, ...more };
}

export function chunk(delta, finish_reason = null, more = {}) {
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm',
    choices: [{ index: 0, delta, finish_reason, ...more }] };
}

export const hello = [{ role: 'user', content: 'Hello?' }];
