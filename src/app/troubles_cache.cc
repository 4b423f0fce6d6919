// What can go wrong with `penstock cache`, and with warming.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"`penstock cache` finds no gateway",
            "penstock cache: <url>: cannot connect to <address>: <reason>",
            "Nobody listens at the URL of `--admin`.",
            "Start a gateway, or give its `admin.address`: `--admin http://127.0.0.1:8081`."},
    Trouble{"The gateway refused `penstock cache`",
            "penstock cache: <url>: <message> (<status>)\n"
            "penstock cache: <url>: it answered with status <status>\n"
            "penstock cache: <url>: it answers otherwise than an admin listener of this version",
            "What listens there is not the admin listener, is of another version, wants its token, "
            "or says in the message what it will not do.",
            "Look the message up above, among those for clients. The token is `admin.token`: give "
            "`--token`, or PENSTOCK_ADMIN_TOKEN."},
    Trouble{
        "A command on the cache that means nothing",
        "penstock cache: VERB cannot be \"<word>\"; it can be <words>\n"
        "penstock cache: `<verb>` takes no <argument>\n"
        "penstock cache: `purge` takes one of --tag, --model, --tenant, --key, --entry and "
        "--all\n"
        "penstock cache: --<option> is empty\n"
        "penstock cache: --format takes table or json, not \"<word>\"\n"
        "penstock cache: --rate takes questions a second up to 1000000, or 0 for no bound, not "
        "\"<word>\"\n"
        "penstock cache: <option> has a character that no key can have\n"
        "penstock cache: FILE is missing\n"
        "penstock cache: `semantic` needs --model, the embedding model\n"
        "penstock cache: <file>: line <number> is not {\"a\": TEXT, \"b\": TEXT, \"same\": true or "
        "false}\n"
        "penstock cache: <file> cannot be read, or is empty",
        "An option means nothing, or does not go together with the verb. Exit code 2.",
        "`penstock cache --help` lists the verbs and what each takes."},
    Trouble{
        "A model whose embeddings cannot be measured",
        "penstock cache: <url>: an answer to embeddings <fault>\n"
        "penstock cache: <url>: a vector <fault>",
        "The model of `penstock cache semantic` answered something else than one vector, of one "
        "length and with a direction, for each text.",
        "Give `--model` the name of an embedding model, as `models` of the configuration has it."},
    Trouble{"A purge that other nodes do not know of yet",
            "penstock cache: the other nodes could not be told: <reason>",
            "Redis did not take the purge. This node has forgotten the answers; the others go on "
            "giving them. Exit code 1.",
            "Look at Redis. As soon as it answers the node tells it; if the node ends before, "
            "purge again."},
    Trouble{"A warming that is not whole",
            "penstock cache: the memory of the cache is full, and nothing is driven out for what "
            "is warmed\n"
            "penstock cache: the warming was stopped\n"
            "penstock cache: <url>: another warming has begun meanwhile\n"
            "penstock cache: <url>: there is no question in the file\n"
            "penstock cache: line <number> is larger than 512 KiB and is left out",
            "Not every question was answered and kept. The table says how many; the first reasons "
            "stand below it. Exit code 1.",
            "Raise `cache.memory.size`, or warm again: what is kept is not asked for twice."},
    Trouble{"What was asked most is not known",
            "the cache is not warmed: the database does not say what was asked most\n"
            "what was asked most could not be written down",
            "The database did not answer at the start, or at the end, of a gateway with "
            "`cache.warm.popular`; `reason` says why. It answers questions all the same.",
            "Look at the database. What is warmed then is what was written down before."},
    Trouble{"The file of `cache.warm`",
            "the cache is not warmed: the file cannot be read\n"
            "a line of the file to warm the cache from cannot be read",
            "The gateway has started and answers. `file` is not there, or `line` is neither a "
            "request nor a question; `reason` says what is wrong with it. Ten lines are told of.",
            "Mend the file. `penstock cache warm FILE` warms a running gateway from it."},
};

}  // namespace

std::span<const Trouble> cache_troubles() { return kTroubles; }

}  // namespace penstock::app
