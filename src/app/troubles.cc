#include "app/troubles.h"

#include <array>

namespace penstock::app {
namespace {

constexpr std::array kCommandLine = {
    Trouble{"A command that there is not",
            "penstock: unknown command \"<word>\"; did you mean <command>?\n"
            "penstock: unknown command \"<word>\"; there are <commands>",
            "The first word is no command.", "`penstock --help` lists them."},
    Trouble{"An option that there is not",
            "penstock <command>: unknown option <option>\n"
            "penstock <command>: unknown option <option>; did you mean <option>?\n"
            "penstock: the option <option> belongs behind a command: <commands>",
            "The command has no such option, or the option stands ahead of the command.",
            "`penstock COMMAND --help` lists what it has."},
    Trouble{"A word too many",
            "penstock <command>: \"<word>\" is one word too many\n"
            "penstock ask: \"<word>\" is one word too many; put the question in quotes",
            "There is a word that the command does not take, often because of a space that is not "
            "quoted.",
            "Leave it out, or quote what belongs together."},
    Trouble{"Something is missing",
            "penstock <command>: <argument> is missing\n"
            "penstock <command>: <option> needs a value: <option> <what>\n"
            "penstock <command>: <option> is empty",
            "An argument or the value of an option is not there: often a variable of the shell "
            "that is not set.",
            "Add it."},
    Trouble{"A value that means nothing",
            "penstock <command>: <option> cannot be \"<value>\"\n"
            "penstock <command>: <option> takes <what>, not \"<value>\"\n"
            "penstock load: --rate takes a rate above 0, at most 1e9, not \"<value>\"; without "
            "--rate the loop is closed\n"
            "penstock <command>: <option> must be <what>\n"
            "penstock <command>: <option> must not be negative\n"
            "penstock load: --threads exceeds --connections\n"
            "penstock engine: the shares of faults add up to more than 100%\n"
            "penstock completion: SHELL cannot be \"<value>\"; it can be bash\n"
            "penstock ask: --api-key has a character that no key can have\n"
            "penstock load: --header '<field>' is not 'name: value'\n"
            "penstock load: --header cannot set <field>",
            "The value is of another kind, or out of its bounds.",
            "Give one that the message names: times with their unit (`250ms`, `10s`), shares with "
            "`%`."},
    Trouble{"Options that do not go together",
            "penstock <command>: <option> is given <number> times; it can be given once\n"
            "penstock <command>: <option> and <option> cannot be given together\n"
            "penstock serve: --docs and --engine are for a start without --config",
            "Two options say what only one can.",
            "Give one of them. What `--docs` and `--engine` say stands in a configuration below "
            "`engines`."},
    Trouble{"A URL that is none",
            "penstock ask: the URL <url> does not begin with http:// or https://\n"
            "penstock ask: the URL <url> has <what>\n"
            "penstock ask: the URL <url> holds a character that must be escaped\n"
            "penstock ask: the URL names a user\n"
            "penstock load: --url <url>: only http is spoken here\n"
            "penstock load: --url <url>: expected http://HOST[:PORT]\n"
            "penstock load: --url <url>: expected http://HOST[:PORT][/PATH]\n"
            "penstock load: --url <url>: the host is missing\n"
            "penstock load: --url <url>: the port is not a number",
            "What `--url` says is no address of a gateway.",
            "Give it as `http://127.0.0.1:8080`; a `/v1` behind it may stay."},
    Trouble{"The file of questions",
            "penstock load: --file \"<file>\" cannot be read: <reason>\n"
            "penstock load: <file>:<line>: not a JSON string, nor an object with \"messages\" or "
            "\"question\"\n"
            "penstock load: <file> holds no question",
            "The file that `--file` names has no questions in it, or not in a form that is read.",
            "One question a line; in a `.jsonl` file each line is JSON."},
    Trouble{"Somebody else's server",
            "penstock load: <host> is not this machine; a load test of others' servers is an "
            "attack: --allow-remote says that it is yours",
            "`--url` leads to another machine.", "Add `--allow-remote` if it is yours."},
    Trouble{"A code that there is not",
            "penstock errors: there is no code \"<word>\"; did you mean <code>?\n"
            "penstock errors: there is no code \"<word>\"",
            "No answer of the gateway has this `code`. An engine's own errors pass through it with "
            "the engine's codes.",
            "`penstock errors` prints all."},
};

constexpr std::array kStart = {
    Trouble{"Without a configuration",
            "PORT: cannot be \"<value>\"; expected <what>\n"
            "PORT: listen.address and admin.address are both <address>; expected another port\n"
            "CACHING_ENABLED: cannot be \"<value>\"; expected true or false\n"
            "OPENAI_API_KEY: its value cannot be used: <reason>; expected <what>\n"
            "--engine: cannot be \"<url>\": <reason>; expected <what>",
            "A variable of the environment, or an option, has a value that means nothing. Exit "
            "code 2.",
            "Set it to what is expected, or unset it."},
    Trouble{"The port",
            "listen.address: cannot listen on <address>: the port is taken by another program\n"
            "admin.address: cannot listen on <address>: the port is taken by another program\n"
            "<setting>: cannot listen on <address>: ports below 1024 need privileges\n"
            "<setting>: cannot listen on <address>: no such address on this machine\n"
            "<setting>: cannot listen on <address>: <reason>",
            "Another program, perhaps another gateway, has the port; or the address is not this "
            "machine's.",
            "`ss -ltnp` says who has it. End that, or take another: `listen.address` and "
            "`admin.address` in the configuration, PORT for a start without one."},
    Trouble{"The folder of documents",
            "engine <engine>: the folder of documents <folder> does not exist\n"
            "engine <engine>: the folder of documents <folder> does not exist; --docs DIR names "
            "one, --engine URL stands in front of an engine\n"
            "engine <engine>: the folder of documents <folder> is not a folder\n"
            "engine <engine>: the folder of documents <folder> cannot be read: <reason>",
            "There is nothing to answer out of. Without a configuration that is `./docs`, counted "
            "from where the program was started.",
            "Name a folder with `--docs DIR` (or `engines[].path`), or an engine with `--engine "
            "URL`."},
    Trouble{"Certificates",
            "engine <engine>: the certificates in <file> cannot be read: <reason>\n"
            "engine <engine>: TLS cannot be set up",
            "`engines[].tls.ca` is no PEM file of certificates, or the system's store is not "
            "there.",
            "Name a PEM file; for the system's store install `ca-certificates`."},
    Trouble{
        "Redis",
        "cache.redis: the URL of Redis <what>\n"
        "cache.redis: the certificates in <file> cannot be read: <reason>",
        "`cache.redis` means nothing: a URL with a port or a database that is none, or `ca` is "
        "no PEM file of certificates. A Redis that cannot be reached is no reason not to start.",
        "A URL is `redis://user:password@host:6379/0`, with `rediss` for TLS; what is special in "
        "the password is escaped (`%40` for @)."},
    Trouble{"The machine",
            "penstock: cannot start: <reason>; are there enough file descriptors (ulimit -n)?\n"
            "engine <engine>: no temporary folder can be made",
            "The program may not open enough files or threads, or `TMPDIR` (or `/tmp`) cannot be "
            "written.",
            "Raise the limits (`ulimit -n`, systemd's `LimitNOFILE`), or set `TMPDIR`."},
};

constexpr std::array kRunning = {
    Trouble{"An engine did not answer", "an engine did not answer",
            "A client got a 502, 503 or 504; `reason` says why in full, with the engine's address "
            "where it could not be connected.",
            "Look whether the engine runs and whether its `url` is right: `curl URL/models`."},
    Trouble{"An engine refused the key",
            "an engine refused the gateway's credentials: look at its api_key",
            "The engine answered 401 or 403: the key is wrong, has run out, or is sent in another "
            "way than the engine wants.",
            "Set `engines[].api_key`, and `engines[].auth` for how it is sent; then reload."},
    Trouble{"An engine has nothing at its path",
            "an engine has nothing at this path: look at the path of its url",
            "The engine answered 404 without a word of the model: what stands behind the host in "
            "`engines[].url` is not where its API is.",
            "Most often `/v1` is missing, or stands there twice: `curl URL/models` must list "
            "models."},
    Trouble{
        "An engine is unhealthy", "an engine is unhealthy",
        "As many checks in a row as `engines[].health.unhealthy_after` says failed; `reason` is "
        "the last. It is asked all the same where a model has no other; while no engine is "
        "usable `/readyz` answers 503.",
        "Look at the engine. Where it is well and the check is wrong, give "
        "`engines[].health.path`, or `health: off`."},
    Trouble{"An answer was cut short", "an answer was cut short",
            "The engine broke, or its time was over, in the middle of its answer. The client "
            "learns it, and nothing of the answer is kept.",
            "Look at `reason`, and into the engine's log. For long answers raise "
            "`engines[].timeout.total` or `between_tokens`."},
    Trouble{"An engine did not list its models", "an engine did not list its models",
            "`GET /v1/models` shows the configured names alone: the engine behind `*` did not say "
            "what it has within 5 s.",
            "As for an engine that did not answer; or name the models in the configuration."},
    Trouble{
        "A question has no embedding",
        "a question's embedding could not be had: it is asked as it is",
        "The engine of `cache.semantic.embedding_model` failed, or took longer than 300 ms. The "
        "question went to its own engine, as without the semantic level.",
        "Look at `reason`; ask the model yourself: `curl URL/embeddings`."},
    Trouble{"Memory is too short for the semantic index",
            "the semantic index is given up: memory is short",
            "The program came near `memory.limit`, the answers' room was used up, and the index "
            "was what "
            "could go. It begins empty, and fills again.",
            "Lower `cache.semantic.size`, or raise `memory.limit`: a vector of 1,536 numbers takes "
            "6 KiB, "
            "and as much again while its graph is made."},
    Trouble{
        "A semantic index is of no use", "the semantic index's file is of no use",
        "The file in `cache.semantic.path` is damaged, of another version or of another program, "
        "or cannot be written; `reason` says which. The index begins empty, and fills again.",
        "If it cannot be written, mend the folder's permissions. Else nothing: a good file "
        "takes its place."},
    Trouble{
        "Redis is away", "Redis is away",
        "Five commands or connections in a row failed; `reason` is the last, `seconds` how long "
        "nobody asks it now. Limits go on, each node with its share of them; budgets that nodes "
        "share refuse until it is back. It is tried again by itself.",
        "Look whether Redis runs and is no replica, and whether `cache.redis` has its address, its "
        "user and its password. Of a cluster `server` is the node that is meant."},
    Trouble{"Redis is full", "Redis is full: it writes nothing",
            "Redis has no memory left (`maxmemory`) and evicts nothing. What is in it is read as "
            "ever; limits go on as while it is away. Said once a minute at most.",
            "Give it more memory, or let it evict: `maxmemory-policy volatile-lru` spares what has "
            "no expiry."},
    Trouble{"The admin token", "the admin token was missing or wrong",
            "Somebody asked the admin listener without its token; `from` says where from.",
            "Give it to whom it belongs (Prometheus needs none for the metrics), or find out who "
            "tries."},
    Trouble{"A reload was refused",
            "the configuration was not reloaded; the old one stays in force\n"
            "configuration: <problem>",
            "SIGHUP or the admin API asked for it, and the file has a fault; or it changes what "
            "cannot change while the program runs; or there is no file. What was in force stays "
            "in force. `reason` says which:\n\n"
            "- `<key> cannot change while the program runs; restart it`\n"
            "- `the program was started without a configuration file`\n"
            "- a message of the configuration or of the start",
            "Mend the file, `penstock check FILE`, reload; or restart."},
    Trouble{"The drain took too long", "connections are still open at the drain limit",
            "At the end of `listen.limits.drain` there were answers that were not complete; they "
            "were ended with an error.",
            "Raise `listen.limits.drain` to what the longest answers take, and what stops the "
            "gateway (systemd's `TimeoutStopSec`, Kubernetes' `terminationGracePeriodSeconds`) "
            "with it."},
    Trouble{"The folder of documents went away",
            "the folder of documents cannot be read; what was read before is still answered from\n"
            "the documents cannot be indexed",
            "The folder was moved or unmounted, or the disk of the index is full.",
            "Bring it back; it is read again by itself."},
    Trouble{"A document is left out", "a document is left out\ndocuments are left out",
            "`reason` says why: not UTF-8, larger than 32 MiB, a link that leads nowhere or to a "
            "folder elsewhere, or permissions.",
            "Mend the file; it is read again by itself."},
    Trouble{"Changes are seen late",
            "changes of a folder are not announced: it is looked at every 5 s",
            "The kernel has no more inotify watches for this user, or the file system has none.",
            "Nothing need be done; `sysctl fs.inotify.max_user_watches` raises the number."},
    Trouble{"A variable without effect",
            "OPENAI_API_KEY is set, but --engine says where to ask: the key is not used\n"
            "OPENAI_BASE_URL is set, but OPENAI_API_KEY is not: ignored; for an engine that wants "
            "no key take --engine\n"
            "OPENAI_BASE_URL is where this gateway itself listens: it is for the applications, and "
            "the engine is <url>\n"
            "<variable> is set, but this version has no <what>: ignored\n"
            "<variable> is set, but this version has no such switch: <what>",
            "The environment asks for what this version does not do.",
            "Unset it, if it is not meant for something else."},
};

constexpr std::array kAsking = {
    Trouble{"Nobody is there",
            "penstock ask: <url>: cannot connect to <address>: <reason>\n"
            "penstock load: cannot connect to <url>: <reason>\n"
            "penstock load: cannot resolve <host>: <reason>",
            "No gateway listens at the URL.", "Start one with `penstock serve`, or mend `--url`."},
    Trouble{"The gateway refused",
            "penstock ask: <url>: <message> (<status>)\n"
            "penstock ask: <url>: it answered with status <status>\n"
            "penstock ask: <url>: it answered with an error\n"
            "penstock ask: <url>: <message>",
            "The answer was an error; its message is told.",
            "Look the message up above, among those for clients."},
    Trouble{"No answer in the answer",
            "penstock ask: <url>: it lists no model; name one with --model\n"
            "penstock ask: <url>: it answered with something that is not JSON\n"
            "penstock ask: <url>: the answer holds no choice\n"
            "penstock ask: <url>: the answer ended before its end\n"
            "penstock ask: <url>: an event of the stream is too large",
            "What answers is no OpenAI-compatible API, or it broke while it answered.",
            "Look at `--url`, and ask again."},
    Trouble{"A load that failed",
            "penstock load: <number> of <number> requests failed\n"
            "penstock load: <number> of <number> request failed\n"
            "penstock load: every answer was <status>: <message>\n"
            "penstock load: every answer was <status>\n"
            "penstock load: nothing was answered in that time\n"
            "penstock load: stopped early, after <number> of <number> s that were to be measured",
            "Some requests got no answer or an error; the table above it counts which. The last is "
            "no failure.",
            "Where every answer was the same, mend that: `--model`, `--header`. Else look at the "
            "gateway's log."},
    Trouble{"The simulated engine's port",
            "penstock engine: cannot listen on <address>: the port is taken by another program\n"
            "penstock engine: cannot listen on <address>: no such address on this machine\n"
            "penstock engine: cannot listen on <address>: <reason>",
            "Another program has the port.", "Take another with `--listen`; port 0 is a free one."},
    Trouble{"The output cannot be written",
            "penstock <command>: cannot write to standard output: <reason>\n"
            "penstock load: --json \"<file>\" cannot be written: <reason>",
            "The disk is full, or the folder is not there.", "Write elsewhere."},
};

std::span<const TroubleGroup> groups() {
  static const std::array kGroups = {
      TroubleGroup{"the command line", "Exit code 2. A second line says which help to read.",
                   kCommandLine},
      TroubleGroup{"the configuration",
                   "Exit code 2 of `penstock check` and `penstock serve`; a reload that meets one "
                   "changes nothing. Each is one line, `FILE:LINE:COLUMN: KEY: MESSAGE; expected "
                   "WHAT; did you mean \"KEY\"?`, with what is known of it. Here stand the "
                   "messages.",
                   settings_troubles()},
      TroubleGroup{"the start",
                   "Exit code 1, but for the first. The log says `the gateway could not start`; "
                   "its `reason` is one of these.",
                   kStart},
      TroubleGroup{"while it runs",
                   "Lines of the log, at the level `warn` or `error`. Most have more fields: "
                   "`request_id`, which the client got as `x-request-id`, `engine`, `reason`.",
                   kRunning},
      TroubleGroup{"the database",
                   "The first three keep the gateway from starting, as `reason` of `the gateway "
                   "could not start`; the others are lines of the log.",
                   store_troubles()},
      TroubleGroup{"the ledger of usage",
                   "The first keeps the gateway from starting; the others are lines of the log. No "
                   "request fails for any of them.",
                   usage_troubles()},
      TroubleGroup{"keys, tokens and tenants",
                   "Lines of the log, and what the commands `keys`, `tenants` and `migrate` say.",
                   access_troubles()},
      TroubleGroup{"the cache",
                   "What `penstock cache` says, with exit code 1 where no other is named, and "
                   "lines of the log.",
                   cache_troubles()},
      TroubleGroup{
          "traces",
          "What `penstock trace` says, with exit code 1 where no other is named, and lines "
          "of the log.",
          traces_troubles()},
      TroubleGroup{"profiles",
                   "What `penstock profile` says, with exit code 1 where no other is named.",
                   profiles_troubles()},
      TroubleGroup{"asking and measuring", "Exit code 1 of `ask`, `load` and `engine`.", kAsking},
  };
  return kGroups;
}

}  // namespace

std::span<const TroubleGroup> trouble_groups() { return groups(); }

}  // namespace penstock::app
