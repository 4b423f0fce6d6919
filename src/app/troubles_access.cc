// What can go wrong with keys, tokens and tenants.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"The database at the start",
            "the database is away: usage waits in its files, and unknown keys are refused\n"
            "the database cannot be used",
            "PostgreSQL did not answer when the gateway started, or answered with what it cannot "
            "use; `reason` says which. Requests are answered; what is used waits in the spool.",
            "Bring the database back: the gateway tries again by itself. A database that a newer "
            "version has made needs that version."},
    Trouble{
        "A client that could not be served as it should",
        "a credential could not be checked\n"
        "what was spent so far cannot be known\n"
        "feedback could not be kept",
        "Something that a request needed beside its engine did not answer in time: the database, "
        "the identity provider's keys, or Redis; `reason` says which. The client was told with "
        "a 503.",
        "Look at `reason`, and at `/health`. Known keys and limits without a budget go on."},
    Trouble{"Changes of keys", "changes of keys cannot be read; known keys go on",
            "The database does not answer. Keys that this node has seen go on as they were; one "
            "that is revoked meanwhile goes on too, and one that it has not seen gets a 503.",
            "Bring the database back; `reason` says how it is away. Changes are then read within "
            "half a second."},
    Trouble{"A key or tenant that cannot be read", "a key cannot be read\na tenant cannot be read",
            "What is kept of it was not written by this version; `reason` names it. Nobody is let "
            "in by it.",
            "Update this node, or write it again with `penstock keys update` or `penstock tenants "
            "update`."},
    Trouble{"The keys of tokens",
            "the keys of tokens cannot be fetched; those that were fetched before stay",
            "`auth.jwt.jwks_url` is away, or answers with something else than a set of keys; "
            "`reason` says what. Until keys have come once, every token gets a 503. Redirects are "
            "not followed.",
            "Ask for it yourself: `curl URL` must print an object with `keys`. It is asked again "
            "every ten seconds."},
    Trouble{"A key of tokens", "a key of tokens is left out",
            "The set has a key that cannot be used; `reason` says which and why. Tokens that it "
            "signed are refused.",
            "RS256 with 2048 to 8192 bits, ES256 and EdDSA (Ed25519) are understood."},
    Trouble{"Where the keys of tokens are",
            "auth.jwt.jwks_url: keys are fetched over https, or from this machine\n"
            "auth.jwt.jwks_url: the URL <url> <reason>",
            "Whoever can change the keys on their way can be anybody.",
            "Give an https URL, or one of 127.0.0.1."},
    Trouble{"Keys and tenants on the command line",
            "penstock keys: there is no key <id>\n"
            "penstock keys: there is no tenant <name>; `penstock tenants create <name>` makes one\n"
            "penstock tenants: there is no tenant <name>\n"
            "penstock tenants: there is a tenant <name> already\n"
            "penstock keys: the key <id> is revoked\n"
            "penstock keys: the key <id> has expired\n"
            "penstock keys: the key <id> was rotated already, to <id>\n"
            "penstock <command>: others are changing it at the same time",
            "It is not there, or not in a state in which it can be changed so. A command without "
            "`--config` looks into `./penstock.db`, counted from where it is given.",
            "`penstock keys list` and `penstock tenants list` show what there is; `--config` or "
            "`--store` says where."},
    Trouble{"What a key or tenant cannot be",
            "penstock keys: the name must have 1 to 100 bytes and no control characters\n"
            "penstock <command>: a model's name must have 1 to 256 bytes\n"
            "penstock <command>: there are more than 100 models\n"
            "penstock keys: a key belongs to a tenant\n"
            "penstock tenants: a tenant's name has 1 to 64 letters, digits and . _ @ -, and begins "
            "with a letter or digit\n"
            "penstock keys: the grace is a time of at most 90d\n"
            "penstock <command>: VERB cannot be \"<word>\"; it can be <words>\n"
            "penstock <command>: `<verb>` takes no <argument>\n"
            "penstock <command>: `<verb>` changes no fields\n"
            "penstock <command>: there is nothing to change\n"
            "penstock keys: --tenant is for `create` and `list`: a key stays its tenant's\n"
            "penstock keys: --grace is for `rotate`",
            "The command does not go together with what stands behind it, or a value has no "
            "meaning.",
            "`penstock keys --help` and `penstock tenants --help` list the verbs and what each "
            "takes."},
};

}  // namespace

std::span<const Trouble> access_troubles() { return kTroubles; }

}  // namespace penstock::app
