// What can go wrong with traces, and with `penstock trace`.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"`penstock trace` finds no gateway",
            "penstock trace: <url>: cannot connect to <address>: <reason>",
            "Nobody listens at the URL of `--admin`.",
            "Start a gateway, or give its `admin.address`: `--admin http://127.0.0.1:8081`."},
    Trouble{"The gateway refused `penstock trace`",
            "penstock trace: <url>: <message> (<status>)\n"
            "penstock trace: <url>: it answered with status <status>\n"
            "penstock trace: <url>: it answers otherwise than an admin listener of this version",
            "It has no such request among the last `tracing.ring`, wants its token, is of another "
            "version, or what listens there is not the admin listener.",
            "`penstock trace` without an id lists what there is. The token is `admin.token`: give "
            "`--token`, or PENSTOCK_ADMIN_TOKEN."},
    Trouble{"A command on traces that means nothing",
            "penstock trace: --format is table or json\n"
            "penstock trace: --slow is a time such as 250ms\n"
            "penstock trace: --failed and --slow are for the list, without ID\n"
            "penstock trace: <option> has a character that no key can have",
            "An option means nothing, or does not go together with ID. Exit code 2.",
            "`penstock trace --help` says what there is."},
    Trouble{
        "Traces that do not reach their backend",
        "traces are not exported\ntraces are exported again",
        "What listens at `tracing.endpoint` is away, answers with an error, or does not answer in "
        "time; or opentelemetry-cpp 1.19 is not on this machine: `reason` says which. No request "
        "waits for it; the spans are counted in `penstock_telemetry_spans_total`.",
        "Look at the backend and its address. The library is Debian's `opentelemetry-cpp` of "
        "bookworm-backports."},
    Trouble{
        "A variable of OpenTelemetry that is not understood",
        "<variable>=<value> is ignored; expected <what>\n<variable> is ignored; expected <what>",
        "The value cannot be read, or is none that this program can do.",
        "Set it to what is expected, or leave it unset."},
};

}  // namespace

std::span<const Trouble> traces_troubles() { return kTroubles; }

}  // namespace penstock::app
