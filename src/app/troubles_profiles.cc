// What can go wrong with `penstock profile`.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"`penstock profile` finds no gateway",
            "penstock profile: <url>: cannot connect to <address>: <reason>",
            "Nobody listens at the URL of `--admin`.",
            "Start a gateway, or give its `admin.address`: `--admin http://127.0.0.1:8081`."},
    Trouble{"The gateway refused `penstock profile`",
            "penstock profile: <url>: <message> (<status>)\n"
            "penstock profile: <url>: it answered with status <status>\n"
            "penstock profile: <url>: it answers otherwise than an admin listener of this version",
            "It takes one CPU profile at a time, has `admin.profiling` off, wants its token, is of "
            "another version, or what listens there is not the admin listener.",
            "Wait until the other profile is taken: a minute at most. The token is `admin.token`: "
            "give `--token`, or PENSTOCK_ADMIN_TOKEN."},
    Trouble{"A profile that cannot be kept", "penstock profile: cannot write <file>: <reason>",
            "The folder is not there, is not writable, or is full. Exit code 1.",
            "Name another file."},
    Trouble{"A command on profiles that means nothing",
            "penstock profile: --seconds is for the CPU, without --heap\n"
            "penstock profile: --format is for a file: give --out\n"
            "penstock profile: --out ends in .svg, .pb.gz or .folded, or give --format\n"
            "penstock profile: --format is svg, pprof or folded\n"
            "penstock profile: <option> has a character that no key can have",
            "An option means nothing, or does not go together with another. Exit code 2.",
            "`penstock profile --help` says what there is."},
};

}  // namespace

std::span<const Trouble> profiles_troubles() { return kTroubles; }

}  // namespace penstock::app
