// The status page at `/`: until the console is there, what an operator wants to see first.
// No outside assets, no inline script; it reads what the admin API gives.

#include "admin/desk.h"

namespace penstock::admin {

const std::string_view kPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Penstock</title>
<style>
  :root { color-scheme: light dark; --ink: #1b2a33; --paper: #f7f8f6; --line: #d5dbd8; --good: #1c7a4a; --bad: #b3261e; --soft: #5b6b72; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6ecea; --paper: #14191c; --line: #2d373c; --good: #5cc98f; --bad: #ff8a80; --soft: #93a3aa; } }
  body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
  header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; }
  h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
  .state { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1px; margin: 1.25rem 0 0; background: var(--line); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
  dl div { background: var(--paper); padding: .7rem .9rem; }
  dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); }
  th { color: var(--soft); font-weight: 500; font-size: .85rem; } td.n { font-variant-numeric: tabular-nums; }
  form { margin-top: 1rem; } input { font: inherit; padding: .3rem .5rem; } a { color: inherit; }
</style>
</head>
<body>
<header><h1>Penstock</h1><span class="soft" id="version"></span><span class="state" id="state">asking ...</span></header>
<form id="login" hidden><label>Admin token <input id="token" type="password" autocomplete="off"></label> <button>Show</button></form>
<main id="main" hidden>
<dl>
  <div><dt>Requests a second</dt><dd id="rate">-</dd></div>
  <div><dt>From the cache</dt><dd id="hits">-</dd></div>
  <div><dt>Errors</dt><dd id="errors">-</dd></div>
  <div><dt>Connections</dt><dd id="connections">-</dd></div>
  <div><dt>Cache entries</dt><dd id="entries">-</dd></div>
  <div><dt>Cache memory</dt><dd id="bytes">-</dd></div>
</dl>
<h2>Models</h2>
<table><thead><tr><th>Model</th><th>Engine</th><th>Kind</th><th>Calls</th><th>In flight</th></tr></thead><tbody id="models"></tbody></table>
<p class="soft">Also here: <a href="/metrics">/metrics</a>, <a href="/health">/health</a>, <a href="/admin/v1/openapi.json">the admin API</a>. The API for applications: <span id="api"></span></p>
</main>
<script src="/status.js"></script>
</body>
</html>
)html";

const std::string_view kScript = R"js('use strict';
const $ = (id) => document.getElementById(id);
let before = null;

function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let u = 0;
  while (bytes >= 1024 && u < units.length - 1) { bytes /= 1024; ++u; }
  return bytes.toFixed(u ? 1 : 0) + ' ' + units[u];
}

function say(text, good) {
  $('state').textContent = text;
  $('state').className = 'state ' + (good ? 'good' : 'bad');
}

function row(cells) {
  const tr = document.createElement('tr');
  for (const cell of cells) {
    const td = document.createElement('td');
    td.textContent = cell;
    if (typeof cell === 'number') td.className = 'n';
    tr.append(td);
  }
  return tr;
}

async function look() {
  const token = sessionStorage.getItem('token');
  let answer;
  try {
    answer = await fetch('/admin/v1/status', token ? { headers: { authorization: 'Bearer ' + token } } : {});
  } catch {
    say('not reachable', false);
    return;
  }
  $('login').hidden = answer.status !== 401;
  $('main').hidden = !answer.ok;
  if (!answer.ok) { say(answer.status === 401 ? 'locked' : 'error ' + answer.status, false); return; }
  const now = await answer.json();
  $('version').textContent = now.version + ', up ' + Math.round(now.uptime_seconds) + ' s';
  say(now.draining ? 'draining' : now.ready ? 'ready' : 'not ready', now.ready && !now.draining);
  $('api').textContent = now.api;
  $('connections').textContent = now.open_connections;
  $('entries').textContent = now.cache.entries;
  $('bytes').textContent = size(now.cache.bytes);
  if (before) {
    const dt = now.uptime_seconds - before.uptime_seconds;
    const asked = now.requests - before.requests;
    if (dt > 0) $('rate').textContent = (asked / dt).toFixed(asked / dt < 10 ? 1 : 0);
    const share = (part, of) => of > 0 ? (100 * part / of).toFixed(0) + ' %' : '-';
    $('hits').textContent = share(now.cache_hits - before.cache_hits, asked);
    $('errors').textContent = share(now.errors - before.errors, asked);
  }
  before = now;
  $('models').replaceChildren(...now.models.map((m) => row([m.model, m.engine, m.kind, m.calls, m.in_flight])));
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', $('token').value);
  look();
});
look();
setInterval(look, 1000);
)js";

}  // namespace penstock::admin
