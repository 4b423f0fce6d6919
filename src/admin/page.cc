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
  body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem; overflow-wrap: anywhere; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
  header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; }
  h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
  .state { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1px; margin: 1.25rem 0 0; background: var(--line); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
  dl div { background: var(--paper); padding: .7rem .9rem; }
  dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); }
  th { color: var(--soft); font-weight: 500; font-size: .85rem; } th, .n { white-space: nowrap; overflow-wrap: normal; }
  td { vertical-align: top; } .n { text-align: right; font-variant-numeric: tabular-nums; padding: .4rem 0 .4rem .6rem; }
  td:nth-child(3) { overflow-wrap: normal; }
  @media (max-width: 36rem) {
    thead { display: none; }
    tr { display: grid; grid-template-columns: 1fr auto auto; column-gap: 1rem; padding: .4rem 0; border-bottom: 1px solid var(--line); }
    td, td.n { border: 0; padding: 0; } td:nth-child(1), td:nth-child(2) { grid-column: 1 / -1; }
    td:nth-child(1) { font-weight: 600; } td:nth-child(n + 2), td::before { color: var(--soft); }
    td[data-name]::before { content: attr(data-name) ' '; font-size: .85rem; } td.n { color: var(--ink); }
  }
  code { font: .9em ui-monospace, monospace; } form { margin-top: 1rem; } input { font: inherit; padding: .3rem .5rem; } a { color: inherit; }
</style>
</head>
<body>
<header><h1>Penstock</h1><span class="soft" id="version"></span><span class="state" id="state">asking ...</span></header>
<form id="login" hidden><label>Admin token <input id="token" type="password" autocomplete="off"></label> <button>Show</button> <span class="bad" id="wrong" role="alert"></span></form>
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
<table><thead><tr><th>Model</th><th>Engine</th><th>Kind</th><th>Health</th><th class="n">Calls</th><th class="n">In flight</th></tr></thead><tbody id="models"></tbody></table>
<p class="soft">Also here: <a id="metrics" href="/metrics">/metrics</a>, <a href="/health">/health</a>, <span id="document"><a href="/admin/v1/openapi.json">the admin API</a></span>. The API for applications: <span id="api"></span></p>
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

// Where the screen is narrow the column heads are gone, and each number says what it is.
function row(model) {
  const tr = document.createElement('tr');
  for (const [name, cell] of [['', model.model], ['', model.engine], ['', model.kind], ['', model.healthy ? 'good' : 'unhealthy'], ['Calls', model.calls], ['In flight', model.in_flight]]) {
    const td = document.createElement('td');
    td.textContent = cell;
    if (name) { td.className = 'n'; td.dataset.name = name; }
    tr.append(td);
  }
  return tr;
}

// A link cannot carry the token.
function showHow() {
  const code = document.createElement('code');
  code.textContent = 'curl -H "Authorization: Bearer $TOKEN" ' + location.origin + '/admin/v1/openapi.json';
  $('document').replaceChildren('the admin API (', code, ')');
}

// Asks for a token, and nothing more of the gateway until there is one.
function lock(wrong) {
  sessionStorage.removeItem('token');
  before = null;
  say('locked', false);
  $('wrong').textContent = wrong ? 'This is not the admin token.' : '';
  $('login').hidden = false;
  $('main').hidden = true;
  $('token').value = '';
  $('token').focus();
}

let timer = 0;
function again() {
  clearTimeout(timer);
  timer = setTimeout(look, 1000);
}

async function look() {
  const token = sessionStorage.getItem('token');
  let answer, now;
  try {
    answer = await fetch('/admin/v1/status', token ? { headers: { authorization: 'Bearer ' + token } } : {});
    if (answer.status === 401) { lock(token !== null); return; }
    if (answer.ok) now = await answer.json();
  } catch {
    say('not reachable', false);
    again();
    return;
  }
  again();
  $('login').hidden = true;
  $('main').hidden = !answer.ok;
  if (!answer.ok) { say('error ' + answer.status, false); return; }
  if (token) showHow();
  $('version').textContent = now.version + ', up ' + Math.round(now.uptime_seconds) + ' s';
  say(now.draining ? 'draining' : now.ready ? 'ready' : 'not ready', now.ready && !now.draining);
  $('api').textContent = now.api;
  $('metrics').textContent = now.metrics;
  $('metrics').href = now.metrics;
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
  $('models').replaceChildren(...now.models.map(row));
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  if ($('token').value === '') return;
  // fetch() throws at what no header can hold, and no token has it.
  sessionStorage.setItem('token', $('token').value.replace(/[^!-~]/g, '?'));
  look();
});
look();
)js";

}  // namespace penstock::admin
