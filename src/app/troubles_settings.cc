// What can be wrong with a configuration.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"The file cannot be read", "cannot be read: <reason>\nis larger than <number> bytes",
            "There is no such file, it is a folder, its permissions keep the program out, or it "
            "is no configuration.",
            "Look at the path and at `ls -l` of it, as the user that runs the gateway."},
    Trouble{"It is no YAML",
            "no YAML: <what>\n"
            "a `:` where no value can begin; look at the indentation, and quote texts with `: `\n"
            "a { or [ that is not closed, or a text in it that needs quotes, such as \"${NAME}\"\n"
            "a character that no text can begin with; quote it\n"
            "indented by a tab; YAML takes spaces\n"
            "nested too deeply\n"
            "is nested over <number> deep\n"
            "the byte <byte> is no UTF-8 text\n"
            "a second YAML document; there is one\n"
            "an alias stands within itself\n"
            "has a YAML tag: tags are not used here; a text that begins with ! needs quotes\n"
            "has a key that is no text\n"
            "merge keys (<<) are not understood; an alias stands for a whole value\n"
            "there are too many values; an alias counts as often as it is used",
            "The text cannot be read as YAML, or uses what of YAML is not taken here.",
            "Mend it at the line and column that are named; often the fault is in the line above."},
    Trouble{"A key that there is not", "no such key",
            "No option has this name at this place: misspelt, or indented too little or too much.",
            "Take the name that is proposed; `penstock settings` lists all."},
    Trouble{"A key that stands twice", "stands twice; first in line <line>",
            "YAML would take one of them and forget the other.", "Leave one."},
    Trouble{"The space behind the colon", "the space behind the `:` is missing",
            "`key:value` is one text to YAML.", "Write `key: value`."},
    Trouble{"Another kind of value",
            "has no value\nis a single value here\nis a list here\nis a mapping here\n"
            "the file is a single value here\nthe file is a list here",
            "A list or a section stands where one value belongs, or the other way round.",
            "Write what the message expects."},
    Trouble{"Something is missing", "`<key>` is missing",
            "An engine or a model lacks what it cannot be without.", "Add the key."},
    Trouble{"A value that means nothing",
            "cannot be <value>\n"
            "cannot be <value>: <reason>\n"
            "its value cannot be used\n"
            "its value cannot be used: <reason>",
            "The value is of another kind or out of its bounds. Values of secrets, and those that "
            "came from a variable, are not shown.",
            "Write what the message expects: sizes and times with their unit (`32MiB`, `10s`), "
            "shares with `%`."},
    Trouble{"Not in this version",
            "not in this version: <what>\n<value> is not in this version: <what>",
            "The option is planned and does nothing yet. It is refused so that nobody believes it "
            "to be in force.",
            "Take it out."},
    Trouble{"A variable or a file of a secret",
            "the environment variable <name> is not set\n"
            "the environment variable <name> is no UTF-8 text\n"
            "a ${...} in it is no ${NAME}, ${NAME:-default} or ${file:/path}\n"
            "the } of a ${ is missing\n"
            "<file>: <reason>",
            "A value is to come from the environment or a file, and does not.",
            "Set the variable for the gateway too (`systemctl show-environment`, the container's "
            "`env`), or give a default: `${NAME:-default}`. `$${` writes a `${`."},
    Trouble{"Open to everyone",
            "not a loopback address, and auth.mode is none: anyone who reaches it could ask\n"
            "not a loopback address, and admin.token is not set",
            "The gateway would answer everyone who reaches this address, at the operator's cost.",
            "Listen on 127.0.0.1, or say that it is meant with `auth.allow_anonymous: true`; the "
            "admin listener takes a token instead."},
    Trouble{"An encoding that there is not", "\"<word>\" is no encoding of answers",
            "Answers can be compressed by zstd, br and gzip.",
            "Name some of these in `listen.compression.encodings`, or none: `[]`."},
    Trouble{"One address for both", "listen.address and admin.address are both <address>",
            "Clients and the operator have a listener each.", "Give one of them another port."},
    Trouble{"An engine",
            "has no element\n"
            "<name> is the name of <place> too\n"
            "is for engines of kind <kind>; this one is of kind <kind>\n"
            "no name that a header field can have\n"
            "is written by the gateway itself\n"
            "stands twice: header names have no letter case\n"
            "is where this gateway itself listens (<address>): it would ask itself\n"
            "does not begin with `/`\n"
            "errors, stalls, disconnects and rate_limited are over 100% together\n"
            "several of these would take every name: say which `models` they answer as",
            "The list of engines does not go together.",
            "Mend it as the message says; `docs/engines.md` has an example of each kind."},
    Trouble{"A model",
            "names no engine\n"
            "no engine is named <name>\n"
            "<name> stands in <place> too\n"
            "`*` is a name of its own, no alias\n"
            "has no meaning for `*`, which passes every name on",
            "The list of models does not fit the engines, or two models share a name.",
            "Name engines as `engines[].name` does, and each model and alias once."},
    Trouble{"Files that the settings name",
            "the folder <folder> cannot be read: <reason>\nthe file <file> cannot be read: "
            "<reason>",
            "The folder of documents or the file of authorities is not there, or not for this "
            "user.",
            "Mend the path (it counts from where the program was started) or the permissions."},
    Trouble{"The cache", "is larger than cache.memory.size",
            "One answer could not be kept even in an empty cache.",
            "Lower `cache.memory.max_entry` or raise `cache.memory.size`."},
    Trouble{"Tokens of nobody",
            "is jwt, and auth.jwt.<key> is missing\n"
            "is neither https nor on loopback: whoever stands between could make tokens",
            "`auth.mode: jwt` needs to know whose tokens to believe, and must get that provider's "
            "keys from nobody else.",
            "Set `auth.jwt.issuer`, `audience` and `jwks_url`, as the provider's "
            "`/.well-known/openid-configuration` says."},
    Trouble{
        "A model that nothing answers as", "there is no model <name>",
        "`limits.models`, the `models` of a tenant or `cache.semantic.embedding_model` name one "
        "that `models` does not have.",
        "Take the name that is proposed; an alias does not count in `limits.models`."},
    Trouble{"Questions that mean the same, without a model",
            "the semantic level needs cache.semantic.embedding_model",
            "`cache.semantic.enabled` is true, and nothing says which model makes vectors of "
            "questions.",
            "Set `cache.semantic.embedding_model` to one of `models` that answers "
            "`/v1/embeddings`."},
    Trouble{"A name that cannot be", "this name cannot be",
            "A model's name is visible ASCII, up to 256 characters.", "Write it as clients do."},
    Trouble{"A replica that is none",
            "a replica is one of PostgreSQL, and store.url is a SQLite file\n"
            "is no replica that can be used",
            "A replica repeats a PostgreSQL that `store.url` names.",
            "Name replicas as `postgresql://user@host/db`, or none."},
    Trouble{"A Redis that is none",
            "is no Redis that can be used\n"
            "is redis, and cache.redis.urls names none",
            "Limits that nodes share need one Redis.",
            "Write `redis://host:6379/0` or `rediss://` into `cache.redis.urls`."},
    Trouble{"Too many", "and <number> further problems",
            "The file has so many faults that it is probably no configuration.",
            "Mend the first ones, then look again."},
};

}  // namespace

std::span<const Trouble> settings_troubles() { return kTroubles; }

}  // namespace penstock::app
